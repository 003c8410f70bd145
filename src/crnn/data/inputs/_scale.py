"""What pictures, films and scenes learn of the training part: a size, and the scale of their channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from PIL import Image

LARGEST = 1 << 16  # pixels of a side
COLOURLESS = 0.01  # mean distance of the channels from their mean, below which no picture has any colour
Sums = tuple[np.ndarray, np.ndarray, float]
"""Mean and mean square of each channel of a picture, and how much colour it has."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Size in pixels, and mean and deviation of each channel, of values from 0 to 1."""

    height: int = 64
    width: int = 64
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    deviation: tuple[float, ...] = (1.0, 1.0, 1.0)

    @classmethod
    def blank(cls, height: int, width: int, colour: str) -> Self:
        """Before anything is learned: values stay as they are, in one channel if ``colour`` is grey."""
        channels = 1 if colour == "grey" else 3
        return cls(height, width, (0.0,) * channels, (1.0,) * channels)

    @classmethod
    def of(cls, height: int, width: int, mean: np.ndarray, square: np.ndarray) -> Self:
        """From mean and mean square of each channel."""
        deviation = np.sqrt(np.maximum(square - mean**2, 1e-4))
        return cls(height, width, *(tuple(np.round(v, 5).tolist()) for v in (mean, deviation)))

    @classmethod
    def restore(cls, learned: Mapping[str, Any]) -> Self:
        """What ``learned`` gave."""
        mean, deviation = scale_of(learned)
        height, width = int(learned["height"]), int(learned["width"])
        if len(mean) not in (1, 3) or not (1 <= height <= LARGEST and 1 <= width <= LARGEST):
            raise ValueError(f"a scale of {len(mean)} channels and {width} x {height} pixels")
        return cls(height, width, mean, deviation)

    def learned(self) -> dict[str, Any]:
        """As plain values for the bundle."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    def scaled(self, x: np.ndarray) -> np.ndarray:
        """uint8 ``(..., channels)`` as float32, in deviations from the mean."""
        deviation, mean = (np.array(v, np.float32) for v in (self.deviation, self.mean))
        return (x.astype(np.float32) / 255 - mean) / deviation


def scale_of(learned: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel. Raises ``ValueError`` for what is none, ``KeyError`` where it is lacking."""
    mean, deviation = (tuple(map(float, learned[name])) for name in ("mean", "deviation"))
    if not mean or len(mean) != len(deviation) or not np.isfinite([*mean, *deviation]).all() or min(deviation) <= 0:
        raise ValueError(f"a mean of {len(mean)} channels and a deviation of {len(deviation)}, finite and positive")
    return mean, deviation


UNKNOWN = Scale()
"""Of which nothing is learned."""


def sums_of(picture: Image.Image, largest: int) -> Sums:
    """Of an RGB picture, which is made smaller than ``largest`` for it."""
    picture.thumbnail((largest, largest))
    x = np.asarray(picture, np.float64).reshape(-1, 3) / 255
    return x.mean(0), (x**2).mean(0), float(abs(x - x.mean(1, keepdims=True)).mean())


def channels_of(sums: Sequence[Sums], colour: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and mean square of each channel over pictures: three, or one if ``colour`` is grey, or auto and no picture
    has any."""
    means, squares, colours = zip(*sums, strict=True)
    mean, square = np.mean(means, axis=0), np.mean(squares, axis=0)
    if colour == "grey" or (colour == "auto" and max(colours) < COLOURLESS):
        return mean.mean(keepdims=True), square.mean(keepdims=True)
    return mean, square
