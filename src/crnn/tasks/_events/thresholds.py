"""From which probability on a label is there: for each label that of the best F1 over segments of the validation part.

Of a label that is rare there, and between thresholds that are as good, it is the one nearest to one half: the best of a
few samples would be an accident of them (Lipton, Elkan & Naryanaswamy 2014, arXiv 1402.1892).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from typing import Any

import numpy as np

from crnn.tasks._events.runs import smooth
from crnn.types import Part, Prediction, Track

EVEN = 0.5
"""Where nothing better is known."""
TRIED = np.round(np.arange(0.05, 0.96, 0.05), 2)
LEAST = 10  # segments with a label, and as many without, below which it is rare
ALIKE = 0.005  # of F1
NEAR = 1e-6  # of a segment: what rounding may put on the wrong side of a border


def thresholds(
    pairs: Sequence[tuple[Sequence[Part], Prediction]], labels: Sequence[Any], *, segment: float, median: int
) -> tuple[float, ...]:
    """One for each of ``labels``, of ``(truth, prediction)`` pairs whose predictions have a track. ``segment`` is the
    length of the segments; probabilities are smoothed by a running ``median`` first, as events are."""
    tables = [_segments(truth, p.track, labels, segment, median) for truth, p in pairs if p.track is not None]
    if not tables:
        return (EVEN,) * len(labels)
    true, shares = (np.concatenate(rows) for rows in zip(*tables, strict=True))
    found = shares[None] >= TRIED[:, None, None]
    right = (found & true).sum(1)
    f1 = 2 * right / np.maximum(1, found.sum(1) + true.sum(0))
    good = np.where(f1 >= f1.max(0) - ALIKE, abs(TRIED[:, None] - EVEN), np.inf)
    rare = np.minimum(true.sum(0), (~true).sum(0)) < LEAST
    return tuple(np.where(rare, EVEN, TRIED[good.argmin(0)]).tolist())


def _segments(
    truth: Sequence[Part], track: Track, labels: Sequence[Any], segment: float, median: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which labels are true in each segment, ``(segments, labels)``, and their highest probabilities there."""
    calm = smooth(track.shares, median)
    step = track.every / segment  # in segments
    count = max(1, ceil(len(calm) * step - NEAR))
    first = np.minimum(np.floor(np.arange(count) / step + NEAR).astype(int), len(calm) - 1)
    last = np.minimum(np.ceil(np.arange(1, count + 1) / step - NEAR).astype(int), len(calm))
    edges = np.stack([first, np.maximum(last, first + 1)], 1).ravel()
    padded = np.concatenate([calm, np.zeros((1, calm.shape[1]), calm.dtype)])  # so that the last edge has a place
    highest = np.maximum.reduceat(padded, edges, axis=0)[::2]
    true = np.zeros((count, len(labels)), dtype=bool)
    number = {label: i for i, label in enumerate(labels)}
    for part in truth:
        if part.value in number:
            start, stop = floor(part.start / segment + NEAR), ceil(part.stop / segment - NEAR)
            true[start : max(start + 1, stop), number[part.value]] = True
    return true, highest
