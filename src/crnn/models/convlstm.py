"""convlstm: layers of convolutional LSTM over patched frames (Shi et al. 2015, arXiv 1506.04214).

"Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting". Squares of 4 x 4 pixels become
channels; each layer is a ConvLSTM with peepholes of one number a channel. With the forecaster of the task ``nowcast``
it has, on frames of 64 x 64, the counts of the paper: 7,585,296 parameters as it stands, 10,042,896 with ``hidden =
[128, 128]``, 13,524,496 with ``[256]``; with ``input_kernel = 9`` and ``kernel = 1``, 11,550,224 in two layers and
8,830,480 in three; and as an LSTM of whole frames (``patch = 0``, ``hidden = [2048, 2048]``, both kernels 1,
``task.readout = "top"``) 142,667,776. Other cells: ConvGRU and TrajGRU (Shi et al. 2017, arXiv 1706.03458), ConvRNN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from crnn.config import Count, Whole
from crnn.errors import SettingsError
from crnn.layers import Cell, ElmanCell, GRUCell, LSTMCell, TrajectoryGRUCell, Window, scan
from crnn.models._patches import Patches
from crnn.types import Features, InputSpec, Level, Seq

CELLS: dict[str, Any] = {"lstm": LSTMCell, "gru": GRUCell, "rnn": ElmanCell, "trajectory": TrajectoryGRUCell}


class ConvLSTMStack(nn.Module):
    """Frames ``(batch, time, channels, height, width)`` to features ``(batch, time, hidden[-1], height / patch, width /
    patch)``; a step sees nothing after it, and a stream goes on from ``state``, the state of each layer.

    The first of its levels are the patched frames themselves, from which a forecaster goes on. Of a recording the
    channels are one axis of space, in the order of its columns, and nothing is patched.
    """

    accepts = ("frames", "film", "series")
    causal = True
    pooling = "last"
    tiny = {"hidden": [6, 4], "input_kernel": 3, "kernel": 3}

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        hidden: tuple[Count, ...] = (128, 64, 64)
        """Channels of each layer."""
        input_kernel: Count = 5
        """Places that a layer sees of what lies below it, in height and width."""
        kernel: Count = 5
        """Places that a layer sees of its own state."""
        patch: Whole = 4
        """Pixels of the squares that become one place each; 0 makes the whole frame one place, as an LSTM has it."""
        cell: Literal["lstm", "gru", "rnn", "trajectory"] = "lstm"
        """ConvLSTM, ConvGRU, ConvRNN, or TrajGRU, which sees the places of its state that it chooses itself."""
        peepholes: bool = True
        """Whether the gates of a ConvLSTM see its memory."""
        recompute: bool = False
        """Whether what lies between the states is computed once more for the gradient, for a fraction of the memory."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        channels, space = (spec.channels, spec.space) if spec.space else (1, (spec.channels,))
        if not s.hidden:
            raise SettingsError("encoder.hidden is empty", expected="channels of each layer", do="Name one layer.")
        if s.cell == "trajectory" and len(space) != 2:
            given = f"encoder.cell is 'trajectory' for inputs of the kind {spec.kind!r}"
            raise SettingsError(given, expected="frames with height and width", do="Set encoder.cell to gru.")
        self.patches = Patches(channels, space, s.patch)
        self.settings, self.recompute = s, s.recompute
        self.layers = self.mirror(self.patches.channels)
        places = self.patches.places
        self.levels = (Level(self.patches.channels, places, 1), Level(s.hidden[-1], places, 1))

    def mirror(self, inputs: int) -> nn.ModuleList:
        """A cell for each layer with fresh weights, the first for ``inputs`` channels: what a forecaster is built of,
        which begins with this network's states."""
        s = self.settings
        window = Window(space=len(self.patches.places), kernel_size=s.input_kernel, state_kernel_size=s.kernel)
        make: Callable[..., Cell] = partial(CELLS[s.cell], window=window)
        if s.cell == "lstm":
            make = partial(make, peepholes=s.peepholes)
        return nn.ModuleList(make(i, size) for i, size in zip((inputs, *s.hidden), s.hidden, strict=False))

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def forward(self, seq: Seq, state: Any = None) -> Features:
        x, lengths = seq
        x = self.patches.split(x if x.dim() > 3 else x[:, :, None])  # (batch, time, channels): they are space
        first, states = Seq(x, lengths), []
        for i, cell in enumerate(self.layers):
            before = None if state is None else state[i]
            x, last = scan(cell, x, before, lengths, recompute=self.recompute)  # type: ignore[arg-type]
            states.append(last)
        return Features((first, Seq(x, lengths)), states)
