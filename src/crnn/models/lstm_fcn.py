"""lstm_fcn: three convolutions and beside them an LSTM (Karim, Majumdar, Darabi & Chen 2017, arXiv 1709.05206).

"LSTM Fully Convolutional Networks for Time Series Classification". Every step of what comes out holds its own
convolutional features and the LSTM's answer to the whole series, so that their mean over time, the pooling that it
prefers, is the paper's: global average of the convolutions beside the last state.

The paper turns the series before the LSTM ("dimension shuffle"): it sees all steps of a channel as the features of one
step, and of a series with one channel therefore a single step, so that it is a dense layer with gates. ``shuffle``
says so, by the number of steps; without it, the default, the LSTM runs over time. For series of 100 steps, 8 units and
2 classes the paper's network has 268,466 parameters where a gate has one bias, and 1,024 statistics of batch
normalisation, which its program counts too: 269 thousand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.config import Count, Share, Whole
from crnn.errors import ShapeError
from crnn.layers import ConvBlock, Recurrent, TimeLast, zero_padding
from crnn.models._cells import RECURRENCES
from crnn.types import Features, InputSpec, Level, Seq


class LSTMFCN(nn.Module):
    """Series ``(batch, time, channels)`` to features ``(batch, time, channels[-1] + hidden)``."""

    accepts = ("series",)
    pooling = "mean"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        channels: tuple[Count, Count, Count] = (128, 256, 128)
        """Feature maps of the three convolutions."""
        kernels: tuple[Count, Count, Count] = (8, 5, 3)
        """Steps that each of them sees."""
        hidden: Count = 64
        """Units of the LSTM; the paper takes the best of 8, 64 and 128 for each set."""
        shuffle: Whole = 0
        """Steps of the longest series, if the LSTM is to see all of a channel's steps at once, as in the paper (shorter
        series end in zeros); 0 lets it run over time."""
        cell: Literal["lstm", "lstm_one_bias"] = "lstm"
        """torch's own, or one with one bias a gate, as the paper's program has it."""
        dropout: Share = 0.8
        """Share of the LSTM's answer that is dropped, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        self.kernels, self.shuffle = s.kernels, s.shuffle
        self.convolutions = nn.ModuleList(
            ConvBlock(inputs, outputs, (kernel,), padding=0, bias=True, activation=nn.ReLU(inplace=True))
            for inputs, outputs, kernel in zip((spec.channels, *s.channels), s.channels, s.kernels, strict=False)
        )
        self.recurrent = Recurrent(s.shuffle or spec.channels, s.hidden, cell=RECURRENCES[s.cell])
        self.last = TimeLast()
        self.dropout = nn.Dropout(s.dropout)
        self.levels = (Level(s.channels[-1] + s.hidden, (), 1),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def forward(self, seq: Seq, state: None = None) -> Features:
        x = seq.x.transpose(1, 2)  # (batch, time, channels) -> (batch, channels, time)
        for kernel, convolution in zip(self.kernels, self.convolutions, strict=True):
            x = F.pad(x, ((kernel - 1) // 2, kernel // 2))  # so that as many steps come out, of an even kernel too
            x, _ = convolution(x, seq.lengths + kernel - 1)
        x = x.transpose(1, 2)  # -> (batch, time, channels)
        whole = self.dropout(self._answer(seq))[:, None].expand(-1, x.shape[1], -1)
        return Features((Seq(zero_padding(torch.cat([x, whole], dim=2), seq.lengths, axis=1), seq.lengths),))

    def _answer(self, seq: Seq) -> Tensor:
        """What the LSTM says of the whole series, ``(batch, hidden)``."""
        if not self.shuffle:
            y, _ = self.recurrent(seq.x, None, seq.lengths)
            return self.last(y, seq.lengths)
        if not torch.jit.is_tracing() and seq.x.shape[1] > self.shuffle:
            raise ShapeError(
                f"a series has {seq.x.shape[1]} steps",
                expected=f"{self.shuffle} or fewer, since encoder.shuffle says so",
                do="Set encoder.shuffle to the steps of the longest series, or to 0.",
            )
        filled = torch.cat([seq.x, seq.x.new_zeros(1).expand(seq.x.shape[0], self.shuffle, seq.x.shape[2])], dim=1)
        y, _ = self.recurrent(filled[:, : self.shuffle].transpose(1, 2))  # -> (batch, channels, all steps)
        return y[:, -1]
