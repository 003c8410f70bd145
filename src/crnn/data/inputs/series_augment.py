"""Variations of a recording that leave what it says: noise, strength, place in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crnn.config import Share, Strength


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesAugment:
    """Strengths of the variations; 0 turns one off. ``augment(x, rng)`` takes and gives ``(time, channels)`` with a
    deviation of 1; place in time is the input kind's to change, since labels of steps move with it."""

    share: Share = 1.0
    """Share of recordings that are varied at all."""
    jitter: Strength = 0.03
    """Standard deviation of the noise that is added, in deviations of the channel."""
    scaling: Strength = 0.1
    """Standard deviation of the factor of each channel, around 1."""
    shift: Share = 0.0
    """Most shift in time to either side, as a share of the length; the first or last value fills the gap."""
    crop: Share = 0.0
    """Most of a recording that is left out at its two ends together, as a share of its length."""

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        noise = rng.standard_normal(x.shape, dtype=np.float32) * np.float32(self.jitter)
        factor = 1 + np.float32(self.scaling) * rng.standard_normal(x.shape[1], dtype=np.float32)
        return x * factor + noise
