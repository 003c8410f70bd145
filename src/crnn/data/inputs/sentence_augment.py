"""Variations of a text that leave what it says: words that are not understood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crnn.config import Share


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceAugment:
    """Strengths of the variations; 0 turns one off. ``augment(x, rng)`` takes and gives numbers
    ``(time, 1 + ends)``."""

    share: Share = 1.0
    """Share of texts that are varied at all."""
    dropout: Share = 0.1
    """Share of words that become unknown."""

    def __call__(self, x: np.ndarray, rng: np.random.Generator, unknown: int) -> np.ndarray:
        x = x.copy()
        x[rng.random(len(x)) < self.dropout, 0] = unknown  # its beginning and ending stay, as those of any unknown word
        return x
