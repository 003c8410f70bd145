"""eeg_cascade: convolutions over the scalp, then LSTMs over time (Zhang et al. 2018, AAAI; arXiv 1708.06578).

"Cascade and Parallel Convolutional Recurrent Neural Networks on EEG-Based Intention Recognition for Brain Computer
Interface": each frame of the recording is laid out as a picture of the head. With 64 electrodes and 5 classes it has
32,351,749 parameters where a gate has one bias (``cell = "lstm_one_bias"``), 8,192 more with torch's own LSTM. The
paper's windows are 10 frames long, each frame brought to mean 0 and deviation 1 over its electrodes beforehand; its
98 % is of overlapping windows dealt out at random, so neighbours of every tested window were learned from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from crnn.config import Count, Share
from crnn.layers import Recurrent, TimeDropout, zero_padding
from crnn.models._cells import RECURRENCES
from crnn.models._mesh import Frames, MeshSettings, he_, mesh_for
from crnn.types import Features, InputSpec, Level, Seq


class EEGCascade(nn.Module):
    """Recording ``(batch, time, channels)`` to features ``(batch, time, features)``; a step sees nothing after it."""

    accepts = ("series",)
    causal = True
    pooling = "last"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings(MeshSettings):
        features: Count = 1024
        """Units of the dense layers before and behind the LSTMs."""
        hidden: Count = 1024
        """Units of each LSTM."""
        layers: Count = 2
        """LSTMs."""
        dropout: Share = 0.5
        """Share of features dropped before each LSTM, in training; before the labels it is the task's."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        self.frames = Frames(mesh_for(spec.channels, s.mesh), s.channels, s.features)
        self.dropout = TimeDropout(s.dropout)
        self.recurrent = Recurrent(s.features, s.hidden, layers=s.layers, cell=RECURRENCES[s.cell], dropout=s.dropout)
        self.dense = nn.Linear(s.hidden, s.features)
        he_(self.frames)
        he_(self.dense)
        self.levels = (Level(s.features, (), 1),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def forward(self, seq: Seq, state: Any = None) -> Features:
        x, state = self.recurrent(self.dropout(self.frames(seq.x)), state, seq.lengths)
        x = zero_padding(F.elu(self.dense(x)), seq.lengths, axis=1)
        return Features((Seq(x, seq.lengths),), state)
