"""cascade: convolutions, then recurrence, for any kind of input: the general form of the field.

Stages of convolutions over time and space with pooling between them, then recurrent layers over what is left of time.
The plan is that of Shi, Bai & Yao (2015, arXiv 1507.05717) for text, Cakir et al. (2017, arXiv 1702.06286) for sound
and Ordonez & Roggen (2016, DeepConvLSTM) for sensors; sizes are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from crnn.config import Count, Share, Whole
from crnn.layers import Recurrent, TimeDropout
from crnn.models._front import Front
from crnn.models._stages import Stages, StageSettings
from crnn.types import Features, InputSpec, Level, Seq


class Cascade(nn.Module):
    """``(batch, time, channels, *space)`` to features ``(batch, time / stride, hidden)``, twice as many in two
    directions. Where there is space, the maps of the convolutions are a level below, for heads that look at places."""

    accepts = ("picture", "series", "line", "sound", "film", "sentence")

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings(StageSettings):
        hidden: Count = 128
        """Units of the recurrence in each direction."""
        layers: Whole = 1
        """Recurrent layers; 0 leaves the recurrence out."""
        dropout: Share = 0.2
        """Share of features dropped before each recurrent layer and the head, and of words' vectors, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        self.front = Front(spec, s.embedding, dropout=s.dropout)
        self.stages = Stages(spec, self.front.channels, s)
        features = self.stages.features
        self.dropout = TimeDropout(s.dropout)
        self.recurrent = None
        if s.layers:
            self.recurrent = Recurrent(
                features, s.hidden, layers=s.layers, cell=s.cell, bidirectional=s.bidirectional, dropout=s.dropout
            )
        last = Level(self.recurrent.outputs if self.recurrent else features, (), self.stages.stride)
        maps = Level(self.stages.channels, self.stages.places, self.stages.stride)
        self.levels = (maps, last) if spec.space else (last,)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.stages.out_lengths(lengths)

    def forward(self, seq: Seq, state: None = None) -> Features:
        maps, lengths = self.stages.maps(self.front(seq), seq.lengths)
        x = self.stages.joined(maps)
        if self.recurrent is not None:
            x, _ = self.recurrent(self.dropout(x), None, lengths)
        last = Seq(self.dropout(x), lengths)
        return Features((Seq(maps, lengths), last) if maps.dim() > 3 else (last,))
