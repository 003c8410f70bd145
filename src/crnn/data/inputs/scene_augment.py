"""Variations of a scene that leave what is to be seen in it: place, size, mirror image, quarter turns, light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crnn.config import Share, Strength


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneAugment:
    """Strengths of the variations; 0 turns one off. All frames of a clip, and the labels of its pixels, are varied
    alike. ``augment(x, rng)`` changes the light of uint8 ``(frames, height, width, channels)``; place and size are the
    input kind's to change, since labels move with them."""

    share: Share = 1.0
    """Share of pictures that are varied at all; of the others, a tile is cut from anywhere."""
    flip: Share = 0.5
    """Share of pictures that are mirrored, left to right."""
    turn: Share = 0.0
    """Share of pictures that are turned by quarters, for pictures without above and below; quarter turns need tiles as
    high as wide, others are turned upside down."""
    scale: Strength = 0.5
    """Most change of size: a picture becomes up to 1 + scale times as large or as small."""
    brightness: Strength = 0.2
    """Most change of brightness, as a share of it."""
    contrast: Strength = 0.2
    """Most change of contrast, as a share of it."""
    tint: Strength = 0.1
    """Most change of each channel by itself, as a share of it."""

    def zoom(self, rng: np.random.Generator) -> float:
        """How many times as large the picture becomes; as often larger as smaller."""
        return float(np.exp(rng.uniform(-1, 1) * np.log1p(self.scale)))

    def quarters(self, rng: np.random.Generator, *, square: bool) -> int:
        """Quarter turns."""
        if rng.random() >= self.turn:
            return 0
        return int(rng.integers(4)) if square else 2 * int(rng.integers(2))

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        light = 1 + rng.uniform(-self.brightness, self.brightness)
        contrast = 1 + rng.uniform(-self.contrast, self.contrast)
        tints = 1 + rng.uniform(-self.tint, self.tint, x.shape[-1])
        if not (self.brightness or self.contrast or self.tint):
            return x
        middle = float(x.mean())
        table = ((np.arange(256)[:, None] - middle) * contrast + middle) * light * tints
        table = np.clip(table, 0, 255).astype(np.uint8)
        return np.stack([table[:, c][x[..., c]] for c in range(x.shape[-1])], axis=-1)
