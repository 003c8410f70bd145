"""Convolution that knows lengths: a sample gives the same alone and in any batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from crnn.layers._axes import CONVOLUTIONS, MAX_POOLS, Size, each, kernel_of
from crnn.layers._given import channels_first, check_axes, check_window
from crnn.layers.norm import BatchNorm
from crnn.layers.padding import keep, out_length, zero_padding


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, activation over ``(batch, channels, time, *space)``.

    ``forward(x, lengths)`` gives ``(y, lengths)``. Padding is zero going in and coming out, as the convolution's own
    border is, so no sample sees who shares its batch. ``activation`` must keep zero (ReLU, SiLU, leaky ReLU, tanh).

    ``kernel_size`` has one number for time and for each axis of space, ``stride`` and ``padding`` too or one for all; a
    ``kernel_size`` of one number is for pictures of lines, time and height. Padding defaults to half the kernel.
    ``norm=False`` leaves normalisation out, ``activation=None`` is the identity. A bias before a norm does nothing, so
    by default there is none; ``bias`` puts one there for papers whose network has it.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: Size = 3,
        *,
        stride: Size = 1,
        padding: Size | None = None,
        norm: bool = True,
        bias: bool | None = None,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        kernel = kernel_of(kernel_size)
        axes = len(kernel)
        pad = tuple(k // 2 for k in kernel) if padding is None else each("padding", padding, axes, least=0)
        bias = not norm if bias is None else bias
        self.conv = CONVOLUTIONS[axes](inputs, outputs, kernel, each("stride", stride, axes), pad, bias=bias)
        self.norm = BatchNorm(outputs) if norm else None
        self.activation = activation

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        _check(x, self.conv.in_channels, self.conv.kernel_size, self.conv.padding, self.conv.dilation)
        y = self.conv(x)
        if lengths is not None:
            lengths = self.out_lengths(lengths)
            y = y.mul_(keep(y, lengths, axis=2))  # in place: a convolution's gradient does not need its output
        if self.norm is not None:
            y = self.norm(y, lengths)
        return (y if self.activation is None else self.activation(y)), lengths

    def out_lengths(self, lengths: Tensor) -> Tensor:
        c = self.conv
        return out_length(lengths, c.kernel_size[0], c.stride[0], int(c.padding[0]), c.dilation[0])

    @torch.no_grad()
    def fold(self) -> None:
        """Put the normalisation into the filters: the same function in ``eval()``, one pass less. Not to be trained."""
        if self.norm is None:
            return
        n, c = self.norm, self.conv
        scale = n.weight * (n.running_var + n.eps).rsqrt()
        c.weight.mul_(scale.view(-1, *[1] * (c.weight.dim() - 1)))
        mean = n.running_mean if c.bias is None else n.running_mean - c.bias
        c.bias = nn.Parameter(n.bias - mean * scale)
        self.norm = None


class MaxPool(nn.Module):
    """Largest value of each window over ``(batch, channels, time, *space)``; ``forward(x, lengths) -> (y, lengths)``.

    As in ``torch.nn``, what ``padding`` adds is never the largest, and neither is what lies behind a sample's length;
    the padding of ``y`` is zero.
    """

    def __init__(
        self,
        kernel_size: Size,
        *,
        stride: Size | None = None,
        padding: Size = 0,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_of(kernel_size)
        axes = len(self.kernel_size)
        self.stride = self.kernel_size if stride is None else each("stride", stride, axes)
        self.padding = each("padding", padding, axes, least=0)
        self.pool = MAX_POOLS[axes](self.kernel_size, self.stride, self.padding)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        _check(x, None, self.kernel_size, self.padding, (1,) * len(self.kernel_size))
        if lengths is None:
            return self.pool(x), None
        if self.padding[0]:  # else no window that counts reaches behind a sample's length
            # a sample without a step has its first, which is zero: windows over nothing would give -inf
            inside = keep(x, lengths.clamp(min=1), axis=2) > 0
            x = torch.where(inside, x, x.new_full((), -torch.inf))
        lengths = self.out_lengths(lengths)
        return zero_padding(self.pool(x), lengths, axis=2), lengths

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return out_length(lengths, self.kernel_size[0], self.stride[0], self.padding[0])


def _check(x: Tensor, channels: int | None, kernel: Sequence[int], padding: Any, dilation: Sequence[int]) -> None:
    """``x`` has the axes and channels that are expected, and room for the window."""
    axes = channels_first(len(kernel))
    check_axes("x", x, axes, channels)
    covered = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    check_window(covered, [n + 2 * p for n, p in zip(x.shape[2:], padding, strict=True)], axes[2:])
