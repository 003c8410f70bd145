"""transformer: a small encoder of attention alone, for comparison (Vaswani et al. 2017, arXiv 1706.03762).

"Attention Is All You Need"; normalisation stands before attention and before the dense layers, not behind them (Xiong
et al. 2020, arXiv 2002.04745), so that it learns without a long warm-up. Sizes are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from crnn.config import Count, Share
from crnn.errors import SettingsError
from crnn.layers import SelfAttention, sinusoids, zero_padding
from crnn.models._flat import Flat
from crnn.types import Features, InputSpec, Level, Seq


class Transformer(nn.Module):
    """``(batch, time, channels, *space)``, space flattened, to features ``(batch, time, width)``. Time and memory grow
    with the square of the steps."""

    accepts = ("series", "sentence", "sound", "picture", "film")
    pooling = "mean"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        width: Count = 128
        """Features of a step."""
        layers: Count = 4
        """Layers, each attention and then two dense layers."""
        heads: Count = 4
        """Heads that share the features evenly."""
        hidden: Count = 256
        """Units between the two dense layers."""
        positions: Literal["sinusoidal", "learned"] = "sinusoidal"
        """How a step knows where it is: sines and cosines, or a learned vector for each step."""
        longest: Count = 2048
        """Learned positions; later steps share the last one."""
        dropout: Share = 0.1
        """Share of features dropped before each sum, and of attention, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        if s.width % s.heads:
            raise SettingsError(
                f"encoder.width is {s.width} and encoder.heads {s.heads}",
                expected="heads that share the width evenly",
                do=f"Set encoder.width to {max(1, round(s.width / s.heads)) * s.heads}.",
            )
        self.flat = Flat(spec, s.width)
        self.into = nn.Linear(self.flat.features, s.width)
        self.positions = nn.Embedding(s.longest, s.width) if s.positions == "learned" else None
        self.dropout = nn.Dropout(s.dropout)
        self.blocks = nn.ModuleList(Block(s.width, s.heads, s.hidden, dropout=s.dropout) for _ in range(s.layers))
        self.norm = nn.LayerNorm(s.width)
        self.levels = (Level(s.width, (), 1),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def forward(self, seq: Seq, state: None = None) -> Features:
        x = self.into(self.flat(seq))
        x = self.dropout(x + self._positions(x))
        for block in self.blocks:
            x = block(x, seq.lengths)
        return Features((Seq(zero_padding(self.norm(x), seq.lengths, axis=1), seq.lengths),))

    def _positions(self, x: Tensor) -> Tensor:
        if self.positions is None:
            return sinusoids(x.shape[1], x.shape[2], device=x.device).to(x.dtype)
        last = self.positions.num_embeddings - 1
        return self.positions(torch.arange(x.shape[1], device=x.device).clamp(max=last))


class Block(nn.Module):
    """Attention, then two dense layers, at each step of ``(batch, time, width)``; both are added to what came in."""

    def __init__(self, width: int, heads: int, hidden: int, *, dropout: float) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, dropout=dropout)
        self.dense = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        x = x + self.dropout(self.attention(self.first_norm(x), lengths))
        return x + self.dropout(self.dense(self.second_norm(x)))
