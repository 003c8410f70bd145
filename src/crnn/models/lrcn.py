"""lrcn: a long-term recurrent convolutional network for films (Donahue et al. 2014, arXiv 1411.4389).

"Long-term Recurrent Convolutional Networks for Visual Recognition and Description", its part for activities: the same
convolutional network sees each frame by itself, a dense layer sums the frame up, an LSTM goes through the frames; each
step has an answer, and the film's is their mean. The paper's frame network is that of ImageNet (CaffeNet, 4096 features
and dropout 0.9, behind it 256 units); this one is small, and of any size that its settings say. A step sees no frame
after it, so a film can be watched as it comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from torch import Tensor, nn

from crnn.config import Count, Share, Whole
from crnn.layers import ConvBlock, MaxPool, Recurrent, zero_padding
from crnn.models._chain import Chain
from crnn.models._checks import check_counts
from crnn.types import Features, InputSpec, Level, Seq


class LRCN(nn.Module):
    """Film ``(batch, frames, channels, height, width)`` to features ``(batch, frames, hidden)``."""

    accepts = ("film",)
    pooling = "mean"
    causal = True

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        channels: tuple[Count, ...] = (32, 64, 96, 128)
        """Feature maps of the convolutions of a frame, each with ReLU."""
        kernels: tuple[Count, ...] = (5, 3, 3, 3)
        """Side of each convolution."""
        strides: tuple[Count, ...] = (2, 1, 1, 1)
        """Stride of each convolution."""
        pools: tuple[Count, ...] = (2, 2, 2, 1)
        """Side of the pool behind each convolution; 1 for none."""
        norm: bool = True
        """Batch normalisation in each convolution."""
        features: Count = 256
        """Units of the dense layer that sums up a frame."""
        hidden: Count = 256
        """Units of the recurrence."""
        layers: Whole = 1
        """Recurrent layers; 0 leaves frames by themselves, whose answers are averaged."""
        cell: Literal["lstm", "gru", "rnn"] = "lstm"
        """Recurrent cell."""
        dropout: Share = 0.3
        """Share of a frame's features dropped before the recurrence, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        for name in ("kernels", "strides", "pools"):
            check_counts(s, name, "channels")
        # kernels of one frame: the frames are folded into the convolution, which knows which are padding
        stages: list[nn.Module] = []
        width, space = spec.channels, spec.space
        for channels, kernel, stride, pool in zip(s.channels, s.kernels, s.strides, s.pools, strict=True):
            size, steps, border = (1, kernel, kernel), (1, stride, stride), kernel // 2
            stages.append(ConvBlock(width, channels, size, stride=steps, norm=s.norm, activation=nn.ReLU()))
            space = tuple((side + 2 * border - kernel) // stride + 1 for side in space)
            window = tuple(min(pool, side) for side in space)
            if prod(window) > 1:
                stages.append(MaxPool((1, *window)))
            space = tuple(side // n for side, n in zip(space, window, strict=True))
            width = channels
        self.stages = Chain(stages)
        self.dense = nn.Sequential(nn.Linear(width * prod(space), s.features), nn.ReLU())
        self.dropout = nn.Dropout(s.dropout)
        self.recurrent = Recurrent(s.features, s.hidden, layers=s.layers, cell=s.cell) if s.layers else None
        self.levels = (Level(s.hidden if s.layers else s.features, (), 1),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def forward(self, seq: Seq, state: Any = None) -> Features:
        # (batch, frames, channels, height, width) -> (batch, channels, frames, height, width)
        x, lengths = self.stages(seq.x.movedim(2, 1), seq.lengths)
        x = self.dropout(self.dense(x.movedim(1, -1).flatten(2)))  # -> (batch, frames, height * width * channels)
        if self.recurrent is not None:
            x, state = self.recurrent(x, state, lengths)
        return Features((Seq(zero_padding(x, lengths, axis=1), lengths),), state)
