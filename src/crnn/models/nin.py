"""nin: Network in Network (Lin, Chen & Yan 2013, arXiv 1312.4400), the plain network that pictures are compared with.

Three convolutions, each with two layers of one place behind it, so that a small perceptron looks through every window;
no dense layer: the means of the last maps are the answer. Sizes are those of the authors' network for CIFAR-10, 0.97
million parameters: 966,986 with biases and no normalisation, as they had it, and 968,394 with batch normalisation,
which trains faster. Their last layer of one place, whose maps are averaged into classes, is the task's linear layer
here, which comes to the same but for the ReLU that stands before their mean.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from crnn.config import Count, Share
from crnn.layers import ConvBlock
from crnn.models._chain import Chain
from crnn.models._overlap import OverlapMax, OverlapMean
from crnn.types import Features, InputSpec, Level, Seq

STRIDE = 4


class NIN(nn.Module):
    """Picture ``(batch, columns, channels, height)`` to maps ``(batch, columns / 4, last of three, height / 4)``."""

    accepts = ("picture",)
    pooling = "mean"
    tiny = {"one": (6, 5, 4), "two": (6, 5, 4), "three": (7, 6)}

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        one: tuple[Count, Count, Count] = (192, 160, 96)
        """Maps of the first convolution and of the two layers of one place behind it."""
        two: tuple[Count, Count, Count] = (192, 192, 192)
        """Maps of the second convolution and of those behind it."""
        three: tuple[Count, Count] = (192, 192)
        """Maps of the third convolution and of the layer behind it; the last is the task's."""
        norm: bool = True
        """Batch normalisation after each convolution; the paper has none."""
        dropout: Share = 0.2
        """Share of values dropped behind each pool, in training; 0.5 in the paper."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        stages: list[nn.Module] = []
        width = spec.channels
        for kernel, maps, pool in ((5, s.one, OverlapMax()), (5, s.two, OverlapMean()), (3, s.three, None)):
            for i, channels in enumerate(maps):
                stages.append(ConvBlock(width, channels, 1 if i else kernel, norm=s.norm, activation=nn.ReLU()))
                width = channels
            stages += [] if pool is None else [Chain([pool, nn.Dropout(s.dropout)])]
        self.stages = Chain(stages)
        (height,) = spec.space
        self.levels = (Level(width, (-(-height // STRIDE),), STRIDE),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.stages.out_lengths(lengths)

    def forward(self, seq: Seq, state: None = None) -> Features:
        # (batch, time, channels, height) -> (batch, channels, time, height)
        x, lengths = self.stages(seq.x.permute(0, 2, 1, 3), seq.lengths)
        return Features((Seq(x.permute(0, 2, 1, 3), lengths),))  # and back
