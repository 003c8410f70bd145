"""The steps of LSTM and GRU cells with their gradients written out; ``unroll`` is the door to them.

A convolution is linear, so of the state's convolution only the gradient that flows back in time must be taken at each
step; those of the input, of the weights and of the bias are taken for many steps at once. Gates are computed in place,
where the mapped input stood, and hold all that the backward pass needs of them; or they are computed once more there,
from the states, which are kept in any case. A state of zeros recalls nothing, and its convolution is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from crnn.layers.cells import Cell
from crnn.layers.linear_map import LinearMap

ops = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Plan:
    """How to go about it: ``cuts`` between pieces whose inputs are mapped at once; whether gradients will be asked for;
    whether gates are computed once more then; after how many steps gradients end (0: never)."""

    cuts: tuple[int, ...]
    learns: bool
    recompute: bool
    truncate: int
    last: Tensor | None
    """Each sample's last step, -1 for a sample without any; ``None`` where all have all."""

    def pieces(self) -> list[tuple[int, int]]:
        return list(pairwise(self.cuts))

    def flows_back(self, t: int, state_learns: bool) -> bool:
        """Whether the state before step ``t`` wants a gradient."""
        return state_learns if t == 0 else not self.truncate or t % self.truncate != 0


def shaped(rows: Tensor, like: Tensor) -> Tensor:
    """``rows`` ``(batch,)`` so that it goes with ``like`` ``(batch, ...)``."""
    return rows.view(-1, *[1] * (like.dim() - 1))


