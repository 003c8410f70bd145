"""A text line for people to look at: picture, truth and reading below each other, as one piece of HTML.

The piece brings its own styles in translucent colours, so that it looks right in a report, a page or a notebook, light
or dark. Differences are marked by line style as well as by colour.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from crnn.metrics.text import Kind, difference
from crnn.types import Part

NOTE = (
    "Letters that differ are underlined in red: solid where one letter was read as another, dashed where a letter was "
    "missed, dotted where one was read too many; a small dot fills the place of a letter that is not there. The "
    "stronger a letter's yellow background, the less sure the network was of it."
)
"""Explains the marks to the readers of a report."""

SURE = 0.95
NAMES = {"wrong": "solid", "missing": "dashed", "extra": "dotted"}
MARK = (
    "color:inherit;background:rgba(229,72,77,.2);border-bottom:.14em {line} #e5484d;"
    "border-radius:.15em .15em 0 0;text-decoration:none"
)
FILL = '<span aria-hidden="true" style="opacity:.45;user-select:none">{dots}</span>'
BOX = (
    "display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.15rem .75rem;align-items:baseline;"
    "margin:0;font-size:1rem;line-height:1.7"
)
LABEL = "margin:0;opacity:.65;font-size:.8em"
TEXT = (
    "margin:0;font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre-wrap;"
    "overflow-wrap:anywhere;unicode-bidi:isolate"
)


def line_html(truth: str | None, read: str, score: float, picture: str = "", parts: Sequence[Part] = ()) -> str:
    """One HTML fragment; every text in it is escaped.

    ``truth`` is ``None`` where it is not known; then there is no comparison. ``parts`` are the letters of ``read``
    with their scores; they are ignored where they do not spell ``read`` in its own or in opposite order.
    """
    pieces = difference(read if truth is None else truth, read)
    scores = _letter_scores(read, parts)
    rows = []
    if truth is not None:
        rows.append(("truth", "".join(_truth_piece(*piece) for piece in pieces)))
    rows.append(("read", "".join(_read_pieces(pieces, scores))))
    rows.append(("", escape(_verdict(truth, pieces, score))))
    body = "".join(_row(label, content) for label, content in rows)
    return f'<div class="line">{picture}<dl style="{BOX}">{body}</dl></div>'


def _row(label: str, content: str) -> str:
    if not label:
        return f'<dt style="{LABEL}"></dt><dd style="{LABEL}">{content}</dd>'
    return f'<dt style="{LABEL}">{label}</dt><dd dir="auto" style="{TEXT}">{content or "&#8203;"}</dd>'


def _verdict(truth: str | None, pieces: Sequence[tuple[Kind, str, str]], score: float) -> str:
    """``2 errors in 31 letters, 91 % sure``."""
    sure = f"{100 * score:.0f} % sure"
    if truth is None:
        return sure
    errors = sum(max(len(t), len(r)) for kind, t, r in pieces if kind != "equal")
    if not errors:
        return f"without error, {sure}"
    return f"{errors} error{'s' * (errors > 1)} in {len(truth)} letter{'s' * (len(truth) != 1)}, {sure}"


def _truth_piece(kind: Kind, truth: str, read: str) -> str:
    if kind == "equal":
        return escape(truth)
    if kind == "extra":
        return FILL.format(dots="·" * len(read))
    said = f"{_quote(truth)} was missed" if kind == "missing" else f"{_quote(truth)} was read as {_quote(read)}"
    return _mark(kind, escape(_visible(truth)), said)


def _read_pieces(pieces: Sequence[tuple[Kind, str, str]], scores: Sequence[float | None]) -> Iterator[str]:
    place = 0
    for kind, truth, read in pieces:
        shaded = "".join(_shade(read, scores[place : place + len(read)], kind != "equal"))
        place += len(read)
        if kind == "equal":
            yield shaded
        elif kind == "missing":
            yield FILL.format(dots="·" * len(truth))
        else:
            said = f"{_quote(read)} is too many" if kind == "extra" else f"{_quote(read)} stands for {_quote(truth)}"
            yield _mark(kind, shaded, said)


def _mark(kind: Kind, content: str, said: str) -> str:
    return f'<mark title="{escape(said)}" style="{MARK.format(line=NAMES[kind])}">{content}</mark>'


def _shade(text: str, scores: Sequence[float | None], marked: bool) -> Iterator[str]:
    """``text`` with a background behind letters that are not sure; neighbours that look alike share one element."""
    pairs = list(zip(text, scores, strict=True))
    for doubtful, run in groupby(pairs, lambda pair: pair[1] is not None and pair[1] < SURE):
        for letter, score in run:
            shown = escape(_visible(letter) if marked else letter)
            if doubtful and score is not None:
                style = f"background:rgba(245,166,35,{0.1 + 0.7 * (1 - score):.2f});border-radius:.15em"
                yield f'<span title="{escape(_quote(letter))}: {100 * score:.0f} % sure" style="{style}">{shown}</span>'
            else:
                yield shown


def _letter_scores(read: str, parts: Sequence[Part]) -> list[float | None]:
    """A score for each letter of ``read``, ``None`` where there is none."""
    # parts stand from left to right on the picture, a text from right to left in reading order
    for ordered in (parts, parts[::-1]):
        if "".join(str(part.value) for part in ordered) == read:
            return [part.score for part in ordered for _ in str(part.value)]
    return [None] * len(read)


def _visible(text: str) -> str:
    """``text`` with signs that can be seen: a mark for a space, a ring under an accent that stands alone."""
    text = "".join("␣" if letter.isspace() else letter for letter in text)
    return f"◌{text}" if text and unicodedata.combining(text[0]) else text


def _quote(text: str) -> str:
    return f"“{_visible(text)}”"
