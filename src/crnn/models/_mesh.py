"""Electrodes laid out as a picture, and the convolutions that look at each frame of it: what the EEG networks share."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isqrt, prod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.config import Count, Whole
from crnn.errors import SettingsError
from crnn.layers import ConvBlock

Table = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSettings:
    """What the EEG networks share: the convolutions over the mesh, and what recurs."""

    mesh: tuple[tuple[Whole, ...], ...] = ()
    """Where the channels lie, row by row: their numbers from 1 on, 0 for none; without it the scalp for 64 channels,
    else a table filled row by row, in which neighbours mean little."""
    channels: tuple[Count, ...] = (32, 64, 128)
    """Feature maps of the convolutions."""
    cell: Literal["lstm", "lstm_one_bias"] = "lstm"
    """torch's own, or one with one bias a gate, as the paper's program has it."""


SCALP: Table = (
    (0, 0, 0, 0, 22, 23, 24, 0, 0, 0, 0),
    (0, 0, 0, 25, 26, 27, 28, 29, 0, 0, 0),
    (0, 30, 31, 32, 33, 34, 35, 36, 37, 38, 0),
    (0, 39, 1, 2, 3, 4, 5, 6, 7, 40, 0),
    (43, 41, 8, 9, 10, 11, 12, 13, 14, 42, 44),
    (0, 45, 15, 16, 17, 18, 19, 20, 21, 46, 0),
    (0, 47, 48, 49, 50, 51, 52, 53, 54, 55, 0),
    (0, 0, 0, 56, 57, 58, 59, 60, 0, 0, 0),
    (0, 0, 0, 0, 61, 62, 63, 0, 0, 0, 0),
    (0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0),
)
"""The 64 electrodes of the 10-10 system by their numbers in BCI2000's order (1 is FC5, 11 is Cz), seen from above, the
nose on top; 0 where there is none."""


def mesh_for(channels: int, mesh: Table) -> Table:
    """``mesh``, or the usual one for so many channels: the scalp for 64, and for any other number a table as square as
    can be, filled row by row. Raises ``SettingsError`` for a mesh that is no table of the channels' numbers."""
    if not mesh and channels == 64:
        return SCALP
    if not mesh:
        columns = max(1, isqrt(channels - 1) + 1)
        rows = ceil(channels / columns)
        numbers = [n if n <= channels else 0 for n in range(1, rows * columns + 1)]
        return tuple(tuple(numbers[i : i + columns]) for i in range(0, rows * columns, columns))
    named = [n for row in mesh for n in row if n]
    if len({len(row) for row in mesh}) != 1 or not named:
        raise SettingsError(
            f"encoder.mesh has rows of {', '.join(str(len(row)) for row in mesh)} places",
            expected="rows of equal length with channels in them",
            do="Fill places without a channel with 0.",
        )
    if sorted(named) != list(range(1, channels + 1)):
        missing = sorted(set(range(1, channels + 1)) - set(named))
        strange = sorted(n for n in set(named) if n > channels or named.count(n) > 1)
        wrong = [f"leaves out channel {n}" for n in missing[:1]] + [f"names {n} wrongly" for n in strange[:1]]
        raise SettingsError(
            f"encoder.mesh {' and '.join(wrong)}",
            expected=f"each of the {channels} channels of the input once, by its number from 1 on",
            do="Correct the mesh, or leave it out.",
        )
    return mesh


class Mesh(nn.Module):
    """``(batch, time, channels)`` to pictures ``(batch, time, 1, rows, columns)``, zero where there is no channel."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table
        self.size = (len(table), len(table[0]))

    def extra_repr(self) -> str:
        return "{} x {}".format(*self.size)

    def forward(self, x: Tensor) -> Tensor:
        places = torch.tensor([n for row in self.table for n in row], device=x.device)
        return F.pad(x, (1, 0)).index_select(2, places).view(*x.shape[:2], 1, *self.size)


class Frames(nn.Module):
    """``(batch, time, channels)`` to ``(batch, time, features)``: convolutions over the mesh of each frame by itself,
    without pooling, and a dense layer, all with ELU."""

    def __init__(self, table: Table, channels: tuple[int, ...], features: int) -> None:
        super().__init__()
        self.mesh = Mesh(table)
        self.convolutions = nn.ModuleList(
            ConvBlock(inputs, outputs, (1, 3, 3), norm=False, activation=nn.ELU())
            for inputs, outputs in zip((1, *channels), channels, strict=False)
        )
        self.dense = nn.Linear((channels or (1,))[-1] * prod(self.mesh.size), features)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mesh(x).transpose(1, 2)  # (batch, time, 1, rows, columns) -> (batch, 1, time, rows, columns)
        for convolution in self.convolutions:
            x, _ = convolution(x)
        # -> (batch, time, rows, columns, channels) -> (batch, time, features): a view of channels_last
        return F.elu(self.dense(x.permute(0, 2, 3, 4, 1).flatten(2)))


def he_(module: nn.Module) -> None:
    """Begin convolutions and linear layers with as much variance as ReLU and ELU need to hand it on (He et al. 2015,
    arXiv 1502.01852). As torch begins them each layer hands on a third of it: behind four layers ELU is as good as
    linear, and LSTMs behind that long see nothing in a wave but its mean."""
    for part in module.modules():
        if isinstance(part, (nn.Conv3d, nn.Linear)):
            nn.init.kaiming_normal_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
