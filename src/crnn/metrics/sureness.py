"""Whether answers are as often right as they are sure, and what errors remain where the least sure are not given."""

from __future__ import annotations

import numpy as np

BINS = 10


def reliability(sure: np.ndarray, right: np.ndarray, bins: int = BINS) -> list[tuple[float, float, int]]:
    """For each of ``bins`` equal ranges of sureness that has answers: mean sureness, share that is right, answers.

    ``sure`` and ``right`` are ``(answers,)``, from 0 to 1.
    """
    place = np.minimum((sure * bins).astype(int), bins - 1)
    return [
        (float(sure[place == i].mean()), float(right[place == i].mean()), int((place == i).sum()))
        for i in range(bins)
        if (place == i).any()
    ]


def calibration_error(sure: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: ``sum_b n_b / n |right_b - sure_b|`` (Naeini et al. 2015); 0 without answers."""
    return sum(count * abs(s - r) for s, r, count in reliability(sure, right, bins)) / max(1, len(sure))


def answered(sure: np.ndarray, errors: np.ndarray, totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of the answers that are given, and their error rate, both ``(answers,)``: the surest alone, the two surest,
    and so on to all. Of equally sure answers those with more errors come first.

    ``errors`` and ``totals`` are of each answer; rates are sums over sums.
    """
    order = np.lexsort((-errors, -sure))
    rates = errors[order].cumsum() / np.maximum(1, totals[order].cumsum())
    return np.arange(1, len(sure) + 1) / max(1, len(sure)), rates
