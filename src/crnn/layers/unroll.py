"""LSTM and GRU cells over many steps at once: what ``scan`` does step by step, for the two cells that matter most, only
faster, and in less memory where gates are computed once more in the backward pass."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from crnn.layers._axes import CONVOLUTIONS
from crnn.layers._given import autocasts
from crnn.layers.cells import Cell, GRUCell, LSTMCell, State
from crnn.layers.unrolled import Plan, UnrolledGRU, UnrolledLSTM, shaped
from crnn.layers.window import NoInput, SameConv

KNOWN = (nn.Linear, SameConv, NoInput, *CONVOLUTIONS.values())
AT_ONCE = 16 << 20
"""Bytes of mapped input that are made at once; larger buffers leave the caches and are paged in anew each time."""


def unrolls(cell: Any) -> bool:
    """Whether ``unroll`` knows the gates of ``cell`` and its maps are what they were built as, watched by nobody."""
    if type(cell) not in (LSTMCell, GRUCell) or cell.recurrent_norm is not None:
        return False
    parts = [*cell.input.modules(), *cell.recurrent.modules()]
    return all(type(m) in KNOWN and not (m._forward_hooks or m._forward_pre_hooks) for m in parts)


def unroll(
    cell: Cell, x: Tensor, state: State | None, lengths: Tensor | None, *, truncate: int = 0, recompute: bool = False
) -> tuple[Tensor, State]:
    """Take the steps ``x`` ``(time, batch, *space, inputs)``: all outputs ``(time, batch, *space, size)``, and the
    state after ``lengths`` steps of each sample (``None``: after all); ``state`` ``None`` is zeros."""
    dtype = precision_of(x)

    def cast(t: Any) -> Any:
        return None if t is None else t.to(dtype)

    before = (None,) * cell.parts if state is None else tuple(cast(s.movedim(1, -1)) for s in state)
    given = [cast(x), cast(cell.input.weight), cast(cell.input.bias), cast(cell.recurrent.weight), *before]
    if isinstance(cell, LSTMCell):
        given.append(cast(cell.peepholes))
    learns = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in given)
    ((_, *shape),) = set(cell.state_shapes(x.shape[1], tuple(x.shape[2:-1])))
    frame = x.shape[1] * torch.Size(shape).numel() * cell.gates * dtype.itemsize
    piece = max(1, AT_ONCE // max(1, frame))
    if recompute:  # what a piece holds while it is computed again, and what is kept for each, in balance
        piece = min(piece, max(1, round(math.sqrt(len(x) / 4))))
    last = None if lengths is None else lengths - 1
    plan = Plan((*range(0, len(x), piece), len(x)), learns, recompute, truncate, last)
    y, *ends = (UnrolledLSTM if isinstance(cell, LSTMCell) else UnrolledGRU).apply(cell, plan, *given)
    return y, (_at(y, last, before[0]).movedim(-1, 1), *(c.movedim(-1, 1) for c in ends))


def _at(y: Tensor, last: Tensor | None, first: Tensor | None) -> Tensor:
    """``y`` ``(time, batch, ...)`` at each sample's last step, or ``first`` (``None``: zeros) where it has none."""
    if last is None:
        return y[-1].clone()  # a view would hold all steps
    ends = y[last.clamp(min=0), torch.arange(len(last), device=last.device)]
    return torch.where(shaped(last >= 0, ends), ends, 0.0 if first is None else first)


def precision_of(x: Tensor) -> torch.dtype:
    """The type in which ``x`` is multiplied here; autocast leaves float64 alone."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if autocasts(kind) and x.dtype != torch.float64 else x.dtype
