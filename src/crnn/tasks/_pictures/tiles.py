"""Pictures of any size made from what a network says of tiles that overlap, after each of some steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from crnn.tasks._maps.head import grown
from crnn.tasks._maps.tiles import AT_ONCE, LARGER, slopes, starts
from crnn.types import Seq


def after(net: Any, inputs: Seq, steps: Sequence[int]) -> list[Tensor]:
    """What ``net`` makes of the last frame of ``inputs`` after each of ``steps`` (ascending, 0 for as many as it was
    built for): values from 0 to 1, ``(batch, channels, height, width)``. A network that goes on from its state is asked
    again; one that answers once gives the same after all steps."""
    if not getattr(net.encoder, "answers", ()):
        return [_drawn(net(inputs), inputs)] * len(steps)
    found: dict[int, Tensor] = {}
    state, done, own = None, 0, 0
    while done < max(1, *steps):
        features = net.encoder(inputs, state)
        answers = net.head(features, "all")
        for i, seq in enumerate(answers, 1):
            if done + i in steps or (not done and i == len(answers)):
                found[done + i] = _drawn(seq, inputs)
        done, state = done + len(answers), features.state
        own = own or done
        if state is None:
            break
    last = max(found)
    return [found.get(step or own, found[last]) for step in steps]


def _drawn(seq: Seq, inputs: Seq) -> Tensor:
    """The last true frame of an answer, at the size of the input."""
    y = seq.x[:, 0] if seq.x.shape[1] == 1 else seq.x[torch.arange(len(seq.x)), inputs.lengths - 1]
    return grown(y.float(), inputs.x[:, 0]).sigmoid()


def restored(
    pictures: Callable[[Seq], Tensor], x: Tensor, lengths: Tensor, *, tile: Sequence[int], overlap: float
) -> Tensor:
    """``pictures`` makes ``(tiles, maps, height, width)`` of a ``Seq`` of tiles; of what is said where they overlap the
    mean counts, less towards their borders. ``(batch, maps, height, width)``."""
    size = x.shape[-2:]
    sides = tuple(whole if whole <= LARGER * side else side for whole, side in zip(size, tile, strict=True))
    places = [starts(whole, side, overlap) for whole, side in zip(size, sides, strict=True)]
    ramps = [
        torch.from_numpy(slopes(side, overlap)) if len(begins) > 1 else torch.ones(side)
        for side, begins in zip(sides, places, strict=True)
    ]
    weight = (ramps[0][:, None] * ramps[1]).to(x.device)
    jobs = list(product(range(len(x)), *places))
    total: Tensor | None = None
    weights = x.new_zeros(size, dtype=torch.float32)
    for first in range(0, len(jobs), AT_ONCE):
        some = jobs[first : first + AT_ONCE]
        tiles = torch.stack([x[b, ..., y : y + sides[0], z : z + sides[1]] for b, y, z in some])
        found = pictures(Seq(tiles, lengths[[b for b, _, _ in some]]))
        if total is None:
            total = found.new_zeros(len(x), found.shape[1], *size)
        for (b, y, z), one in zip(some, found, strict=True):
            total[b, :, y : y + sides[0], z : z + sides[1]] += one * weight
            if not b:
                weights[y : y + sides[0], z : z + sides[1]] += weight
    assert total is not None
    return total / weights
