"""The shape that U-Nets share: down to a coarse view of a picture and up again, with a bridge at each size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.errors import SettingsError
from crnn.layers import ConvBlock

Make = Callable[[int, int], nn.Module]
"""Made of maps in and out; takes and gives ``(pictures, channels, height, width)``."""


class UShape(nn.Module):
    """``(pictures, inputs, height, width)`` to ``(pictures, channels[0], height, width)``: a ``block`` at each size on
    the way down, at half the size of the one before (rounded up), and on the way up one that sees the maps from below,
    brought to its size and width, beside those of the way down. ``bottom`` is put between the two ways.

    Raises ``SettingsError`` where ``channels``, a setting of the encoder, names no size."""

    def __init__(self, inputs: int, channels: Sequence[int], *, block: Make, biased: bool = False) -> None:
        super().__init__()
        if not channels:
            do = "Name one size."
            raise SettingsError("encoder.channels is empty", expected="maps at each size of the picture", do=do)
        self.down = nn.ModuleList(block(i, o) for i, o in zip((inputs, *channels), channels, strict=False))
        pairs = list(pairwise(channels))
        self.up = nn.ModuleList(
            ConvBlock(below, here, 3, bias=biased or None, activation=nn.ReLU()) for here, below in pairs
        )
        self.join = nn.ModuleList(block(2 * here, here) for here in channels[:-1])

    def forward(self, x: Tensor, bottom: Callable[[Tensor], Tensor] = lambda x: x) -> Tensor:
        bridges: list[Tensor] = []
        for i, block in enumerate(self.down):
            if i:
                x = F.max_pool2d(x, 2, ceil_mode=True)
            x = block(x)
            bridges.append(x)
        x = bottom(x)
        for up, join, bridge in zip(self.up[::-1], self.join[::-1], bridges[-2::-1], strict=True):  # type: ignore[arg-type]
            x, _ = up(doubled(x, bridge))
            x = join(torch.cat([bridge, x], dim=1))
        return x


def doubled(x: Tensor, like: Tensor) -> Tensor:
    """Each place of ``x`` four times, as high and wide as ``like``."""
    x = F.interpolate(x, scale_factor=2, mode="nearest")
    return x[..., : like.shape[-2], : like.shape[-1]]
