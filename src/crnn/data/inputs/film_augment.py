"""Variations of a film that leave what happens in it: place, mirror image, light, and when each frame was taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crnn.config import Share, Strength


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmAugment:
    """Strengths of the variations; 0 turns one off. All frames of a film are varied alike. ``augment(x, rng)`` takes
    and gives uint8 ``(time, height, width, channels)``; the order of frames is the input kind's to change, since
    labels of steps move with it."""

    share: Share = 1.0
    """Share of films that are varied at all."""
    flip: Share = 0.5
    """Share of films that are mirrored, left to right."""
    crop: Share = 0.15
    """Most of height and width that is cut away; the piece is scaled up again."""
    brightness: Strength = 0.2
    """Most change of brightness, as a share of it."""
    contrast: Strength = 0.2
    """Most change of contrast, as a share of it."""
    jitter: Share = 0.2
    """Share of the frames that are replaced by the one before or behind."""

    def order(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Which frames are seen, of ``count``."""
        moved = (rng.random(count) < self.jitter) * rng.choice((-1, 1), count)
        return np.clip(np.arange(count) + moved, 0, count - 1)

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for axis in (1, 2):
            side = x.shape[axis]
            kept = 1 - rng.uniform(0, self.crop)
            start = rng.uniform(0, 1 - kept)
            places = side * (start + kept * (np.arange(side) + 0.5) / side)
            x = x.take(np.clip(places.astype(int), 0, side - 1), axis=axis)
        if rng.random() < self.flip:
            x = x[:, :, ::-1]
        light = 1 + rng.uniform(-self.brightness, self.brightness)
        contrast = 1 + rng.uniform(-self.contrast, self.contrast)
        if not self.brightness and not self.contrast:
            return x
        middle = float(x.mean())
        table = ((np.arange(256) - middle) * contrast + middle) * light
        return np.clip(table, 0, 255).astype(np.uint8)[x]
