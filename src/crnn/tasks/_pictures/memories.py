"""Associative memories of pictures, to compare with what has learned to restore: Hopfield 1982, and the modern form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from crnn.layers import Hopfield, ModernHopfield, pseudo_inverse

MOST = 100
"""Pictures that are remembered."""
LARGEST = 4096
"""Values of a picture above which a memory of all pairs is too large."""
SHARP = 50.0  # how much the nearest memory is preferred
SWEEPS = 20


def recalled(memories: np.ndarray, pictures: Sequence[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """What two memories of ``memories`` ``(count, height, width, channels)`` make of ``pictures`` of their shape: by
    name, a picture for each, values from 0 to 1. The older one knows black and white alone: what is lighter than the
    middle of a picture's values is on."""
    shape = memories.shape[1:]
    known = torch.from_numpy(memories.reshape(len(memories), -1).astype(np.float32))
    seen = torch.from_numpy(np.stack([p.reshape(-1) for p in pictures]).astype(np.float32))
    memory = Hopfield(pseudo_inverse(_signs(known)))
    generator = torch.Generator().manual_seed(0)
    old = (memory(_signs(seen), sweeps=SWEEPS, generator=generator) + 1) / 2
    _, weights = ModernHopfield(beta=SHARP)(_directions(seen)[None], _directions(known)[None])
    new = weights[0] @ known
    named = {"Hopfield memory": old, "modern Hopfield memory": new}
    return {name: [row.reshape(shape).numpy() for row in rows] for name, rows in named.items()}


def _signs(x: torch.Tensor) -> torch.Tensor:
    """-1 and +1: which values lie above the middle of their picture's."""
    middle = (x.amin(1, keepdim=True) + x.amax(1, keepdim=True)) / 2
    return torch.where(x > middle, 1.0, -1.0)


def _directions(x: torch.Tensor) -> torch.Tensor:
    """Without their means, of length 1, so that ground and contrast do not matter."""
    x = x - x.mean(1, keepdim=True)
    return x / x.norm(dim=1, keepdim=True).clamp(min=1e-6)
