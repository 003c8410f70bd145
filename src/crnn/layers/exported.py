"""A recurrence in a graph that is exported: one node for all its steps, whatever their number.

Who follows a run of the network sees as many steps as the run had. So while ``recurrences`` listens, ``scan`` puts one
node ``crnn::Steps`` into the graph, and says of which cell it is; who makes the graph writes the cell's step once, and
has it repeated (the operator Scan of ONNX).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from crnn.layers.cells import Cell, State
from crnn.layers.padding import mask
from crnn.layers.regular import Wrapped

DOMAIN, NODE = "crnn", "Steps"


class OneStep(nn.Module):
    """A cell's step as a graph knows it: the state before, what ``project`` gave ``(batch, gates * size, *space)`` and
    whether each sample goes on ``(batch,)``; to the state after and the output."""

    def __init__(self, cell: Cell | Wrapped) -> None:
        super().__init__()
        self.cell, self.parts = cell, cell.parts
        self.eval()

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        state, z, goes_on = given[: self.parts], given[self.parts], given[self.parts + 1]
        goes_on = goes_on.view(-1, *[1] * (z.dim() - 1))
        after = self.cell.step(z, state)
        after = tuple(torch.where(goes_on, new, old) for new, old in zip(after, state, strict=True))
        return (*after, after[0] + 0.0)  # an output needs a name of its own


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A cell that was seen, and what its first step was given."""

    step: OneStep
    given: tuple[Tensor, ...]


_seen: ContextVar[list[Recurrence] | None] = ContextVar("recurrences", default=None)


@contextmanager
def recurrences() -> Iterator[list[Recurrence]]:
    """The recurrences of a network that runs in this block, in the order of the numbers of their nodes."""
    found: list[Recurrence] = []
    before = _seen.set(found)
    try:
        yield found
    finally:
        _seen.reset(before)


def wanted() -> bool:
    """Whether somebody listens."""
    return not torch.compiler.is_compiling() and _seen.get() is not None  # compilers cannot follow a context


def steps(cell: Cell | Wrapped, zx: Tensor, state: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
    """All steps of what ``cell`` made of its input, ``zx`` ``(time, batch, gates * size, *space)``: ``y`` ``(time,
    batch, size, *space)`` and the state after ``lengths`` steps of each sample."""
    found = _seen.get()
    assert found is not None, "somebody listens"
    state = cell.start(zx[0], state)
    if lengths is None:
        lengths = torch.full_like(zx[0].flatten(1)[:, 0], zx.shape[0], dtype=torch.long)
    goes_on = mask(lengths, zx.shape[0]).transpose(0, 1)
    found.append(Recurrence(OneStep(cell), tuple(t.detach().clone() for t in (*state, zx[0], goes_on[0]))))
    y, *ends = _Node.apply(len(found) - 1, zx, goes_on, *state)
    # what a node of ours gives is taken for as large as in this run, unless its size is said in the graph
    y = y.view(*zx.shape[:2], y.shape[2], *zx.shape[3:])
    return y, tuple(end.view(zx.shape[1], end.shape[1], *zx.shape[3:]) for end in ends)


class _Node(torch.autograd.Function):
    """In a graph, one node with the number of the recurrence; its numbers are nobody's, its shapes are right."""

    @staticmethod
    def forward(ctx: Any, number: int, zx: Tensor, goes_on: Tensor, *state: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return zx.new_zeros(*zx.shape[:1], *state[0].shape), *(s.clone() for s in state)

    @staticmethod
    def symbolic(g: Any, number: int, zx: Any, goes_on: Any, *state: Any) -> Any:
        found = g.op(f"{DOMAIN}::{NODE}", zx, goes_on, *state, number_i=number, outputs=1 + len(state))
        for value, like in zip(found, (zx, *state), strict=True):
            value.setType(like.type().with_sizes([None] * like.type().dim()))
        return found
