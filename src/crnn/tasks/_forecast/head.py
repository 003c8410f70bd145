"""What a forecaster says: what came last, a linear map of what came before, and what the network adds to both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from crnn.layers.padding import mask
from crnn.tasks._forecast.steps import Pool, Relative
from crnn.tasks._pooled_head import Pooling
from crnn.types import Level, Seq

SMALL = 0.1
"""Of its usual size is the last layer at first: a fresh network says little more than what it is relative to."""


class Pools(nn.Module):
    """``Seq`` of ``(batch, time, channels, *space)`` to ``(batch, outputs)``: one pooling, or the last step and the
    mean side by side."""

    def __init__(self, level: Level, pool: Pool) -> None:
        super().__init__()
        self.parts = nn.ModuleList([Pooling(level, "last"), Pooling(level, "mean")] if pool == "both" else [])
        if pool != "both":
            self.parts.append(Pooling(level, pool))
        self.outputs = level.channels * len(self.parts)

    def forward(self, seq: Seq) -> Tensor:
        return torch.cat([part(seq) for part in self.parts], 1)


def highway(values: int, steps: int, start: np.ndarray | None) -> nn.Linear | None:
    """A linear map of so many last ``values`` to ``steps``, which begins with the weights ``start`` ``(values, steps)``
    or with zeros; none for 0 values."""
    if not values:
        return None
    linear = nn.Linear(values, steps, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.zeros(steps, values) if start is None else torch.from_numpy(start.T))
    return linear


class ForecastHead(nn.Module):
    """``(batch, time, channels, *space)`` to ``(batch, steps, targets, answers)``, in deviations of the training part.

    ``head(features, inputs)``: the inputs are the ``Seq`` that the encoder saw, of which ``targets`` are the channels
    to foretell. Their last value or their mean over the window is what answers are ``relative`` to, so that a series
    that has moved to another level is still understood; and ``highway`` of their last values go through a linear map
    that all columns share (the autoregressive highway of Lai et al. 2018, arXiv 1703.07015).
    """

    sees_inputs = True

    def __init__(
        self,
        pools: Pools,
        targets: Sequence[int],
        *,
        steps: int,
        answers: int,
        relative: Relative,
        highway: nn.Linear | None,
        dropout: float,
    ) -> None:
        super().__init__()
        self.targets, self.steps, self.answers, self.relative = list(targets), steps, answers, relative
        self.pools, self.dropout = pools, nn.Dropout(dropout)
        self.linear = nn.Linear(pools.outputs, steps * len(targets) * answers)
        with torch.no_grad():
            self.linear.weight.mul_(SMALL)
            self.linear.bias.zero_()
        self.highway = highway

    def forward(self, features: Any, inputs: Seq) -> Tensor:
        added = self.linear(self.dropout(self.pools(features.last))).float()
        added = added.view(-1, self.steps, len(self.targets), self.answers)
        x, lengths = inputs.x[:, :, self.targets], inputs.lengths
        base = self._base(x, lengths)
        if self.highway is not None:
            recent = _last(x, lengths, self.highway.in_features, base)  # (batch, lags, targets)
            added = added + self.highway(recent.transpose(1, 2)).transpose(1, 2)[..., None]
        return added + base[:, None, :, None]

    def _base(self, x: Tensor, lengths: Tensor) -> Tensor:
        """What answers are relative to, ``(batch, targets)``."""
        if self.relative == "none":
            return x.new_zeros(x.shape[0], x.shape[2])
        if self.relative == "last":
            return x[torch.arange(x.shape[0], device=x.device), lengths - 1]
        inside = mask(lengths, x.shape[1])[:, :, None]
        return torch.where(inside, x, 0.0).sum(1) / lengths[:, None]


def _last(x: Tensor, lengths: Tensor, count: int, base: Tensor) -> Tensor:
    """The last ``count`` steps of each row, less ``base``; what lies before a row's beginning is zero."""
    place = lengths[:, None] - count + torch.arange(count, device=x.device)
    steps = x[torch.arange(x.shape[0], device=x.device)[:, None], place.clamp(min=0)] - base[:, None]
    return torch.where((place >= 0)[:, :, None], steps, 0.0)
