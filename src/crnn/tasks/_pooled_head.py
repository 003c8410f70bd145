"""Pooling over time and space, and a head on it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from crnn.layers.pool import TimeAttention, TimeLast, TimeMax, TimeMean
from crnn.types import Level, Seq


class Pooling(nn.Module):
    """``Seq`` of ``(batch, time, channels, *space)`` to ``(batch, channels)``; what is left of space is pooled, too:
    its largest value for ``max``, else its mean. ``pool`` is one of ``tasks._pooled.Pool``."""

    def __init__(self, level: Level, pool: str) -> None:
        super().__init__()
        self.largest = pool == "max"
        self.pool: nn.Module = (
            TimeAttention(level.channels, size=min(128, level.channels))
            if pool == "attention"
            else {"mean": TimeMean, "max": TimeMax, "last": TimeLast}[pool]()
        )

    def forward(self, seq: Seq) -> Tensor:
        y = self.pool(*seq)
        if y.dim() > 2:
            y = y.flatten(2)
            y = y.amax(2) if self.largest else y.mean(2)
        return y


class PooledHead(Pooling):
    """Features to ``(batch, outputs)``: pooling of the last level, dropout, a linear layer."""

    def __init__(self, level: Level, outputs: int, *, pool: str, dropout: float) -> None:
        super().__init__(level, pool)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(level.channels, outputs)

    def forward(self, features: Any) -> Tensor:
        return self.linear(self.dropout(super().forward(features.last))).float()
