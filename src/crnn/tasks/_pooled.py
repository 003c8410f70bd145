"""One answer for a whole sample: pooling over time, dropout, a linear layer."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from crnn.layers.pool import TimeAttention, TimeLast, TimeMax, TimeMean
from crnn.types import Level, Seq

Pool = Literal["auto", "mean", "max", "last", "attention"]


class Pooling(nn.Module):
    """``Seq`` of ``(batch, time, channels, *space)`` to ``(batch, channels)``; what is left of space is pooled, too:
    its largest value for ``max``, else its mean."""

    def __init__(self, level: Level, pool: Pool) -> None:
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

    def __init__(self, level: Level, outputs: int, *, pool: Pool, dropout: float) -> None:
        super().__init__(level, pool)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(level.channels, outputs)

    def forward(self, features: Any) -> Tensor:
        return self.linear(self.dropout(super().forward(features.last))).float()


def pooled(encoder: Any, outputs: int, *, pool: Pool, dropout: float) -> PooledHead:
    """A head for ``encoder``; ``auto`` takes the pooling that it prefers (``encoder.pooling``), else the mean."""
    chosen: Pool = getattr(encoder, "pooling", "mean") if pool == "auto" else pool
    return PooledHead(encoder.levels[-1], outputs, pool=chosen, dropout=dropout)


def grow(head: nn.Module, weights: Any, rows: list[int]) -> dict[str, Tensor]:
    """Old ``weights`` in the shape of ``head``: row ``i`` of the old last layer becomes row ``rows[i]``."""
    grown = {name: value.clone() for name, value in head.state_dict().items()}
    for name, value in weights.items():
        if name.startswith("linear."):
            grown[name][rows] = value
        else:
            grown[name] = value
    return grown
