"""Frames as fewer places with more channels: each square of pixels becomes one place."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


class Patches:
    """Frames ``(batch, time, channels, *space)`` in squares of ``side`` pixels; ``0`` makes a whole frame one place.

    Only frames with height and width are patched. Zeros are put at the right and at the bottom where the last squares
    are not full; ``join`` cuts them off again.
    """

    def __init__(self, channels: int, space: tuple[int, ...], side: int) -> None:
        self.side = side if len(space) == 2 else 1
        self.space = space
        self.whole = len(space) == 2 and not side
        self.places: tuple[int, ...]
        if self.whole:
            self.channels, self.places = channels * space[0] * space[1], (1, 1)
        else:
            self.channels = channels * self.side ** len(space)
            self.places = tuple(-(-size // self.side) for size in space)
        self.missing = () if self.whole else tuple(p * self.side - s for p, s in zip(self.places, space, strict=True))

    def split(self, x: Tensor) -> Tensor:
        """``(batch, time, channels, *space)`` to ``(batch, time, self.channels, *self.places)``."""
        if self.whole:
            return x.flatten(2)[..., None, None]
        if self.side == 1:
            return x
        if any(self.missing):
            x = F.pad(x, (0, self.missing[1], 0, self.missing[0]))
        return F.pixel_unshuffle(x.flatten(0, 1), self.side).view(*x.shape[:2], self.channels, *self.places)

    def join(self, x: Tensor) -> Tensor:
        """The inverse of ``split``."""
        if self.whole:
            return x.reshape(*x.shape[:2], -1, *self.space)
        if self.side == 1:
            return x
        y = F.pixel_shuffle(x.flatten(0, 1), self.side)  # pictures: graphs that are exported shuffle no films
        return y.view(*x.shape[:2], *y.shape[1:])[..., : self.space[0], : self.space[1]]
