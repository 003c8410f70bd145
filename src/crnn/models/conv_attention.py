"""conv_attention: convolutions, then a BiLSTM, then attention to all steps (Singh et al. 2020, arXiv 2005.00698).

"Deep ConvLSTM with Self-Attention for Human Activity Decoding Using Wearables" puts attention of the steps to each
other behind convolutions and recurrence; Chen et al. (2018, IEEE Signal Processing Letters 25(10), speech emotions)
have a linear layer between convolutions and BiLSTM, and make steps one by attention, the pooling that is preferred
here. This is that hybrid for any kind of input; sizes are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torch import Tensor, nn

from crnn.config import Count, Share
from crnn.errors import SettingsError
from crnn.layers import ConvBlock, Recurrent, SelfAttention, TimeDropout, zero_padding
from crnn.models._chain import Chain
from crnn.models._checks import check_counts
from crnn.models._front import Front
from crnn.types import Features, InputSpec, Level, Seq


class ConvAttention(nn.Module):
    """``(batch, time, channels, *space)`` to features ``(batch, time / stride, 2 * hidden)``."""

    accepts = ("series", "sound", "picture", "film", "sentence")
    pooling = "attention"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        channels: tuple[Count, ...] = (32, 64, 128)
        """Feature maps of each convolution, each with batch normalisation and ReLU."""
        kernel: Count = 5
        """Steps that a convolution sees; in each axis of space it sees 3 places."""
        strides: tuple[Count, ...] = ()
        """Steps of time that each convolution joins; none joins 2 in all but the first, and no words or frames of film.
        Space is halved by each."""
        embedding: Count = 128
        """Size of a word's vector, for sentences."""
        hidden: Count = 96
        """Units of the BiLSTM in each direction; a linear layer before it leaves twice as many features."""
        layers: Count = 1
        """BiLSTMs."""
        heads: Count = 4
        """Heads of the attention, which share the features evenly."""
        dropout: Share = 0.2
        """Share of features dropped before each BiLSTM and behind the attention, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        still = spec.kind in ("sentence", "film")
        strides = s.strides or tuple(1 if still or not i else 2 for i in range(len(s.channels)))
        if s.strides:
            check_counts(s, "channels", "strides")
        if 2 * s.hidden % s.heads or s.kernel % 2 == 0:
            raise SettingsError(
                f"encoder.hidden is {s.hidden}, encoder.heads {s.heads} and encoder.kernel {s.kernel}",
                expected="heads that share twice the hidden units evenly, and an odd kernel",
                do="Change the one that does not fit.",
            )
        self.front = Front(spec, s.embedding)
        width, space = self.front.channels, spec.space
        self.convolutions = Chain()
        for channels, stride in zip(s.channels, strides, strict=True):
            kernel, steps = (s.kernel, *[3] * len(space)), (stride, *[2] * len(space))
            self.convolutions.append(ConvBlock(width, channels, kernel, stride=steps, activation=nn.ReLU(inplace=True)))
            width, space = channels, tuple((side + 1) // 2 for side in space)
        self.join = nn.Linear(width * prod(space), 2 * s.hidden)
        self.recurrent = Recurrent(2 * s.hidden, s.hidden, layers=s.layers, bidirectional=True, dropout=s.dropout)
        self.attention = SelfAttention(2 * s.hidden, s.heads)
        self.norm = nn.LayerNorm(2 * s.hidden)
        self.dropout = TimeDropout(s.dropout)
        self.levels = (Level(2 * s.hidden, (), prod(strides)),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.convolutions.out_lengths(lengths)

    def forward(self, seq: Seq, state: None = None) -> Features:
        # (batch, time, channels, *space) -> (batch, channels, time, *space)
        x, lengths = self.convolutions(self.front(seq).movedim(2, 1), seq.lengths)
        x = self.join(x.movedim(1, -1).flatten(2))  # -> (batch, time, *space * channels): a view of channels_last
        x, _ = self.recurrent(self.dropout(x), None, lengths)
        x = self.norm(x + self.dropout(self.attention(x, lengths)))
        return Features((Seq(zero_padding(x, lengths, axis=1), lengths),))
