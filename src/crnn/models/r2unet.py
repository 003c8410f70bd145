"""r2unet: a U-Net of residual recurrent convolutional layers (Alom et al. 2018, arXiv 1802.06955).

"Recurrent Residual Convolutional Neural Network based on U-Net (R2U-Net) for Medical Image Segmentation". At each size
a layer of one place brings the maps to the size's width, two layers recur in place, and what they make is added to what
they were given. In the common form (64 to 1024 maps, colour in, one output) it has 39,091,393 parameters; the paper's
own have 16 to 256 maps, which is what is taken by default.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor, nn

from crnn.config import Count, Share, Whole
from crnn.layers import SharedNorm, StepNorm, TiedRCL
from crnn.models._folded import Folded
from crnn.models._u_shape import UShape
from crnn.types import Features, InputSpec, Level, Seq


class R2UNet(nn.Module):
    """Scenes ``(batch, frames, channels, height, width)``, each frame by itself, to maps ``(batch, frames, channels[0],
    height, width)``."""

    accepts = ("scene",)
    tiny = {"channels": (4, 6, 8)}

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        channels: tuple[Count, ...] = (16, 32, 64, 128, 256)
        """Maps at each size of the picture, the next half as high and wide."""
        steps: Whole = 2
        """How often each recurrent layer feeds its state back."""
        norm: Literal["bn_shared", "bn_per_step"] = "bn_shared"
        """Batch normalisation, one for all steps as in the common form, or of its own for each."""
        dropout: Share = 0.0
        """Share of values dropped at the coarsest size, in training."""
        recompute: bool = False
        """Whether recurrent layers are computed once more for the gradient, for a fraction of the memory."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        norm = SharedNorm if s.norm == "bn_shared" else StepNorm
        layer = partial(TiedRCL, steps=s.steps, norm=norm, recompute=s.recompute)
        self.shape = UShape(spec.channels, s.channels, block=partial(Residual, layer), biased=True)
        self.dropout = nn.Dropout(s.dropout)
        self.levels = (Level(s.channels[0], spec.space, 1),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def forward(self, seq: Seq, state: None = None) -> Features:
        folded = Folded(seq)
        return Features((folded.seq(self.shape(folded.pictures, self.dropout)),))


class Residual(nn.Module):
    """Two recurrent layers, and what they were given beside them."""

    def __init__(self, layer: partial[TiedRCL], inputs: int, size: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(inputs, size, 1)
        self.first, self.second = layer(size), layer(size)

    def forward(self, x: Tensor) -> Tensor:
        x = self.widen(x)
        y, _ = self.first(x)
        y, _ = self.second(y)
        return x + y
