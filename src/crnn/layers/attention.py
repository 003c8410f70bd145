"""Attention of queries over a sequence: additive (Bahdanau, Cho & Bengio 2014, arXiv 1409.0473), dot (Luong, Pham &
Manning 2015, arXiv 1508.04025) and scaled dot (Vaswani et al. 2017, arXiv 1706.03762)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from crnn.errors import ShapeError
from crnn.layers._given import check_axes, check_lengths, time_first, traced
from crnn.layers.padding import keep, zero_padding


class Memory(NamedTuple):
    """A sequence made ready to be attended to many times."""

    values: Tensor
    """``(batch, time, channels)``, zero in the padding."""
    keys: Tensor
    """``(batch, time, size)``: what queries are compared with."""
    lengths: Tensor | None
    """True steps of each sample, or ``None``."""


class _Attention(nn.Module):
    """What all attention shares: weights are the softmax of the scores over true steps, the context is the mean of
    the values under these weights."""

    def __init__(self, channels: int, query: int) -> None:
        super().__init__()
        self.channels, self.query = channels, query
        self.outputs = channels

    def keys(self, x: Tensor, lengths: Tensor | None = None) -> Memory:
        """``x`` ``(batch, time, channels)`` with its keys, computed once for all steps of a decoder."""
        check_axes("x", x, time_first(0), self.channels)
        check_lengths(lengths, x.shape[0], x.shape[1])
        values = zero_padding(x, lengths, axis=1)
        return Memory(values, self._keys(values), lengths)

    def forward(self, query: Tensor, x: Tensor | Memory, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if isinstance(x, Memory) and lengths is not None:
            raise ShapeError("lengths is given beside a memory", expected="x alone", do="Give the lengths to keys().")
        memory = x if isinstance(x, Memory) else self.keys(x, lengths)
        queries = as_queries(query, memory.values, self.query)
        weights = masked_softmax(self._scores(queries, memory.keys), memory.lengths, axis=2)
        context = weights @ memory.values
        return (context, weights) if query.dim() == 3 else (context.squeeze(1), weights.squeeze(1))

    def _keys(self, values: Tensor) -> Tensor:
        raise NotImplementedError

    def _scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """``(batch, queries, time)``."""
        raise NotImplementedError


class AdditiveAttention(_Attention):
    """Additive attention (Bahdanau et al. 2014): ``e_t = v . tanh(W q + U x_t + b)``, ``a = softmax_t(e)``,
    ``y = sum_t a_t x_t``.

    ``context, weights = attention(query, x, lengths)`` with ``query`` ``(batch, query)`` or
    ``(batch, queries, query)`` and ``x`` ``(batch, time, channels)``; ``context`` has the shape of ``query`` with
    ``channels`` features, ``weights`` has ``time`` places in their stead, and is zero in the padding. A sample without
    a step gives zeros. In a decoder the keys are projected once: ``memory = attention.keys(x, lengths)``, then
    ``attention(query, memory)`` at each step. Memory grows with queries times time times ``size``. Raises
    ``ShapeError``.
    """

    def __init__(self, channels: int, query: int, *, size: int) -> None:
        super().__init__(channels, query)
        self.from_query = nn.Linear(query, size, bias=False)
        self.from_keys = nn.Linear(channels, size)
        self.score = nn.Linear(size, 1, bias=False)

    def _keys(self, values: Tensor) -> Tensor:
        return self.from_keys(values)

    def _scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        return self.score(torch.tanh(self.from_query(queries)[:, :, None] + keys[:, None])).squeeze(-1)


class DotAttention(_Attention):
    """Dot attention: ``e_t = s (W q) . (U x_t)``, ``a = softmax_t(e)``, ``y = sum_t a_t x_t``.

    ``scale`` ``s`` is by default one over the root of the features that are multiplied (Vaswani et al. 2017); 1 is
    Luong et al. 2015. Without ``size`` nothing is projected (``W = U = 1``), and ``query`` must equal ``channels``;
    with it both are projected to ``size``, Luong's "general" form where ``size`` is as large as they are. Shapes,
    lengths and reuse of the keys are those of ``AdditiveAttention``. Raises ``ShapeError``.
    """

    def __init__(self, channels: int, query: int, *, size: int | None = None, scale: float | None = None) -> None:
        super().__init__(channels, query)
        if size is None and query != channels:
            raise ShapeError(
                f"queries have {query} channels and the sequence {channels}",
                expected="the same number, since nothing is projected",
                do="Give size, to which both are then projected.",
            )
        self.scale = (size or channels) ** -0.5 if scale is None else scale
        self.from_query = nn.Linear(query, size, bias=False) if size else nn.Identity()
        self.from_keys = nn.Linear(channels, size, bias=False) if size else nn.Identity()

    def _keys(self, values: Tensor) -> Tensor:
        return self.from_keys(values)

    def _scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        return self.scale * self.from_query(queries) @ keys.mT


def masked_softmax(scores: Tensor, lengths: Tensor | None, *, axis: int) -> Tensor:
    """Softmax over the true steps of ``axis``: zero in the padding, and nothing but zeros where there is no step."""
    if lengths is None:
        return scores.softmax(axis)
    outside = keep(scores, lengths, axis=axis) == 0
    # the least number and not -inf, of which a sample without a step would make nan
    return scores.masked_fill(outside, torch.finfo(scores.dtype).min).softmax(axis).masked_fill(outside, 0)


def as_queries(query: Tensor, x: Tensor, channels: int | None) -> Tensor:
    """``query`` as ``(batch, queries, channels)``, of as many samples as ``x`` has; ``(batch, channels)`` is one
    query."""
    check_axes(
        "query", query, ("batch", "channels") if query.dim() == 2 else ("batch", "queries", "channels"), channels
    )
    if not traced() and query.shape[0] != x.shape[0]:
        raise ShapeError(
            f"query has {query.shape[0]} samples, {tuple(query.shape)}",
            expected=f"{x.shape[0]}, as many as x has",
            do="Give one query, or one row of queries, for each sample of the batch.",
        )
    return query if query.dim() == 3 else query[:, None]
