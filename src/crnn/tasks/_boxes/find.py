"""Boxes read off the heat of centres, in pictures of any size: tiles that overlap, each of which answers for its own
part; and of boxes that tell the same thing, the surest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, product

import numpy as np
import torch
from torch import Tensor

from crnn.metrics.boxes import edges, overlaps
from crnn.tasks._boxes.head import peaks
from crnn.tasks._maps.tiles import AT_ONCE, LARGER, starts
from crnn.types import Box, Boxes

MOST = 1000
"""Boxes that are read off one tile."""
ONE_THING = 0.7
"""Overlap from which on two boxes are of one thing, whatever their labels."""
Maps = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Probabilities of centres ``(tiles, labels, height, width)`` and boxes ``(tiles, 4, height, width)`` in pixels, of
tiles ``(tiles, frames, channels, height, width)`` and their lengths."""


def find(
    maps: Maps, x: Tensor, lengths: Tensor, *, tile: Sequence[int], overlap: float, least: float
) -> list[np.ndarray]:
    """Boxes of each picture ``x`` ``(batch, frames, channels, height, width)`` that are at least as sure as ``least``:
    float32 ``(boxes, 6)``, left, top, right, bottom, number of the label, score. Near the border of a tile they are its
    neighbour's to say."""
    batch, whole = len(x), x.shape[-2:]
    sides = [length if length <= LARGER * side else side for length, side in zip(whole, tile, strict=True)]
    places = [_places(length, side, overlap) for length, side in zip(whole, sides, strict=True)]
    jobs = list(product(range(batch), places[0], places[1]))
    found: list[list[np.ndarray]] = [[] for _ in range(batch)]
    for first in range(0, len(jobs), AT_ONCE):
        some = jobs[first : first + AT_ONCE]
        tiles = torch.stack([x[b, ..., y[0] : y[0] + sides[0], z[0] : z[0] + sides[1]] for b, y, z in some])
        heat, boxes = maps(tiles, lengths[[b for b, _, _ in some]])
        for job, rows in zip(some, _read(heat, boxes, least), strict=True):
            b, (top, above, below), (left, before, behind) = job
            rows[:, [0, 2]] += left
            rows[:, [1, 3]] += top
            across, down = (rows[:, 0] + rows[:, 2]) / 2, (rows[:, 1] + rows[:, 3]) / 2
            own = (across >= before) & (across < behind) & (down >= above) & (down < below)
            rows[:, [0, 2]] = rows[:, [0, 2]].clip(0, whole[1])
            rows[:, [1, 3]] = rows[:, [1, 3]].clip(0, whole[0])
            found[b].append(rows[own & (rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])])
    return [np.concatenate(rows) for rows in found]


def _places(whole: int, side: int, overlap: float) -> list[tuple[int, float, float]]:
    """Where tiles begin, and from where to where the middles lie that each of them answers for."""
    begins = starts(whole, side, overlap)
    borders = [-np.inf, *((a + side + b) / 2 for a, b in pairwise(begins)), np.inf]
    return list(zip(begins, borders[:-1], borders[1:], strict=True))


def _read(heat: Tensor, boxes: Tensor, least: float) -> list[np.ndarray]:
    """The boxes of each tile at its peaks of heat, the surest first."""
    found = []
    for peak, box in zip(peaks(heat), boxes, strict=True):
        label, y, x = (peak >= max(least, 1e-6)).nonzero(as_tuple=True)
        score = peak[label, y, x]
        order = score.argsort(descending=True, stable=True)[:MOST]
        label, y, x, score = label[order], y[order], x[order], score[order]
        rows = torch.cat([box[:, y, x].T, label[:, None], score[:, None]], dim=1)
        found.append(rows.float().cpu().numpy())
    return found


def surest(rows: np.ndarray, most: float) -> np.ndarray:
    """``rows`` by falling scores, without those that overlap a surer one of their label by more than ``most`` of the
    union."""
    rows = rows[np.argsort(-rows[:, 5], kind="stable")]
    kept = []
    left = np.arange(len(rows))
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        same = (overlaps(rows[best : best + 1], rows[left])[0] > most) & (rows[left, 4] == rows[best, 4])
        left = left[~same]
    return rows[kept]


def as_boxes(rows: np.ndarray, labels: Sequence[str], sure: Sequence[float], size: tuple[int, int]) -> Boxes:
    """``rows`` (the surest first) in a picture of ``size`` (width, height): those that reach the score ``sure`` of
    their label are said, unless they lie on a thing that is more surely something else."""
    said: list[Box] = []
    doubtful: list[Box] = []
    taken = np.empty((len(rows), 4))
    for *sides, number, score in rows.tolist():
        left, top, right, bottom = (round(v, 1) for v in sides)
        box = Box(labels[int(number)], left, top, right, bottom, round(score, 4))
        own, known = edges([box]), taken[: len(said)]
        if score >= sure[int(number)] and not (overlaps(own, known) > ONE_THING).any():
            taken[len(said)] = own
            said.append(box)
        else:
            doubtful.append(box)
    return Boxes(size, tuple(said), tuple(doubtful))
