"""Recurrence over two axes: MDLSTM (Graves & Schmidhuber 2008, NIPS; Graves, Fernández & Schmidhuber 2007, arXiv
0705.2011), all cells of a diagonal at once (as Voigtlaender, Doetsch & Ney 2016, ICFHR).

A cell waits for its neighbours to the left and above alone, so the cells of one diagonal wait for nobody on it. A
picture of ``time × height`` cells takes ``time + height - 1`` steps instead of ``time * height``. The cells are put
into the order of their diagonals before the scan, and back behind it; another corner is another order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.layers._given import channels_first, check_axes, check_lengths, traced
from crnn.layers.padding import reverse, zero_padding

Corner = Literal["top left", "top right", "bottom left", "bottom right"]
CORNERS: tuple[Corner, ...] = ("top left", "top right", "bottom left", "bottom right")


class MDLSTM(nn.Module):
    """LSTM over both axes of ``(batch, inputs, time, height)``, from each of ``corners`` with weights of its own.

    Seen from its corner, a cell at ``(t, r)`` knows ``h1, c1`` of ``(t - 1, r)`` and ``h2, c2`` of ``(t, r - 1)``, zero
    outside of the picture, and forgets each by a gate of its own::

        i  = sigmoid(W_i x + U_i h1 + V_i h2 + b_i)           f1, f2, o likewise
        g  = tanh(W_g x + U_g h1 + V_g h2 + b_g)
        c  = i g + f1 c1 + f2 c2
        h  = o tanh(c)

    With ``peepholes`` the gates see the memory too, each through a vector: ``i`` both of ``c1, c2``, ``f1`` its own
    ``c1``, ``f2`` its own ``c2``, ``o`` the new ``c``.

    ``y`` is ``(batch, outputs, time, height)``, zero in the padding: what the corners give one behind the other
    (``merge="stack"``, in the order of ``corners``) or added (``"sum"``). With ``lengths`` a scan from the right begins
    at each sample's own end. Forget biases begin at 0: the two gates together then keep what came, where the usual 1
    would let the memory grow with each step.

    Raises ``ShapeError`` if ``x`` or ``lengths`` do not fit.
    """

    recurs = True

    def __init__(
        self,
        inputs: int,
        size: int,
        *,
        corners: Sequence[Corner] = CORNERS,
        merge: Literal["stack", "sum"] = "stack",
        peepholes: bool = False,
    ) -> None:
        super().__init__()
        self.inputs, self.size, self.corners, self.merge = inputs, size, tuple(corners), merge
        ways = len(self.corners)
        self.outputs = size if merge == "sum" else size * ways
        # gates stand as f1, i, f2, o, g, so that those which peep at c1, and those at c2, are neighbours
        self.weight_input = nn.Parameter(torch.empty(ways, inputs, 5 * size))
        self.weight_hidden = nn.Parameter(torch.empty(ways, 2 * size, 5 * size))  # of h1, then of h2
        self.bias = nn.Parameter(torch.empty(ways, 5 * size))
        self.peepholes = nn.Parameter(torch.empty(ways, 5, size)) if peepholes else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Uniform within ``1 / sqrt(size)``, as torch's LSTM; forget biases 0."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(self.size), 1 / math.sqrt(self.size))
        self.bias.unflatten(1, (5, self.size))[:, [0, 2]] = 0.0

    def extra_repr(self) -> str:
        return f"{self.inputs}, {self.size}, corners={self.corners}, merge={self.merge!r}"

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        check_axes("x", x, channels_first(2), self.inputs)
        batch, _, time, height = x.shape
        check_lengths(lengths, batch, time)
        ways = len(self.corners)
        cells = zero_padding(x, lengths, axis=2).permute(0, 2, 3, 1).flatten(0, 2)  # -> (cells, inputs)
        there, back, forth = _orders(self.corners, batch, time, height, lengths, x.device)
        gates = torch.baddbmm(self.bias[:, None], _pick(cells, there, back).unflatten(0, (ways, -1)), self.weight_input)
        exact = torch.promote_types(gates.dtype, torch.float32)  # a memory of eight bits would forget
        with torch.autocast(x.device.type, enabled=False):
            h = _scan(
                gates.to(exact),
                _diagonals(batch, time, height),
                self.weight_hidden.to(exact),
                None if self.peepholes is None else self.peepholes.to(exact),
            )
        # (ways, cells in scan order, size) -> (cells, ways, size) in the picture's order
        h = _pick(h.to(gates.dtype).flatten(0, 1), back, forth).view(batch, time, height, ways, self.size)
        y = h.sum(3) if self.merge == "sum" else h.flatten(3)
        return zero_padding(y.permute(0, 3, 1, 2), lengths, axis=2)  # -> (batch, outputs, time, height)


# the order of the cells


def _orders(
    corners: Sequence[Corner], batch: int, time: int, height: int, lengths: Tensor | None, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """The cell of the picture at each place of the scans, ``(ways * cells,)``; where the scans have each cell,
    ``(cells * ways,)``; and the inverse of that, ``(ways * cells,)``."""
    cells = batch * time * height
    picture = torch.arange(cells, device=device).view(batch, time, height)
    column, row = torch.arange(time, device=device)[:, None], torch.arange(height, device=device)
    by_diagonal = ((column + row) * height + row).flatten().argsort()
    scans = []
    for corner in corners:
        seen = reverse(picture, lengths) if "right" in corner else picture
        seen = seen.flip(2) if "bottom" in corner else seen
        scans.append(seen.permute(1, 2, 0).flatten(0, 1)[by_diagonal].flatten())  # (batch, time, height) -> scan
    there = torch.stack(scans)
    ways = len(corners)
    places = torch.arange(ways * cells, device=device).view(ways, cells)
    back = torch.empty_like(there).scatter_(1, there, places).T
    forth = there * ways + torch.arange(ways, device=device)[:, None]
    return there.flatten(), back.flatten(), forth.flatten()


def _pick(x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
    """Rows ``index`` of ``x``; ``inverse`` says for each row of ``x`` where it went, one place behind the other."""
    return x.index_select(0, index) if traced() else _Pick.apply(x, index, inverse)


class _Pick(torch.autograd.Function):
    """The gradient takes the way back: rows are copied, where autograd's own would add them up one by one."""

    @staticmethod
    def forward(ctx, x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(inverse)
        ctx.rows = x.shape[0]
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[override]
        (inverse,) = ctx.saved_tensors
        return gradient.index_select(0, inverse).unflatten(0, (ctx.rows, -1)).sum(1), None, None


class _Diagonal(NamedTuple):
    """What stands on a diagonal, in rows of the scan (a cell of each sample is ``batch`` rows)."""

    rows: int
    left: int
    """So many of them, the first, have a neighbour to the left."""
    lag: int
    """Those neighbours stand behind so many others on the diagonal before."""
    top: int
    """All but so many, the first, have a neighbour above; those are the first of the diagonal before."""


def _diagonals(batch: int, time: int, height: int) -> list[_Diagonal]:
    found, before = [], 0
    for k in range(time + height - 1):
        first, last = max(0, k - time + 1), min(k, height - 1)  # rows of the picture
        left = min(last, k - 1) - first + 1
        top = 1 if first == 0 else 0
        found.append(_Diagonal(*(batch * n for n in (last - first + 1, left, first - before, top))))
        before = first
    return found


# the scan over the diagonals


def _scan(gates: Tensor, diagonals: list[_Diagonal], weight: Tensor, peepholes: Tensor | None = None) -> Tensor:
    """``h`` of all cells from what the input gives to their gates, ``(ways, rows, 5 * size)``."""
    if traced():
        return _plain_scan(gates, diagonals, weight, peepholes)
    return _Scan.apply(gates, weight, peepholes, diagonals)


def _plain_scan(gates: Tensor, diagonals: list[_Diagonal], weight: Tensor, peepholes: Tensor | None) -> Tensor:
    """The definition, a diagonal at a time; ``_Scan`` does the same faster."""
    found = []
    h = c = gates.new_zeros(gates.shape[0], 0, weight.shape[1] // 2)
    for a, d in zip(gates.split([d.rows for d in diagonals], dim=1), diagonals, strict=True):
        h1, c1 = (F.pad(s[:, d.lag : d.lag + d.left], (0, 0, 0, d.rows - d.left)) for s in (h, c))
        h2, c2 = (F.pad(s[:, : d.rows - d.top], (0, 0, d.top, 0)) for s in (h, c))
        f1, i, f2, o, g = (a + torch.cat([h1, h2], dim=2) @ weight).chunk(5, dim=2)
        if peepholes is not None:
            p = peepholes[:, :, None].unbind(1)
            f1, i, f2 = f1 + p[0] * c1, i + p[1] * c1 + p[2] * c2, f2 + p[3] * c2
        c = f1.sigmoid() * c1 + f2.sigmoid() * c2 + i.sigmoid() * g.tanh()
        h = (o if peepholes is None else o + p[4] * c).sigmoid() * c.tanh()
        found.append(h)
    return torch.cat(found, dim=1)


class _Scan(torch.autograd.Function):
    """``_plain_scan`` in buffers, with a backward scan of its own: the weights get their gradient from one product over
    all cells instead of one a diagonal."""

    @staticmethod
    def forward(ctx, gates, weight, peepholes, diagonals):  # type: ignore[override]
        size, rows = weight.shape[1] // 2, [d.rows for d in diagonals]
        a = torch.empty_like(gates)
        near_h, near_c = (gates.new_zeros(*gates.shape[:2], 2 * size) for _ in range(2))  # of both neighbours
        h, c, tanh_c = (gates.new_empty(*gates.shape[:2], size) for _ in range(3))
        p = None if peepholes is None else peepholes[:, :, None].unbind(1)
        parts = zip(*(v.split(rows, dim=1) for v in (gates, a, near_h, near_c, h, c, tanh_c)), diagonals, strict=True)
        before: tuple[Tensor, ...] = ()
        for given, a_k, near_h_k, near_c_k, h_k, c_k, tanh_k, d in parts:
            if before:
                for near, state in zip((near_h_k, near_c_k), before, strict=True):
                    near[:, : d.left, :size] = state[:, d.lag : d.lag + d.left]
                    near[:, d.top :, size:] = state[:, : d.rows - d.top]
            torch.baddbmm(given, near_h_k, weight, out=a_k)
            f1, i, f2, o, g = a_k.chunk(5, dim=2)
            c1, c2 = near_c_k.chunk(2, dim=2)
            if p is not None:
                f1.addcmul_(p[0], c1)
                i.addcmul_(p[1], c1).addcmul_(p[2], c2)
                f2.addcmul_(p[3], c2)
            a_k[:, :, : 3 * size].sigmoid_()
            g.tanh_()
            torch.mul(i, g, out=c_k).addcmul_(f1, c1).addcmul_(f2, c2)
            (o if p is None else o.addcmul_(p[4], c_k)).sigmoid_()
            torch.mul(o, torch.tanh(c_k, out=tanh_k), out=h_k)
            before = (h_k, c_k)
        ctx.save_for_backward(a, near_h, near_c, c, tanh_c, weight, peepholes)
        ctx.diagonals = diagonals
        return h

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[override]
        a, near_h, near_c, c, tanh_c, weight, peepholes = ctx.saved_tensors
        size, rows = weight.shape[1] // 2, [d.rows for d in ctx.diagonals]
        dh, dc, da, across = gradient.clone(), torch.zeros_like(c), torch.empty_like(a), weight.mT.contiguous()
        p = None if peepholes is None else peepholes[:, :, None].unbind(1)
        parts = list(zip(*(v.split(rows, dim=1) for v in (a, near_c, tanh_c, dh, dc, da)), ctx.diagonals, strict=True))
        for k in range(len(parts) - 1, -1, -1):
            a_k, near_c_k, tanh_k, dh_k, dc_k, da_k, d = parts[k]
            f1, i, f2, o, g = a_k.chunk(5, dim=2)
            df1, di, df2, do, dg = da_k.chunk(5, dim=2)
            c1, c2 = near_c_k.chunk(2, dim=2)
            _through_sigmoid(torch.mul(dh_k, tanh_k, out=do), o)
            dc_k += torch.ops.aten.tanh_backward(dh_k * o, tanh_k)
            if p is not None:
                dc_k.addcmul_(p[4], do)
            for factor, slope in ((c1, df1), (g, di), (c2, df2), (i, dg)):
                torch.mul(dc_k, factor, out=slope)
            _through_sigmoid(da_k[:, :, : 3 * size], a_k[:, :, : 3 * size])
            torch.ops.aten.tanh_backward.grad_input(dg, g, grad_input=dg)
            if k == 0:
                break
            dh1, dh2 = torch.bmm(da_k, across).chunk(2, dim=2)
            dc1, dc2 = dc_k * f1, dc_k * f2
            if p is not None:
                dc1.addcmul_(p[0], df1).addcmul_(p[1], di)
                dc2.addcmul_(p[2], di).addcmul_(p[3], df2)
            dh_b, dc_b = parts[k - 1][3:5]
            for before, slope1, slope2 in ((dh_b, dh1, dh2), (dc_b, dc1, dc2)):
                before[:, d.lag : d.lag + d.left] += slope1[:, : d.left]
                before[:, : d.rows - d.top] += slope2[:, d.top :]
        dp = None
        if peepholes is not None:
            df1, di, df2, do, _ = da.chunk(5, dim=2)
            c1, c2 = near_c.chunk(2, dim=2)
            dp = torch.stack([(x * y).sum(1) for x, y in ((df1, c1), (di, c1), (di, c2), (df2, c2), (do, c))], dim=1)
        return da, near_h.mT @ da, dp, None


def _through_sigmoid(slope: Tensor, y: Tensor) -> None:
    """``slope`` of ``y = sigmoid(x)`` becomes that of ``x``, in place."""
    torch.ops.aten.sigmoid_backward.grad_input(slope, y, grad_input=slope)
