"""Overlapping pools over pictures, 3 x 3 places with a stride of 2, whose windows never see behind a sample's end."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crnn.layers import MaxPool, mask, out_length, zero_padding


class OverlapMax(nn.Module):
    """Largest of each window over ``(batch, channels, time, height)``; ``forward(x, lengths) -> (y, lengths)``, half as
    long and high, rounded up. Values may be negative: border and padding are never the largest."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = MaxPool(3, stride=2, padding=1)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if lengths is not None:
            x = torch.where(mask(lengths, x.shape[2])[:, None, :, None], x, x.new_full((), -torch.inf))
        return self.pool(x, lengths)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.pool.out_lengths(lengths)


class OverlapMean(nn.Module):
    """Mean of each window, as ``OverlapMax`` takes the largest; border and padding count as zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, stride=2, padding=1)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if lengths is None:
            return self.pool(x), None
        lengths, y = self.out_lengths(lengths), self.pool(zero_padding(x, lengths, axis=2))
        return zero_padding(y, lengths, axis=2), lengths

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return out_length(lengths, 3, 2, 1)
