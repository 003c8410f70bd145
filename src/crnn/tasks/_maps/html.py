"""Label maps for people to look at: PNG files with their palette, overlays, and an HTML fragment beside the picture."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

from crnn.data.label_maps import Colour
from crnn.metrics.maps import IGNORED

NOTE = (
    "Over each picture lies the answer while nothing points at it; beside it stand the truth, the answer, and what is "
    "wrong in the answer (red on what is right in grey; what does not count is white)."
)
SHOWN = 480  # pixels to which the longer side is limited
SMALL = 80  # pixels below which a map is enlarged, as the picture beside it is
FIGURE = "display:inline-block;margin:0 .5rem .5rem 0;vertical-align:top;font-size:.8rem"
PICTURE = "display:block;max-width:100%;max-height:12rem;border-radius:.25rem;image-rendering:pixelated"
ENLARGED = ";width:6rem;height:auto;object-fit:contain"
OVER = "position:absolute;left:0;top:0;width:100%;height:calc(100% - .5rem);opacity:.45;image-rendering:pixelated"
HIDDEN = "<style>.map .over:hover{opacity:0!important}</style>"
CHIP = "display:inline-block;width:.8em;height:.8em;border-radius:.2em;background:rgb{colour};margin:0 .25em 0 .75em"
WHITE, WRONG, RIGHT = (255, 255, 255), (229, 72, 77), (200, 200, 200)


def png(numbers: np.ndarray, colours: Sequence[Colour], *, most: int = 0, clear: bool = False) -> bytes:
    """Numbers of labels ``(height, width)`` as an index PNG of these colours; ``IGNORED`` is white. ``most`` limits the
    longer side. With ``clear`` one looks through black."""
    picture = Image.fromarray(numbers)
    if most and max(picture.size) > most:
        share = most / max(picture.size)
        size = max(1, round(picture.width * share)), max(1, round(picture.height * share))
        picture = picture.resize(size, Image.Resampling.NEAREST)
    picture.putpalette([v for colour in [*colours, *[WHITE] * (256 - len(colours))] for v in colour][:768])
    file = io.BytesIO()
    through = bytes(0 if clear and not any(colour) else 255 for colour in colours)
    picture.save(file, "PNG", **({"transparency": through} if clear else {}))
    return file.getvalue()


def overlay(picture: np.ndarray, numbers: np.ndarray, colours: Sequence[Colour]) -> Image.Image:
    """A picture uint8 ``(height, width, channels)`` under its labels; one whose colour is black leaves it as it is."""
    table = np.array([*colours, *[WHITE] * (256 - len(colours))], np.float32)
    below = np.broadcast_to(picture, (*picture.shape[:2], 3)).astype(np.float32)
    strength = np.where(table.any(1), 0.5, 0.0)[numbers][..., None]
    return Image.fromarray((below * (1 - strength) + table[numbers] * strength).astype(np.uint8))


def map_html(
    truth: np.ndarray | None, answer: np.ndarray, names: Sequence[str], colours: Sequence[Colour], picture: str = ""
) -> str:
    """One HTML fragment: picture under the answer, truth, answer, errors, and which colour is what; every text in it is
    escaped."""
    small = max(answer.shape) < SMALL
    panels = [_panel("answer", png(answer, colours, most=SHOWN), small)]
    seen = set(np.unique(answer).tolist())
    if truth is not None:
        seen |= set(np.unique(truth).tolist())
        wrong = np.where(truth == IGNORED, 2, truth != answer).astype(np.uint8)
        panels.insert(0, _panel("truth", png(truth, colours, most=SHOWN), small))
        panels.append(_panel("errors", png(wrong, [RIGHT, WRONG, WHITE], most=SHOWN), small))
    chips = "".join(
        f'<span style="{CHIP.format(colour=tuple(colours[i]))}"></span>{escape(names[i])}'
        for i in sorted(seen - {IGNORED})
    )
    given = ""
    if picture:
        source = f"data:image/png;base64,{b64encode(png(answer, colours, most=SHOWN, clear=True)).decode()}"
        over = f'<img class="over" alt="" title="answer over the picture" style="{OVER}" src="{source}">'
        given = f'{HIDDEN}<div style="{FIGURE};position:relative">{picture}{over}</div>'
    return f'<div class="map">{given}{"".join(panels)}<p style="margin:.2rem 0 0;opacity:.8">{chips}</p></div>'


def _panel(name: str, data: bytes, small: bool) -> str:
    source = f"data:image/png;base64,{b64encode(data).decode()}"
    style = PICTURE + (ENLARGED if small else "")
    return f'<div style="{FIGURE}"><img alt="{name}" title="{name}" style="{style}" src="{source}">{name}</div>'
