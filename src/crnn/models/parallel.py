"""parallel: convolutions and recurrence side by side, then fused, for any kind of input: the other form of the field.

The plan is that of Zhang et al. (2018, AAAI; arXiv 1708.06578) for EEG and Feng, Liu & Yao (2017, arXiv 1712.08370) for
music: one branch looks for features, the other goes through time over the plain input, and a fusion makes them one.
Sizes are ours. Of a sample with two inputs, a picture and a sensor's recording, say, the convolutions see the first and
the recurrence the second, whose mean over time joins every step of the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from torch import Tensor, nn

from crnn.config import Count, Share
from crnn.layers import FUSIONS, ConvBlock, Fusion, Recurrent, TimeDropout, TimeMean, at_least
from crnn.models._flat import Flat
from crnn.models._front import Front
from crnn.models._stages import Stages, StageSettings, joins_for
from crnn.types import Features, InputSpec, Level, Seq

KINDS = ("picture", "series", "sound", "film", "sentence", "line")


class Parallel(nn.Module):
    """``(batch, time, channels, *space)``, or two such by name, to features ``(batch, time / stride, width)`` of the
    (first) input; what the fusion makes of two branches of one width is the width. The recurrence joins as many steps
    as all stages together, and of sentences each branch has vectors of its own."""

    accepts = KINDS
    branches = (KINDS, KINDS)
    fused = ("convolution", "recurrence")

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings(StageSettings):
        hidden: Count = 128
        """Units of the recurrence in each direction; the branches are as wide as its output."""
        layers: Count = 1
        """Recurrent layers."""
        fusion: Literal[
            "concat", "sum", "product", "concat_dense", "concat_pointwise", "gated", "attention", "bilinear"
        ] = "concat"
        """How the branches become one."""
        size: Count = 256
        """Features of a fusion that has a layer of its own (concat_dense, concat_pointwise, bilinear), and its hidden
        units (attention, bilinear)."""
        dropout: Share = 0.2
        """Share of features dropped before the recurrence, from each branch, from what they give and from the
        vectors of words, in training."""

    def __init__(self, spec: InputSpec | Mapping[str, InputSpec], settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        self.names = tuple(spec) if isinstance(spec, Mapping) else ()
        specs = tuple(spec.values()) if isinstance(spec, Mapping) else (spec,)
        self.apart = len(specs) > 1
        seen, gone_through = specs[0], specs[-1]
        self.convolution = _Convolution(seen, s)
        self.recurrence = _Recurrence(gone_through, s)
        self.mean = TimeMean()
        width = self.recurrence.recurrent.outputs
        self.project = nn.Sequential(nn.Linear(self.convolution.stages.features, width), nn.ReLU())
        options: dict[str, dict[str, Any]] = {
            "concat_dense": {"size": s.size, "activation": nn.ReLU()},
            "concat_pointwise": {"size": s.size, "activation": nn.ReLU()},
            "attention": {"size": s.size},
            "bilinear": {"size": s.size, "rank": s.size},
        }
        self.fusion: Fusion = FUSIONS[s.fusion]((width, width), **options.get(s.fusion, {}))
        self.dropout = TimeDropout(s.dropout)
        self.levels = (Level(self.fusion.outputs, (), self.convolution.stages.stride),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.convolution.stages.out_lengths(lengths)

    def forward(self, seq: Seq | Mapping[str, Seq], state: None = None) -> Features:
        first, last = (seq[self.names[i]] if isinstance(seq, Mapping) else seq for i in (0, -1))
        x, lengths = self.convolution(first)
        y, other = self.recurrence(last)
        if self.apart:
            y = self.mean(y, other)[:, None].expand(-1, x.shape[1], -1)
        x = self.fusion([self.dropout(self.project(x)), self.dropout(y)], lengths)
        return Features((Seq(self.dropout(x), lengths),))


class _Convolution(nn.Module):
    """The branch that looks for features: ``(batch, time / stride, features)``."""

    def __init__(self, spec: InputSpec, settings: Parallel.Settings) -> None:
        super().__init__()
        s = settings
        self.front = Front(spec, s.embedding, dropout=s.dropout)
        self.stages = Stages(spec, self.front.channels, s)

    def forward(self, seq: Seq) -> tuple[Tensor, Tensor]:
        return self.stages(self.front(seq), seq.lengths)


class _Recurrence(nn.Module):
    """The branch that goes through time: as many steps as the convolutions join, with all that lies in them, become
    one vector, and a recurrence goes over these."""

    def __init__(self, spec: InputSpec, settings: Parallel.Settings) -> None:
        super().__init__()
        s = settings
        self.flat = Flat(spec, s.embedding, dropout=s.dropout)
        self.stride = prod(joins_for(spec.kind, s))
        self.frame = ConvBlock(
            self.flat.features,
            s.hidden,
            (self.stride,),
            stride=self.stride,
            padding=0,
            activation=nn.ReLU(inplace=True),
        )
        self.dropout = TimeDropout(s.dropout)
        self.recurrent = Recurrent(
            s.hidden, s.hidden, layers=s.layers, cell=s.cell, bidirectional=s.bidirectional, dropout=s.dropout
        )

    def forward(self, seq: Seq) -> tuple[Tensor, Tensor]:
        x, lengths = at_least(self.flat(seq), seq.lengths, self.stride)
        x, lengths = self.frame(x.transpose(1, 2), lengths)  # -> (batch, features, time)
        x, _ = self.recurrent(self.dropout(x.transpose(1, 2)), None, lengths)  # -> (batch, time / stride, hidden)
        return x, lengths
