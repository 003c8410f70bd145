"""LSTM and GRU cells over many steps at once, with their gradients written out.

What ``scan`` does step by step under autograd, for the two cells that matter most, only faster. A convolution is
linear, so of the state's convolution only the gradient that flows back in time must be taken at each step; that of
its weights is one convolution over all steps at the end. Gates are computed in place, where the mapped input stood, and
hold all that the backward pass needs of them. A state of zeros recalls nothing, and its convolution is left out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from crnn.layers.cells import Cell, GRUCell, LSTMCell, State
from crnn.layers.linear_map import LinearMap

ops = torch.ops.aten


def unrolls(cell: Any) -> bool:
    """Whether ``unroll`` knows the gates of ``cell``."""
    return type(cell) in (LSTMCell, GRUCell) and cell.recurrent_norm is None


def unroll(cell: Cell, x: Tensor, state: State | None, left: Tensor | None) -> tuple[Tensor, State]:
    """Take the steps ``x`` ``(time, batch, *space, inputs)``: all outputs ``(time, batch, *space, size)``, and the
    state after ``left`` steps of each sample (``None``: after all); ``state`` ``None`` is zeros."""
    dtype = precision_of(x)

    def cast(t: Any) -> Any:
        return None if t is None else t.to(dtype)

    before = (None,) * cell.parts if state is None else tuple(cast(s.movedim(1, -1)) for s in state)
    given = [cast(x), cast(cell.input.weight), cast(cell.input.bias), cast(cell.recurrent.weight), *before]
    if isinstance(cell, LSTMCell):
        given.append(cast(cell.peepholes))
    learns = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in given)
    parts = (UnrolledLSTM if isinstance(cell, LSTMCell) else UnrolledGRU).apply(cell, learns, *given)
    if left is None:
        return parts[0], tuple(p[-1].movedim(-1, 1) for p in parts)
    last = (left - 1).clamp(0, len(x) - 1)
    rows = torch.arange(len(left), device=left.device)
    goes_on = (left > 0).view(-1, *[1] * (x.dim() - 2))
    ends = (torch.where(goes_on, p[last, rows], 0.0 if s is None else s) for p, s in zip(parts, before, strict=True))
    return parts[0], tuple(s.movedim(-1, 1) for s in ends)


def precision_of(x: Tensor) -> torch.dtype:
    """The type in which ``x`` is multiplied here."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


