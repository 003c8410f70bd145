"""Convolution and pooling whose time axis looks back only, in pieces or whole."""

from __future__ import annotations

from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.layers._axes import CONVOLUTIONS, MAX_POOLS, Size, each, far_side
from crnn.layers._given import SPACE, channels_first, check_axes, check_lengths, check_state, check_window, traced
from crnn.layers.padding import out_length, zero_padding

State: TypeAlias = tuple[Tensor]
"""The inputs that the next output looks back at, ``(batch, channels, steps, *space)``."""


class _Causal(nn.Module):
    """Windows over time that end at the steps 0, ``stride``, 2 ``stride``, ... of a stream.

    A state holds the inputs from the beginning of the next window on. It is ``context`` steps long where a window ends
    with the next step, and one shorter for each step that must come before. With a stride that leaves steps out the
    window is thought as wide as the stride, so that a state never has less than no steps.
    """

    def __init__(self, axes: int, inputs: int | None, *, reach: int, stride: int, border: float) -> None:
        super().__init__()
        self.axes, self.inputs, self.reach, self.step, self.border = axes, inputs, reach, stride, border
        self.context = max(reach, stride - 1)

    def out_lengths(self, lengths: Tensor, state: State | None = None) -> Tensor:
        """Steps that come out of ``lengths`` steps, the first of a stream or those that follow ``state``."""
        kept = self.context if state is None else state[0].shape[2]
        return out_length(lengths + kept, self.context + 1, self.step)

    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        self._check(x, state, lengths)
        x = zero_padding(x, lengths, axis=2)
        space = (0, 0) * (self.axes - 1)
        # a stream's start is padded and not joined with zeros, which would lose the channels_last layout
        start = (*space, self.context, 0)
        x = F.pad(x, start, value=self.border) if state is None else torch.cat([state[0], x], dim=2)
        steps = (x.shape[2] - self.context - 1) // self.step + 1
        if steps:
            y = self._windows(x[:, :, self.context - self.reach :])
        else:  # no window has ended yet; what comes out has no step, but all its other axes
            y = self._windows(F.pad(x, (*space, 0, self.context + 1)))[:, :, :0]
        if lengths is not None:
            y = zero_padding(y, self.out_lengths(lengths, state), axis=2)
        return y, (x[:, :, steps * self.step :],)

    def _windows(self, x: Tensor) -> Tensor:
        """What comes out of every window that lies in ``x``."""
        raise NotImplementedError

    def _check(self, x: Tensor, state: State | None, lengths: Tensor | None) -> None:
        if traced():
            return
        check_axes("x", x, channels_first(self.axes), self.inputs)
        check_lengths(lengths, x.shape[0], x.shape[2])
        kept = self.context
        if isinstance(state, (tuple, list)) and state and isinstance(state[0], Tensor) and state[0].dim() == x.dim():
            kept = min(max(state[0].shape[2], self.context - self.step + 1), self.context)
        check_state(state, [(*x.shape[:2], kept, *x.shape[3:])])


class CausalConv(_Causal):
    """Convolution over ``(batch, channels, time, *space)`` that looks back only:
    ``y[t] = b + sum_j W[j] x[stride t - dilation (k - 1 - j)]``, with zeros before the first step.

    ``y, state = layer(x, state, lengths)``; ``state`` goes on with the next piece, pieces of any lengths joined along
    time are the whole, with a stride too. ``y`` has one step for each ``stride`` steps begun
    (``out_lengths(lengths, state)``) and zeros in the padding. A piece may have ``lengths``: a sample ends there, and
    has length 0 in the pieces that follow. Space is padded as torch's ``padding="same"``, so its kernels may be even,
    and comes out divided by its stride, rounded up.

    ``space`` is the number of axes of space; ``kernel_size``, ``stride`` and ``dilation`` have one number for time and
    for each of these, or one for all. Raises ``ShapeError``, ``SettingsError``.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: Size = 3,
        *,
        space: int = 0,
        stride: Size = 1,
        dilation: Size = 1,
        bias: bool = True,
    ) -> None:
        axes = 1 + space
        kernel, strides = each("kernel_size", kernel_size, axes), each("stride", stride, axes)
        apart = each("dilation", dilation, axes)
        reach = [d * (k - 1) for k, d in zip(kernel, apart, strict=True)]
        super().__init__(axes, inputs, reach=reach[0], stride=strides[0], border=0.0)
        self.outputs = outputs
        self.far = far_side(reach[1:])
        padding = (0, *(r // 2 for r in reach[1:]))
        self.conv = CONVOLUTIONS[axes](inputs, outputs, kernel, strides, padding, apart, bias=bias)

    def _windows(self, x: Tensor) -> Tensor:
        return self.conv(x if self.far is None else F.pad(x, self.far))


class CausalMaxPool(_Causal):
    """Largest value of each window over ``(batch, channels, time, *space)`` that looks back only:
    ``y[t] = max_j x[stride t - j]``, ``j = 0 .. k - 1``; a window of space lies in it whole, as in ``MaxPool``.

    State, lengths, pieces and numbers are those of ``CausalConv``; before the first step stands nothing, so values may
    be negative. ``stride`` is by default the kernel. Raises ``ShapeError``, ``SettingsError``.
    """

    def __init__(self, kernel_size: Size, *, space: int = 0, stride: Size | None = None) -> None:
        axes = 1 + space
        kernel = each("kernel_size", kernel_size, axes)
        strides = kernel if stride is None else each("stride", stride, axes)
        super().__init__(axes, None, reach=kernel[0] - 1, stride=strides[0], border=-torch.inf)
        self.kernel = kernel
        self.pool = MAX_POOLS[axes](kernel, strides)

    def _windows(self, x: Tensor) -> Tensor:
        return self.pool(x)

    def _check(self, x: Tensor, state: State | None, lengths: Tensor | None) -> None:
        super()._check(x, state, lengths)
        check_window(self.kernel[1:], x.shape[3:], SPACE[: self.axes - 1])
