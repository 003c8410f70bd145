"""A sentence for people to look at: the picture, what was said, where the network looked with each word, the truth."""

from __future__ import annotations

import io
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

from crnn.types import Prediction

NOTE = (
    "Below each word is its probability. Where the network attends to regions, each word has a small picture: "
    "bright is where it looked. Of texts and series there is one picture, a row for each word, time to the right."
)
"""Explains the marks to the readers of a report."""
SOURCE = re.compile(r'src="(data:image/[^"]+)"')
HEIGHT, WIDEST = 64, 160  # pixels of a small picture
MOST = 24  # words that have one
ROW = "display:flex;flex-wrap:wrap;gap:.35rem .5rem;margin:.2rem 0 .4rem;padding:0;list-style:none"
CELL = "display:flex;flex-direction:column;align-items:center;margin:0"
SMALL = "font-size:.75em;opacity:.65"
ROWS = "image-rendering:pixelated;background:#fff;height:6rem;max-width:100%"
QUIET = "margin:0;opacity:.7"


def caption_html(
    prediction: Prediction, truth: Sequence[str] | None, picture: str = "", *, upwards: bool = False
) -> str:
    """One HTML fragment; every text in it is escaped. ``upwards`` says that the picture has the first place of space
    below."""
    found = SOURCE.search(picture)
    maps = None if prediction.maps is None else np.asarray(prediction.maps)
    if maps is not None and upwards and maps.ndim > 2:
        maps = maps[:, :, ::-1]
    cells = []
    for i, part in enumerate(prediction.parts):
        small = ""
        if maps is not None and found is not None and i < MOST:
            small = _looked(found.group(1), maps[i], prediction, first=i == 0)
        word = f'<span dir="auto">{escape(str(part.value))}</span>'
        cells.append(f'<li style="{CELL}">{small}{word}<span style="{SMALL}">{100 * part.score:.0f} %</span></li>')
    rows = ""
    if maps is not None and found is None and maps.ndim == 2 and maps.size:
        rows = f'<img alt="where the network looked with each word" style="{ROWS}" src="{_veil(maps.T)}">'
    said = f'<p dir="auto" style="margin:0;font-weight:600">{escape(str(prediction.value))}</p>'
    known = "".join(f'<p dir="auto" style="{QUIET}">truth: {escape(text)}</p>' for text in truth or ())
    return f'<div class="answer">{picture}{said}<ul style="{ROW}">{"".join(cells)}</ul>{rows}{known}</div>'


def _looked(source: str, shares: np.ndarray, prediction: Prediction, *, first: bool) -> str:
    """The picture, dark but where ``shares`` ``(time, *space)`` are high; the first holds the picture that the others
    use, so that it stands in the page once."""
    name = f"seen-{zlib.crc32(f'{prediction.id} {source}'.encode())}"
    height, width = size_of_source(source, HEIGHT, WIDEST)
    veil = f'<image width="{width}" height="{height}" preserveAspectRatio="none" href="{_veil(shares)}"/>'
    whole = f'<image id="{name}" width="{width}" height="{height}" preserveAspectRatio="none" href="{source}"/>'
    own = whole if first else f'<use href="#{name}"/>'
    box = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg role="img" aria-label="where the network looked" {box}>{own}{veil}</svg>'


def size_of_source(source: str, highest: int, widest: int) -> tuple[int, int]:
    """Height and width at which a picture of a page fits into so many pixels."""
    with Image.open(io.BytesIO(b64decode(source.partition(",")[2]))) as picture:
        width, height = picture.size
    scale = min(highest / height, widest / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _veil(shares: np.ndarray) -> str:
    """A small picture of black, the more transparent the higher the share. Time runs to the right, the last axis of
    space too where there are two (frames side by side)."""
    grid = shares[None] if shares.ndim == 1 else shares.T if shares.ndim == 2 else np.concatenate(list(shares), 1)
    alpha = 1 - grid / max(float(grid.max()), 1e-9)
    x = np.zeros((*grid.shape, 4), np.uint8)
    x[..., 3] = (200 * alpha).astype(np.uint8)
    small = Image.fromarray(x, "RGBA").resize((4 * x.shape[1], 4 * x.shape[0]), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    small.save(file, "PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
