"""cascade: convolutions, then recurrence, for any kind of input: the general form of the field.

Stages of convolutions over time and space with pooling between them, then recurrent layers over what is left of time.
The plan is that of Shi, Bai & Yao (2015, arXiv 1507.05717) for text, Cakir et al. (2017, arXiv 1702.06286) for sound
and Ordonez & Roggen (2016, DeepConvLSTM) for sensors; sizes are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from torch import Tensor, nn

from crnn.config import Count, Share, Whole
from crnn.layers import ConvBlock, MaxPool, Recurrent, TimeDropout, at_least
from crnn.models._front import Front
from crnn.types import Features, InputSpec, Level, Seq

TIME = {"line": (2, 2, 1), "sentence": (1,), "film": (1,)}
"""Steps that each stage joins, by kind of input, where the settings do not say; ``(2,)`` for any other."""
MOST_FEATURES = 4096  # of one step that are handed to the recurrence as they are


class Cascade(nn.Module):
    """``(batch, time, channels, *space)`` to features ``(batch, time / stride, hidden)``, twice as many in two
    directions."""

    accepts = ("picture", "series", "line", "sound", "film", "sentence")

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        channels: tuple[Count, ...] = (32, 64, 128)
        """Feature maps of each stage."""
        blocks: Count = 2
        """Convolutions in each stage, each with batch normalisation and ReLU."""
        kernel: Count = 3
        """Side of the convolutions, in time and in each axis of space; an odd number."""
        pool: tuple[Count, ...] = ()
        """Steps of time that each stage joins (one number holds for all stages); none chooses by the kind of input.
        Space is halved by each stage."""
        join: Literal["auto", "flatten", "mean"] = "auto"
        """What is left of space becomes features, or its mean does; auto flattens up to 4096 features."""
        embedding: Count = 128
        """Size of a word's vector, for sentences."""
        cell: Literal["lstm", "gru", "rnn"] = "lstm"
        """Recurrent cell."""
        hidden: Count = 128
        """Units of the recurrence in each direction."""
        layers: Whole = 1
        """Recurrent layers; 0 leaves the recurrence out."""
        bidirectional: bool = True
        """Whether the recurrence runs in both directions."""
        dropout: Share = 0.2
        """Share of features dropped before each recurrent layer and the head, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        self.front = Front(spec, s.embedding)
        joins = s.pool or TIME.get(spec.kind, (2,))
        joins = tuple(joins[min(i, len(joins) - 1)] for i in range(len(s.channels)))
        axes, space, width = 1 + len(spec.space), spec.space, self.front.channels
        stages: list[nn.Module] = []
        for channels, join in zip(s.channels, joins, strict=True):
            for _ in range(s.blocks):
                stages.append(ConvBlock(width, channels, (s.kernel,) * axes, activation=nn.ReLU(inplace=True)))
                width = channels
            window = (join, *(min(2, side) for side in space))
            if prod(window) > 1:
                stages.append(MaxPool(window))
            space = tuple(max(1, side // 2) for side in space)
        self.stages = nn.ModuleList(stages)
        self.stride = prod(joins)
        self.mean = s.join == "mean" or (s.join == "auto" and width * prod(space) > MOST_FEATURES)
        features = width if self.mean else width * prod(space)
        self.dropout = TimeDropout(s.dropout)
        self.recurrent = None
        if s.layers:
            self.recurrent = Recurrent(
                features, s.hidden, layers=s.layers, cell=s.cell, bidirectional=s.bidirectional, dropout=s.dropout
            )
        self.levels = (Level(self.recurrent.outputs if self.recurrent else features, (), self.stride),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        lengths = lengths.clamp(min=self.stride)
        for stage in self.stages:
            lengths = stage.out_lengths(lengths)  # type: ignore[operator]
        return lengths

    def forward(self, seq: Seq, state: None = None) -> Features:
        x, lengths = at_least(self.front(seq), seq.lengths, self.stride)
        x = x.movedim(2, 1)  # (batch, time, channels, *space) -> (batch, channels, time, *space)
        for stage in self.stages:
            x, lengths = stage(x, lengths)
        x = x.movedim(1, -1)  # -> (batch, time, *space, channels)
        x = x.flatten(2, -2).mean(2) if self.mean and x.dim() > 3 else x.flatten(2)
        if self.recurrent is not None:
            x, _ = self.recurrent(self.dropout(x), None, lengths)
        return Features((Seq(self.dropout(x), lengths),))
