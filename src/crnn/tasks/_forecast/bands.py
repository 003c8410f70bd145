"""Bands that hold as often as they say: moved by what came true in the validation part, and by what did lately.

Both are split conformal prediction (Romano, Patterson & Candès 2019, arXiv 1905.03222). The years that follow the
validation part may stray further than it did: who asks for it has the latest forecasts, whose truth is known by then,
move the bands once more (as Gibbs & Candès 2021, arXiv 2106.00170, follow a series that changes).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np

from crnn.data.timelines import Span
from crnn.tasks._common import Common
from crnn.tasks._forecast.values import Course, Future
from crnn.types import Prediction, Sample

ENOUGH = 50  # windows from which on bands are moved, each step by itself from ten times as many


class Banded(Common):
    """A forecaster's bands: how they are moved."""

    settings: Any
    deviation: np.ndarray
    correction: np.ndarray | None
    """What the validation part says, in deviations: float32 ``(horizon, targets, quantiles)``."""

    def settle(self, pairs: Sequence[tuple[Course, Prediction]]) -> Self:
        """The task with its bands moved so that each holds as often in the validation part as it says."""
        s = self.settings
        if len(pairs) < ENOUGH or not s.quantiles:
            return self
        off = _above(pairs) / self.deviation[:, None]
        shape = off.shape[1:]
        if len(off) < 10 * ENOUGH:
            off = off.reshape(-1, 1, *off.shape[2:])
        task = copy.copy(self)
        task.correction = np.broadcast_to(_moves(off, s.quantiles, 0), shape).astype(np.float32)
        return task

    @property
    def follows(self) -> bool:
        """Whether what came true lately moves the bands."""
        return bool(self.settings.recent and self.settings.quantiles)

    def earlier(self, sample: Sample) -> list[Sample]:
        """The latest windows whose future was past when ``sample`` ended, with their truths: fewer at the beginning of
        its timeline, none at gaps, as in the data, and none of a sample that is no part of one."""
        s, span, found = self.settings, sample.x, []
        if not isinstance(span, Span):
            return []
        ahead = s.lead - 1 + s.horizon
        for back in range(ahead, min(ahead + s.recent * s.every, span.start + 1), s.every):
            stop = span.stop - back
            own = Span(span.timeline, span.start - back, stop, stop + ahead)
            y = span.timeline.truth[own.until - s.horizon : own.until]
            if own.whole and own.measured and np.isfinite(y).all():
                found.append(Sample(f"{sample.id} -{back}", own, y))
        return found

    def moved(self, answer: Prediction, known: Sequence[tuple[Course, Prediction]]) -> Prediction:
        """``answer`` with bands as would have held as often as they say in the forecasts of which it is ``known`` what
        came true; all steps are moved alike."""
        if len(known) < ENOUGH:
            return answer
        bands = np.sort(answer.value.bands + _moves(_above(known), self.settings.quantiles, (0, 1)), axis=-1)
        return replace(answer, value=Future(answer.value.point, bands.astype(np.float32)))


def _above(pairs: Sequence[tuple[Course, Prediction]]) -> np.ndarray:
    """How far the truths lie above each band, ``(windows, horizon, targets, quantiles)``."""
    return np.stack([truth.ahead[..., None] - p.value.bands for truth, p in pairs])


def _moves(off: np.ndarray, quantiles: Sequence[float], over: int | tuple[int, ...]) -> np.ndarray:
    """By how much each band is to be moved, ``over`` these axes, so that its share of the truths lies below it."""
    return np.stack([np.quantile(off[..., i], share, axis=over) for i, share in enumerate(quantiles)], axis=-1)
