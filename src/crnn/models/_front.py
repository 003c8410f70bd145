"""What comes before a network's first layer: words become vectors, numbers stay as they are."""

from __future__ import annotations

from torch import Tensor, nn

from crnn.layers import zero_padding
from crnn.types import InputSpec, Seq

BEGIN = 0.1
"""Deviation of words' vectors at the start. torch's 1 is so large that what is learned hardly shows beside it: words
that are rare keep chance vectors, and the network learns the training part by these."""


class Front(nn.Module):
    """``(batch, time, 1)`` numbers of a vocabulary to ``(batch, time, size)``; any other input as it is. ``channels``
    is how many come out. Padding is zero."""

    def __init__(self, spec: InputSpec, size: int) -> None:
        super().__init__()
        self.words = nn.Embedding(spec.vocabulary, size) if spec.vocabulary else None
        if self.words is not None:
            nn.init.normal_(self.words.weight, std=BEGIN)
        self.channels = size if spec.vocabulary else spec.channels

    def forward(self, seq: Seq) -> Tensor:
        if self.words is None:
            return seq.x
        return zero_padding(self.words(seq.x[:, :, 0]), seq.lengths, axis=1)
