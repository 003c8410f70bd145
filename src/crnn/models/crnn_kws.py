"""crnn_kws: a small network that spots a spoken word (Arik et al. 2017, arXiv 1703.05390).

"Convolutional Recurrent Neural Networks for Small-Footprint Keyword Spotting": one wide strided convolution over time
and frequency, two bidirectional GRUs, and a dense layer over all 19 steps that 1.5 seconds (151 frames of 40 mel bands)
leave. That layer stands here as a window of 19 steps, so that 151 frames give one step, exactly as in the paper, and
a longer recording is looked at in windows, one each 8 frames. For 40 bands and 2 classes it has 229,090 parameters
where a gate has one bias (``cell = "gru_one_bias"``); torch's own GRU, the default for its speed, has 384 more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from crnn.config import Count, Share
from crnn.layers import ConvBlock, Recurrent, TimeDropout, at_least
from crnn.models._cells import RECURRENCES
from crnn.types import Features, InputSpec, Level, Seq


class CRNNKWS(nn.Module):
    """Spectrogram ``(batch, time, channels, bands)`` to features ``(batch, windows, dense)``."""

    accepts = ("sound",)
    pooling = "max"
    tiny = {"channels": 4, "kernel": [6, 3], "stride": [3, 2], "hidden": 6, "window": 3, "dense": 5}

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        channels: Count = 32
        """Feature maps of the convolution."""
        kernel: tuple[Count, Count] = (20, 5)
        """Frames and bands that it sees."""
        stride: tuple[Count, Count] = (8, 2)
        """Frames and bands by which it moves."""
        hidden: Count = 32
        """Units of each GRU in each direction."""
        layers: Count = 2
        """GRUs."""
        cell: Literal["gru", "gru_one_bias"] = "gru"
        """torch's own, or one with one bias a gate, as the paper counts."""
        window: Count = 19
        """Steps that the dense layer sees at once."""
        dense: Count = 64
        """Units of the dense layer."""
        dropout: Share = 0.0
        """Share of features dropped before each GRU and the dense layer, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        (bands,) = spec.space
        self.convolution = ConvBlock(
            spec.channels, s.channels, s.kernel, stride=s.stride, norm=False, activation=nn.ReLU(inplace=True)
        )
        left = (bands + 2 * (s.kernel[1] // 2) - s.kernel[1]) // s.stride[1] + 1
        self.recurrent = Recurrent(
            s.channels * left,
            s.hidden,
            layers=s.layers,
            cell=RECURRENCES[s.cell],
            bidirectional=True,
            dropout=s.dropout,
        )
        self.dropout = TimeDropout(s.dropout)
        # a dense layer over so many steps, at each place where they lie whole in the recording
        self.dense = ConvBlock(
            2 * s.hidden, s.dense, (s.window,), padding=0, norm=False, activation=nn.ReLU(inplace=True)
        )
        before = s.kernel[0] - 2 * (s.kernel[0] // 2)  # frames that an even or odd kernel needs beside its border
        self.least_frames = max(1, (s.window - 1) * s.stride[0] + before)
        self.levels = (Level(s.dense, (), s.stride[0]),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.dense.out_lengths(self.convolution.out_lengths(lengths.clamp(min=self.least_frames)))

    def forward(self, seq: Seq, state: None = None) -> Features:
        x, lengths = at_least(*seq, self.least_frames)
        # (batch, time, channels, bands) -> (batch, channels, time, bands)
        x, lengths = self.convolution(x.transpose(1, 2), lengths)
        x = x.permute(0, 2, 3, 1).flatten(2)  # -> (batch, time, bands * channels): a view of channels_last
        x, _ = self.recurrent(self.dropout(x), None, lengths)
        x, lengths = self.dense(self.dropout(x).transpose(1, 2), lengths)  # -> (batch, features, time)
        return Features((Seq(x.transpose(1, 2), lengths),))
