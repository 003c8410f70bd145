"""A head that keeps time: an answer for each step."""

from __future__ import annotations

from typing import Any

from torch import nn

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
