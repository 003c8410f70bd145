"""A cell's linear maps and their gradients as plain functions, for steps that write their gradients out themselves.

On a processor whose kernels want the weights of a convolution in an order of their own, that order is made once for all
steps.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.layers.window import NoInput, SameConv

ops = torch.ops.aten


class LinearMap:
    """``x`` ``(any, *space, inputs)`` to ``(any, *space, outputs)``: what ``module`` computes with ``weight`` and
    ``bias`` in its place, and the gradients of it. Not seen by autograd."""

    def __init__(self, module: nn.Module, weight: Tensor | None, bias: Tensor | None = None) -> None:
        self.module = module
        self.same = module if isinstance(module, SameConv) else None
        self.weight, self.bias = weight, bias
        self._packed: dict[bool, Tensor] = {}

    def __call__(self, x: Tensor) -> Tensor:
        if isinstance(self.module, NoInput):
            bias = x.new_zeros(self.module.outputs) if self.bias is None else self.bias
            return bias.expand(*x.shape[:-1], -1).clone()
        assert self.weight is not None
        if self.same is None:
            return F.linear(x, self.weight, self.bias)
        if self._packs(x):
            return self._packed_conv(self._padded(x), False).movedim(1, -1)
        return ops.convolution(self._padded(x), self.weight, self.bias, *self._settings()).movedim(1, -1)

    def to_input(self, gradient: Tensor, x: Tensor) -> Tensor:
        """The gradient of ``x`` from that of the output."""
        if self.weight is None:
            return torch.zeros_like(x)
        if self.same is None:
            return gradient @ self.weight
        if self._packs(x):
            # it is a convolution by the mirrored filters; an even one has its odd place now at the near side
            far = self.same.far or (0,) * 4
            gradient = F.pad(gradient.movedim(-1, 1), (far[1], 0, far[3], 0)) if any(far) else gradient.movedim(-1, 1)
            return self._packed_conv(gradient, True).movedim(1, -1)
        d = self._backward(gradient, x, (True, False, False))[0]
        return d[(..., *(slice(0, n) for n in x.shape[1:-1]))].movedim(1, -1)

    def to_weight(self, gradient: Tensor, x: Tensor) -> Tensor | None:
        """The gradient of the weights from all steps at once."""
        if self.weight is None:
            return None
        if self.same is None:
            return gradient.flatten(0, -2).t() @ x.flatten(0, -2)
        return self._backward(gradient, x, (False, True, False))[1]

    def to_bias(self, gradient: Tensor) -> Tensor:
        """The gradient of the bias."""
        return gradient.flatten(0, -2).sum(0)

    def _backward(self, gradient: Tensor, x: Tensor, wanted: tuple[bool, ...]) -> Any:
        return ops.convolution_backward(
            gradient.movedim(-1, 1), self._padded(x), self.weight, None, *self._settings(), wanted
        )

    def _padded(self, x: Tensor) -> Tensor:
        assert self.same is not None
        x = x.movedim(-1, 1)
        return x if self.same.far is None else F.pad(x, self.same.far)

    def _settings(self) -> tuple:
        assert self.same is not None
        conv, axes = self.same.conv, len(self.same.padding)
        return conv.stride, conv.padding, conv.dilation, False, (0,) * axes, 1

    def _packs(self, x: Tensor) -> bool:
        """Whether the kernels' own order of weights is to be had: pictures on a processor, size kept."""
        assert self.same is not None
        return (
            x.dim() == 4
            and self.same.conv.stride == (1, 1)
            and x.device.type == "cpu"
            and (x.dtype == torch.float32 or (x.dtype == torch.bfloat16 and packs_bfloat16()))
            and torch.backends.mkldnn.is_available()
            and bool(torch.backends.mkldnn.enabled)
        )

    def _packed_conv(self, x: Tensor, mirrored: bool) -> Tensor:
        assert self.same is not None
        one, padding, dilation = (1, 1), self.same.padding, self.same.conv.dilation
        if mirrored not in self._packed:
            assert self.weight is not None
            weight = self.weight.flip(2, 3).transpose(0, 1).contiguous() if mirrored else self.weight
            self._packed[mirrored] = torch.ops.mkldnn._reorder_convolution_weight(
                weight, padding, one, dilation, 1, list(x.shape)
            )
        bias = None if mirrored else self.bias
        return torch.ops.mkldnn._convolution_pointwise(
            x, self._packed[mirrored], bias, padding, one, dilation, 1, "none", [], ""
        )


@cache
def packs_bfloat16() -> bool:
    """Whether this processor has what those kernels need for bfloat16."""
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()
