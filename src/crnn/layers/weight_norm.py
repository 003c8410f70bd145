"""Filters learned as a length and a direction (Salimans & Kingma 2016, arXiv 1602.07868)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class WeightNormConv1d(nn.Conv1d):
    """A convolution ``(batch, inputs, time)`` whose filters are ``w = g v / |v|``: ``length`` ``g`` ``(outputs,)`` has
    one number for each, ``weight`` holds the directions ``v``.

    ``WeightNormConv1d.of(conv)`` begins as the function that ``conv`` is. It has no ``padding_mode`` but zeros.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(inputs, outputs, kernel_size, stride, padding, dilation, bias=bias)
        self.length = nn.Parameter(self.weight.detach().flatten(1).norm(dim=1))

    @classmethod
    @torch.no_grad()
    def of(cls, conv: nn.Conv1d) -> WeightNormConv1d:
        """A layer with the sizes and weights of ``conv``."""
        (kernel,), (stride,), (dilation,) = conv.kernel_size, conv.stride, conv.dilation
        assert conv.groups == 1 and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)
        new = cls(
            conv.in_channels,
            conv.out_channels,
            kernel,
            stride=stride,
            padding=int(conv.padding[0]),
            dilation=dilation,
            bias=conv.bias is not None,
        ).to(conv.weight)
        new.weight.copy_(conv.weight)
        new.length.copy_(conv.weight.flatten(1).norm(dim=1))
        if new.bias is not None and conv.bias is not None:
            new.bias.copy_(conv.bias)
        return new

    def filters(self) -> Tensor:
        """``(outputs, inputs, kernel_size)``."""
        return self.weight * (self.length / self.weight.flatten(1).norm(dim=1))[:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        return F.conv1d(x, self.filters(), self.bias, self.stride, self.padding, self.dilation)
