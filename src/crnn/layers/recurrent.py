"""Recurrence over time for padded batches, on torch's fast kernels."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from crnn.layers.dropout import TimeDropout
from crnn.layers.padding import reverse, zero_padding

Cell = Literal["lstm", "gru", "rnn"]
CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Recurrent(nn.Module):
    """A stack of LSTM (Hochreiter & Schmidhuber 1997), GRU (Cho et al. 2014) or tanh layers over
    ``(batch, time, channels)``; ``y, state = layer(x, state, lengths)``.

    In two directions each layer is two one-way ones, the second on each sample's own reversed steps: the numbers of a
    packed ``nn.LSTM(bidirectional=True)``, without leaving the processor's fast path. ``y`` is
    ``(batch, time, outputs)`` and zero in the padding; ``state`` is a list, one entry for each one-way layer, to go
    on from (one direction only). ``dropout`` stands between layers.
    """

    def __init__(
        self,
        inputs: int,
        size: int,
        *,
        layers: int = 1,
        cell: Cell = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.ways = 2 if bidirectional else 1
        self.outputs = size * self.ways
        widths = [inputs] + [self.outputs] * (layers - 1)
        self.layers = nn.ModuleList(
            CELLS[cell](width, size, batch_first=True) for width in widths for _ in range(self.ways)
        )
        self.dropout = TimeDropout(dropout)

    def forward(
        self, x: Tensor, state: list | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, list | None]:
        assert state is None or self.ways == 1, "both directions have no state to go on from"
        states: list = []
        for i in range(0, len(self.layers), self.ways):
            if i:
                x = self.dropout(x)
            y, last = self._forward(self.layers[i], x, None if state is None else state[i], lengths)
            states.append(last)
            if self.ways == 2:
                back, _ = self.layers[i + 1](reverse(x, lengths))
                y = torch.cat([y, reverse(back, lengths)], dim=-1)
            x = zero_padding(y, lengths, axis=1)
        return x, (states if self.ways == 1 else None)

    def _forward(self, layer: nn.Module, x: Tensor, state: Any, lengths: Tensor | None) -> tuple[Tensor, Any]:
        """One one-way layer. The state to go on from is that at each sample's own end, which the fast path does not
        keep where samples are padded; a bidirectional layer gives no state and needs none."""
        if self.ways == 2 or lengths is None:
            return layer(x, state)
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        y, last = layer(packed, state)
        return pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0], last
