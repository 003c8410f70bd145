"""crnn_htr: a reader of handwriting, five convolutions and five bidirectional LSTMs (Puigcerver 2017, ICDAR).

"Are multidimensional recurrent layers really necessary for handwritten text recognition?" Sizes are those of the
author's program (github.com/jpuigcerver/Laia, egs/iam). With 80 outputs the network has 9,591,728 parameters at
height 128. Dropout is of single values, as there.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from crnn.config import Count, Share, Whole
from crnn.errors import SettingsError
from crnn.layers import ConvBlock, MaxPool, Recurrent, at_least
from crnn.models._chain import Chain
from crnn.types import Features, InputSpec, Level, Seq

UNDROPPED = 2  # the first blocks, whose input is not dropped


class CRNNHTR(nn.Module):
    """Line picture ``(batch, time, 1, height)`` to features ``(batch, time / 2**pools, 2 * hidden)``."""

    accepts = ("line",)
    height = 128

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        channels: tuple[Count, ...] = (16, 32, 48, 64, 80)
        """Feature maps of the blocks of convolution, batch normalisation and leaky ReLU."""
        pools: Whole = 3
        """Blocks, from the first on, behind which a max pool halves columns and height."""
        hidden: Count = 256
        """LSTM units in each direction."""
        layers: Count = 5
        """LSTM layers."""
        conv_dropout: Share = 0.2
        """Share of values dropped before the third and later blocks, in training."""
        dropout: Share = 0.5
        """Share of values dropped before each recurrent layer and the head, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        (height,) = spec.space
        if not 0 <= s.pools <= len(s.channels):
            raise SettingsError(
                f"encoder.pools is {s.pools} for {len(s.channels)} blocks",
                expected=f"a number from 0 to {len(s.channels)}",
                do="Change encoder.pools or the number of encoder.channels.",
            )
        self.least_columns = 2**s.pools
        if height < self.least_columns or height % self.least_columns:
            raise SettingsError(
                f"the line height is {height}",
                expected=f"a multiple of {self.least_columns} ({s.pools} pools halve it)",
                do=f"Set input.height to {max(1, height // self.least_columns) * self.least_columns}.",
            )
        stages: list[nn.Module] = []
        width = spec.channels
        for i, channels in enumerate(s.channels):
            if i >= UNDROPPED:
                stages.append(nn.Dropout(s.conv_dropout))
            stages.append(ConvBlock(width, channels, bias=True, activation=nn.LeakyReLU(0.01)))
            if i < s.pools:
                stages.append(MaxPool(2))
            width = channels
        self.stages = Chain(stages)
        widths = [width * height // self.least_columns] + [2 * s.hidden] * (s.layers - 1)
        self.recurrent = nn.ModuleList(Recurrent(w, s.hidden, bidirectional=True) for w in widths)
        self.dropout = nn.Dropout(s.dropout)
        self.levels = (Level(2 * s.hidden, (), self.least_columns),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.stages.out_lengths(lengths.clamp(min=self.least_columns))

    def forward(self, seq: Seq, state: None = None) -> Features:
        x, lengths = at_least(*seq, self.least_columns)
        # (batch, time, channels, height) -> (batch, channels, time, height)
        x, lengths = self.stages(x.permute(0, 2, 1, 3), lengths)
        x = x.permute(0, 2, 3, 1).flatten(2)  # -> (batch, time, height * channels): a view of channels_last
        for layer in self.recurrent:
            x, _ = layer(self.dropout(x), None, lengths)
        return Features((Seq(self.dropout(x), lengths),))
