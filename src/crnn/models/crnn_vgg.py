"""crnn_vgg: the first CRNN, seven convolutions and two bidirectional LSTMs (Shi, Bai & Yao 2015, arXiv 1507.05717).

Sizes are those of the authors' program (github.com/bgshih/crnn): batch normalisation after convolutions 3, 5 and 7,
where the paper's table has it after two. With the 37 outputs of the paper (36 letters and figures, and the blank) the
network has 8,331,301 parameters at height 32. Pictures of 100 columns give 26 steps: the two middle pools keep the
columns and each adds one at the border, the last convolution takes one away.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from crnn.config import Count
from crnn.errors import SettingsError
from crnn.layers import ConvBlock, MaxPool, Recurrent, at_least
from crnn.models._chain import Chain
from crnn.types import Features, InputSpec, Level, Seq

LEAST_COLUMNS = 4  # what the two pools that halve the columns make one step of


class CRNNVGG(nn.Module):
    """Line picture ``(batch, time, 1, height)`` to features ``(batch, time / 4 + 1, 2 * hidden)``."""

    accepts = ("line",)
    height = 32

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        channels: tuple[Count, Count, Count, Count, Count, Count, Count] = (64, 128, 256, 256, 512, 512, 512)
        """Feature maps of the seven convolutions."""
        hidden: Count = 256
        """LSTM units in each direction; the first layer's two directions are joined to as many features."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        (height,) = spec.space
        if height < 32 or height % 16:
            raise SettingsError(
                f"the line height is {height}",
                expected="32, or a larger multiple of 16",
                do=f"Set input.height to {max(32, height // 16 * 16)}.",
            )
        one, two, three, four, five, six, seven = s.channels
        self.stages = Chain(
            [
                _convolution(spec.channels, one),
                MaxPool(2),
                _convolution(one, two),
                MaxPool(2),
                _convolution(two, three, norm=True),
                _convolution(three, four),
                MaxPool(2, stride=(1, 2), padding=(1, 0)),
                _convolution(four, five, norm=True),
                _convolution(five, six),
                MaxPool(2, stride=(1, 2), padding=(1, 0)),
                ConvBlock(six, seven, 2, padding=0, bias=True, activation=nn.ReLU()),
            ]
        )
        rows = height // 16 - 1
        self.first = Recurrent(seven * rows, s.hidden, bidirectional=True)
        self.join = nn.Linear(2 * s.hidden, s.hidden)
        self.second = Recurrent(s.hidden, s.hidden, bidirectional=True)
        self.levels = (Level(self.second.outputs, (), 4),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.stages.out_lengths(lengths.clamp(min=LEAST_COLUMNS))

    def forward(self, seq: Seq, state: None = None) -> Features:
        x, lengths = at_least(*seq, LEAST_COLUMNS)
        # (batch, time, channels, height) -> (batch, channels, time, height)
        x, lengths = self.stages(x.permute(0, 2, 1, 3), lengths)
        x = x.permute(0, 2, 3, 1).flatten(2)  # -> (batch, time, height * channels): a view of channels_last
        x, _ = self.first(x, None, lengths)
        x, _ = self.second(self.join(x), None, lengths)
        return Features((Seq(x, lengths),))


def _convolution(inputs: int, outputs: int, *, norm: bool = False) -> ConvBlock:
    return ConvBlock(inputs, outputs, 3, norm=norm, bias=True, activation=nn.ReLU())
