"""Pictures made worse on purpose, the same way each time the same randomness is given: noise, and things in the way.

The two ways are those of Behnke 2003 (LNCS 2766, chapter 9), written for pictures of 28 x 28 and carried over to any
size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np

from crnn.types import Sample, Spoilt

Spoiling = Literal["none", "noise", "occlusion", "both"]
RANGE = 0.5  # of all values that are left to what is seen, around the middle
AMOUNT = 0.25  # most by which the ground of a picture, and each pixel, is off
SQUARE, FREE = 2 / 7, 1 / 7  # of the shorter side: a square in the way, and the border that it leaves free
GREY = 0.125  # value of that square


def spoil(x: np.ndarray, how: str, rng: np.random.Generator) -> np.ndarray:
    """uint8 ``(frames, height, width, channels)`` made worse, all frames alike but for the noise of pixels.

    ``noise``: half of the contrast, a ground that is up to a quarter lighter or darker, and noise of up to a quarter in
    each pixel. ``occlusion``: a dark grey square of 2/7 of the shorter side somewhere inside. ``both``: the square,
    then the noise.
    """
    y = x.astype(np.float32) / 255
    if how in ("occlusion", "both"):
        height, width = x.shape[1:3]
        side, free = (round(share * min(height, width)) for share in (SQUARE, FREE))
        top, left = (int(rng.integers(free, max(free + 1, length - side - free))) for length in (height, width))
        y[:, top : top + side, left : left + side] = GREY
    if how in ("noise", "both"):
        y = (1 - RANGE) / 2 + RANGE * y + rng.uniform(-AMOUNT, AMOUNT)
        y = y + rng.uniform(-AMOUNT, AMOUNT, y.shape).astype(np.float32)
    return np.round(255 * y.clip(0, 1)).astype(np.uint8)


def spoilt(samples: Iterable[Sample], how: str) -> list[Sample]:
    """Clean pictures as samples whose input is made worse and whose answer is the picture; those with an answer stay
    as they are."""
    if how == "none":
        return list(samples)
    return [s if s.y is not None else replace(s, x=Spoilt(s.x, how, s.id), y=s.x) for s in samples]
