"""text_rcnn: a recurrent convolutional network for sentences (Lai, Xu, Liu & Zhao 2015, AAAI).

"Recurrent Convolutional Neural Networks for Text Classification": a word is seen with what stands to its left and to
its right, each summed up by a recurrence that ends before the word itself; a dense layer over the three, then the
largest value of each feature over all words. With the sizes of the paper (50, 50 and 100) it has 25,200 parameters
besides the words' vectors and the last layer. The paper's vectors were learned beforehand; here they begin at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crnn.config import Count, Share
from crnn.layers import ElmanCell, scan, zero_padding
from crnn.models._front import Front
from crnn.types import Features, InputSpec, Level, Seq


class TextRCNN(nn.Module):
    """Sentence ``(batch, words, 1)`` of numbers to features ``(batch, words, hidden)``."""

    accepts = ("sentence",)
    pooling = "max"
    tiny = {"embedding": 13, "context": 10, "hidden": 16}

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        embedding: Count = 50
        """Size of a word's vector."""
        context: Count = 50
        """Size of what is known of the words to the left, and of those to the right."""
        hidden: Count = 100
        """Features of a word in its context."""
        dropout: Share = 0.3
        """Share of a word's vector and contexts dropped, in training; none in the paper."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        self.front = Front(spec, s.embedding)
        self.left, self.right = (ElmanCell(self.front.channels, s.context, bias=False) for _ in range(2))
        self.left_start, self.right_start = (nn.Parameter(torch.empty(s.context).uniform_(-0.1, 0.1)) for _ in range(2))
        self.dropout = nn.Dropout(s.dropout)
        self.dense = nn.Linear(2 * s.context + self.front.channels, s.hidden)
        self.levels = (Level(s.hidden, (), 1),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def forward(self, seq: Seq, state: None = None) -> Features:
        words, lengths = self.front(seq), seq.lengths
        left, right = (start.repeat(words.shape[0], 1) for start in (self.left_start, self.right_start))
        # a context ends before its word: what the recurrence gives for one word is the context of the next
        before = torch.cat([left[:, None], scan(self.left, words, (left,), lengths)[0][:, :-1]], 1)
        after = scan(self.right, words, (right,), lengths, reverse=True)[0]
        after = torch.cat([after[:, 1:], right[:, None]], 1)
        last = torch.arange(words.shape[1], device=words.device) == lengths[:, None] - 1
        after = torch.where(last[:, :, None], right[:, None], after)
        x = torch.tanh(self.dense(self.dropout(torch.cat([before, words, after], 2))))
        return Features((Seq(zero_padding(x, lengths, axis=1), lengths),))
