"""What is where: a heat map of centres for each label, and from each place the way to the edges of its thing.

Centres as in "Objects as Points" (Zhou et al. 2019, arXiv 1904.07850), edges as in FCOS (Tian et al. 2019, arXiv
1904.01355), levels brought together from coarse to fine (Lin et al. 2017, arXiv 1612.03144).
"""

from __future__ import annotations

from math import log, log2
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.layers import ConvBlock
from crnn.tasks._maps.head import grown

RARE = 0.01  # how probable a centre is at a place before anything is learned


class BoxHead(nn.Module):
    """Levels ``(batch, time, channels, height, width)`` of an encoder for pictures of ``tile`` (height, width) to
    ``(batch, labels + 4, height, width)`` of the last true frame: logits of centres, and the distances to the left,
    upper, right and lower edge as logarithms of some unit, at places ``stride`` pixels apart.

    Levels finer than ``every`` pixels are not looked at; where all are, the coarsest is made coarser.
    """

    def __init__(self, encoder: Any, labels: int, tile: tuple[int, int], *, every: int, width: int) -> None:
        super().__init__()
        strides = [_stride(tile, level.space) for level in encoder.levels]
        wanted = 1 << round(log2(max(1, every)))
        used = [i for i, stride in enumerate(strides) if stride >= wanted] or [strides.index(max(strides))]
        self.used = sorted(used, key=strides.__getitem__)
        self.stride = max(wanted, strides[self.used[0]])
        channels = [encoder.levels[i].channels for i in self.used]
        self.beside = nn.ModuleList(ConvBlock(size, width, 1, activation=nn.ReLU()) for size in channels)
        halvings = round(log2(self.stride / strides[self.used[0]]))
        self.coarser = nn.ModuleList(
            ConvBlock(width, width, 3, stride=2, activation=nn.ReLU()) for _ in range(halvings)
        )
        self.joined, self.heat, self.edges = (ConvBlock(width, width, 3, activation=nn.ReLU()) for _ in range(3))
        self.centre, self.sides = nn.Conv2d(width, labels, 1), nn.Conv2d(width, 4, 1)
        for layer, bias in ((self.centre, -log((1 - RARE) / RARE)), (self.sides, 0.0)):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, bias)  # type: ignore[arg-type]

    def forward(self, features: Any) -> Tensor:
        levels = [_last(features.levels[i]) for i in self.used]
        y: Tensor | None = None
        for beside, level in zip(reversed(self.beside), reversed(levels), strict=True):
            z, _ = beside(level)
            y = z if y is None else z + grown(y, z)
        assert y is not None
        for half in self.coarser:
            y, _ = half(y)
        y, _ = self.joined(y)
        heat, edges = self.heat(y)[0], self.edges(y)[0]
        return torch.cat([self.centre(heat), self.sides(edges)], dim=1).float()


def _last(seq: Any) -> Tensor:
    """The last true frame of each sample, ``(batch, channels, height, width)``."""
    x, lengths = seq
    last = x[:, 0] if x.shape[1] == 1 else x[torch.arange(len(x), device=x.device), lengths - 1]
    return last.contiguous(memory_format=torch.channels_last)


def _stride(tile: tuple[int, int], space: tuple[int, ...]) -> int:
    """Pixels from one place of a level to the next, a power of two."""
    return max(1 << max(0, round(log2(whole / max(1, left)))) for whole, left in zip(tile, space, strict=True))


def peaks(heat: Tensor) -> Tensor:
    """Probabilities ``(batch, labels, height, width)``, 0 where a neighbour is more probable."""
    return heat * (F.max_pool2d(heat, 3, stride=1, padding=1) == heat)
