"""Attention of a sequence to itself, and the positions that it needs (Vaswani et al. 2017, arXiv 1706.03762)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.errors import SettingsError
from crnn.layers._given import check_axes, check_lengths, time_first
from crnn.layers.padding import mask, zero_padding


class SelfAttention(nn.Module):
    """Scaled dot-product attention of each step to all steps of its sample, in several heads: for each head
    ``softmax_s(q_t . k_s / sqrt(d)) v_s``, the heads joined by a linear layer; ``d = channels / heads``.

    ``y = layer(x, lengths)`` with ``x`` and ``y`` ``(batch, time, channels)``. Padding is not attended to and comes out
    zero. Queries, keys and values have no bias: that of a key would change nothing. Raises ``SettingsError`` where the
    heads do not share the channels evenly, and ``ShapeError``.
    """

    recurs = True  # a step sees all others

    def __init__(self, channels: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        if heads < 1 or channels % heads:
            raise SettingsError(
                f"{channels} channels are shared by {heads} heads",
                expected="a number of heads that divides the channels",
                do="Change one of them.",
            )
        self.channels, self.heads, self.dropout = channels, heads, dropout
        self.into = nn.Linear(channels, 3 * channels, bias=False)
        self.out = nn.Linear(channels, channels)

    def extra_repr(self) -> str:
        return f"{self.channels}, heads={self.heads}"

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        check_axes("x", x, time_first(0), self.channels)
        check_lengths(lengths, x.shape[0], x.shape[1])
        x = zero_padding(x, lengths, axis=1)
        # (batch, time, 3 * channels) -> three times (batch, heads, time, channels / heads)
        q, k, v = self.into(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # a sample without a step looks at its first, and is zero afterwards: there is no softmax over nothing
        seen = None if lengths is None else mask(lengths.clamp(min=1), x.shape[1])[:, None, None]
        y = F.scaled_dot_product_attention(q, k, v, seen, dropout_p=self.dropout if self.training else 0.0)
        return zero_padding(self.out(y.transpose(1, 2).flatten(2)), lengths, axis=1)


def sinusoids(steps: int, channels: int, *, device: torch.device | None = None) -> Tensor:
    """``(steps, channels)``: sines of the step in the first half of the channels, cosines in the second, of wavelengths
    from 2 pi to 10,000 times that (Vaswani et al. 2017, whose sines and cosines take turns)."""
    half = (channels + 1) // 2
    rates = torch.exp(torch.arange(half, device=device) * (-math.log(10_000.0) / half))
    angles = torch.arange(steps, device=device)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :channels]
