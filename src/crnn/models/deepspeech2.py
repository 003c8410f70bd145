"""deepspeech2: speech to text, of a whole recording or as it is spoken (Amodei et al. 2015, arXiv 1512.02595).

"Deep Speech 2: End-to-End Speech Recognition in English and Mandarin": convolutions over time and frequency with batch
normalisation and a ReLU that is cut off at 20, then recurrent layers whose two directions are added, each with batch
normalisation of its input but not of what it carries from step to step. In one direction a lookahead convolution shows
the top a little of the future, and the convolutions here look back only, so that the network can listen to a stream.

The paper gives kernels as frequency x time, 41 x 11 and 21 x 11, for some 160 bins of a spectrogram; they stand here as
time x frequency, and the defaults are half as high, for 64 mel bands. Its larger networks have seven layers and some 35
million parameters. With 161 bins, its kernels, seven GRUs of 768 and 73 outputs this one has 52,434,473, the number of
the best known open program but for biases (64 of its convolutions, 73 of the head here).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from crnn.config import Count, Share, Whole
from crnn.errors import SettingsError
from crnn.layers import BatchNorm, CausalConv, ConvBlock, Lookahead, Recurrent, TimeDropout, zero_padding
from crnn.models._checks import check_counts, check_odd
from crnn.models._wave import Wave
from crnn.types import Features, InputSpec, Level, Seq

State: TypeAlias = tuple[Any, tuple[Any, ...], tuple[Any, ...], Any]
"""Of the filters over a waveform, of the convolutions, of the recurrent layers, of the lookahead."""
MOST = 20.0
"""Where the ReLU is cut off."""
RATE = 16_000  # samples a second of a waveform that says nothing of it


class DeepSpeech2(nn.Module):
    """Spectrogram ``(batch, time, channels, bands)``, or waveform ``(batch, time, 1)``, to features ``(batch, time /
    stride, hidden)``.

    With ``bidirectional=False`` it ``streams``: ``begin`` gives a state, ``forward(piece, state)`` the steps that are
    certain and the state to go on from, ``finish(state)`` the last ones; joined they are the whole. A piece has no
    padding, and may be too short to give a step.
    """

    accepts = ("sound",)
    tiny = {"channels": [4, 6], "kernels": [[5, 5], [3, 5]], "hidden": 8, "layers": 2}

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        filters: Count = 64
        """Learned filters over a raw waveform (input.features=raw), in the place of mel bands."""
        channels: tuple[Count, ...] = (32, 32)
        """Feature maps of each convolution (in the paper one to three: 32, 32, 96)."""
        kernels: tuple[tuple[Count, Count], ...] = ((11, 21), (11, 11))
        """Frames and bands that each convolution sees, odd numbers (in the paper 11 x 41, 11 x 21, 11 x 21)."""
        strides: tuple[tuple[Count, Count], ...] = ((2, 2), (1, 2))
        """Frames and bands by which each convolution moves (in the paper 2 x 2, 1 x 2, 1 x 2)."""
        cell: Literal["gru", "lstm", "rnn"] = "gru"
        """Recurrent cell; rnn is a plain one, with tanh (a clipped ReLU in the paper)."""
        hidden: Count = 256
        """Units of each direction, which are added (in the paper some 800 to 2560)."""
        layers: Count = 3
        """Recurrent layers (in the paper up to seven)."""
        bidirectional: bool = True
        """Whether each layer runs in both directions; a network of one direction can listen to a stream."""
        lookahead: Whole = 20
        """Steps of the future that the top of a network of one direction sees, by which its answers come late."""
        dropout: Share = 0.1
        """Share of features dropped before each recurrent layer and the head, in training."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        _check(s)
        self.streams = not s.bidirectional
        self.front = None if spec.space else Wave(spec.rate or RATE, s.filters)
        bands, stride = (spec.space[0], 1) if self.front is None else (s.filters, self.front.hop)
        self.convolutions, width = nn.ModuleList(), spec.channels
        for channels, kernel, step in zip(s.channels, s.kernels, s.strides, strict=True):
            self.convolutions.append(
                CausalBlock(width, channels, kernel, stride=step)
                if self.streams
                else ConvBlock(width, channels, kernel, stride=step, activation=nn.Hardtanh(0.0, MOST, inplace=True))
            )
            width, bands, stride = channels, -(-bands // step[1]), stride * step[0]
        widths = [width * bands] + [s.hidden] * (s.layers - 1)
        self.recurrent = nn.ModuleList(
            Recurrent(inputs, s.hidden, cell=s.cell, bidirectional=s.bidirectional) for inputs in widths
        )
        # one behind each layer: what the first is given the convolutions have normalised
        self.norms = nn.ModuleList(BatchNorm(s.hidden) for _ in widths)
        self.lookahead: Lookahead | None = None
        if self.streams and s.lookahead:
            self.lookahead = Lookahead(s.hidden, context=s.lookahead)
            with torch.no_grad():  # begins by handing on what it is given: chance weights would blur it
                self.lookahead.conv.weight.mul_(0.1)[..., 0] = 1.0
        self.dropout = TimeDropout(s.dropout)
        self.levels = (Level(s.hidden, (), stride),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        if self.front is not None:
            lengths = self.front.out_lengths(lengths)
        for convolution in self.convolutions:
            lengths = convolution.out_lengths(lengths)  # type: ignore[operator]
        return lengths

    def begin(self, batch: int = 1) -> State:
        """The state before the first piece of so many streams. Raises ``SettingsError`` for a network of both
        directions."""
        if not self.streams:
            raise SettingsError(
                "the network is recurrent in both directions",
                expected="one that looks back only, to listen to a stream",
                do="Train it with encoder.bidirectional=false.",
            )
        nothing = next(self.parameters()).new_zeros(batch, 0, self.levels[0].channels)
        ahead = (nothing,) if self.lookahead is None else self.lookahead.begin(nothing)
        return None, (None,) * len(self.convolutions), (None,) * len(self.recurrent), ahead

    def finish(self, state: State) -> Features:
        """The steps that are owed when a stream has ended, perhaps none."""
        (left,) = state[3]
        return self._out(left if self.lookahead is None else self.lookahead.finish(state[3]), None)

    def forward(self, seq: Seq, state: State | None = None) -> Features:
        none = (None, (None,) * len(self.convolutions), (None,) * len(self.recurrent), None)
        filtered, convolved, recurred, ahead = state or none
        x, lengths = seq.x, seq.lengths if state is None else None
        if self.front is not None:
            x, lengths, filtered = self.front(x, lengths, filtered)
        x = x.transpose(1, 2)  # (batch, time, channels, bands) -> (batch, channels, time, bands)
        carried, states = [], []
        for convolution, last in zip(self.convolutions, convolved, strict=True):
            if self.streams:
                x, lengths, last = convolution(x, lengths, last)
            else:
                x, lengths = convolution(x, lengths)
            carried.append(last)
        x = x.permute(0, 2, 3, 1).flatten(2)  # -> (batch, time, bands * channels): a view of channels_last
        if state is not None and not x.shape[1]:  # the piece was too short to give a step
            return self._out(
                x[..., :1].expand(-1, -1, self.levels[0].channels), None, (filtered, tuple(carried), *state[2:])
            )
        for i, (recurrent, last) in enumerate(zip(self.recurrent, recurred, strict=True)):
            if i:
                x = self._normed(x, lengths, self.norms[i - 1])
            # nothing flows back from the padding of a one-way layer, and without lengths torch's kernels are faster
            y, last = recurrent(self.dropout(x), last, None if self.streams else lengths)
            x = zero_padding(y, lengths, axis=1) if self.streams else sum(y.chunk(2, dim=2))
            states.append(last)
        if self.lookahead is not None:
            x, ahead = self.lookahead(x, ahead, lengths)
        return self._out(x, lengths, None if state is None else (filtered, tuple(carried), tuple(states), ahead))

    def _out(self, x: Tensor, lengths: Tensor | None, state: State | None = None) -> Features:
        """Features of the last layer's ``x``, all of it without ``lengths``."""
        if x.shape[1]:
            x = self.dropout(self._normed(x, lengths, self.norms[-1]))
        lengths = torch.full((len(x),), x.shape[1], device=x.device) if lengths is None else lengths
        return Features((Seq(x, lengths),), state)

    def _normed(self, x: Tensor, lengths: Tensor | None, norm: nn.Module) -> Tensor:
        return norm(x.transpose(1, 2), lengths).transpose(1, 2)  # (batch, time, channels) -> channels first, and back


class CausalBlock(nn.Module):
    """``ConvBlock`` with a clipped ReLU that looks back only: ``y, lengths, state = block(x, lengths, state)``."""

    def __init__(self, inputs: int, outputs: int, kernel_size: tuple[int, int], *, stride: tuple[int, int]) -> None:
        super().__init__()
        self.conv = CausalConv(inputs, outputs, kernel_size, space=1, stride=stride, bias=False)
        self.norm, self.activation = BatchNorm(outputs), nn.Hardtanh(0.0, MOST, inplace=True)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.conv.out_lengths(lengths)

    def forward(
        self, x: Tensor, lengths: Tensor | None, state: Any = None
    ) -> tuple[Tensor, Tensor | None, tuple[Tensor]]:
        y, after = self.conv(x, state, lengths)
        lengths = None if lengths is None else self.conv.out_lengths(lengths, state)
        if y.shape[2]:
            y = self.activation(self.norm(y, lengths))
        return y, lengths, after


def _check(s: DeepSpeech2.Settings) -> None:
    check_counts(s, "kernels", "channels", least=1, expected="as many, and one at least")
    check_counts(s, "strides", "channels", least=1, expected="as many, and one at least")
    for kernel in s.kernels:
        for side in kernel:
            check_odd(side)
