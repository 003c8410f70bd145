"""mdlstm_htr: a reader whose recurrence runs over both axes of the picture (Graves & Schmidhuber 2008, NIPS).

"Offline Handwriting Recognition with Multidimensional Recurrent Neural Networks": MDLSTM layers from all four corners,
between them windows that make the picture smaller, each with a tanh layer; the last picture is collapsed vertically.
The paper's own network for Arabic has no convolution and is reached by ``stem = []``, ``strides = []``,
``hidden = [2, 10, 50]``, ``features = [6, 20]``, ``windows`` of 3 columns by 4 rows and ``peepholes = true``. The
defaults are of today: a strided convolution before, as others have it (Voigtlaender, Doetsch & Ney 2016, ICFHR;
Puigcerver 2017, ICDAR), and wider layers on fewer cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crnn.config import Count, Share
from crnn.layers import MDLSTM, Patches, TimeDropout, at_least
from crnn.models._chain import Chain
from crnn.models._checks import check_counts, height_of
from crnn.models._stem import Stem, StemSettings
from crnn.types import Features, InputSpec, Level, Seq


class MDLSTMHTR(nn.Module):
    """Line picture ``(batch, time, 1, height)`` to features ``(batch, time / stride, 4 * hidden[-1])``."""

    accepts = ("line",)
    height = 48

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings(StemSettings):
        windows: tuple[tuple[Count, Count], ...] = ((1, 1), (1, 2))
        """Columns and rows that become one cell before each MDLSTM layer."""
        hidden: tuple[Count, ...] = (32, 64)
        """Units of each MDLSTM layer from each of the four corners."""
        features: tuple[Count, ...] = (96,)
        """Units of the tanh layer between each two MDLSTM layers."""
        peepholes: bool = False
        """Whether the gates see the memory."""
        dropout: Share = 0.1
        """Share of features dropped before the second and later MDLSTM layers and the head, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        check_counts(s, "strides", "stem")
        check_counts(s, "windows", "hidden", least=1, expected="as many, and one layer at least")
        check_counts(s, "features", "hidden", least=1, fewer=1, expected="one fewer, one between each two")
        columns, rows = (math.prod(size) for size in zip(*s.strides, *s.windows, strict=True))
        height_of(spec, rows, why=" (strides and windows leave one row of so many)")
        self.stem = Stem(spec.channels, s)
        width = self.stem.outputs
        self.windows = Chain(Patches(window) for window in s.windows)
        self.mixed, self.scans = nn.ModuleList(), nn.ModuleList()
        for i, (window, hidden) in enumerate(zip(s.windows, s.hidden, strict=True)):
            width *= math.prod(window)
            if i:
                self.mixed.append(nn.Linear(width, s.features[i - 1]))
                width = s.features[i - 1]
            self.scans.append(MDLSTM(width, hidden, peepholes=s.peepholes))
            width = 4 * hidden
        self.dropout = TimeDropout(s.dropout)
        self.least_columns = columns
        self.levels = (Level(width, (), columns),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.windows.out_lengths(self.stem.out_lengths(lengths.clamp(min=self.least_columns)))

    def forward(self, seq: Seq, state: None = None) -> Features:
        x, lengths = at_least(*seq, self.least_columns)
        # (batch, time, channels, height) -> (batch, channels, time, height)
        x, lengths = self.stem(x.permute(0, 2, 1, 3), lengths)
        for i, (window, scan) in enumerate(zip(self.windows, self.scans, strict=True)):
            x, lengths = window(x, lengths)
            if i:
                x = torch.tanh(self.mixed[i - 1](x.permute(0, 2, 3, 1)))  # -> (batch, time, height, channels)
                x = self.dropout(x).permute(0, 3, 1, 2)  # -> (batch, channels, time, height)
            x = scan(x, lengths)
        x = x.sum(3).transpose(1, 2)  # collapsed vertically -> (batch, time, channels)
        return Features((Seq(self.dropout(x), lengths),))
