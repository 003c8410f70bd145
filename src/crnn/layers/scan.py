"""The one loop over time: any cell, with lengths, in either direction, from a carried state."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from crnn.errors import SettingsError
from crnn.layers import exported
from crnn.layers._given import check_axes, check_lengths, check_state, check_steps, check_type, time_first, traced
from crnn.layers.cells import Cell, State
from crnn.layers.padding import reverse as reversed_steps
from crnn.layers.padding import zero_padding
from crnn.layers.regular import Wrapped
from crnn.layers.unroll import unroll, unrolls


def scan(
    cell: Cell | Wrapped,
    x: Tensor,
    state: State | None = None,
    lengths: Tensor | None = None,
    *,
    reverse: bool = False,
    truncate: int = 0,
    recompute: bool = False,
) -> tuple[Tensor, State]:
    """Run ``cell`` over ``x`` ``(batch, time, inputs, *space)``: ``y`` ``(batch, time, size, *space)``, zero in the
    padding, and the state after each sample's own last step (with ``reverse``, after its first).

    No gradient flows back over more than ``truncate`` steps (truncated back-propagation through time, in pieces of so
    many; 0 is no limit). ``recompute`` keeps the states only, and computes all that lies between them once more in the
    backward pass: a fraction of the memory, for a third to four fifths more time (``results/layers.json``).

    Raises ``ShapeError`` for arguments that do not fit.
    """
    if truncate < 0:
        raise SettingsError(f"truncate is {truncate}", expected="0 for no limit, or more", do="Say how many steps.")
    check_axes("x", x, time_first(cell.space), cell.inputs)
    check_steps(x)
    check_type(x, next(cell.parameters()))
    check_lengths(lengths, *x.shape[:2])
    check_state(state, cell.state_shapes(x.shape[0], tuple(x.shape[3:])))
    x = zero_padding(x, lengths, axis=1)  # what stands there must not meet a gradient of zero: it may not be finite
    if reverse:
        x = reversed_steps(x, lengths)
    x = x.transpose(0, 1).movedim(2, -1)  # -> (time, batch, *space, inputs), the order in which it is gone through
    if exported.wanted():
        zx = cell.project(x.flatten(0, 1).movedim(-1, 1))
        y, state = exported.steps(cell, zx.view(*x.shape[:2], *zx.shape[1:]), state, lengths)
        y = y.movedim(2, -1)
    elif unrolls(cell) and not traced():
        assert isinstance(cell, Cell)
        y, state = unroll(cell, x, state, lengths, truncate=truncate, recompute=recompute)
    else:
        y, state = _step_by_step(cell, x, state, lengths, truncate, recompute)
    y = zero_padding(y.movedim(-1, 2).transpose(0, 1), lengths, axis=1)  # -> (batch, time, size, *space)
    return (reversed_steps(y, lengths) if reverse else y), state


def _step_by_step(
    cell: Cell | Wrapped, x: Tensor, state: State | None, lengths: Tensor | None, truncate: int, recompute: bool
) -> tuple[Tensor, State]:
    """What ``unroll`` does, for any cell."""
    steps, noise, ys = len(x), None, []
    run = partial(_piece, cell)
    if recompute and torch.is_grad_enabled():
        run = partial(checkpoint, run, use_reentrant=False)
    # a piece that is computed again holds about four times as much a step as what is kept between pieces
    piece = max(1, round(math.sqrt(steps / 4))) if recompute else steps
    whole = truncate or steps
    cuts = [cut for first in range(0, steps, whole) for cut in range(first, min(first + whole, steps), piece)]
    for start, part in zip(cuts, x.split([b - a for a, b in pairwise([*cuts, steps])]), strict=True):
        left = None if lengths is None else lengths - start
        if truncate and state is not None and start % truncate == 0 and start:
            state = _cut(state, left)
        y, state, noise = run(part, state, left, noise, start == 0)
        ys.append(y)
    assert state is not None
    return (torch.cat(ys) if len(ys) > 1 else ys[0]), state


def _cut(state: State, left: Tensor | None) -> State:
    """``state`` without its past; that of a sample that has ended is a result already, and keeps it."""
    if left is None:
        return tuple(s.detach() for s in state)
    return tuple(torch.where((left > 0).view(-1, *[1] * (s.dim() - 1)), s.detach(), s) for s in state)


def _piece(
    cell: Cell | Wrapped, x: Tensor, state: State | None, left: Tensor | None, noise: Tensor | None, first: bool
) -> tuple[Tensor, State, Tensor | None]:
    """The steps of ``x``: the input of all mapped at once, then one after the other."""
    zx = cell.project(x.flatten(0, 1).movedim(-1, 1))  # convolutions want channels at 1, in channels_last memory
    zx = zx.unflatten(0, x.shape[:2])
    state = cell.start(zx[0], state)
    noise = cell.draw(zx[0]) if first else noise
    ys = []
    for t, z in enumerate(zx.unbind(0)):
        after = cell.step(z, state, noise)
        if left is not None:
            goes_on = (left > t).view(-1, *[1] * (z.dim() - 1))
            after = tuple(torch.where(goes_on, new, old) for new, old in zip(after, state, strict=True))
        state = after
        ys.append(after[0].movedim(1, -1))
    return torch.stack(ys), state, noise
