"""How well a series was foretold, in its own units and in those that others use, and how honest the bands are."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from crnn.errors import DataError
from crnn.metrics.interval import interval

FIGURES: dict[str, tuple[str, str, str]] = {
    "mae": ("Mean error", "Mean of how far a number is from the truth, in the unit of the data.", ""),
    "rmse": ("Root of the mean square error", "Like the mean error, but large errors count more.", ""),
    "mse": ("Mean square error", "In the square of the unit of the data.", ""),
    "mae_scaled": (
        "Mean error, scaled",
        "In deviations of each column in the training part, as the ETT benchmark counts.",
        "",
    ),
    "mse_scaled": ("Mean square error, scaled", "Likewise: an error of 1 is one deviation of the training part.", ""),
    "mase": (
        "Mean error against the season's",
        "1 is as good as the value of a season before was in the training part; mean over the columns.",
        "",
    ),
    "rse": (
        "Relative square error",
        "Root of the mean square error over the deviation of all truths together (Lai et al. 2018).",
        "",
    ),
    "corr": ("Correlation", "Of truths and answers over time, mean over columns that move (Lai et al. 2018).", ""),
    "pinball": ("Pinball loss", "Mean over the quantiles, in the unit of the data: what they are trained for.", ""),
    "coverage": ("Coverage", "Share of the truths that lie within the widest band.", "%"),
    "promised": ("Promised", "Share of the truths that should lie there.", "%"),
}
"""What each figure of ``score`` is called, what it says in plain words, and its unit."""


def score(
    truths: np.ndarray,
    answers: np.ndarray,
    *,
    deviation: np.ndarray,
    naive: np.ndarray,
    bands: np.ndarray | None = None,
    quantiles: Sequence[float] = (),
    blocks: Sequence[Hashable] | None = None,
) -> dict[str, float]:
    """Figures of ``truths`` and ``answers``, both ``(windows, horizon, columns)``.

    ``deviation`` and ``naive`` ``(columns,)`` are the deviation of each column of the training part and the mean error
    there of the value of a season before (Hyndman & Koehler 2006; columns where it is 0 do not count). ``bands``
    ``(windows, horizon, columns, quantiles)``, rising. ``blocks`` are what is drawn for the 95 % interval of ``mae``,
    since neighbours share most of what they see. Raises ``DataError`` if there is nothing to score.
    """
    if not len(truths):
        raise DataError("there is nothing to score", expected="at least one window", do="Check the data.")
    truths, answers = truths.astype(np.float64), answers.astype(np.float64)
    errors = answers - truths
    away, square = abs(errors), errors**2
    found = {"mae": float(away.mean())}
    if len(truths) > 1:
        found["mae_low"], found["mae_high"] = interval(away.mean((1, 2)), np.ones(len(truths)), blocks)
    found["mse"] = float(square.mean())
    found["rmse"] = found["mse"] ** 0.5
    found["mae_scaled"] = float((away / deviation).mean())
    found["mse_scaled"] = float((square / deviation**2).mean())
    moving = naive > 0
    if moving.any():
        found["mase"] = float((away.mean((0, 1))[moving] / naive[moving]).mean())
    spread = float(truths.std())
    if spread > 0:
        found["rse"] = found["rmse"] / spread
    if (correlation := _correlation(truths, answers)) is not None:
        found["corr"] = correlation
    if bands is not None and len(quantiles):
        over = truths[..., None] - bands
        share = np.array(quantiles)
        found["pinball"] = float(np.maximum(share * over, (share - 1) * over).mean())
        if len(quantiles) > 1:
            found["coverage"] = float(((bands[..., 0] <= truths) & (truths <= bands[..., -1])).mean())
            found["promised"] = float(share[-1] - share[0])
    return found


def _correlation(truths: np.ndarray, answers: np.ndarray) -> float | None:
    """Over the windows, mean over steps and columns whose truths move; an answer that stands still counts as 0."""
    t, a = truths - truths.mean(0), answers - answers.mean(0)
    both, moving = t.std(0) * a.std(0), truths.std(0) > 0
    if not moving.any():
        return None
    return float(((t * a).mean(0)[moving] / np.where(both > 0, both, 1)[moving]).mean())
