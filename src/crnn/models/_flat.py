"""Any input as one row of features for each step: words become vectors, space is flattened."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from crnn.models._front import Front
from crnn.types import InputSpec, Seq


class Flat(nn.Module):
    """``(batch, time, channels, *space)`` to ``(batch, time, features)``; a word's vector has ``size`` features, of
    which the share ``dropout`` is dropped in training."""

    def __init__(self, spec: InputSpec, size: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.front = Front(spec, size, dropout=dropout)
        self.features = self.front.channels * prod(spec.space)

    def forward(self, seq: Seq) -> Tensor:
        return self.front(seq).flatten(2)
