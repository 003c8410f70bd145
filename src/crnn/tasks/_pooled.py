"""One answer for a whole sample: pooling over time, dropout, a linear layer."""

from __future__ import annotations

from typing import Any, Literal

from crnn.late import Tensor, nn

Pool = Literal["auto", "mean", "max", "last", "attention"]


def pooled(encoder: Any, outputs: int, *, pool: Pool, dropout: float) -> nn.Module:
    """A head for ``encoder``; ``auto`` takes the pooling that it prefers (``encoder.pooling``), else the mean."""
    from crnn.tasks._pooled_head import PooledHead

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
