"""Variations of a text that leave what it says: words that are not understood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crnn.config import Share


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceAugment:
    """Strengths of the variations; 0 turns one off. ``augment(x, rng)`` takes and gives numbers ``(time,)``."""

    share: Share = 1.0
    """Share of texts that are varied at all."""
    dropout: Share = 0.1
    """Share of words that become unknown."""

    def __call__(self, x: np.ndarray, rng: np.random.Generator, unknown: int) -> np.ndarray:
        return np.where(rng.random(x.shape) < self.dropout, unknown, x)
