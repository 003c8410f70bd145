"""Recurrence inside a convolution: RCL (Liang & Hu, CVPR 2015), and gated (Wang & Hu, NIPS 2017)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from crnn.errors import SettingsError
from crnn.layers._axes import Size, each, kernel_of
from crnn.layers._given import channels_first, check_axes, check_lengths, check_window, traced
from crnn.layers.local_norm import LocalResponseNorm
from crnn.layers.norm import BatchNorm
from crnn.layers.padding import keep, zero_padding
from crnn.layers.window import SameConv


class LocalNorm(nn.Module):
    """Local response normalisation after each step, as in Liang & Hu: over ``channels // 8 + 1`` neighbours, with
    alpha 0.001, beta 0.75, k 1. No weights; ``steps`` does not matter to it."""

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        self.norm = LocalResponseNorm(channels // 8 + 1, alpha=1e-3, beta=0.75, k=1.0)

    def forward(self, x: Tensor, t: int, lengths: Tensor | None = None) -> Tensor:
        """``x`` normalised as the state of step ``t``."""
        return self.norm(x)


class StepNorm(nn.Module):
    """Batch normalisation with weights and statistics of its own for each of the steps 0 to ``steps``."""

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(BatchNorm(channels) for _ in range(steps + 1))

    def forward(self, x: Tensor, t: int, lengths: Tensor | None = None) -> Tensor:
        """``x`` normalised as the state of step ``t``."""
        return self.norms[t](x, lengths)


class SharedNorm(nn.Module):
    """One batch normalisation for all steps, whose statistics are a mixture of theirs; trains worse than ``StepNorm``
    and needs fewer weights. ``steps`` does not matter to it."""

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        self.norm = BatchNorm(channels)

    def forward(self, x: Tensor, t: int, lengths: Tensor | None = None) -> Tensor:
        """``x`` normalised as the state of step ``t``."""
        return self.norm(x, lengths)


Norm = Callable[[int, int], nn.Module]
"""Made of channels and steps; ``norm(x, t, lengths)`` is the state of step ``t``. It must keep zeros in the padding."""


class _Unfolded(nn.Module):
    """What all have in common that recur in place over ``(batch, channels, time, *space)`` and keep its size."""

    def __init__(self, inputs: int, axes: int, *, steps: int, recompute: bool) -> None:
        super().__init__()
        if steps < 0:
            raise SettingsError(f"steps is {steps}", expected="0 or more", do="Say how often the state is fed back.")
        self.inputs, self.axes, self.steps, self.recompute = inputs, axes, steps, recompute

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        names = channels_first(self.axes)
        check_axes("x", x, names, self.inputs)
        check_lengths(lengths, x.shape[0], x.shape[2])
        check_window((1,) * (x.dim() - 2), x.shape[2:], names[2:])  # a window may reach over the border, not miss all
        if self.recompute and torch.is_grad_enabled() and not traced():
            return checkpoint(self._from_padded, x, lengths, use_reentrant=False, context_fn=self._once), lengths
        return self._from_padded(x, lengths), lengths

    def out_lengths(self, lengths: Tensor) -> Tensor:
        """Steps that come out of ``lengths`` steps: as many."""
        return lengths

    def unfold(self, u: Tensor, inside: Tensor | None, lengths: Tensor | None) -> Tensor:
        """The last state, for ``u`` that is zero in the padding. ``inside`` is 1 for true steps and 0 for padding."""
        raise NotImplementedError

    def _from_padded(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        u = zero_padding(x, lengths, axis=2)
        return self.unfold(u, None if lengths is None else keep(u, lengths, axis=2), lengths)

    def _once(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _no_statistics(self)


@contextmanager
def _no_statistics(module: nn.Module) -> Iterator[None]:
    """Batch norms learn nothing meanwhile: who computes a batch a second time must not count it twice."""
    norms: list[Any] = [m for m in module.modules() if isinstance(getattr(m, "momentum", None), float)]
    momenta = {norm: norm.momentum for norm in norms}
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in momenta.items():
            norm.momentum = momentum


def _conv(inputs: int, outputs: int, kernel: tuple[int, ...], *, bias: bool) -> SameConv:
    one = (1,) * len(kernel)
    return SameConv(inputs, outputs, kernel, one, one, bias=bias)


def _kernels(kernel_size: Size, input_kernel_size: Size | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Kernels of the input and of the state; one number is for two axes, time and height."""
    kernel = kernel_of(kernel_size)
    first = kernel if input_kernel_size is None else each("input_kernel_size", input_kernel_size, len(kernel))
    return first, kernel


