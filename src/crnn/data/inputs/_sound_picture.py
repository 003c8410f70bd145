"""Sound for people to look at: a spectrogram or the outline of a waveform, as a PNG file's bytes."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

WIDEST, NARROWEST, HEIGHT = 960, 240, 160
COLOURS = ((0, (12, 14, 40)), (0.35, (60, 36, 120)), (0.6, (176, 58, 98)), (0.82, (244, 142, 60)), (1, (252, 240, 190)))
"""From quiet to loud."""


def spectrum_png(bands: np.ndarray) -> bytes:
    """``bands`` ``(time, mels)`` in decibels: time to the right, the lowest band below."""
    low, high = np.percentile(bands, (5, 99.8))
    level = np.clip((bands - low) / max(float(high - low), 1.0), 0, 1)
    at = [place for place, _ in COLOURS]
    colours = np.stack([np.interp(level, at, [colour[i] for _, colour in COLOURS]) for i in range(3)], axis=-1)
    picture = Image.fromarray(colours.astype(np.uint8).transpose(1, 0, 2)[::-1])
    width = min(WIDEST, max(NARROWEST, len(bands)))
    return _png(picture.resize((width, HEIGHT), Image.Resampling.BILINEAR))


def wave_png(wave: np.ndarray) -> bytes:
    """``wave`` ``(samples,)``: the highest and lowest of each column."""
    picture = Image.new("RGB", (WIDEST, HEIGHT), "white")
    pen = ImageDraw.Draw(picture)
    most = max(float(np.abs(wave).max()), 1e-6)
    for column, piece in enumerate(np.array_split(wave, min(WIDEST, len(wave)))):
        top, bottom = (HEIGHT / 2 * (1 - 0.95 * float(v) / most) for v in (piece.max(), piece.min()))
        pen.line([(column, top), (column, bottom + 1)], fill="#2457c5")
    return _png(picture)


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
