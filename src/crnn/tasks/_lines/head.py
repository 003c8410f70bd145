"""The head of readers: how likely each letter, and none, is at each time step."""

from __future__ import annotations

from typing import Any

from torch import nn

from crnn.types import Seq


class CTCHead(nn.Module):
    """A linear layer on each time step: ``(batch, time, channels)`` to log-probabilities ``(batch, time, outputs)``."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, outputs)

    def forward(self, features: Any) -> Seq:
        x, lengths = features.last
        return Seq(self.linear(x).float().log_softmax(-1), lengths)
