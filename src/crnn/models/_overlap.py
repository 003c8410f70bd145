"""Overlapping pools over pictures, 3 x 3 places with a stride of 2."""

from __future__ import annotations

from torch import Tensor, nn

from crnn.layers import MaxPool, out_length, zero_padding


class OverlapMax(MaxPool):
    """Largest of each window over ``(batch, channels, time, height)``; ``forward(x, lengths) -> (y, lengths)``, half as
    long and high, rounded up."""

    def __init__(self) -> None:
        super().__init__(3, stride=2, padding=1)


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
