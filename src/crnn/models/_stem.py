"""A strided stem: convolutions that make a picture small before a recurrence over both of its axes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from crnn.config import Count
from crnn.layers import ConvBlock
from crnn.models._chain import Chain


@dataclass(frozen=True, slots=True, kw_only=True)
class StemSettings:
    """Sizes of the stem."""

    stem: tuple[Count, ...] = (32, 64)
    """Feature maps of the convolutions before; none in the paper."""
    strides: tuple[tuple[Count, Count], ...] = ((2, 2), (3, 2))
    """Columns and rows by which each convolution strides."""


class Stem(Chain):
    """``(batch, inputs, time, height)`` and lengths to ``(batch, outputs, time / columns, height / rows)`` and theirs;
    each convolution with batch normalisation and ReLU."""

    def __init__(self, inputs: int, settings: StemSettings) -> None:
        widths = (inputs, *settings.stem)
        super().__init__(
            ConvBlock(width, channels, stride=stride, activation=nn.ReLU(inplace=True))
            for width, channels, stride in zip(widths, settings.stem, settings.strides, strict=False)
        )
        self.outputs = widths[-1]
