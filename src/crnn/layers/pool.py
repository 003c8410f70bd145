"""Pooling over time that knows lengths: mean, maximum, last step, attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crnn.layers._given import check_axes, check_lengths, time_first
from crnn.layers.attention import masked_softmax
from crnn.layers.padding import keep, zero_padding


class TimeMean(nn.Module):
    """Mean of each sample's true steps: ``y = 1/T sum_t x_t``.

    ``forward(x, lengths)`` makes ``(batch, channels, *space)`` of ``(batch, time, channels, *space)``; a sample without
    a step gives zeros. It adds up in float32 at least. Raises ``ShapeError``.
    """

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        _check(x, lengths)
        exact = torch.promote_types(x.dtype, torch.float32)
        total = zero_padding(x, lengths, axis=1).sum(1, dtype=exact)
        if lengths is None:
            return (total / max(1, x.shape[1])).to(x.dtype)
        return (total / lengths.clamp(min=1).view(_each_sample(total))).to(x.dtype)


class TimeMax(nn.Module):
    """Largest of each sample's true steps, each channel and place by itself: ``y = max_t x_t``.

    ``forward(x, lengths)`` makes ``(batch, channels, *space)`` of ``(batch, time, channels, *space)``; a sample without
    a step gives zeros. Raises ``ShapeError``.
    """

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        _check(x, lengths)
        if x.shape[1] == 0:
            return x.sum(1)
        if lengths is None:
            return x.amax(1)
        least = torch.where(lengths > 0, -torch.inf, 0.0).to(x.dtype).view(_each_sample(x))
        return torch.where(keep(x, lengths, axis=1) > 0, x, least).amax(1)


class TimeLast(nn.Module):
    """Each sample's last true step: ``y = x_T``.

    ``forward(x, lengths)`` makes ``(batch, channels, *space)`` of ``(batch, time, channels, *space)``; a sample without
    a step gives zeros. Raises ``ShapeError``.
    """

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        _check(x, lengths)
        if x.shape[1] == 0:
            return x.sum(1)
        if lengths is None:
            return x[:, -1]
        y = x[torch.arange(x.shape[0], device=x.device), (lengths - 1).clamp(min=0)]
        return torch.where((lengths > 0).view(_each_sample(y)), y, y.new_zeros(()))


class TimeAttention(nn.Module):
    """Mean of each sample's true steps under learned weights: ``a = softmax_t(v . tanh(W x_t + b))``,
    ``y = sum_t a_t x_t``: additive attention (Bahdanau et al. 2014, arXiv 1409.0473) that asks one learned question.

    ``forward(x, lengths)`` makes ``(batch, channels, *space)`` of ``(batch, time, channels, *space)``; each place of
    space has weights of its own, ``weights(x, lengths)`` ``(batch, time, *space)``. A sample without a step gives
    zeros. Raises ``ShapeError``.
    """

    def __init__(self, channels: int, *, size: int) -> None:
        super().__init__()
        self.channels = channels
        self.hidden = nn.Linear(channels, size)
        self.score = nn.Linear(size, 1, bias=False)

    def weights(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """``(batch, time, *space)``: what each step counts, 1 in all."""
        _check(x, lengths, self.channels)
        # (batch, time, channels, *space) -> (batch, time, *space, channels), where linear layers want channels
        x = zero_padding(x, lengths, axis=1).movedim(2, -1)
        return masked_softmax(self.score(torch.tanh(self.hidden(x))).squeeze(-1), lengths, axis=1)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        weights = self.weights(x, lengths).unsqueeze(2).to(x.dtype)
        return (weights * zero_padding(x, lengths, axis=1)).sum(1)


def _check(x: Tensor, lengths: Tensor | None, channels: int | None = None) -> None:
    check_axes("x", x, time_first(max(0, x.dim() - 3)), channels)
    check_lengths(lengths, x.shape[0], x.shape[1])


def _each_sample(x: Tensor) -> tuple[int, ...]:
    """Shape in which one number for each sample meets ``x``."""
    return (-1, *[1] * (x.dim() - 1))
