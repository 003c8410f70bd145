"""A name for each place: what each level of an encoder says of it, brought together at the size of the picture."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.types import Seq


class MapHead(nn.Module):
    """A linear layer on each place of each level (fine to coarse), and their sum: levels ``(batch, time, channels,
    height, width)`` to ``(batch, time, outputs, height, width)`` at the size of the finest. To sum up what each says is
    to put a linear layer on all of them brought to one size, at a fraction of the work."""

    def __init__(self, encoder: Any, outputs: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.ModuleList(
            nn.Conv2d(level.channels, outputs, 1, bias=not i) for i, level in enumerate(encoder.levels)
        )

    def forward(self, features: Any) -> Seq:
        shape, lengths = features.levels[0].x.shape[:2], features.levels[0].lengths
        y: Tensor | None = None
        for linear, level in zip(reversed(self.linear), reversed(features.levels), strict=True):
            z = linear(self.dropout(level.x.flatten(0, 1))).float()  # each frame by itself
            y = z if y is None else z + grown(y, z)
        assert y is not None
        return Seq(y.view(*shape, *y.shape[1:]), lengths)


class OwnAnswer(nn.Module):
    """The levels of an encoder that names places itself, once at each of its instances; the last is the answer, all of
    them are what it learns from."""

    def forward(self, features: Any, told: str = "") -> Any:
        levels = [Seq(level.x.float(), level.lengths) for level in features.levels]
        return levels if told == "all" else levels[-1]


class Shares(nn.Module):
    """A net's answer to the last frame of each sample as probabilities ``(batch, outputs, height, width)`` of its
    pixels."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.encoder = net, net.encoder

    def forward(self, inputs: Seq) -> Tensor:
        y = last(self.net(inputs).x, inputs.lengths)
        return grown(y, inputs.x[:, 0]).float().softmax(1)


def last(x: Tensor, lengths: Tensor) -> Tensor:
    """The last true frame of each sample of ``x`` ``(batch, frames, ...)``."""
    return x[:, 0] if x.shape[1] == 1 else x[torch.arange(x.shape[0], device=x.device), lengths - 1]


def grown(x: Tensor, like: Tensor) -> Tensor:
    """``x`` ``(pictures, channels, height, width)`` at the size of ``like``: a whole number of times as large, between
    places by straight lines, cut off at the right and at the bottom."""
    if x.shape[-2:] == like.shape[-2:]:
        return x
    factor = max(-(-big // small) for big, small in zip(like.shape[-2:], x.shape[-2:], strict=True))
    power = 1 << (int(factor) - 1).bit_length()
    x = F.interpolate(x, scale_factor=power, mode="bilinear", align_corners=False)
    return x[..., : like.shape[-2], : like.shape[-1]]