def _inside(z: Tensor, inside: Tensor | None) -> Tensor:
    """``z``, a convolution's output and nobody else's, made zero in the padding."""
    return z if inside is None else z.mul_(inside)


class RCL(_Unfolded):
    """Recurrent convolutional layer over ``(batch, channels, time, *space)``; ``forward(x, lengths)`` gives
    ``(y, lengths)`` with ``size`` channels and all axes as long as before.

    ``x(0) = g(relu(w_f * u + b))``, ``x(t) = g(relu(w_f * u + w_r * x(t - 1) + b))`` up to ``t = steps``: the input
    ``u`` is convolved once and added at each step, and with each step a unit sees further. ``w_r`` is the same at all
    steps. ``g`` is ``norm``: ``LocalNorm`` as in the paper, ``StepNorm``, ``SharedNorm``, a class like these, or
    ``None``.

    ``kernel_size`` is that of ``w_r``, one number for time and for each axis of space, odd or even; one number alone is
    for two axes. ``input_kernel_size`` is that of ``w_f``, by default the same (1 in the author's network for EEG).
    ``recompute`` keeps nothing but the input for the backward pass and computes the steps again: it saves memory where
    several layers follow each other, since then only one of them at a time is held whole. The input may hold anything
    in the padding; ``y`` is zero there. Raises ``ShapeError``, ``SettingsError``.
    """

    def __init__(
        self,
        inputs: int,
        size: int,
        *,
        kernel_size: Size = 3,
        input_kernel_size: Size | None = None,
        steps: int = 3,
        norm: Norm | None = StepNorm,
        bias: bool = True,
        recompute: bool = False,
    ) -> None:
        first, kernel = _kernels(kernel_size, input_kernel_size)
        super().__init__(inputs, len(kernel), steps=steps, recompute=recompute)
        self.of_input = _conv(inputs, size, first, bias=bias)
        self.of_state = _conv(size, size, kernel, bias=False) if steps else None
        self.norm = norm(size, steps) if norm is not None else None

    def unfold(self, u: Tensor, inside: Tensor | None, lengths: Tensor | None) -> Tensor:
        """The last state, for ``u`` that is zero in the padding. ``inside`` is 1 for true steps and 0 for padding."""
        driven = _inside(self.of_input(u), inside)
        x = self._normalised(driven.relu(), 0, lengths)
        for t in range(1, self.steps + 1):
            z = _inside(self.step(x, driven), inside)
            x = self._normalised(z.relu(), t, lengths)
        return x

    def step(self, x: Tensor, driven: Tensor) -> Tensor:
        """``z(t)`` of the state before and of what the input drives."""
        assert self.of_state is not None
        return self.of_state(x).add_(driven)  # in place: a convolution's gradient does not need its output

    def _normalised(self, x: Tensor, t: int, lengths: Tensor | None) -> Tensor:
        return x if self.norm is None else self.norm(x, t, lengths)


class SkiplessRCL(RCL):
    """The RCL without its input after the first step, ``x(t) = g(relu(w_r * x(t - 1)))``, like Pinheiro's network: the
    ablation with which Liang & Hu show what the shorter paths from the input are good for. All else as in ``RCL``."""

    def step(self, x: Tensor, driven: Tensor) -> Tensor:
        """``z(t)`` of the state before."""
        assert self.of_state is not None
        return self.of_state(x)


class TiedRCL(_Unfolded):
    """Recurrent convolutional layer of one kernel for input and state, over as many channels as it has (Alom et al.
    2018, arXiv 1802.06955): ``x(0) = relu(g(w * u + b))``, ``x(t) = relu(g(w * (u + x(t - 1)) + b))`` up to
    ``t = steps``. All else as in ``RCL``."""

    def __init__(
        self,
        size: int,
        *,
        kernel_size: Size = 3,
        steps: int = 2,
        norm: Norm | None = SharedNorm,
        bias: bool = True,
        recompute: bool = False,
    ) -> None:
        kernel, _ = _kernels(kernel_size, None)
        super().__init__(size, len(kernel), steps=steps, recompute=recompute)
        self.conv = _conv(size, size, kernel, bias=bias)
        self.norm = norm(size, steps) if norm is not None else None

    def unfold(self, u: Tensor, inside: Tensor | None, lengths: Tensor | None) -> Tensor:
        """The last state, for ``u`` that is zero in the padding. ``inside`` is 1 for true steps and 0 for padding."""
        x = u
        for t in range(self.steps + 1):
            z = _inside(self.conv(u + x if t else u), inside)
            x = (z if self.norm is None else self.norm(z, t, lengths)).relu()
        return x


