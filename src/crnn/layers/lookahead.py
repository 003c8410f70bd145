"""Lookahead convolution: a little of the future for a one-way network (Amodei et al. 2015, arXiv 1512.02595)."""

from __future__ import annotations

from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.layers._given import check_axes, check_lengths, check_state, time_first, traced
from crnn.layers.padding import zero_padding

State: TypeAlias = tuple[Tensor]
"""The last inputs ``(batch, 0 to context, channels)``, whose outputs are not certain yet."""


class Lookahead(nn.Module):
    """Each channel sees ``context`` steps ahead of itself: ``y[t, i] = sum_j W[i, j] x[t + j, i]``, ``j = 0 ..
    context``, with zeros behind a sample's end. Takes and gives ``(batch, time, channels)``.

    The whole at once: ``y, _ = layer(x, None, lengths)``. In pieces, a step comes out when all that it sees is known,
    ``context`` steps late::

        state = layer.begin(x)                  # x: for batch, type and device
        y, state = layer(piece, state)          # no more steps than are certain, at first perhaps none
        tail = layer.finish(state)              # the last steps, once the input has ended

    All the ``y`` and the ``tail``, joined along time, are the whole. A piece may have ``lengths``: a sample ends there,
    and has length 0 in the pieces that follow. Raises ``ShapeError``.
    """

    def __init__(self, channels: int, *, context: int = 20) -> None:
        super().__init__()
        self.channels, self.context = channels, context
        self.outputs = channels
        self.conv = nn.Conv1d(channels, channels, context + 1, groups=channels, bias=False)

    def begin(self, x: Tensor) -> State:
        """The state before the first piece of a stream of ``x``'s batch, type and device."""
        return (x.new_zeros(x.shape[0], 0, self.channels),)

    def finish(self, state: State) -> Tensor:
        """The steps that a stream still owes when its input has ended: ``(batch, 0 to context, channels)``."""
        return self._convolve(F.pad(state[0], (0, 0, 0, self.context)))

    def forward(
        self, x: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State | None]:
        check_axes("x", x, time_first(0), self.channels)
        check_lengths(lengths, x.shape[0], x.shape[1])
        # a sample's border is zero, so its padding needs to be; there is no bias, so the padding of y is zero too
        x = zero_padding(x, lengths, axis=1)
        if state is None:
            return self._convolve(F.pad(x, (0, 0, 0, self.context))), None
        self._check(state, x)
        x = torch.cat([state[0], x], dim=1)
        return self._convolve(x), (x[:, max(0, x.shape[1] - self.context) :],)

    def _convolve(self, x: Tensor) -> Tensor:
        """The steps that are certain, all but the last ``context`` of ``x``."""
        if x.shape[1] <= self.context:
            return x[:, :0]
        # (batch, time, channels) -> (batch, channels, time) for the convolution, and back
        return self.conv(x.transpose(1, 2)).transpose(1, 2)

    def _check(self, state: State, x: Tensor) -> None:
        if traced():
            return
        kept = self.context
        if isinstance(state, (tuple, list)) and state and isinstance(state[0], Tensor) and state[0].dim() == 3:
            kept = min(state[0].shape[1], self.context)
        check_state(state, [(x.shape[0], kept, self.channels)])