class _Unrolled(torch.autograd.Function):
    """What both have in common; all tensors have their channels last."""

    @staticmethod
    def begin(ctx: Any, cell: Cell, x: Tensor, wx: Tensor, b: Tensor | None, wh: Tensor) -> tuple[Tensor, LinearMap]:
        """The mapped input of all steps, and the map of the state."""
        ctx.maps = LinearMap(cell.input, wx, b), LinearMap(cell.recurrent, wh)
        return ctx.maps[0](x.flatten(0, 1)).unflatten(0, x.shape[:2]), ctx.maps[1]

    @staticmethod
    def room(z: Tensor, first: Tensor | None, size: int) -> Tensor:
        """A place for the states before and after each step, the first of them filled in."""
        states = z.new_empty(len(z) + 1, *z.shape[1:-1], size)
        if first is None:
            states[0].zero_()
        else:
            states[0] = first
        return states

    @staticmethod
    def end(ctx: Any, x: Tensor, hs: Tensor, dzx: Tensor, dzh: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the input, its weights, its bias and the state's weights from those of the gates."""
        _, _, needs_x, _, needs_bias, *_ = ctx.needs_input_grad
        of_input, of_state = ctx.maps
        dzx, frames = dzx.flatten(0, 1), x.flatten(0, 1)
        dx = of_input.to_input(dzx, frames).unflatten(0, x.shape[:2]) if needs_x else None
        db = of_input.to_bias(dzx) if needs_bias else None
        return dx, of_input.to_weight(dzx, frames), db, of_state.to_weight(dzh.flatten(0, 1), hs[:-1].flatten(0, 1))


class UnrolledLSTM(_Unrolled):
    """The steps of ``LSTMCell``: ``h`` and ``c`` after each."""

    @staticmethod
    def forward(ctx, cell, learns, x, wx, b, wh, h0, c0, peepholes):  # type: ignore[override]
        z, recall = _Unrolled.begin(ctx, cell, x, wx, b, wh)
        hs, cs = _Unrolled.room(z, h0, cell.size), _Unrolled.room(z, c0, cell.size)
        for t in range(len(x)):
            if t or h0 is not None:
                z[t].add_(recall(hs[t]))
            i, f, g, o = z[t].split(cell.size, -1)
            if peepholes is not None:
                i.addcmul_(peepholes[0], cs[t])
                f.addcmul_(peepholes[1], cs[t])
            z[t, ..., : 2 * cell.size].sigmoid_()
            c = torch.mul(f, cs[t], out=cs[t + 1]).addcmul_(i, tanh(g, out=g))
            if peepholes is not None:
                o.addcmul_(peepholes[2], c)
            torch.mul(o.sigmoid_(), tanh(c), out=hs[t + 1])
        if learns:
            ctx.save_for_backward(x, z, hs, cs, peepholes)
        ctx.set_materialize_grads(False)
        return hs[1:], cs[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx, dys, dcs):  # type: ignore[override]
        x, z, hs, cs, peepholes = ctx.saved_tensors
        size, recall = hs.shape[-1], ctx.maps[1]
        dz = torch.empty_like(z)
        dh, dc = torch.zeros_like(hs[0]), torch.zeros_like(cs[0])
        for t in reversed(range(len(x))):
            if dys is not None:
                dh.add_(dys[t])
            if dcs is not None:
                dc.add_(dcs[t])
            i, f, g, o = z[t].split(size, -1)
            di, df, dg, do = dz[t].split(size, -1)
            squashed = tanh(cs[t + 1])
            ops.sigmoid_backward.grad_input(dh * squashed, o, grad_input=do)
            dc.add_(ops.tanh_backward(dh.mul_(o), squashed))
            if peepholes is not None:
                dc.addcmul_(peepholes[2], do)
            ops.sigmoid_backward.grad_input(dc * g, i, grad_input=di)
            ops.sigmoid_backward.grad_input(dc * cs[t], f, grad_input=df)
            ops.tanh_backward.grad_input(dc * i, g, grad_input=dg)
            dc.mul_(f)
            if peepholes is not None:
                dc.addcmul_(peepholes[0], di).addcmul_(peepholes[1], df)
            if t or ctx.needs_input_grad[6]:
                dh = recall.to_input(dz[t], hs[t])
        dp = None if peepholes is None else _of_peepholes(dz, cs, size)
        of_h0, of_c0 = dh if ctx.needs_input_grad[6] else None, dc if ctx.needs_input_grad[7] else None
        return None, None, *_Unrolled.end(ctx, x, hs, dz, dz), of_h0, of_c0, dp


def _of_peepholes(dz: Tensor, cs: Tensor, size: int) -> Tensor:
    di, df, _, do = dz.split(size, -1)
    seen = (di, cs[:-1]), (df, cs[:-1]), (do, cs[1:])
    return torch.stack([(d * c).flatten(0, -2).sum(0) for d, c in seen])


class UnrolledGRU(_Unrolled):
    """The steps of ``GRUCell``: ``h`` after each."""

    @staticmethod
    def forward(ctx, cell, learns, x, wx, b, wh, h0):  # type: ignore[override]
        zx, recall = _Unrolled.begin(ctx, cell, x, wx, b, wh)
        hs = _Unrolled.room(zx, h0, cell.size)
        both = 2 * cell.size
        gates, candidates = [], []
        for t in range(len(x)):
            z = recall(hs[t]) if t or h0 is not None else torch.zeros_like(zx[t])
            z[..., :both].add_(zx[t, ..., :both]).sigmoid_()
            reset, update, recalled = z.split(cell.size, -1)
            n = torch.addcmul(zx[t, ..., both:], reset, recalled)
            n = tanh(n, out=n)
            torch.lerp(n, hs[t], update, out=hs[t + 1])
            if learns:
                gates.append(z)
                candidates.append(n)
        ctx.save_for_backward(x, hs, *gates, *candidates)
        return (hs[1:],)

    @staticmethod
    @once_differentiable
    def backward(ctx, dys):  # type: ignore[override]
        x, hs, *rest = ctx.saved_tensors
        size, steps, recall = hs.shape[-1], len(x), ctx.maps[1]
        dzx, dzh = (torch.empty(steps, *rest[0].shape, dtype=hs.dtype, device=hs.device) for _ in range(2))
        dh = torch.zeros_like(hs[0])
        for t in reversed(range(steps)):
            reset, update, recalled = rest[t].split(size, -1)
            n = rest[steps + t]
            dh.add_(dys[t])
            dr, du, dn = dzx[t].split(size, -1)
            ops.sigmoid_backward.grad_input(dh * (hs[t] - n), update, grad_input=du)
            kept = dh * update
            ops.tanh_backward.grad_input(dh.sub_(kept), n, grad_input=dn)
            ops.sigmoid_backward.grad_input(dn * recalled, reset, grad_input=dr)
            dzh[t, ..., : 2 * size] = dzx[t, ..., : 2 * size]
            torch.mul(dn, reset, out=dzh[t, ..., 2 * size :])
            dh = kept.add_(recall.to_input(dzh[t], hs[t])) if t or ctx.needs_input_grad[6] else kept
        return None, None, *_Unrolled.end(ctx, x, hs, dzx, dzh), dh if ctx.needs_input_grad[6] else None


def tanh(x: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The hyperbolic tangent. By the logistic function, whose kernel is several times faster, where rounding allows: in
    bfloat16 the detour would lose what lies near zero."""
    if x.device.type != "cpu" or x.dtype == torch.bfloat16:
        return torch.tanh(x, out=out)
    return torch.mul(x, 2, out=out).sigmoid_().mul_(2).sub_(1)
