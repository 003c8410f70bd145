"""eeg_parallel: convolutions over the scalp, beside them an LSTM over time (Zhang et al. 2018, arXiv 1708.06578).

"Cascade and Parallel Convolutional Recurrent Neural Networks on EEG-Based Intention Recognition for Brain Computer
Interface": one branch sees each frame as a picture of the head and adds the frames up, the other sees the electrodes
as a plain vector and goes through time; then they are fused. Here a step holds the sum so far and the LSTM's answer so
far, so that the last step, the pooling that it prefers, is the paper's. With 64 electrodes and 5 classes it has
14,672,453 parameters where a gate has one bias (``cell = "lstm_one_bias"``), 64 more with torch's own LSTM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from crnn.config import Count, Share
from crnn.layers import ConcatFusion, DenseFusion, Fusion, Recurrent, SumFusion, TimeDropout, zero_padding
from crnn.models._cells import RECURRENCES
from crnn.models._mesh import Frames, MeshSettings, he_, mesh_for
from crnn.types import Features, InputSpec, Level, Seq


class EEGParallel(nn.Module):
    """Recording ``(batch, time, channels)`` to features ``(batch, time, 2 * features)``; a step sees nothing after
    it."""

    accepts = ("series",)
    causal = True
    pooling = "last"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings(MeshSettings):
        features: Count = 1024
        """Units of the dense layers of both branches."""
        hidden: Count = 16
        """Units of each LSTM."""
        layers: Count = 1
        """LSTMs."""
        fusion: Literal["concat", "sum", "dense"] = "concat"
        """How the branches become one: side by side, added, or side by side and then a dense layer."""
        dropout: Share = 0.5
        """Share of features dropped behind the dense layers of both branches, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        self.frames = Frames(mesh_for(spec.channels, s.mesh), s.channels, s.features)
        self.into = nn.Linear(spec.channels, s.features)
        self.recurrent = Recurrent(s.features, s.hidden, layers=s.layers, cell=RECURRENCES[s.cell])
        self.dense = nn.Linear(s.hidden, s.features)
        self.dropout = TimeDropout(s.dropout)
        widths = [s.features, s.features]
        self.fusion: Fusion
        if s.fusion == "dense":
            self.fusion = DenseFusion(widths, size=2 * s.features, activation=nn.ELU())
        else:
            self.fusion = {"concat": ConcatFusion, "sum": SumFusion}[s.fusion](widths)
        for part in (self.frames, self.into, self.dense, self.fusion):
            he_(part)
        self.levels = (Level(self.fusion.outputs, (), 1),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def forward(self, seq: Seq, state: Any = None) -> Features:
        remembered, so_far = (None, None) if state is None else state
        seen = zero_padding(self.dropout(self.frames(seq.x)), seq.lengths, axis=1).cumsum(1)
        if so_far is not None:
            seen = seen + so_far[:, None]
        x, remembered = self.recurrent(F.elu(self.into(seq.x)), remembered, seq.lengths)
        x = self.fusion([seen, self.dropout(F.elu(self.dense(x)))], seq.lengths)
        return Features((Seq(x, seq.lengths),), (remembered, seen[:, -1]))
