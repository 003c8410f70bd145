"""How well numbers were predicted: mean errors, and the share of the spread that is explained."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from crnn.errors import DataError
from crnn.metrics.interval import interval

FIGURES: dict[str, tuple[str, str, str]] = {
    "mae": ("Mean error", "Mean of how far an answer is from the truth, in the truth's unit.", ""),
    "rmse": ("Root of the mean square error", "Like the mean error, but large errors count more.", ""),
    "r2": ("Share of the spread explained", "1 is perfect, 0 no better than always saying the mean.", ""),
}
"""What each figure of ``score`` is called, what it says in plain words, and its unit."""


def score(
    truths: np.ndarray, answers: np.ndarray, groups: Sequence[Hashable] | None = None, seed: int = 0
) -> dict[str, float]:
    """Figures of ``truths`` and ``answers`` ``(samples, numbers)``.

    ``mae`` with its 95 % interval ``mae_low``, ``mae_high`` (see ``interval``), ``rmse`` and ``r2``, each the mean over
    the numbers; of several numbers also ``mae_1``, ``mae_2`` and so on. Raises ``DataError`` if there is nothing to
    score.
    """
    if not len(truths):
        raise DataError("there is nothing to score", expected="at least one sample", do="Check the data.")
    errors = answers - truths
    away = abs(errors)
    result = {"mae": float(away.mean())}
    if len(truths) > 1:
        low, high = interval(away.mean(1), np.ones(len(truths)), groups, seed)
        result |= {"mae_low": low, "mae_high": high}
    result["rmse"] = float(np.sqrt((errors**2).mean(0)).mean())
    spread = ((truths - truths.mean(0)) ** 2).sum(0)
    left = (errors**2).sum(0)
    # of truths that are all the same nothing is to be explained: right is 1, wrong is 0
    explained = np.where(spread > 0, 1 - left / np.where(spread > 0, spread, 1), np.where(left > 0, 0.0, 1.0))
    result["r2"] = float(explained.mean())
    if truths.shape[1] > 1:
        result |= {f"mae_{i + 1}": float(value) for i, value in enumerate(away.mean(0))}
    return result
