"""How far a figure may be off because no more samples were tested: bootstrap over groups."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from math import sqrt
from statistics import NormalDist

import numpy as np

RESAMPLES = 1000
CONFIDENCE = 0.95
DRAWN_AT_ONCE = 2_000_000


def interval(
    errors: np.ndarray, totals: np.ndarray, groups: Sequence[Hashable] | None = None, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval of ``errors.sum() / totals.sum()``, both ``(samples,)``.

    Whole groups are drawn, since samples of one writer or speaker are alike; ``None`` is a group of one sample. Where
    all are of one group, samples are drawn, and the interval speaks of that writer only. The percentiles are widened
    for few groups as Student's t is against the normal distribution (Hesterberg 2015, "What Teachers Should Know About
    the Bootstrap", section 5.2); below about ten groups the interval still is too narrow. Same seed, same interval.
    """
    return intervals(
        np.stack([errors, totals], axis=1), lambda sums: sums[:, 0] / np.maximum(1, sums[:, 1]), groups, seed
    )


def intervals(
    counts: np.ndarray,
    figure: Callable[[np.ndarray], np.ndarray],
    groups: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> tuple[float, float]:
    """The same of any ``figure`` that is computed from what was counted: ``counts`` ``(samples, columns)`` are added up
    over the samples that are drawn, and ``figure`` makes ``(draws,)`` of sums ``(draws, columns)``, NaN for draws that
    have none: they do not count."""
    units = counts.astype(np.float64)
    if groups is not None:
        assert len(groups) == len(units), "one group for each line"
        index: dict[Hashable, int] = {}
        keys = [("line", i) if group is None else ("group", group) for i, group in enumerate(groups)]
        member = np.array([index.setdefault(key, len(index)) for key in keys])
        if len(index) > 1:
            units = np.stack([np.bincount(member, weights=column) for column in units.T], axis=1)
    count = len(units)
    random = np.random.default_rng(seed)
    rates = []
    block = max(1, 2 * DRAWN_AT_ONCE // (count * units.shape[1]))
    for start in range(0, RESAMPLES, block):
        drawn = random.integers(count, size=(min(block, RESAMPLES - start), count))
        rates.append(figure(units[drawn].sum(axis=1)))
    tail = _tail(count)
    found = np.concatenate(rates)
    found = found[~np.isnan(found)]
    low, high = np.quantile(found, [tail, 1 - tail]) if len(found) else (np.nan, np.nan)
    return float(low), float(high)


def _tail(count: int) -> float:
    """Share of resamples to cut off at each side, for ``count`` groups."""
    normal = NormalDist()
    z, free = normal.inv_cdf((1 + CONFIDENCE) / 2), count - 1
    if free < 1:
        return (1 - CONFIDENCE) / 2
    # Student's t from the normal quantile (Abramowitz and Stegun 26.7.5)
    t = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    return normal.cdf(-t * sqrt(count / free))
