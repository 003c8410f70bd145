"""grcnn: a gated recurrent convolutional network for pictures (Wang & Hu 2017, NIPS; 2021, arXiv 2106.02859).

Layers that recur in place as those of ``rcnn_96``, each place with a gate that says how much of its neighbourhood it
takes in, so that what a unit sees grows only as far as it should. The plan is that of the authors' reader of words
(convolution, then gated layers with pools between, each wider than the one before); sizes are ours, for small pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from crnn.config import Count, Share, Whole
from crnn.layers import ConvBlock, GatedRCL
from crnn.models._chain import Chain
from crnn.models._overlap import OverlapMax
from crnn.types import Features, InputSpec, Level, Seq


class GRCNN(nn.Module):
    """Picture ``(batch, columns, channels, height)`` to maps ``(batch, columns / stride, sizes[-1], height / stride)``,
    with a pool of stride 2 between each two layers."""

    accepts = ("picture",)
    pooling = "max"
    tiny = {"stem": 8, "sizes": (9, 10, 12)}

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        stem: Count = 64
        """Maps of the first convolution."""
        sizes: tuple[Count, ...] = (64, 96, 160)
        """Maps of the gated layers."""
        steps: Whole = 3
        """How often each gated layer feeds its state back."""
        tied: bool = True
        """Whether a layer's kernels of the state are the same at each step; the authors' reader had some for each."""
        dropout: Share = 0.1
        """Share of values dropped behind each pool, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        stages: list[nn.Module] = [ConvBlock(spec.channels, s.stem, activation=nn.ReLU())]
        width = s.stem
        for i, size in enumerate(s.sizes):
            stages += [Chain([OverlapMax(), nn.Dropout(s.dropout)])] if i else []
            stages.append(GatedRCL(width, size, steps=s.steps, tied=s.tied))
            width = size
        self.stages = Chain(stages)
        (height,) = spec.space
        stride = 2 ** max(0, len(s.sizes) - 1)
        self.levels = (Level(width, (-(-height // stride),), stride),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.stages.out_lengths(lengths)

    def forward(self, seq: Seq, state: None = None) -> Features:
        # (batch, time, channels, height) -> (batch, channels, time, height)
        x, lengths = self.stages(seq.x.permute(0, 2, 1, 3), seq.lengths)
        return Features((Seq(x.permute(0, 2, 1, 3), lengths),))  # and back
