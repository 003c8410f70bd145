"""unet: down to a coarse view and up again, with a bridge at each size (Ronneberger et al. 2015, arXiv 1505.04597).

For films, a ConvLSTM or ConvGRU goes through the coarse views of the frames.

"U-Net: Convolutional Networks for Biomedical Image Segmentation", with batch normalisation and borders of zeros, so
that pictures keep their size; the paper has five sizes of 64, 128, 256, 512 and 1024 maps. A frame sees none after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from crnn.config import Count, Share
from crnn.layers import ConvBlock, ConvGRU, ConvLSTM, Recurrent
from crnn.models._folded import Folded
from crnn.models._u_shape import UShape
from crnn.types import Features, InputSpec, Level, Seq


class UNet(nn.Module):
    """Scenes ``(batch, frames, channels, height, width)`` to maps ``(batch, frames, channels[0], height, width)``; of a
    film, ``state`` is what the bottom remembers."""

    accepts = ("scene",)
    causal = True
    tiny = {"channels": (4, 6, 8)}

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        channels: tuple[Count, ...] = (16, 32, 64, 128)
        """Maps at each size of the picture, the next half as high and wide."""
        bottom: Literal["none", "convlstm", "convgru"] = "none"
        """What goes through the frames of a film, at the coarsest size."""
        kernel: Count = 3
        """Side of what it sees of its input and of its state."""
        dropout: Share = 0.2
        """Share of values dropped at the coarsest size, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        self.shape = UShape(spec.channels, s.channels, block=Twice)
        self.dropout = nn.Dropout(s.dropout)
        make = {"convlstm": ConvLSTM, "convgru": ConvGRU}.get(s.bottom)
        coarse = s.channels[-1]
        self.bottom: Recurrent | None = None if make is None else make(coarse, coarse, s.kernel)
        self.levels = (Level(s.channels[0], spec.space, 1),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def forward(self, seq: Seq, state: Any = None) -> Features:
        folded, states = Folded(seq), [state]

        def through(x: Tensor) -> Tensor:
            x = self.dropout(x)
            if self.bottom is None:
                return x
            y, states[0] = self.bottom(folded.seq(x).x, state, seq.lengths)
            return folded.fold(y)

        return Features((folded.seq(self.shape(folded.pictures, through)),), states[0])


class Twice(nn.Module):
    """Two convolutions, one behind the other."""

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.first = ConvBlock(inputs, size, 3, activation=nn.ReLU())
        self.second = ConvBlock(size, size, 3, activation=nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.first(x)
        y, _ = self.second(y)
        return y
