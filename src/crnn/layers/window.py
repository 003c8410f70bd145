"""What a cell sees of its input and of its own state: everything at once, or a window around each place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.errors import SettingsError
from crnn.layers._axes import CONVOLUTIONS, Size, each, far_side


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Makes a cell convolutional: what it sees around each place of ``space`` axes.

    A size is one number for all axes or one for each; it may be odd or even. ``stride`` and ``dilation`` are those of
    the convolution of the input, ``state_kernel_size`` (by default ``kernel_size``) and ``state_dilation`` those of
    the convolution of the state, which always keeps its size.
    """

    space: int = 2
    kernel_size: Size = 3
    state_kernel_size: Size | None = None
    stride: Size = 1
    dilation: Size = 1
    state_dilation: Size = 1

    def __post_init__(self) -> None:
        if self.space not in CONVOLUTIONS:
            do = "A cell without space has no window."
            raise SettingsError(f"space is {self.space}", expected="1, 2 or 3", do=do)

    def of_input(self, inputs: int, outputs: int, *, bias: bool) -> SameConv:
        kernel = each("kernel_size", self.kernel_size, self.space)
        stride, dilation = each("stride", self.stride, self.space), each("dilation", self.dilation, self.space)
        return SameConv(inputs, outputs, kernel, stride, dilation, bias=bias)

    def of_state(self, inputs: int, outputs: int) -> SameConv:
        size = self.kernel_size if self.state_kernel_size is None else self.state_kernel_size
        kernel = each("state_kernel_size", size, self.space)
        dilation = each("state_dilation", self.state_dilation, self.space)
        return SameConv(inputs, outputs, kernel, (1,) * self.space, dilation, bias=False)

    def out_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Places that the state has for a picture of ``size``."""
        return tuple(-(-n // s) for n, s in zip(size, each("stride", self.stride, self.space), strict=True))


class SameConv(nn.Module):
    """Convolution over ``(batch, channels, *space)`` that keeps the picture's size, divided by ``stride`` and rounded
    up. Zeros around it; an even kernel has the odd one out at the far side."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: Sequence[int],
        stride: Sequence[int],
        dilation: Sequence[int],
        *,
        bias: bool,
    ) -> None:
        super().__init__()
        border = [d * (k - 1) for k, d in zip(kernel_size, dilation, strict=True)]
        self.padding = tuple(b // 2 for b in border)
        self.far = far_side(border)
        self.conv = CONVOLUTIONS[len(border)](
            inputs, outputs, tuple(kernel_size), tuple(stride), self.padding, tuple(dilation), bias=bias
        )

    @property
    def weight(self) -> Tensor:
        return self.conv.weight

    @property
    def bias(self) -> Tensor | None:
        return self.conv.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x if self.far is None else F.pad(x, self.far))


class NoInput(nn.Module):
    """The map of a cell that has no input, such as the first layer of a forecaster: ``x`` ``(batch, 0, *space)`` says
    how many steps and places there are, and all that it gives is the bias."""

    weight = None

    def __init__(self, outputs: int, *, bias: bool) -> None:
        super().__init__()
        self.outputs = outputs
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        bias = x.new_zeros(self.outputs) if self.bias is None else self.bias
        return bias.view(-1, *[1] * (x.dim() - 2)).expand(x.shape[0], self.outputs, *x.shape[2:])
