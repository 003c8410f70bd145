"""What comes before a network's first layer: words become vectors, numbers stay as they are."""

from __future__ import annotations

from torch import Tensor, nn

from crnn.layers import zero_padding
from crnn.types import InputSpec, Seq

BEGIN = 0.1
"""Deviation of words' vectors at the start. torch's 1 is so large that what is learned hardly shows beside it: words
that are rare keep chance vectors, and the network learns the training part by these."""


class Words(nn.Embedding):
    """``(batch, time, 1 + ends)`` numbers to vectors ``(batch, time, size)``: that of the word, and the mean of those
    of its ends that are known (number 0 is none)."""

    def forward(self, numbers: Tensor) -> Tensor:
        if numbers.shape[2] == 1:
            return super().forward(numbers[:, :, 0])
        vectors = super().forward(numbers)
        known = (numbers[:, :, 1:, None] > 0).to(vectors.dtype)
        return vectors[:, :, 0] + (vectors[:, :, 1:] * known).sum(2) / known.sum(2).clamp(min=1)


class Front(nn.Module):
    """``(batch, time, 1 + ends)`` numbers of a vocabulary to ``(batch, time, size)``; any other input as it is.
    ``channels`` is how many come out. Padding is zero. ``dropout`` is the share of numbers of words' vectors that are
    dropped in training, each word's by itself."""

    def __init__(self, spec: InputSpec, size: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.words = Words(spec.vocabulary, size) if spec.vocabulary else None
        if self.words is not None:
            nn.init.normal_(self.words.weight, std=BEGIN)
        self.dropout = nn.Dropout(dropout)
        self.channels = size if spec.vocabulary else spec.channels

    def forward(self, seq: Seq) -> Tensor:
        if self.words is None:
            return seq.x
        return zero_padding(self.dropout(self.words(seq.x)), seq.lengths, axis=1)
