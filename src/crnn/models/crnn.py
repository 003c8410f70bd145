"""crnn: the default reader of lines: a short residual convolution on a strided stem, then a bidirectional LSTM.

The plan is that of Shi, Bai & Yao (2015, arXiv 1507.05717), convolution, recurrence, CTC; the sizes were chosen by
measuring error against time on handwritten and typewritten lines (docs/models.md). A plain network spends most of its
time in the first layers at full size and in the steps of the recurrence, so this one halves the picture in its first
convolution and gives the recurrence two to three steps a character.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from crnn.config import Count, Share, Whole
from crnn.layers import ConvBlock, Recurrent, TimeDropout
from crnn.models._chain import Chain
from crnn.models._checks import height_of
from crnn.types import Features, InputSpec, Level, Seq


class Residual(nn.Module):
    """``relu(x + norm(conv(relu(norm(conv(x))))))`` (He et al. 2015, arXiv 1512.03385)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels, activation=nn.ReLU(inplace=True))
        self.second = ConvBlock(channels, channels)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        y, _ = self.first(x, lengths)
        y, lengths = self.second(y, lengths)
        return self.activation(x + y), lengths

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths


class CRNN(nn.Module):
    """Line picture ``(batch, time, 1, height)`` to features ``(batch, time / stride, 2 * hidden)``."""

    accepts = ("line",)
    height = 64

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        channels: tuple[Count, Count, Count, Count] = (32, 64, 128, 256)
        """Feature maps of the four stages; each halves the height."""
        blocks: tuple[Whole, Whole, Whole, Whole] = (0, 1, 1, 0)
        """Residual blocks in each stage."""
        stride: Literal[4, 6, 8] = 6
        """Picture columns for one step of the recurrence."""
        hidden: Count = 256
        """LSTM units in each direction."""
        layers: Count = 2
        """LSTM layers."""
        dropout: Share = 0.1
        """Share of features dropped before each recurrent layer and the head, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        height = height_of(spec, 16)
        time_strides = {4: (2, 2, 1, 1), 6: (2, 3, 1, 1), 8: (2, 2, 2, 1)}[s.stride]
        stages: list[nn.Module] = []
        width = spec.channels
        for channels, blocks, stride in zip(s.channels, s.blocks, time_strides, strict=True):
            stages.append(ConvBlock(width, channels, stride=(stride, 2), activation=nn.ReLU(inplace=True)))
            stages += [Residual(channels) for _ in range(blocks)]
            width = channels
        self.stages = Chain(stages)
        self.dropout = TimeDropout(s.dropout)
        self.recurrent = Recurrent(
            width * height // 16, s.hidden, layers=s.layers, bidirectional=True, dropout=s.dropout
        )
        self.levels = (Level(self.recurrent.outputs, (), s.stride),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.stages.out_lengths(lengths)

    def forward(self, seq: Seq, state: None = None) -> Features:
        # (batch, time, channels, height) -> (batch, channels, time, height)
        x, lengths = self.stages(seq.x.permute(0, 2, 1, 3), seq.lengths)
        x = x.permute(0, 2, 3, 1).flatten(2)  # -> (batch, time, height * channels): a view of channels_last
        x, _ = self.recurrent(self.dropout(x), None, lengths)
        return Features((Seq(self.dropout(x), lengths),))
