"""An answer for each step: a head that keeps time, and the truth at each of its steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from crnn.layers import mask
from crnn.types import Seq


class StepHead(nn.Module):
    """Dropout and a linear layer on each step, what is left of space averaged: ``(batch, time, channels, *space)`` to
    ``(batch, time, outputs)``."""

    def __init__(self, channels: int, outputs: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(channels, outputs)

    def forward(self, features: Any) -> Seq:
        x, lengths = features.last
        if x.dim() > 3:
            x = x.flatten(3).mean(3)
        return Seq(self.linear(self.dropout(x)).float(), lengths)


def together(output: Seq, targets: Seq, stride: int) -> tuple[Tensor, Tensor]:
    """The true steps of ``output`` in one row, ``(steps, outputs)``, and the truth of each: that of the input step at
    its middle, of ``targets`` ``(batch, time, ...)``."""
    y, lengths = output
    middle = ((torch.arange(y.shape[1], device=y.device) + 0.5) * stride).long()
    place = torch.minimum(middle, targets.lengths[:, None] - 1)
    rows = torch.arange(len(y), device=y.device)[:, None]
    there = mask(lengths, y.shape[1])
    return y[there], targets.x[rows, place][there]


def end_of(stop: int, count: int, stride: int, length: int) -> float:
    """Where an event ends that reaches to output step ``stop`` of ``count``: the last reaches to the end of the
    input."""
    return float(length if stop == count else min(stop * stride, length))
