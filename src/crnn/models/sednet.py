"""sednet: what sounds when, a label for each frame (Cakir et al. 2017, arXiv 1702.06286; Adavanne et al. 2017).

"Convolutional Recurrent Neural Networks for Polyphonic Sound Event Detection", with the sizes of SEDnet (Adavanne &
Virtanen 2017, arXiv 1710.02998): three convolutions that pool frequency and never time, two bidirectional GRUs whose
directions are multiplied, and a linear layer. For 40 mel bands and 6 kinds of events it has 366,438 parameters of one
channel and 367,590 of two where a gate has one bias (``cell = "gru_one_bias"``), 384 more with torch's own GRU.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from torch import Tensor, nn

from crnn.config import Count, Share, Whole
from crnn.errors import SettingsError
from crnn.layers import FUSIONS, ConvBlock, MaxPool, Recurrent, TimeDropout, zero_padding
from crnn.models._cells import RECURRENCES
from crnn.models._checks import check_counts, check_odd
from crnn.types import Features, InputSpec, Level, Seq


class SEDnet(nn.Module):
    """Spectrogram ``(batch, time, channels, bands)`` to features ``(batch, time, dense)``, a step for each frame."""

    accepts = ("sound",)
    tiny = {"channels": [4, 6, 4], "pools": [2, 2, 1], "hidden": [6, 5], "dense": 7}

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        channels: tuple[Count, ...] = (128, 128, 128)
        """Feature maps of each convolution."""
        kernel: Count = 3
        """Side of the convolutions, in time and frequency; an odd number."""
        pools: tuple[Count, ...] = (5, 2, 2)
        """Bands of which each convolution's pool makes one."""
        hidden: tuple[Count, ...] = (32, 32)
        """Units of each GRU in each direction."""
        merge: Literal["product", "concat", "sum"] = "product"
        """How the two directions of a GRU become one."""
        cell: Literal["gru", "gru_one_bias"] = "gru"
        """torch's own, or one with one bias a gate, as the authors' program has it."""
        dense: Whole = 32
        """Features of the linear layer behind the GRUs; 0 leaves it out."""
        dropout: Share = 0.5
        """Share dropped behind each convolution and each GRU, in training; before the labels it is the task's."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        (bands,) = spec.space
        _check(s, bands)
        self.convolutions, self.pools = nn.ModuleList(), nn.ModuleList()
        width = spec.channels
        for channels, pool in zip(s.channels, s.pools, strict=True):
            block = ConvBlock(width, channels, (s.kernel, s.kernel), bias=True, activation=nn.ReLU(inplace=True))
            self.convolutions.append(block)
            self.pools.append(MaxPool((1, pool)))
            width, bands = channels, bands // pool
        width *= bands
        self.recurrent, self.merges = nn.ModuleList(), nn.ModuleList()
        for hidden in s.hidden:
            self.recurrent.append(Recurrent(width, hidden, cell=RECURRENCES[s.cell], bidirectional=True))
            merge = FUSIONS[s.merge]([hidden, hidden])
            self.merges.append(merge)
            width = merge.outputs
        self.maps_dropout, self.dropout = nn.Dropout(s.dropout), TimeDropout(s.dropout)
        self.dense = nn.Linear(width, s.dense) if s.dense else None
        self.levels = (Level(s.dense or width, (), 1),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def forward(self, seq: Seq, state: None = None) -> Features:
        x = seq.x.transpose(1, 2)  # (batch, time, channels, bands) -> (batch, channels, time, bands)
        for convolution, pool in zip(self.convolutions, self.pools, strict=True):
            x, _ = pool(*convolution(x, seq.lengths))
            x = self.maps_dropout(x)
        x = x.permute(0, 2, 3, 1).flatten(2)  # -> (batch, time, bands * channels): a view of channels_last
        for recurrent, merge in zip(self.recurrent, self.merges, strict=True):
            y, _ = recurrent(x, None, seq.lengths)
            x = self.dropout(merge(y.chunk(2, dim=2), seq.lengths))
        if self.dense is not None:
            x = zero_padding(self.dense(x), seq.lengths, axis=1)
        return Features((Seq(x, seq.lengths),))


def _check(s: SEDnet.Settings, bands: int) -> None:
    check_counts(s, "channels", "pools", least=1, expected="as many, and one at least")
    check_odd(s.kernel)
    if prod(s.pools) > bands:
        raise SettingsError(
            f"encoder.pools joins {prod(s.pools)} bands and the input has {bands}",
            expected="as many bands as that, or more",
            do="Choose smaller pools, or more bands.",
        )
