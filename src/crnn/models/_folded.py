"""Frames as pictures of their own: true frames of all samples one after the other, for networks that see each alone."""

from __future__ import annotations

import torch
from torch import Tensor

from crnn.layers import mask, zero_padding
from crnn.types import Seq


class Folded:
    """The true frames of a ``Seq`` ``(batch, time, channels, height, width)`` as ``pictures`` ``(frames, channels,
    height, width)``: padding is left out, so no statistics see it. ``seq`` brings what was made of them back."""

    def __init__(self, seq: Seq) -> None:
        x, self.lengths = seq
        self.shape = x.shape[:2]
        there = mask(self.lengths, x.shape[1])
        # an exported graph has no frames to choose from at first, and its statistics are learned already
        self.there = None if torch.onnx.is_in_onnx_export() or bool(there.all()) else there
        self.pictures = self.fold(x)

    def fold(self, x: Tensor) -> Tensor:
        """The true frames of ``x`` ``(batch, time, ...)``."""
        frames = x.flatten(0, 1) if self.there is None else x[self.there]
        return frames.contiguous(memory_format=torch.channels_last)

    def seq(self, y: Tensor) -> Seq:
        """``y`` ``(frames, channels, height, width)`` as ``(batch, time, channels, height, width)``, zeros in the
        padding."""
        if self.there is None:
            y = y.reshape(*self.shape, *y.shape[1:])
            return Seq(zero_padding(y, self.lengths, axis=1) if torch.onnx.is_in_onnx_export() else y, self.lengths)
        whole = y.new_zeros(*self.shape, *y.shape[1:])
        whole[self.there] = y
        return Seq(whole, self.lengths)


def halves(size: tuple[int, ...], times: int) -> tuple[int, ...]:
    """Places that are left of ``size`` if it is halved so often, rounded up."""
    for _ in range(times):
        size = tuple(-(-side // 2) for side in size)
    return size
