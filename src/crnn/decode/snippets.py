"""Which region each word of a sentence is of, where neighbours are rather of the same: snippets of a sentence.

Source: Karpathy & Fei-Fei (2015, arXiv 1412.2306), section 3.1.4: a chain of words, of which each has one region. The
paper prints an energy to be made small whose terms are rewards; here their sum is made large, by Viterbi's algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Snippet(NamedTuple):
    """Words ``start`` to ``stop`` (not included), which are of one ``region``."""

    start: int
    stop: int
    region: int


def assign(scores: np.ndarray, stay: float, lengths: Sequence[int] | None = None) -> np.ndarray:
    """The regions ``(sentences, words)`` that make ``sum_j scores[j, a_j] + stay * sum_j [a_j = a_(j+1)]`` largest.

    ``scores`` ``(sentences, words, regions)`` are how well each word fits each region, ``-inf`` for one that is not
    there; ``stay`` is at least 0, and with 0 each word has the region that fits it best. ``lengths`` are the true words
    of each sentence; behind them stands the region of the last.
    """
    count, steps, regions = scores.shape
    if not steps:
        return np.zeros((count, 0), np.int64)
    ends = np.full(count, steps) if lengths is None else np.asarray(lengths)
    each = np.arange(regions)
    best = scores[:, 0].copy()
    back = np.zeros((count, steps, regions), np.int64)
    for t in range(1, steps):
        top = best.argmax(1)
        moved = np.take_along_axis(best, top[:, None], 1)
        stays = best + stay >= moved
        there = (t < ends)[:, None]
        back[:, t] = np.where(stays | ~there, each, top[:, None])
        best = np.where(there, np.where(stays, best + stay, moved) + scores[:, t], best)
    chosen = np.empty((count, steps), np.int64)
    chosen[:, -1] = best.argmax(1)
    for t in range(steps - 1, 0, -1):
        chosen[:, t - 1] = np.take_along_axis(back[:, t], chosen[:, t, None], 1)[:, 0]
    return chosen


def snippets(chosen: Sequence[int] | np.ndarray) -> list[Snippet]:
    """Runs of words of the same region.

    >>> snippets([4, 4, 7])
    [Snippet(start=0, stop=2, region=4), Snippet(start=2, stop=3, region=7)]
    """
    found: list[Snippet] = []
    for i, region in enumerate(chosen):
        if found and found[-1].region == region:
            found[-1] = found[-1]._replace(stop=i + 1)
        else:
            found.append(Snippet(i, i + 1, int(region)))
    return found
