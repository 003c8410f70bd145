"""Stages of convolutions with pooling between, over time and any space: what cascade and parallel begin with."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Literal

from torch import Tensor, nn

from crnn.layers import ConvBlock, MaxPool, at_least
from crnn.models._chain import Chain
from crnn.models._checks import check_odd

TIME = {"line": (2, 2, 1), "sentence": (1,), "film": (1,)}
"""Steps that each stage joins, by kind of input, where the settings do not say; ``(2,)`` for any other."""
MOST_FEATURES = 4096  # of one step that are handed on as they are
Join = Literal["auto", "flatten", "mean"]


def joins_for(kind: str, asked: Sequence[int], stages: int) -> tuple[int, ...]:
    """Steps that each of so many ``stages`` joins: what is ``asked`` for, its last number for all that follow, or what
    suits the ``kind`` of input."""
    joins = tuple(asked) or TIME.get(kind, (2,))
    return tuple(joins[min(i, len(joins) - 1)] for i in range(stages))


class Stages(Chain):
    """``(batch, time, inputs, *space)`` and lengths to ``(batch, time / stride, features)`` and theirs.

    A stage is ``blocks`` convolutions with as many maps as ``channels`` says, and a pool that joins as many steps as
    ``joins`` says and halves space. What is left of space becomes features, or its mean does (``join``).
    Raises ``SettingsError`` for an even ``kernel``, with which every convolution would add a step.
    """

    def __init__(
        self,
        inputs: int,
        channels: Sequence[int],
        *,
        space: Sequence[int],
        joins: Sequence[int],
        blocks: int,
        kernel: int,
        join: Join,
    ) -> None:
        check_odd(kernel)
        stages: list[nn.Module] = []
        space = tuple(space)
        for maps, steps in zip(channels, joins, strict=True):
            for _ in range(blocks):
                stages.append(ConvBlock(inputs, maps, (kernel,) * (1 + len(space)), activation=nn.ReLU(inplace=True)))
                inputs = maps
            window = (steps, *(min(2, side) for side in space))
            if prod(window) > 1:
                stages.append(MaxPool(window))
            space = tuple(max(1, side // 2) for side in space)
        super().__init__(stages)
        self.stride = prod(joins)
        self.mean = join == "mean" or (join == "auto" and inputs * prod(space) > MOST_FEATURES)
        self.features = inputs if self.mean else inputs * prod(space)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        """Steps that come out of ``lengths`` steps: at least one."""
        return super().out_lengths(lengths.clamp(min=self.stride))

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = at_least(x, lengths, self.stride)
        # (batch, time, channels, *space) -> (batch, channels, time, *space)
        x, lengths = super().forward(x.movedim(2, 1), lengths)
        x = x.movedim(1, -1)  # -> (batch, time, *space, channels)
        return (x.flatten(2, -2).mean(2) if self.mean and x.dim() > 3 else x.flatten(2)), lengths
