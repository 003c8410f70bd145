"""How near pictures are to what they should be: squared error, and its ratio to the range of values in decibels."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from crnn.errors import DataError
from crnn.metrics.interval import interval

FIGURES: dict[str, tuple[str, str, str]] = {
    "mse": ("Squared error", "Mean over the pixels of the squared difference, of values from 0 to 1.", ""),
    "psnr": ("PSNR", "Mean over the pictures of 10 log10 (1 / squared error), in decibels.", " dB"),
}
"""What each figure is called, what it says in plain words, and its unit."""
LEAST = 1e-10  # squared error below which a picture is perfect, so that its PSNR is finite


def squared_error(truth: np.ndarray, said: np.ndarray) -> float:
    """Of pictures of one shape. Raises ``DataError`` for two."""
    if truth.shape != said.shape:
        given = f"a picture of shape {said.shape} is compared with one of {truth.shape}"
        raise DataError(given, expected="pictures of one size", do="Scale or cut them alike.")
    return float(np.square(truth.astype(np.float64) - said).mean())


def psnr(error: float) -> float:
    """Of a squared error of values from 0 to 1."""
    return float(-10 * np.log10(max(error, LEAST)))


def score(pairs: Sequence[tuple[np.ndarray, np.ndarray]], groups: Sequence[Hashable] | None = None) -> dict[str, float]:
    """Figures of ``(truth, answer)`` pictures; ``mse`` with its 95 % interval where there are several. Raises
    ``DataError`` if there are none."""
    if not pairs:
        raise DataError("no pictures to compare", expected="at least one", do="Give pictures with answers.")
    errors = np.array([squared_error(truth, said) for truth, said in pairs])
    sizes = np.array([truth.size for truth, _ in pairs], np.float64)
    result = {"mse": float((errors * sizes).sum() / sizes.sum())}
    if len(pairs) > 1:
        result["mse_low"], result["mse_high"] = interval(errors * sizes, sizes, groups)
    return result | {"psnr": float(np.mean([psnr(e) for e in errors]))}
