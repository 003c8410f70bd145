"""Variations of frames that are measured quantities: where north is, and how strong all is; pictures stay sharp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crnn.config import Share, Strength


@dataclass(frozen=True, slots=True, kw_only=True)
class FramesAugment:
    """What may be varied; 0 turns a variation off. Frames that are seen and frames that are to be foretold are varied
    alike. ``augment(parts, rng)`` takes and gives a list of arrays ``(time, channels, height, width)``."""

    share: Share = 1.0
    """Share of samples that are varied at all."""
    flip: Share = 0.5
    """Share of samples that are mirrored, and share of them that are turned upside down."""
    turn: Share = 0.5
    """Share of samples that are turned by a quarter, if frames are square; digits and other things that stand upright
    should not be."""
    strength: Strength = 0.0
    """Most change of all values, as a share of them."""

    def __call__(self, parts: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
        mirrored, upset, turned = rng.random(3)
        factor = np.float32(1 + rng.uniform(-self.strength, self.strength))
        if mirrored < self.flip:
            parts = [x[..., ::-1] for x in parts]
        if upset < self.flip:
            parts = [x[..., ::-1, :] for x in parts]
        if turned < self.turn and parts[0].shape[-1] == parts[0].shape[-2]:
            parts = [x.swapaxes(-1, -2) for x in parts]
        return [x * factor for x in parts] if self.strength else parts
