"""cascade: convolutions, then recurrence, for any kind of input: the general form of the field.

Stages of convolutions over time and space with pooling between them, then recurrent layers over what is left of time.
The plan is that of Shi, Bai & Yao (2015, arXiv 1507.05717) for text, Cakir et al. (2017, arXiv 1702.06286) for sound
and Ordonez & Roggen (2016, DeepConvLSTM) for sensors; sizes are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from crnn.config import Count, Share, Whole
from crnn.layers import Recurrent, TimeDropout
from crnn.models._front import Front
from crnn.models._stages import Join, Stages, joins_for
from crnn.types import Features, InputSpec, Level, Seq


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
        join: Join = "auto"
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
        self.stages = Stages(
            self.front.channels,
            s.channels,
            space=spec.space,
            joins=joins_for(spec.kind, s.pool, len(s.channels)),
            blocks=s.blocks,
            kernel=s.kernel,
            join=s.join,
        )
        features = self.stages.features
        self.dropout = TimeDropout(s.dropout)
        self.recurrent = None
        if s.layers:
            self.recurrent = Recurrent(
                features, s.hidden, layers=s.layers, cell=s.cell, bidirectional=s.bidirectional, dropout=s.dropout
            )
        self.levels = (Level(self.recurrent.outputs if self.recurrent else features, (), self.stages.stride),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.stages.out_lengths(lengths)

    def forward(self, seq: Seq, state: None = None) -> Features:
        x, lengths = self.stages(self.front(seq), seq.lengths)
        if self.recurrent is not None:
            x, _ = self.recurrent(self.dropout(x), None, lengths)
        return Features((Seq(self.dropout(x), lengths),))
