"""Pictures of any size answered in tiles of one size that overlap, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import ceil
from typing import Any

import numpy as np

from crnn.late import F, Tensor, torch

AT_ONCE = 8
"""Tiles that the network sees at once."""
LARGER = 1.5
"""How many times as long as a tile a side may be that is still seen whole."""
Shares = Callable[[Tensor, Tensor], Tensor]
"""Probabilities ``(tiles, labels, height, width)`` of tiles ``(tiles, frames, channels, height, width)`` and their
lengths."""


def starts(whole: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin that cover ``whole`` pixels and overlap by ``overlap`` of a tile at least."""
    if whole <= tile:
        return [0]
    most = max(1, int(tile * (1 - overlap)))
    count = 1 + ceil((whole - tile) / most)
    return [round(i * (whole - tile) / (count - 1)) for i in range(count)]


def slopes(side: int, overlap: float) -> np.ndarray:
    """How much each pixel of a side counts where tiles overlap: less towards the border, of which a tile knows less."""
    place = np.arange(side, dtype=np.float32) + np.float32(0.5)
    return np.minimum(np.minimum(place, side - place) / np.float32(max(1.0, side * overlap)), np.float32(1))


def label(
    shares: Callable[[np.ndarray, np.ndarray], np.ndarray],
    x: np.ndarray,
    lengths: np.ndarray,
    *,
    tile: Sequence[int],
    overlap: float,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Labels and their probabilities ``(batch, rows, width)`` of pictures ``x`` ``(batch, frames, channels, height,
    width)``, band for band from above: of what is done nothing is kept. ``shares`` are ``Shares`` of arrays."""
    batch, (height, width) = len(x), x.shape[-2:]
    pairs = zip((height, width), tile, strict=True)
    sides = tuple(whole if whole <= LARGER * side else side for whole, side in pairs)
    tops, lefts = (starts(whole, side, overlap) for whole, side in zip((height, width), sides, strict=True))
    weights = [
        slopes(side, overlap) if len(places) > 1 else np.ones(side, np.float32)
        for side, places in zip(sides, (tops, lefts), strict=True)
    ]
    weight = weights[0][:, None] * weights[1]
    band: Any = None
    for top, following in zip(tops, (*tops[1:], height), strict=True):
        jobs = list(product(range(batch), lefts))
        for first in range(0, len(jobs), AT_ONCE):
            some = jobs[first : first + AT_ONCE]
            tiles = np.stack([x[b, ..., top : top + sides[0], left : left + sides[1]] for b, left in some])
            found = shares(tiles, lengths[[b for b, _ in some]]) * weight
            if band is None:
                band = np.zeros((batch, found.shape[1], sides[0], width), np.float32)
            for (b, left), one in zip(some, found, strict=True):
                band[b, :, :, left : left + sides[1]] += one
        done = following - top
        ready = band[:, :, :done]
        yield ready.argmax(1), ready.max(1) / np.maximum(ready.sum(1), 1e-12)
        band = np.concatenate([band[:, :, done:], np.zeros_like(ready)], axis=2)


def seen_again(shares: Shares, *, flip: bool, scales: Sequence[float]) -> Shares:
    """The mean of what is said of tiles at several sizes, and of their mirror images."""

    def mean(tiles: Tensor, lengths: Tensor) -> Tensor:
        found: list[Tensor] = []
        size = tiles.shape[-2:]
        for scale in scales or (1.0,):
            seen = tiles if scale == 1 else _scaled(tiles, scale)
            for mirrored in (False, True) if flip else (False,):
                y = shares(seen.flip(-1) if mirrored else seen, lengths)
                y = y.flip(-1) if mirrored else y
                found.append(y if scale == 1 else F.interpolate(y, size=size, mode="bilinear", align_corners=False))
        return torch.stack(found).mean(0) if len(found) > 1 else found[0]

    return mean


def mirrored(shares: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The mean of what is said of tiles and of their mirror images, of arrays."""
    return lambda tiles, lengths: (shares(tiles, lengths) + shares(tiles[..., ::-1], lengths)[..., ::-1]) / 2


def _scaled(tiles: Tensor, scale: float) -> Tensor:
    size = [max(1, round(side * scale)) for side in tiles.shape[-2:]]
    y = F.interpolate(tiles.flatten(0, 1), size=size, mode="bilinear", align_corners=False, antialias=scale < 1)
    return y.unflatten(0, tiles.shape[:2])
