"""What a network that names pixels learns from: cross-entropy, Dice, both; rare labels may count more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crnn.late import F, Tensor, torch
from crnn.metrics.maps import IGNORED

SMALL = 1.0  # pixels by which both sides of Dice are too large, so that a label that is nowhere costs nothing


def cross_entropy(logits: Tensor, truth: Tensor, weights: Tensor | None) -> Tensor:
    """Weighted mean over the pixels that count of ``logits`` ``(pictures, labels, height, width)`` against ``truth``
    ``(pictures, height, width)``; 0 where none counts."""
    there = truth != IGNORED
    total = (there if weights is None else weights[truth.clamp(max=len(weights) - 1)] * there).sum()
    lost = F.cross_entropy(logits, truth, weight=weights, ignore_index=IGNORED, reduction="sum")
    return lost / total.clamp(min=1e-6)


def dice(logits: Tensor, truth: Tensor) -> Tensor:
    """1 less the mean over the labels of Dice of the probabilities, over all pixels of the batch that count (Milletari
    et al. 2016, arXiv 1606.04797, with sums in the place of squares)."""
    there = (truth != IGNORED)[:, None]
    shares = logits.softmax(1) * there
    true = F.one_hot(truth.clamp(max=logits.shape[1] - 1), logits.shape[1]).movedim(-1, 1) * there
    axes = (0, 2, 3)
    both = (shares * true).sum(axes)
    return 1 - ((2 * both + SMALL) / (shares.sum(axes) + true.sum(axes) + SMALL)).mean()


def weights(
    wanted: str | Sequence[float], pixels: Sequence[int], there: Sequence[int], device: Any = None
) -> Tensor | None:
    """What a recipe wants each label to count: ``none``, ``median_frequency``, or a number for each."""
    if wanted == "none":
        return None
    if wanted == "median_frequency":
        return median_frequency(pixels, there).to(device)
    return torch.tensor([float(w) for w in wanted], device=device)


def median_frequency(pixels: Sequence[int], there: Sequence[int]) -> Tensor:
    """A weight for each label: the median of all frequencies by its own, which is the share of its pixels in the
    pictures in which it is (Eigen & Fergus 2015, arXiv 1411.4734); ``there`` are the pixels of these. A label that is
    nowhere counts like the median."""
    counts, wholes = torch.tensor(pixels, dtype=torch.float64), torch.tensor(there, dtype=torch.float64)
    shares = counts / wholes.clamp(min=1)
    known = shares > 0
    middle = shares[known].quantile(0.5) if known.any() else torch.tensor(1.0, dtype=torch.float64)
    return torch.where(known, middle / shares.clamp(min=1e-12), 1.0).float()
