"""lstnet: a convolution, a GRU, and a GRU that skips a season (Lai, Chang, Yang & Liu 2018, arXiv 1703.07015).

"Modeling Long- and Short-Term Temporal Patterns with Deep Neural Networks". One convolution over a few steps of all
columns; a GRU over what it finds; and beside it one whose state comes from ``skip`` steps before, so that it sees the
same hour of many days. What comes out holds the GRU's state and those of the skipping one at the last ``skip`` steps;
the paper's answer is made of the last of these (``task.pool = "last"``), by a linear layer and the autoregressive
highway, both the task's. The authors' program lets the skipping GRU begin so late that all its paths are of one
length; here it begins with the first step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.config import Count, Share, Whole
from crnn.layers import ConvBlock, Recurrent, TimeDropout, at_least, zero_padding
from crnn.types import Features, InputSpec, Level, Seq


class LSTNet(nn.Module):
    """Series ``(batch, time, channels)`` to ``(batch, time - kernel + 1, hidden + skip * skip_hidden)``."""

    accepts = ("series",)
    pooling = "last"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        channels: Count = 100
        """Feature maps of the convolution."""
        kernel: Count = 6
        """Steps that it sees."""
        hidden: Count = 100
        """Units of the GRU."""
        skip: Whole = 24
        """Steps that the other GRU skips: a season; 0 leaves it out."""
        skip_hidden: Count = 5
        """Its units."""
        dropout: Share = 0.2
        """Share of features dropped behind the convolution and the recurrences, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        self.kernel, self.skip = s.kernel, s.skip
        self.convolution = ConvBlock(
            spec.channels, s.channels, (s.kernel,), padding=0, norm=False, activation=nn.ReLU(inplace=True)
        )
        self.recurrent = Recurrent(s.channels, s.hidden, cell="gru")
        self.skipping = Recurrent(s.channels, s.skip_hidden, cell="gru") if s.skip else None
        self.dropout = TimeDropout(s.dropout)
        self.levels = (Level(s.hidden + s.skip * s.skip_hidden, (), 1),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths.clamp(min=self.kernel) - self.kernel + 1

    def forward(self, seq: Seq, state: None = None) -> Features:
        x, lengths = at_least(*seq, self.kernel)
        x, lengths = self.convolution(x.transpose(1, 2), lengths)  # (batch, time, channels) -> (batch, channels, time)
        x = self.dropout(x.transpose(1, 2))
        y, _ = self.recurrent(x, None, lengths)
        if self.skipping is not None:
            y = torch.cat([y, self._skipped(x)], 2)
        return Features((Seq(zero_padding(self.dropout(y), lengths, axis=1), lengths),))

    def _skipped(self, x: Tensor) -> Tensor:
        """The states at the last ``skip`` steps, for each step: ``(batch, time, skip * skip_hidden)``."""
        batch, steps, channels = x.shape
        rounds = (steps + self.skip - 1) // self.skip
        x = F.pad(x, (0, 0, 0, rounds * self.skip - steps))
        # each place in the season is a series of its own: (batch, rounds, skip, ...) -> (batch * skip, rounds, ...)
        apart = x.view(batch, rounds, self.skip, channels).transpose(1, 2).flatten(0, 1)
        y, _ = self.skipping(apart)  # type: ignore[misc]
        y = y.view(batch, self.skip, rounds, -1).transpose(1, 2).flatten(1, 2)[:, :steps]
        y = F.pad(y, (0, 0, self.skip - 1, 0))
        return torch.stack([y[:, i : i + steps] for i in range(self.skip)], 3).flatten(2)
