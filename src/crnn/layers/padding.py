"""Lengths and masks: what padding is, and how it stays zero.

All functions take ``lengths`` ``(batch,)`` of the time axis, or ``None`` where no sample is padded.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from crnn.layers._given import traced


def mask(lengths: Tensor, steps: int) -> Tensor:
    """``(batch, steps)``, true where a step belongs to its sample."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def keep(x: Tensor, lengths: Tensor, *, axis: int) -> Tensor:
    """1 for true steps and 0 for padding, in ``x``'s type and of a shape that multiplies it."""
    shape = [1] * x.dim()
    shape[0], shape[axis] = x.shape[0], x.shape[axis]
    return mask(lengths, x.shape[axis]).to(x.dtype).view(shape)


def zero_padding(x: Tensor, lengths: Tensor | None, *, axis: int) -> Tensor:
    """``x`` with zeros where axis ``axis`` lies behind its sample's length, whatever stood there."""
    if lengths is None:
        return x
    # a product would spread what is not finite (0 * inf), so padding is chosen away
    return torch.where(keep(x, lengths, axis=axis) > 0, x, x.new_zeros(()))


def at_least(x: Tensor, lengths: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """``x`` ``(batch, time, ...)``, zero in its padding, with every sample shorter than ``steps`` made that long by
    zeros; so a network whose pools would leave nothing of a tiny sample gives its shortest answer."""
    # an exported graph cannot choose by size, and more padding changes nothing
    missing = steps - 1 if torch.onnx.is_in_onnx_export() else max(0, steps - x.shape[1])
    if missing:
        x = F.pad(x, (0, 0) * (x.dim() - 2) + (0, missing))
    return x, lengths.clamp(min=steps)


def reverse(x: Tensor, lengths: Tensor | None) -> Tensor:
    """``x`` ``(batch, time, ...)`` with each sample's own steps in the opposite order; padding stays where it is."""
    if lengths is None:
        return x.flip(1)
    time = torch.arange(x.shape[1], device=x.device)
    mirrored = lengths[:, None] - 1 - time
    index = torch.where(mirrored >= 0, mirrored, time)
    if torch.onnx.is_in_onnx_export():
        return torch.gather(x, 1, index.view(*index.shape, *[1] * (x.dim() - 2)).expand_as(x))
    if traced():
        return _rows(x, index)
    return _Permute.apply(x, index)


class _Permute(torch.autograd.Function):
    """Rows of ``x`` in another order. Reversal is its own inverse, so the gradient takes the same way back: rows are
    copied, where autograd's own gradient of an indexing would add them up one by one."""

    @staticmethod
    def forward(ctx, x: Tensor, index: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(index)
        return _rows(x, index)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[override]
        return _rows(gradient.contiguous(), ctx.saved_tensors[0]), None


def _rows(x: Tensor, index: Tensor) -> Tensor:
    batch, steps = index.shape
    flat = (index + torch.arange(batch, device=x.device)[:, None] * steps).flatten()
    return x.flatten(0, 1).index_select(0, flat).view(x.shape)


def out_length(lengths: Tensor, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
    """Steps that a convolution or pooling makes of ``lengths`` steps (none of fewer than its kernel)."""
    return ((lengths + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1).clamp(min=0)
