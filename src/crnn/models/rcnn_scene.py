"""rcnn_scene: recurrent convolutional layers that label scenes (Liang, Hu & Zhang 2015, NIPS).

"Convolutional Neural Networks with Intra-layer Recurrent Connections for Scene Labeling". Two convolutions, then layers
that recur in place, each behind a pool, so that each sees twice as far and with every step further. All of them are
levels of the output: what names a pixel is the sum of what each level says of it, the finest of each pixel by itself.
The plan is that of the authors' program; its layers have 16, 32, 64, 128, 256 and 512 maps. ``scales`` puts the picture
through the same layers at half and a quarter of its size, too, as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from crnn.config import Count, Share, Whole
from crnn.errors import SettingsError
from crnn.layers import RCL, ConvBlock, LocalNorm, SharedNorm, SkiplessRCL, StepNorm, WideConv
from crnn.models._folded import Folded, halves
from crnn.models._overlap import OverlapMax
from crnn.types import Features, InputSpec, Level, Seq

NORMS: dict[str, Any] = {"bn_per_step": StepNorm, "bn_shared": SharedNorm, "lrn": LocalNorm}


class RCNNScene(nn.Module):
    """Scenes ``(batch, frames, channels, height, width)``, each frame by itself, to levels of maps, each half as high
    and wide as the one before it."""

    accepts = ("scene",)
    tiny = {"stem": (4, 6), "sizes": (8, 10)}

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        stem: tuple[Count, Count] = (16, 32)
        """Maps of the two convolutions, of 5 x 5 places and of 3 x 3 with a stride of 2."""
        coarse: bool = False
        """Whether the first convolution has a stride of 2, too, for large things at a quarter of the work."""
        sizes: tuple[Count, ...] = (64, 128, 256, 512)
        """Maps of the recurrent layers, each behind a pool."""
        steps: Whole = 3
        """How often each recurrent layer feeds its state back; 0 makes it a plain convolution."""
        variant: Literal["rcl", "skipless", "wide"] = "rcl"
        """The paper's layer; or without the input after the first step; or two convolutions one after the other with as
        many weights and no recurrence."""
        norm: Literal["bn_per_step", "bn_shared", "lrn", "none"] = "bn_per_step"
        """After each step: batch normalisation of its own for each, one for all, or local response normalisation."""
        dropout: Share = 0.2
        """Share of values dropped behind each pool but the first, in training; 0.5 in the authors' program."""
        scales: Count = 1
        """Sizes at which the picture is seen, each half of the one before, by the same layers; 3 in the paper."""
        recompute: bool = False
        """Whether recurrent layers are computed once more for the gradient, for a fraction of the memory."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        if not s.sizes:
            do = "Name one layer."
            raise SettingsError("encoder.sizes is empty", expected="maps of each recurrent layer", do=do)
        norm, (first, second) = NORMS.get(s.norm), s.stem
        stride = 2 if s.coarse else 1
        self.first = ConvBlock(spec.channels, first, 5, stride=stride, norm=norm is not None, activation=nn.ReLU())
        self.second = ConvBlock(first, second, 3, stride=2, norm=norm is not None, activation=nn.ReLU())
        self.pool, self.dropout = OverlapMax(), nn.Dropout(s.dropout)

        def layer(inputs: int, size: int) -> nn.Module:
            if s.variant == "wide":
                return WideConv(inputs, size, norm=norm, recompute=s.recompute)
            kind = {"rcl": RCL, "skipless": SkiplessRCL}[s.variant]
            return kind(inputs, size, steps=s.steps, norm=norm, recompute=s.recompute)

        self.layers = nn.ModuleList(layer(i, o) for i, o in zip((second, *s.sizes), s.sizes, strict=False))
        self.scales = s.scales
        widths = (first, second, *s.sizes)
        halved = [k + i + s.coarse for k in range(s.scales) for i in range(len(widths))]
        self.order = sorted(range(len(halved)), key=halved.__getitem__)  # fine to coarse
        self.levels = tuple(Level(widths[i % len(widths)], halves(spec.space, halved[i]), 1) for i in self.order)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def forward(self, seq: Seq, state: None = None) -> Features:
        folded, levels = Folded(seq), []
        x = folded.pictures
        for k in range(self.scales):
            if k:
                x = F.avg_pool2d(x, 2, ceil_mode=True)
            levels += [folded.seq(y) for y in self._see(x)]
        return Features(tuple(levels[i] for i in self.order))

    def _see(self, x: Tensor) -> list[Tensor]:
        y, _ = self.first(x)
        found = [y]
        y, _ = self.second(y)
        found.append(y)
        for i, layer in enumerate(self.layers):
            y, _ = self.pool(y)
            y, _ = layer(self.dropout(y) if i else y)
            found.append(y)
        return found