class WideConv(nn.Module):
    """Two convolutions one after the other in place of an RCL's two kernels, ``g(relu(w_2 * g(relu(w_1 * u + b_1)) +
    b_2))``: the feed-forward network "WCNN" of Liang & Hu, as many weights and no recurrence. Arguments and shapes are
    those of ``RCL``."""

    def __init__(
        self,
        inputs: int,
        size: int,
        *,
        kernel_size: Size = 3,
        input_kernel_size: Size | None = None,
        norm: Norm | None = StepNorm,
        bias: bool = True,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        first, kernel = _kernels(kernel_size, input_kernel_size)
        self.first = RCL(inputs, size, kernel_size=first, steps=0, norm=norm, bias=bias, recompute=recompute)
        self.second = RCL(size, size, kernel_size=kernel, steps=0, norm=norm, bias=bias, recompute=recompute)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return self.second(*self.first(x, lengths))

    def out_lengths(self, lengths: Tensor) -> Tensor:
        """Steps that come out of ``lengths`` steps: as many."""
        return lengths


class GatedRCL(_Unfolded):
    """Gated recurrent convolutional layer: at each place a gate says how much of its neighbourhood a unit takes in.

    ``x(0) = relu(BN(w_f * u))``; ``x(t) = relu(BN(w_f * u) + BN_t(BN_t(w_r * x(t - 1)) G(t)))`` with
    ``G(t) = sigmoid(BN(v_f * u) + BN_t(v_r * x(t - 1)))``, up to ``t = steps``; ``v_f``, ``v_r`` see one place, each
    ``BN_t`` has weights and statistics of its own for each step. Axes, kernels and ``recompute`` as in ``RCL``.
    ``tied=False`` gives ``w_r`` and ``v_r`` weights of their own for each step, as the authors' reader of text had.
    """

    def __init__(
        self,
        inputs: int,
        size: int,
        *,
        kernel_size: Size = 3,
        input_kernel_size: Size | None = None,
        steps: int = 3,
        tied: bool = True,
        recompute: bool = False,
    ) -> None:
        first, kernel = _kernels(kernel_size, input_kernel_size)
        super().__init__(inputs, len(kernel), steps=steps, recompute=recompute)
        place, copies = (1,) * len(kernel), 1 if tied else steps
        self.of_input, self.input_norm = _conv(inputs, size, first, bias=False), BatchNorm(size)
        if not steps:
            return
        self.gate_of_input, self.gate_input_norm = _conv(inputs, size, place, bias=False), BatchNorm(size)
        self.of_state = nn.ModuleList(_conv(size, size, kernel, bias=False) for _ in range(copies))
        self.gate_of_state = nn.ModuleList(_conv(size, size, place, bias=False) for _ in range(copies))
        self.state_norm, self.gate_norm, self.gated_norm = (StepNorm(size, steps - 1) for _ in range(3))

    def unfold(self, u: Tensor, inside: Tensor | None, lengths: Tensor | None) -> Tensor:
        """The last state, for ``u`` that is zero in the padding. ``inside`` is 1 for true steps and 0 for padding."""
        driven = self.input_norm(_inside(self.of_input(u), inside), lengths)
        x = driven.relu()
        if not self.steps:
            return x
        gate_driven = self.gate_input_norm(self.gate_of_input(u), lengths)
        for t in range(self.steps):
            of_state, gate_of_state = (m[t % len(m)] for m in (self.of_state, self.gate_of_state))
            gate = (gate_driven + self.gate_norm(gate_of_state(x), t, lengths)).sigmoid()
            z = self.state_norm(_inside(of_state(x), inside), t, lengths)
            x = (driven + self.gated_norm(z * gate, t, lengths)).relu()
        return x
