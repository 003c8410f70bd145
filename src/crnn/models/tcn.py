"""tcn: dilated causal convolutions in residual blocks (Bai, Kolter & Koltun 2018, arXiv 1803.01271).

"An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling". Each block has two
convolutions that look back only, with weight normalisation, ReLU and dropout of whole channels, and a way around them;
block ``i`` is dilated by ``2 ** i``. A step sees ``1 + 2 (kernel - 1) (2 ** blocks - 1)`` steps. With 8 blocks of 25
channels, a kernel of 7 and 10 classes, the paper's network for rows of single pixels, it has 66,910 parameters (70
thousand in the paper's table).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from crnn.config import Count, Share
from crnn.layers import CausalConv, WeightNormConv1d
from crnn.models._flat import Flat
from crnn.types import Features, InputSpec, Level, Seq


class TCN(nn.Module):
    """``(batch, time, channels, *space)``, space flattened, to features ``(batch, time, channels[-1])``; a step sees
    nothing after it, and a stream goes on from ``state``."""

    accepts = ("series", "sentence", "sound")
    causal = True
    pooling = "last"
    tiny = {"channels": [8, 8, 12], "embedding": 6}

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        channels: tuple[Count, ...] = (64, 64, 64, 64, 64, 64)
        """Feature maps of each block; each looks twice as far back as the one before."""
        kernel: Count = 5
        """Steps that a convolution sees, a power of two apart."""
        weight_norm: bool = True
        """Whether filters are learned as length and direction (Salimans & Kingma 2016, arXiv 1602.07868)."""
        embedding: Count = 128
        """Size of a word's vector, for sentences."""
        dropout: Share = 0.1
        """Share of channels dropped behind each convolution, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        self.flat = Flat(spec, s.embedding)
        widths = [self.flat.features, *s.channels]
        self.blocks = nn.ModuleList(
            Block(inputs, outputs, s.kernel, dilation=2**i, normed=s.weight_norm, dropout=s.dropout)
            for i, (inputs, outputs) in enumerate(zip(widths, s.channels, strict=False))
        )
        self.levels = (Level(widths[-1], (), 1),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def forward(self, seq: Seq, state: Any = None) -> Features:
        x = self.flat(seq).transpose(1, 2)  # (batch, time, features) -> (batch, features, time)
        states = []
        for i, block in enumerate(self.blocks):
            x, last = block(x, None if state is None else state[i], seq.lengths)
            states.append(last)
        return Features((Seq(x.transpose(1, 2), seq.lengths),), tuple(states))


class Block(nn.Module):
    """Two causal convolutions ``(batch, inputs, time)`` to ``(batch, outputs, time)``, and what came in is added."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, dilation: int, normed: bool, dropout: float) -> None:
        super().__init__()
        self.first = CausalConv(inputs, outputs, kernel, dilation=dilation)
        self.second = CausalConv(outputs, outputs, kernel, dilation=dilation)
        if normed:
            for layer in (self.first, self.second):
                layer.conv = WeightNormConv1d.of(layer.conv)
        self.dropout = nn.Dropout1d(dropout)
        self.around = CausalConv(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor, state: Any, lengths: Tensor) -> tuple[Tensor, Any]:
        one, two = (None, None) if state is None else state
        y, one = self.first(x, one, lengths)
        y, two = self.second(self.dropout(torch.relu(y)), two, lengths)
        if self.around is not None:
            x, _ = self.around(x, None, lengths)
        return torch.relu(x + self.dropout(torch.relu(y))), (one, two)
