"""Restored pictures for people to look at: PNG and GIF files, and an HTML fragment with what came before and after."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Sequence

import numpy as np
from PIL import Image

NOTE = (
    "Beside each picture stands what the network made of it, where steps are watched also as a film and step by step, "
    "and how it should look."
)
SHOWN = 480  # pixels to which the longer side is limited
SMALL = 96  # to which small pictures are made larger
EVERY = 350  # milliseconds of a film's picture
FIGURE = "display:inline-block;margin:0 .5rem .5rem 0;vertical-align:top;font-size:.8rem;opacity:.9"
PICTURE = "display:block;max-width:100%;min-width:6rem;max-height:12rem;border-radius:.25rem;image-rendering:pixelated"


def as_picture(x: np.ndarray) -> Image.Image:
    """Values from 0 to 1 ``(height, width, channels)`` as a picture."""
    values = np.round(255 * np.clip(x, 0, 1)).astype(np.uint8)
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)


def as_gif(pictures: Sequence[np.ndarray]) -> bytes:
    """One after the other, the last one longer; small ones are enlarged."""
    frames = [_sized(as_picture(x)) for x in pictures]
    file = io.BytesIO()
    times = [EVERY] * (len(frames) - 1) + [4 * EVERY]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0)
    return file.getvalue()


def pictures_html(
    answer: np.ndarray,
    truth: np.ndarray | None,
    steps: np.ndarray | None,
    watched: Sequence[int],
    picture: str = "",
) -> str:
    """One HTML fragment: what was given, the film of the steps, the answer, the truth, and each step."""
    panels = [_panel("answer", _png(answer))]
    if steps is not None:
        panels.insert(0, _panel("step by step", as_gif([*steps]), "gif"))
    if truth is not None:
        panels.append(_panel("truth", _png(truth)))
    rows = "" if steps is None else "".join(_panel(f"{n}", _png(x)) for n, x in zip(watched, steps, strict=True))
    below = f'<div title="after so many steps">{rows}</div>' if rows else ""
    given = f'<div style="{FIGURE}">{picture}</div>' if picture else ""
    return f'<div class="restored">{given}{"".join(panels)}{below}</div>'


def _sized(picture: Image.Image) -> Image.Image:
    longest = max(picture.size)
    factor = max(1, SMALL // longest) if longest <= SHOWN else SHOWN / longest
    size = max(1, round(factor * picture.width)), max(1, round(factor * picture.height))
    return picture.resize(size, Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BILINEAR)


def _png(x: np.ndarray) -> bytes:
    file = io.BytesIO()
    _sized(as_picture(x)).save(file, "PNG")
    return file.getvalue()


def _panel(name: str, data: bytes, kind: str = "png") -> str:
    source = f"data:image/{kind};base64,{b64encode(data).decode()}"
    return f'<div style="{FIGURE}"><img alt="{name}" title="{name}" style="{PICTURE}" src="{source}">{name}</div>'
