"""deepconvlstm: convolutions over each sensor's time, then two LSTMs (Ordonez & Roggen 2016, Sensors 16(1):115).

"Deep Convolutional and LSTM Recurrent Neural Networks for Multimodal Wearable Activity Recognition". The convolutions
have no width over sensors: each sensor's recording is seen by the same filters and by nobody else's, until the first
LSTM has all of them side by side. With 113 sensors and 18 classes, as in the paper, it has 3,964,754 parameters where a
gate has one bias (``cell = "lstm_one_bias"``), and the 768 peepholes more of the authors' program with
``cell = "lstm_peepholes"``; torch's own LSTM, the default for its speed, has a second bias: 3,965,778.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from crnn.config import Count, Share
from crnn.errors import SettingsError
from crnn.layers import ConvBlock, Recurrent, TimeDropout, at_least
from crnn.models._cells import RECURRENCES
from crnn.models._chain import Chain
from crnn.types import Features, InputSpec, Level, Seq


class DeepConvLSTM(nn.Module):
    """Recording ``(batch, time, channels)`` to features ``(batch, time - layers * (kernel - 1), hidden)``."""

    accepts = ("series",)
    pooling = "last"
    tiny = {"channels": [6, 6, 4, 6], "kernel": 3, "hidden": 8}

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        channels: tuple[Count, ...] = (64, 64, 64, 64)
        """Feature maps of each convolution, for each sensor."""
        kernel: Count = 5
        """Steps that a convolution sees."""
        padding: Literal["valid", "same"] = "valid"
        """Whether a convolution stays inside the recording, as in the paper, or keeps all steps, for a label a step."""
        hidden: Count = 128
        """Units of each LSTM."""
        layers: Count = 2
        """LSTMs."""
        cell: Literal["lstm", "lstm_one_bias", "lstm_peepholes"] = "lstm"
        """torch's own, or one with one bias a gate as the paper counts, or that with peepholes as in its program."""
        dropout: Share = 0.5
        """Share of features dropped before each LSTM, in training; before the labels it is the task's."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        same = s.padding == "same"
        if same and s.kernel % 2 == 0:
            raise SettingsError(
                f"encoder.kernel is {s.kernel} and encoder.padding 'same'",
                expected="an odd kernel, which has as much before as behind",
                do=f"Set encoder.kernel to {s.kernel + 1}.",
            )
        pad = (s.kernel // 2 if same else 0, 0)
        self.convolutions = Chain(
            ConvBlock(inputs, outputs, (s.kernel, 1), padding=pad, norm=False, activation=nn.ReLU(inplace=True))
            for inputs, outputs in zip((1, *s.channels), s.channels, strict=False)
        )
        self.least_steps = 1 if same else len(s.channels) * (s.kernel - 1) + 1
        self.dropout = TimeDropout(s.dropout)
        self.recurrent = Recurrent(
            spec.channels * (s.channels[-1] if s.channels else 1),
            s.hidden,
            layers=s.layers,
            cell=RECURRENCES[s.cell],
            dropout=s.dropout,
        )
        self.levels = (Level(s.hidden, (), 1),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.convolutions.out_lengths(lengths.clamp(min=self.least_steps))

    def forward(self, seq: Seq, state: Any = None) -> Features:
        x, lengths = at_least(*seq, self.least_steps)
        # (batch, time, sensors) -> (batch, channels, time, sensors)
        x, lengths = self.convolutions(x[:, None], lengths)
        x = x.permute(0, 2, 3, 1).flatten(2)  # -> (batch, time, sensors * channels): a view of channels_last
        x, _ = self.recurrent(self.dropout(x), None, lengths)
        return Features((Seq(x, lengths),))
