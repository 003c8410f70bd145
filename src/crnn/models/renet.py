"""renet: a reader that looks along columns and rows in turn (Visin et al. 2015, arXiv 1505.00393).

"ReNet: A Recurrent Neural Network Based Alternative to Convolutional Networks" replaces convolution and pool by
recurrences over patches, there for pictures of one object. Here the last picture is not classified as a whole: its
columns are the steps of the line. The defaults put a strided convolution before, since most of a picture of a line is
strokes; ``stem = []`` and ``strides = []`` with ``patches`` of 2 by 2 is the network of the paper, but for its sizes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from crnn.config import Count, Share
from crnn.errors import SettingsError
from crnn.layers import ConvBlock, TimeDropout, at_least
from crnn.layers.renet import ReNet
from crnn.types import Features, InputSpec, Level, Seq


class ReNetReader(nn.Module):
    """Line picture ``(batch, time, 1, height)`` to features ``(batch, time / stride, rows left * 2 * hidden[-1])``."""

    accepts = ("line",)
    height = 48

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        stem: tuple[Count, ...] = (32, 64)
        """Feature maps of the convolutions before; none in the paper."""
        strides: tuple[tuple[Count, Count], ...] = ((2, 2), (3, 2))
        """Columns and rows by which each convolution strides."""
        patches: tuple[tuple[Count, Count], ...] = ((1, 2), (1, 2))
        """Columns and rows of the patches of each layer."""
        hidden: tuple[Count, ...] = (96, 192)
        """Units of each layer in each of its four directions."""
        cell: Literal["lstm", "gru", "rnn"] = "lstm"
        """What recurs; lstm is the fastest on processors."""
        dropout: Share = 0.1
        """Share of features dropped before the second and later layers and the head, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        for name, found, other, wanted in (
            ("strides", len(s.strides), "stem", len(s.stem)),
            ("patches", len(s.patches), "hidden", max(1, len(s.hidden))),
        ):
            if found != wanted:
                raise SettingsError(
                    f"encoder.{name} has {found} entries and encoder.{other} {len(getattr(s, other))}",
                    expected="as many, and one layer at least",
                    do=f"Change encoder.{name} or encoder.{other}.",
                )
        (height,) = spec.space
        columns, rows = (math.prod(size) for size in zip(*s.strides, *s.patches, strict=True))
        if height < 2 * rows or height % rows:
            raise SettingsError(
                f"the line height is {height}",
                expected=f"a multiple of {rows} (strides and patches leave one row of so many), {2 * rows} or more, "
                "since one row has nothing to recur over",
                do=f"Set input.height to {max(2, round(height / rows)) * rows}.",
            )
        stem: list[nn.Module] = []
        width = spec.channels
        for channels, stride in zip(s.stem, s.strides, strict=True):
            stem.append(ConvBlock(width, channels, stride=stride, activation=nn.ReLU(inplace=True)))
            width = channels
        self.stem = nn.ModuleList(stem)
        self.layers = nn.ModuleList()
        for patch, hidden in zip(s.patches, s.hidden, strict=True):
            self.layers.append(ReNet(width, hidden, kernel_size=patch, cell=s.cell))
            width = 2 * hidden
        self.dropout = TimeDropout(s.dropout)
        self.least_columns = columns
        self.levels = (Level(width * (height // rows), (), columns),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        lengths = lengths.clamp(min=self.least_columns)
        for stage in (*self.stem, *self.layers):
            lengths = stage.out_lengths(lengths)  # type: ignore[operator]
        return lengths

    def forward(self, seq: Seq, state: None = None) -> Features:
        x, lengths = at_least(*seq, self.least_columns)
        x = x.permute(0, 2, 1, 3)  # (batch, time, channels, height) -> (batch, channels, time, height)
        for stage in self.stem:
            x, lengths = stage(x, lengths)
        for i, layer in enumerate(self.layers):
            if i:
                x = self.dropout(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # time stands first while some are dropped
            x, lengths = layer(x, lengths)
        x = x.permute(0, 2, 3, 1).flatten(2)  # -> (batch, time, height * channels)
        return Features((Seq(self.dropout(x), lengths),))
