"""Variations of a recording that leave what it says: noise, strength, place in time, pace."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

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
    rotation: Strength = 0.0
    """Standard deviation of the angle, in degrees, by which any two channels are turned into each other: for axes of
    one sensor, or coordinates of one point."""
    offset: Strength = 0.0
    """Standard deviation of what is added to each channel throughout, in its deviations: a sensor that sits askew."""
    speed: Share = 0.0
    """Most change of pace, as a share of it."""
    shift: Share = 0.0
    """Most shift in time to either side, as a share of the length; the first or last value fills the gap."""
    crop: Share = 0.0
    """Most of a recording that is left out at its two ends together, as a share of its length."""

    def order(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Where each step of the variant lies among ``count`` steps: real numbers."""
        factor = 1 + rng.uniform(-self.speed, self.speed) if self.speed else 1.0
        order = np.arange(max(1, round(count / factor))) * factor
        most = int(self.shift * len(order))
        order = np.clip(order + factor * int(rng.integers(-most, most + 1)), 0, count - 1)
        left = int(rng.integers(0, int(self.crop * len(order)) + 1))
        start = int(rng.integers(0, left + 1))
        return order[start : max(start + 1, len(order) - left + start)]

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        noise = rng.standard_normal(x.shape, dtype=np.float32) * np.float32(self.jitter)
        factor = 1 + np.float32(self.scaling) * rng.standard_normal(x.shape[1], dtype=np.float32)
        if self.offset:
            noise += np.float32(self.offset) * rng.standard_normal(x.shape[1], dtype=np.float32)
        if self.rotation:
            x = x @ _turned(x.shape[1], self.rotation, rng)
        return x * factor + noise


def _turned(channels: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """A rotation ``(channels, channels)``: one after the other, in the plane of each two axes."""
    turned = np.eye(channels)
    for plane in combinations(range(channels), 2):
        angle = np.deg2rad(deviation) * rng.standard_normal()
        c, s = np.cos(angle), np.sin(angle)
        turned[:, plane] = turned[:, plane] @ np.array([[c, s], [-s, c]])
    return turned.astype(np.float32)
