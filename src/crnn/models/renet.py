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
from crnn.layers import ReNet, TimeDropout, at_least
from crnn.models._chain import Chain
from crnn.models._checks import check_counts, height_of
from crnn.models._stem import Stem, StemSettings
from crnn.types import Features, InputSpec, Level, Seq


class ReNetReader(nn.Module):
    """Line picture ``(batch, time, 1, height)`` to features ``(batch, time / stride, rows left * 2 * hidden[-1])``."""

    accepts = ("line",)
    height = 48

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings(StemSettings):
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
        check_counts(s, "strides", "stem")
        check_counts(s, "patches", "hidden", least=1, expected="as many, and one layer at least")
        columns, rows = (math.prod(size) for size in zip(*s.strides, *s.patches, strict=True))
        why = " (strides and patches leave one row of so many), twice that or more: one row has nothing to recur over"
        height = height_of(spec, rows, least=2, why=why)
        self.stem = Stem(spec.channels, s)
        width = self.stem.outputs
        self.layers = Chain()
        for patch, hidden in zip(s.patches, s.hidden, strict=True):
            self.layers.append(ReNet(width, hidden, kernel_size=patch, cell=s.cell))
            width = 2 * hidden
        self.dropout = TimeDropout(s.dropout)
        self.least_columns = columns
        self.levels = (Level(width * (height // rows), (), columns),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.layers.out_lengths(self.stem.out_lengths(lengths.clamp(min=self.least_columns)))

    def forward(self, seq: Seq, state: None = None) -> Features:
        x, lengths = at_least(*seq, self.least_columns)
        # (batch, time, channels, height) -> (batch, channels, time, height)
        x, lengths = self.stem(x.permute(0, 2, 1, 3), lengths)
        for i, layer in enumerate(self.layers):
            if i:
                x = self.dropout(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # time stands first while some are dropped
            x, lengths = layer(x, lengths)
        x = x.permute(0, 2, 3, 1).flatten(2)  # -> (batch, time, height * channels)
        return Features((Seq(self.dropout(x), lengths),))
