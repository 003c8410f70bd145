"""Recurrence over time for padded batches: layers, directions, states."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from crnn.errors import SettingsError, ShapeError
from crnn.layers._axes import positive
from crnn.layers._given import check_axes, check_lengths, check_state, check_steps, check_type, kind_of, time_first
from crnn.layers.cells import Cell, State
from crnn.layers.dropout import TimeDropout
from crnn.layers.padding import reverse, zero_padding
from crnn.layers.regular import Wrapped
from crnn.layers.scan import scan
from crnn.registry import pick

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
"""Cells that torch has kernels for."""
MakeCell = Callable[[int, int], Cell | Wrapped]


class Recurrent(nn.Module):
    """A stack of recurrent layers over ``(batch, time, inputs, *space)``; ``y, state = layer(x, state, lengths)``.

    ``cell`` is the name of one that torch has kernels for (``"lstm"``: Hochreiter & Schmidhuber 1997; ``"gru"``: Cho et
    al. 2014; ``"rnn"``: tanh), or a function ``(inputs, size) -> cell`` for any other, such as
    ``partial(LSTMCell, window=Window(), peepholes=True)``.

    ``y`` is ``(batch, time, outputs, *space)`` and zero in the padding. ``state`` is a list with the state of each
    one-way layer after each sample's own last step, to go on from. In two directions each layer is two one-way ones,
    the second on each sample's own reversed steps: the numbers of a packed ``nn.LSTM(bidirectional=True)``, without
    leaving the processor's fast path; there torch's kernels know no state, and it is ``None``.

    ``dropout`` stands between layers. ``recompute`` and ``truncate`` are those of ``scan``, for cells of our own.
    """

    def __init__(
        self,
        inputs: int,
        size: int,
        *,
        layers: int = 1,
        cell: str | MakeCell = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
        recompute: bool = False,
        truncate: int = 0,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise SettingsError(f"layers is {layers}", expected="1 or more", do="Say how many lie on each other.")
        if isinstance(cell, str) and (truncate or recompute):
            raise SettingsError(
                f"{'truncate' if truncate else 'recompute'} is given with {cell!r}, a kernel of torch",
                expected="a cell of crnn.layers, such as LSTMCell",
                do="Give that as cell, or leave it out.",
            )
        self.ways = 2 if bidirectional else 1
        self.inputs, self.outputs = positive("inputs", inputs, least=0), positive("size", size) * self.ways
        make: Callable = partial(pick(cell, CELLS, "cell"), batch_first=True) if isinstance(cell, str) else cell
        widths = [inputs] + [self.outputs] * (layers - 1)
        self.layers = nn.ModuleList(make(width, size) for width in widths for _ in range(self.ways))
        for layer in self.layers:
            if isinstance(layer, nn.RNNBase) and (not layer.batch_first or layer.bidirectional or layer.num_layers > 1):
                raise SettingsError(
                    f"cell makes an nn.{type(layer).__name__}",
                    expected="one layer in one direction, batch first",
                    do=f"Say cell={type(layer).__name__.lower()!r}; layers and bidirectional are arguments beside it.",
                )
        self.dropout = TimeDropout(dropout)
        self.recompute, self.truncate = recompute, truncate

    @property
    def space(self) -> int:
        """Axes of space."""
        return getattr(self.layers[0], "space", 0)

    def forward(
        self, x: Tensor, state: list[State] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, list[State] | None]:
        check_axes("x", x, time_first(self.space), self.inputs)
        check_steps(x)
        check_type(x, next(self.parameters()))
        check_lengths(lengths, *x.shape[:2])
        listed = isinstance(state, (list, tuple))
        if state is not None and not (listed and len(state) == len(self.layers)):
            raise ShapeError(
                f"state has {len(state)} entries" if listed else f"state is {kind_of(state)}",
                expected=f"{len(self.layers)}, one a layer" if listed else f"a list of {len(self.layers)}, one a layer",
                do="Give the list that this layer gave, or None to start anew.",
            )
        if isinstance(self.layers[0], nn.RNNBase):  # it goes through the padding, which may not be finite
            x = zero_padding(x, lengths, axis=1)
        states: list[Any] = []
        for i in range(0, len(self.layers), self.ways):
            if i:
                x = self.dropout(x)
            ways = []
            for way in range(self.ways):
                y, last = self._one_way(i + way, x, None if state is None else state[i + way], lengths)
                ways.append(y)
                states.append(last)
            x = ways[0] if self.ways == 1 else torch.cat(ways, 2)
        return x, (None if states[0] is None else states)

    def _one_way(self, i: int, x: Tensor, state: State | None, lengths: Tensor | None) -> tuple[Tensor, State | None]:
        layer: Any = self.layers[i]
        backward = i % self.ways == 1
        if isinstance(layer, nn.RNNBase):
            return self._kernel(layer, x, state, lengths, backward)
        return scan(layer, x, state, lengths, reverse=backward, truncate=self.truncate, recompute=self.recompute)

    def _kernel(
        self, layer: nn.RNNBase, x: Tensor, state: State | None, lengths: Tensor | None, backward: bool
    ) -> tuple[Tensor, State | None]:
        """One of torch's kernels. The state at each sample's own end is not what it gives where samples are padded, but
        by packing them, which is slow; where two directions need no state, nothing is packed."""
        parts = 2 if isinstance(layer, nn.LSTM) else 1
        check_state(state, [(x.shape[0], layer.hidden_size)] * parts)
        given: Any = None if state is None else tuple(s[None] for s in state)
        if parts == 1 and given is not None:
            (given,) = given
        if self.ways == 2:
            if state is not None:
                do = "Give None, or take a cell of crnn.layers."
                raise ShapeError("state is given", expected="none: torch's kernels have none in two directions", do=do)
            y = layer(reverse(x, lengths) if backward else x)[0]
            return zero_padding(reverse(y, lengths) if backward else y, lengths, axis=1), None
        if torch.onnx.is_in_onnx_export() and lengths is not None:  # no packing there; only y is as it should be
            return zero_padding(layer(x, given)[0], lengths, axis=1), None
        if lengths is None:
            y, last = layer(x, given)
        else:
            packed = pack_padded_sequence(x, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
            y, last = layer(packed, given)
            y = zero_padding(pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0], lengths, axis=1)
        ends = tuple(s[0] for s in (last if parts == 2 else (last,)))
        if lengths is not None:  # a sample without steps keeps the state that it came with
            kept = state or tuple(torch.zeros_like(s) for s in ends)
            ends = tuple(torch.where(lengths[:, None] > 0, s, k) for s, k in zip(ends, kept, strict=True))
        return y, ends
