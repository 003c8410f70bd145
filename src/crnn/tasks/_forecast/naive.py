"""What needs no network to foretell a series: the last value, that of a season before, and a linear map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

STRENGTHS = (1e-4, 1e-2, 1.0, 1e2)
"""Of the ridge, for each window of the training part, in deviations of what is seen."""
MOST = 20_000  # windows that a map is fitted to
NUMBERS = 30_000_000  # in all of these
CHOSEN = 0.2  # of the windows, the last, that the strength is chosen by


def last_value(seen: np.ndarray, horizon: int) -> np.ndarray:
    """Windows ``(n, window, columns)`` to ``(n, horizon, columns)``: the last value again and again."""
    return np.repeat(seen[:, -1:], horizon, axis=1)


def last_season(seen: np.ndarray, horizon: int, *, season: int, lead: int) -> np.ndarray:
    """The value of a season before each step, or of as many seasons as it takes to have seen it."""
    ahead = lead + np.arange(horizon)
    back = (-ahead) % season
    return seen[:, seen.shape[1] - 1 - back]


class Ridge:
    """A linear map for each column from its own last values to its next, less the last of them; least squares with a
    ridge. ``weights`` is float32 ``(columns, window, horizon)``, those of the last lag a constant, in deviations."""

    def __init__(self, weights: np.ndarray, deviation: np.ndarray) -> None:
        self.weights, self.deviation = weights, deviation

    @classmethod
    def fit(cls, seen: np.ndarray, ahead: np.ndarray) -> Ridge:
        """From windows ``(n, window, columns)`` and what followed ``(n, horizon, columns)``, in the order of time; the
        strength is that which does best on the last fifth, when fitted to the rest."""
        deviation = np.maximum(seen.std((0, 1)), 1e-12)
        weights = []
        for i in range(seen.shape[2]):
            x, y = _less_last(seen[:, :, i], ahead[:, :, i], float(deviation[i]))
            weights.append(_best(x, y))
        return cls(np.stack(weights).astype(np.float32), deviation)

    def __call__(self, seen: np.ndarray) -> np.ndarray:
        """``(n, window, columns)`` to ``(n, horizon, columns)``."""
        columns = []
        for i, weights in enumerate(self.weights.astype(np.float64)):
            x, _ = _less_last(seen[:, :, i], None, float(self.deviation[i]))
            columns.append(x @ weights * self.deviation[i] + seen[:, -1:, i])
        return np.stack(columns, axis=2)


def shared_map(seen: np.ndarray, ahead: np.ndarray, count: int, relative: str) -> np.ndarray:
    """A linear map from the last ``count`` values of a column to its next, float32 ``(count, horizon)``, the same for
    all columns, each in its deviations and less its last value, its mean in the window, or its mean in all: where a
    highway begins."""
    deviation = np.maximum(seen.std((0, 1)), 1e-12)
    base = {"last": seen[:, -1:], "mean": seen.mean(1, keepdims=True)}.get(relative, seen.mean((0, 1), keepdims=True))
    x, y = (((part - base) / deviation).astype(np.float64) for part in (seen[:, -count:], ahead))
    return _best(*(part.transpose(0, 2, 1).reshape(-1, part.shape[1]) for part in (x, y))).astype(np.float32)


def _less_last(seen: np.ndarray, ahead: np.ndarray | None, deviation: float) -> tuple[np.ndarray, np.ndarray]:
    """Inputs ``(n, window)`` and answers ``(n, horizon)``, less the last value, in deviations."""
    seen = seen.astype(np.float64)
    x = (seen - seen[:, -1:]) / deviation
    x[:, -1] = 1.0  # the last less itself is nothing: its place is the constant's
    return x, np.zeros(0) if ahead is None else (ahead - seen[:, -1:]) / deviation


def _best(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights ``(inputs, answers)`` with the strength that does best on the last of the rows, fitted to all."""
    cut = max(1, int((1 - CHOSEN) * len(x)))
    early, late = (x[:cut], y[:cut]), (x[cut:], y[cut:])
    best = STRENGTHS[0]
    if len(late[0]):
        tried = {s: float(((late[0] @ w - late[1]) ** 2).mean()) for s, w in _solve(*early, STRENGTHS).items()}
        best = min(tried, key=lambda s: tried[s])
    return _solve(x, y, (best,))[best]


def _solve(x: np.ndarray, y: np.ndarray, strengths: Sequence[float]) -> dict[float, np.ndarray]:
    square, both = x.T @ x / len(x), x.T @ y / len(x)
    return {s: np.linalg.solve(square + s * np.eye(len(square)), both) for s in strengths}


def some(count: int, size: int) -> np.ndarray:
    """Places of some of ``count`` windows of ``size`` numbers, evenly: as many as are worth their memory."""
    most = max(1000, min(MOST, NUMBERS // size))
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))
