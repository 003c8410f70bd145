"""Variations of a picture that leave its class: place, mirror image, light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crnn.config import Share, Strength


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureAugment:
    """Strengths of the variations; 0 turns one off. ``augment(x, rng)`` takes and gives uint8
    ``(height, width, channels)``; place and mirror image are the input kind's to change, since labels of columns move
    with them."""

    share: Share = 1.0
    """Share of pictures that are varied at all."""
    border: Share = 0.125
    """Border of the mean colour put around, as a share of height and width, before a piece as large as the picture (or
    input.crop) is cut out anywhere."""
    flip: Share = 0.0
    """Share of pictures that are mirrored, left to right; 0.5 suits photographs, nothing suits writing."""
    brightness: Strength = 0.2
    """Most change of brightness, as a share of it."""
    contrast: Strength = 0.2
    """Most change of contrast, as a share of it."""

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        light = 1 + rng.uniform(-self.brightness, self.brightness)
        contrast = 1 + rng.uniform(-self.contrast, self.contrast)
        if not self.brightness and not self.contrast:
            return x
        middle = float(x.mean())
        table = ((np.arange(256) - middle) * contrast + middle) * light
        return np.clip(table, 0, 255).astype(np.uint8)[x]
