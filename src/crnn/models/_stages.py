"""Stages of convolutions with pooling between, over time and any space: what cascade and parallel begin with."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from torch import Tensor, nn

from crnn.config import Count
from crnn.layers import ConvBlock, MaxPool, at_least
from crnn.models._chain import Chain
from crnn.models._checks import check_odd
from crnn.types import InputSpec

TIME = {"line": (2, 2, 1), "sentence": (1,), "film": (1,)}
"""Steps that each stage joins, by kind of input, where the settings do not say; ``(2,)`` for any other."""
MOST_FEATURES = 4096  # of one step that are handed on as they are


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSettings:
    """What the stages of cascade and parallel are, and what recurs beside or behind them."""

    channels: tuple[Count, ...] = (32, 64, 128)
    """Feature maps of each stage of convolutions."""
    blocks: Count = 2
    """Convolutions in each stage, each with ReLU."""
    norm: Literal["batch", "none"] = "batch"
    """Normalisation behind each convolution. A single convolution over short sentences does better without: their few
    words tell less when they are measured against others of the batch."""
    kernel: Count = 3
    """Side of the convolutions, in time and in each axis of space; an odd number."""
    pool: tuple[Count, ...] = ()
    """Steps of time that each stage joins (one number holds for all stages); none chooses by the kind of input. Space
    is halved by each stage."""
    join: Literal["auto", "flatten", "mean"] = "auto"
    """What is left of space becomes features, or its mean does; auto flattens up to 4096 features."""
    embedding: Count = 128
    """Size of a word's vector, for sentences."""
    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    """Recurrent cell."""
    bidirectional: bool = True
    """Whether the recurrence runs in both directions."""


def joins_for(kind: str, settings: StageSettings) -> tuple[int, ...]:
    """Steps that each stage joins: what ``pool`` asks for, its last number for all that follow, or what suits the
    ``kind`` of input."""
    joins = settings.pool or TIME.get(kind, (2,))
    return tuple(joins[min(i, len(joins) - 1)] for i in range(len(settings.channels)))


class Stages(Chain):
    """``(batch, time, channels, *space)`` and lengths to ``(batch, time / stride, features)`` and theirs, of an input
    as ``spec`` says, but with ``channels`` channels.

    A stage is ``blocks`` convolutions and a pool that joins steps and halves space. What is left of space becomes
    features, or its mean does. Raises ``SettingsError`` for an even kernel, with which every convolution would add a
    step.
    """

    def __init__(self, spec: InputSpec, channels: int, settings: StageSettings) -> None:
        s = settings
        check_odd(s.kernel)
        stages: list[nn.Module] = []
        width, space, joins = channels, spec.space, joins_for(spec.kind, s)
        for maps, steps in zip(s.channels, joins, strict=True):
            for _ in range(s.blocks):
                kernel = (s.kernel,) * (1 + len(space))
                stages.append(ConvBlock(width, maps, kernel, norm=s.norm == "batch", activation=nn.ReLU(inplace=True)))
                width = maps
            window = (steps, *(min(2, side) for side in space))
            if prod(window) > 1:
                stages.append(MaxPool(window))
            space = tuple(max(1, side // 2) for side in space)
        super().__init__(stages)
        self.stride = prod(joins)
        self.places, self.channels = space, width
        self.mean = s.join == "mean" or (s.join == "auto" and width * prod(space) > MOST_FEATURES)
        self.features = width if self.mean else width * prod(space)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        """Steps that come out of ``lengths`` steps: at least one."""
        return super().out_lengths(lengths.clamp(min=self.stride))

    def maps(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What the convolutions give, ``(batch, time / stride, channels, *places)``, and its lengths."""
        x, lengths = at_least(x, lengths, self.stride)
        # (batch, time, channels, *space) -> (batch, channels, time, *space)
        x, lengths = super().forward(x.movedim(2, 1), lengths)
        return x.movedim(1, 2), lengths

    def joined(self, x: Tensor) -> Tensor:
        """The maps as features, ``(batch, time / stride, features)``."""
        x = x.movedim(2, -1)  # -> (batch, time, *space, channels)
        return x.flatten(2, -2).mean(2) if self.mean and x.dim() > 3 else x.flatten(2)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = self.maps(x, lengths)
        return self.joined(x), lengths
