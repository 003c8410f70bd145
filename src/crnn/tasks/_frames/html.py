"""Frames for people to look at: strips of truth above forecast as PNG, and both side by side in motion as GIF."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Sequence

import numpy as np
from PIL import Image

PLACES = np.array([0.0, 0.05, 0.25, 0.45, 0.65, 0.85, 1.0])
COLOURS = np.array(
    [(16, 18, 30), (30, 40, 90), (38, 110, 180), (40, 170, 90), (240, 210, 50), (230, 70, 40), (250, 240, 250)]
)
"""Of a quantity such as rain, from nothing to much."""
HEIGHT, MOST = 96, 12  # pixels of a frame in a strip, and frames of it
GAP = 2  # pixels between frames
PACE = 250  # milliseconds that a frame of a GIF lasts
SIDE = 256  # pixels to which small frames of a GIF are scaled up
BESIDE = 96  # the same in a page, where truth and forecast stand side by side


def coloured(x: np.ndarray, *, grey: bool) -> np.ndarray:
    """Frames ``(time, channels, height, width)`` on a scale from 0 to 1 as uint8 ``(time, height, width, 3)``."""
    x = np.clip(x, 0, 1)
    if x.shape[1] == 3:
        y = 255 * x.transpose(0, 2, 3, 1)
    elif grey:
        y = np.repeat(255 * x.mean(1)[..., None], 3, axis=3)
    else:
        y = np.stack([np.interp(x.mean(1), PLACES, colour) for colour in COLOURS.T], -1)
    return y.astype(np.uint8)


def strip_png(rows: Sequence[np.ndarray]) -> bytes:
    """``rows`` of coloured frames, one above the other, time to the right; a short row ends earlier."""
    count = min(MOST, max(map(len, rows)))
    height, width = rows[0].shape[1:3]
    scale = max(1, round(HEIGHT / height))
    places = np.linspace(0, max(map(len, rows)) - 1, count).round().astype(int)
    down, across = scale * height + GAP, scale * width + GAP
    whole = np.full((len(rows) * down - GAP, count * across - GAP, 3), 128, np.uint8)
    for i, row in enumerate(rows):
        for j, place in enumerate(places.tolist()):
            if place < len(row):
                frame = row[place].repeat(scale, 0).repeat(scale, 1)
                whole[i * down : i * down + scale * height, j * across : j * across + scale * width] = frame
    file = io.BytesIO()
    Image.fromarray(whole).save(file, "PNG", optimize=True)
    return file.getvalue()


def moving_gif(films: Sequence[np.ndarray], side: int = SIDE) -> bytes:
    """Films of coloured frames side by side, small ones as large as ``side``; a short one stands still at its end."""
    count = max(map(len, films))
    scale = max(1, side // max(films[0].shape[1:3]))
    pictures = []
    for step in range(count):
        frames = [film[min(step, len(film) - 1)].repeat(scale, 0).repeat(scale, 1) for film in films]
        gap = np.full((frames[0].shape[0], GAP, 3), 128, np.uint8)
        row = [part for frame in frames for part in (frame, gap)][:-1]
        pictures.append(Image.fromarray(np.concatenate(row, 1)).quantize(64))
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=PACE, loop=0)
    return file.getvalue()


def picture(data: bytes, kind: str, words: str) -> str:
    """A picture that stands in a page."""
    source = f"data:image/{kind};base64,{b64encode(data).decode()}"
    return f'<img alt="{words}" style="display:block;max-width:100%;margin:0 0 .5rem" src="{source}">'
