"""A source for people to look at, as a piece of HTML that stands alone; with colours where it spoke for an answer.

``heat`` are numbers from -1 to 1, one for each step: orange speaks for the answer, blue against it. Colours are
translucent, so that a page may be light or dark.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

FOR, AGAINST = "224,108,16", "48,104,212"
CELLS = 120  # of a band: more steps than these are added up
FIGURE = "display:inline-block;max-width:100%;margin:0 0 .5rem;vertical-align:top"
PICTURE = "display:block;max-width:100%;max-height:12rem;border-radius:.25rem"
ENLARGED = ";width:6rem;height:auto;image-rendering:pixelated"
SMALL = 80  # pixels below which a picture is enlarged, so that its parts can be told apart
BAND = "height:.7rem;margin:.2rem {right:.2f}% 0 {left:.2f}%;border-radius:.2rem;background:{colours}"
GROUND = "rgba(128,128,128,.12)"
TEXT = "margin:0 0 .5rem;line-height:1.9;overflow-wrap:anywhere;unicode-bidi:isolate"
WORD = "background:{colour};border-radius:.2rem;padding:.1rem .15rem"
LEGEND = "margin:0 0 .5rem;font-size:.85rem;opacity:.8;overflow-wrap:anywhere"
KEY = "display:inline-block;width:.9rem;height:.25rem;margin:0 .3rem .2rem .8rem;background:{colour}"
UNKNOWN = "text-decoration:underline dotted;text-underline-offset:.2em"


def picture_html(png: bytes, heat: np.ndarray | None = None, *, left: float = 0.0, right: float = 1.0) -> str:
    """A picture whose time runs to the right, and below it a band of ``heat`` ``(steps,)`` from ``left`` to ``right``,
    shares of its width."""
    band = "" if heat is None or not len(heat) else _band(heat, left, right)
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    size = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])  # in a PNG's first part
    style = PICTURE + (ENLARGED if max(size) < SMALL else "")
    return f'<div style="{FIGURE}"><img alt="the sample" style="{style}" src="{source}">{band}</div>'


def legend_html(said: str, names: Sequence[str], colours: Sequence[str]) -> str:
    """What is ``said`` of a plot's lines, and the name of each; there is no line for those behind the last colour."""
    keys = "".join(
        f'<span style="{KEY.format(colour=colour)}"></span>{escape(name)}'
        for name, colour in zip(names, colours, strict=False)
    )
    more = len(names) - len(colours)
    return f'<p style="{LEGEND}">{said}{keys}{f", and {more} not drawn" if more > 0 else ""}</p>'


def words_html(
    words: Sequence[str], known: Sequence[bool], heat: np.ndarray | None = None, *, between: str = " ", most: int = 1000
) -> str:
    """``words``, each on the colour of its ``heat``; those that are not ``known`` are underlined. After ``most`` of
    them the text ends."""
    strengths = np.zeros(len(words)) if heat is None else heat
    pieces = [_word(*row) for row in zip(words[:most], known, strengths, strict=False)]
    left = len(words) - most
    return f'<p dir="auto" style="{TEXT}">{between.join(pieces)}{f" … and {left:,} more" if left > 0 else ""}</p>'


def _word(word: str, known: bool, strength: float) -> str:
    style = [] if abs(strength) < 0.01 else [WORD.format(colour=_colour(strength))]
    said = ["" if known else "not a word of the training part", f"{strength:+.2f}" if style else ""]
    style += [] if known else [UNKNOWN]
    if not style:
        return escape(word)
    return f'<span title="{escape(", ".join(filter(None, said)))}" style="{";".join(style)}">{escape(word)}</span>'


def _band(heat: np.ndarray, left: float, right: float) -> str:
    cells = joined(heat, CELLS)
    best = int(np.argmax(np.abs(cells)))
    said = f"strongest at {100 * (best + 0.5) / len(cells):.0f} % of the length"
    colours = f"linear-gradient(to right,{','.join(_stops(cells))}),{GROUND}"
    style = BAND.format(left=100 * left, right=100 * (1 - right), colours=colours)
    return f'<div role="img" aria-label="{said}" title="{said}" style="{style}"></div>'


def _stops(cells: np.ndarray) -> Iterator[str]:
    for i, strength in enumerate(cells.tolist()):
        yield f"{_colour(strength)} {100 * i / len(cells):.2f}% {100 * (i + 1) / len(cells):.2f}%"


def _colour(strength: float) -> str:
    return f"rgba({FOR if strength > 0 else AGAINST},{min(1.0, abs(strength)):.2f})"


def joined(heat: np.ndarray, most: int) -> np.ndarray:
    """``heat`` in at most so many cells, each the sum of its steps, the largest as large as that of ``heat``."""
    if len(heat) <= most:
        return heat
    edges = np.linspace(0, len(heat), most + 1).astype(int)
    cells = np.add.reduceat(heat, edges[:-1])
    return cells * (np.abs(heat).max() / max(np.abs(cells).max(), 1e-12))