class Maps:
    """The maps of input and state, and the sums of their gradients over pieces."""

    def __init__(self, cell: Cell, wx: Tensor | None, b: Tensor | None, wh: Tensor) -> None:
        self.of_input, self.of_state = LinearMap(cell.input, wx, b), LinearMap(cell.recurrent, wh)
        self.sums: list[Any] = [None, None, None]

    def project(self, x: Tensor) -> Tensor:
        """The input's part of the gates, for the steps ``x``."""
        return self.of_input(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def learn(self, x: Tensor, hs: Tensor, dzx: Tensor, dzh: Tensor, dx: Tensor | None) -> None:
        """Add what a piece's gates want of the weights, and say in ``dx`` what they want of the input."""
        dzx, frames = dzx.flatten(0, 1), x.flatten(0, 1)
        if dx is not None:
            dx.copy_(self.of_input.to_input(dzx, frames).unflatten(0, x.shape[:2]))
        bias = None if self.of_input.bias is None else self.of_input.to_bias(dzx)
        new = self.of_input.to_weight(dzx, frames), bias, self.of_state.to_weight(dzh.flatten(0, 1), hs.flatten(0, 1))
        self.sums = [n if s is None else s.add_(n) for s, n in zip(self.sums, new, strict=True)]


def room(steps: int, z: Tensor, first: Tensor | None, size: int) -> Tensor:
    """A place for the states before and after each of ``steps``, the first of them filled in."""
    states = z.new_empty(steps + 1, *z.shape[1:-1], size)
    if first is None:
        states[0].zero_()
    else:
        states[0] = first
    return states


class UnrolledLSTM(torch.autograd.Function):
    """The steps of ``LSTMCell``: ``h`` after each, and ``c`` after the last. All tensors have their channels last."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        cell: Cell,
        plan: Plan,
        x: Tensor,
        wx: Tensor | None,
        b: Tensor | None,
        wh: Tensor,
        h0: Tensor | None,
        c0: Tensor | None,
        peepholes: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        maps, kept, hs, c = Maps(cell, wx, b, wh), [], torch.empty(0), c0
        ctx.plan, ctx.maps, ctx.starts = plan, maps, h0 is not None
        for start, stop in plan.pieces():
            z = maps.project(x[start:stop])
            hs = hs if start else room(len(x), z, h0, cell.size)
            cs = room(stop - start, z, c, cell.size)
            for t in range(start, stop):
                recalled = maps.of_state(hs[t]) if t or h0 is not None else None
                o = UnrolledLSTM.open(z[t - start], recalled, cs[t - start], cs[t - start + 1], peepholes)
                torch.mul(o, tanh(cs[t - start + 1]), out=hs[t + 1])
            if plan.last is None or start == 0:
                c_end = cs[-1].clone() if plan.last is None else cs[0].clone()
            if plan.last is not None:
                here, rows = (plan.last >= start) & (plan.last < stop), torch.arange(len(c_end), device=c_end.device)
                ends = cs[(plan.last - start).clamp(0, stop - start - 1) + 1, rows]
                c_end = torch.where(shaped(here, ends), ends, c_end)
            c = cs[-1]
            if plan.learns:
                kept += [cs[0].clone()] if plan.recompute else [cs, z]
        # the weights as well: so autograd notices if they change before the backward pass
        ctx.save_for_backward(*((x, hs, wx, wh, peepholes, *kept) if plan.learns else ()))
        ctx.set_materialize_grads(False)
        return hs[1:], c_end

    @staticmethod
    def open(z: Tensor, recalled: Tensor | None, before: Tensor, c: Tensor, peepholes: Tensor | None) -> Tensor:
        """Make the gates of a step in place of ``z``, and its ``c`` from the one before; gives the output gate."""
        if recalled is not None:
            z.add_(recalled)
        size = c.shape[-1]
        i, f, g, o = z.split(size, -1)
        if peepholes is not None:
            i.addcmul_(peepholes[0], before)
            f.addcmul_(peepholes[1], before)
        z[..., : 2 * size].sigmoid_()
        torch.mul(f, before, out=c).addcmul_(i, tanh(g, out=g))
        if peepholes is not None:
            o.addcmul_(peepholes[2], c)
        return o.sigmoid_()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dys: Tensor | None, dc_end: Tensor | None) -> tuple:  # type: ignore[override]
        x, hs, _, _, peepholes, *kept = ctx.saved_tensors
        plan, maps, size = ctx.plan, ctx.maps, hs.shape[-1]
        maps.sums = [None, None, None]
        needs_state = any(ctx.needs_input_grad[6:8])
        dx = torch.empty_like(x) if ctx.needs_input_grad[2] else None
        dh, dp = torch.zeros_like(hs[0]), None
        dc = dc_end.clone() if dc_end is not None and plan.last is None else torch.zeros_like(hs[0])
        for i, (start, stop) in reversed(list(enumerate(plan.pieces()))):
            if plan.recompute:
                z = maps.project(x[start:stop])
                cs = room(stop - start, z, kept[i], size)
                for t in range(start, stop):
                    recalled = maps.of_state(hs[t]) if t or ctx.starts else None
                    UnrolledLSTM.open(z[t - start], recalled, cs[t - start], cs[t - start + 1], peepholes)
            else:
                cs, z = kept[2 * i : 2 * i + 2]
            dz = torch.empty_like(z)
            for t in reversed(range(start, stop)):
                if dys is not None:
                    dh.add_(dys[t])
                if dc_end is not None and plan.last is not None:
                    dc.addcmul_(dc_end, shaped(plan.last == t, dc).to(dc.dtype))
                k = t - start
                UnrolledLSTM.shut(dz[k], z[k], dh, dc, cs[k], cs[k + 1], peepholes)
                if plan.flows_back(t, needs_state):
                    dh = maps.of_state.to_input(dz[k], hs[t])
                else:
                    dh, dc = torch.zeros_like(dh), torch.zeros_like(dc)
            maps.learn(x[start:stop], hs[start:stop], dz, dz, None if dx is None else dx[start:stop])
            if peepholes is not None:
                di, df, _, do = dz.split(size, -1)
                new = [(d * c).flatten(0, -2).sum(0) for d, c in ((di, cs[:-1]), (df, cs[:-1]), (do, cs[1:]))]
                dp = torch.stack(new) if dp is None else dp.add_(torch.stack(new))
        if needs_state and dc_end is not None and plan.last is not None:
            dc.addcmul_(dc_end, shaped(plan.last < 0, dc).to(dc.dtype))
        of_h0, of_c0 = (d if needed else None for d, needed in zip((dh, dc), ctx.needs_input_grad[6:8], strict=True))
        return None, None, dx, *maps.sums, of_h0, of_c0, dp

    @staticmethod
    def shut(
        dz: Tensor, z: Tensor, dh: Tensor, dc: Tensor, before: Tensor, c: Tensor, peepholes: Tensor | None
    ) -> None:
        """What a step wants of its gates before they were squashed, into ``dz``, and of ``c`` before it, into ``dc``,
        given what is wanted of ``h`` and ``c`` after it; ``dh`` is used up."""
        size = c.shape[-1]
        i, f, g, o = z.split(size, -1)
        di, df, dg, do = dz.split(size, -1)
        squashed = tanh(c)
        ops.sigmoid_backward.grad_input(dh * squashed, o, grad_input=do)
        dc.add_(ops.tanh_backward(dh.mul_(o), squashed))
        if peepholes is not None:
            dc.addcmul_(peepholes[2], do)
        ops.sigmoid_backward.grad_input(dc * g, i, grad_input=di)
        ops.sigmoid_backward.grad_input(dc * before, f, grad_input=df)
        ops.tanh_backward.grad_input(dc * i, g, grad_input=dg)
        dc.mul_(f)
        if peepholes is not None:
            dc.addcmul_(peepholes[0], di).addcmul_(peepholes[1], df)


class UnrolledGRU(torch.autograd.Function):
    """The steps of ``GRUCell``: ``h`` after each. All tensors have their channels last."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        cell: Cell,
        plan: Plan,
        x: Tensor,
        wx: Tensor | None,
        b: Tensor | None,
        wh: Tensor,
        h0: Tensor | None,
    ) -> tuple[Tensor]:
        maps, kept, hs = Maps(cell, wx, b, wh), [], torch.empty(0)
        for start, stop in plan.pieces():
            zx = maps.project(x[start:stop])
            hs = hs if start else room(len(x), zx, h0, cell.size)
            for t in range(start, stop):
                z, n = UnrolledGRU.open(zx[t - start], maps.of_state(hs[t]) if t or h0 is not None else None)
                torch.lerp(n, hs[t], z[..., cell.size : 2 * cell.size], out=hs[t + 1])
                if plan.learns and not plan.recompute:
                    kept += [z, n]
        ctx.plan, ctx.maps, ctx.starts = plan, maps, h0 is not None
        ctx.save_for_backward(*((x, hs, wx, wh, *kept) if plan.learns else ()))
        return (hs[1:],)

    @staticmethod
    def open(zx: Tensor, recalled: Tensor | None) -> tuple[Tensor, Tensor]:
        """The gates of a step with what is recalled for the candidate behind them, in place of ``recalled``; and the
        candidate."""
        z = torch.zeros_like(zx) if recalled is None else recalled
        size = z.shape[-1] // 3
        z[..., : 2 * size].add_(zx[..., : 2 * size]).sigmoid_()
        n = torch.addcmul(zx[..., 2 * size :], z[..., :size], z[..., 2 * size :])
        return z, tanh(n, out=n)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dys: Tensor) -> tuple:  # type: ignore[override]
        x, hs, _, _, *kept = ctx.saved_tensors
        maps, size = ctx.maps, hs.shape[-1]
        maps.sums = [None, None, None]
        needs_x, needs_state = ctx.needs_input_grad[2], ctx.needs_input_grad[6]
        dx = torch.empty_like(x) if needs_x else None
        dh = torch.zeros_like(hs[0])
        for start, stop in reversed(ctx.plan.pieces()):
            zx = None if kept else maps.project(x[start:stop])
            dzx, dzh = (hs.new_empty(stop - start, *hs.shape[1:-1], 3 * size) for _ in range(2))
            for t in reversed(range(start, stop)):
                if zx is None:
                    z, n = kept[2 * t : 2 * t + 2]
                else:
                    z, n = UnrolledGRU.open(zx[t - start], maps.of_state(hs[t]) if t or ctx.starts else None)
                dh.add_(dys[t])
                dh = UnrolledGRU.shut(dzx[t - start], dzh[t - start], z, n, dh, hs[t])
                if ctx.plan.flows_back(t, needs_state):
                    dh.add_(maps.of_state.to_input(dzh[t - start], hs[t]))
                else:
                    dh = torch.zeros_like(dh)
            maps.learn(x[start:stop], hs[start:stop], dzx, dzh, None if dx is None else dx[start:stop])
        return None, None, dx, *maps.sums, dh if needs_state else None

    @staticmethod
    def shut(dzx: Tensor, dzh: Tensor, z: Tensor, n: Tensor, dh: Tensor, before: Tensor) -> Tensor:
        """What a step wants of both parts of its gates, into ``dzx`` and ``dzh``, and of ``h`` before it where that is
        kept, given what is wanted of ``h`` after it, which is used up."""
        size = n.shape[-1]
        reset, update, recalled = z.split(size, -1)
        dr, du, dn = dzx.split(size, -1)
        ops.sigmoid_backward.grad_input(dh * (before - n), update, grad_input=du)
        kept = dh * update
        ops.tanh_backward.grad_input(dh.sub_(kept), n, grad_input=dn)
        ops.sigmoid_backward.grad_input(dn * recalled, reset, grad_input=dr)
        dzh[..., : 2 * size] = dzx[..., : 2 * size]
        torch.mul(dn, reset, out=dzh[..., 2 * size :])
        return kept


def tanh(x: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The hyperbolic tangent. By the logistic function, whose kernel is several times faster, where rounding allows: in
    half precision the detour would lose what lies near zero."""
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
        return torch.tanh(x, out=out)
    return torch.mul(x, 2, out=out).sigmoid_().mul_(2).sub_(1)
