"""What is made small when frames are foretold, and how often a forecaster that is fed sees true frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from crnn.metrics.frames import ssim

Loss = Literal["cross_entropy", "mse", "mae", "balanced", "ssim", "csi"]
WIDTH = 0.03  # of the soft step at a threshold, on the network's scale
FAR = 10.0  # weight of the absolute error beside 1 less CSI
HALF = math.log(9) / 2


def frames_loss(
    name: Loss, y: Tensor, truth: Tensor, *, odds: bool, levels: Sequence[float], weights: Sequence[float]
) -> Tensor:
    """Mean over the pixels of ``y`` ``(batch, steps, channels, height, width)``, log odds where ``odds``, else frames
    on the network's scale, as ``truth`` is; those of which ``truth`` is NaN were not measured and do not count.

    ``balanced`` is the sum of squared and absolute error, a pixel weighted by its class of rain: by ``weights[i]`` from
    ``levels[i - 1]`` on (Shi et al. 2017, arXiv 1706.03458). ``csi`` is 1 less the critical success index at the
    ``levels``, whose steps are made soft, over all pixels of a frame ahead.
    """
    known = (~truth.isnan()).to(y.dtype)
    count = known.sum().clamp(min=1)
    if name == "cross_entropy":
        return F.binary_cross_entropy_with_logits(y, truth.nan_to_num(), known, reduction="sum") / count
    if odds:
        y = y.sigmoid()
    if name == "ssim":
        return 1 - ssim(truth.flatten(0, 1), y.flatten(0, 1)).mean()
    error = torch.where(known > 0, y - truth.nan_to_num(), 0.0)
    if name == "mse":
        return error.square().sum() / count
    if name == "mae":
        return error.abs().sum() / count
    if name == "balanced":
        place = torch.bucketize(truth.nan_to_num(), truth.new_tensor(levels), right=True)
        weight = truth.new_tensor(weights)[place] * known
        return (weight * (error.square() + error.abs())).sum() / weight.sum().clamp(min=1e-12)
    lost = y.new_zeros(())
    for level in levels:
        came, told = (truth >= level).to(y.dtype), torch.sigmoid((y - level) / WIDTH) * known
        hits = (came * told).sum((0, 2, 3, 4))
        lost = lost + (1 - (hits + 1) / ((came + told - came * told).sum((0, 2, 3, 4)) + 1)).mean()
    # far from all thresholds the soft steps are flat: the absolute error leads there
    return lost / max(1, len(levels)) + FAR * error.abs().sum() / count


def share_of_truth(step: int, steps: int) -> float:
    """Of the steps at which a forecaster sees the true frame, after ``step`` of ``steps`` of training: from 1 to 0
    along an inverse sigmoid (scheduled sampling, Bengio et al. 2015, arXiv 1506.03099)."""
    if steps <= 0 or step >= steps:
        return 0.0
    return 1 / (1 + math.exp(2 * HALF * (4 * step / steps - 2)))
