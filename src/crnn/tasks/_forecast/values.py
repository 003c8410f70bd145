"""What was foretold, what came true, and the dates of both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn.data.clock import Clock
from crnn.data.timelines import Span

STAMP = re.compile(r":(\d{4}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d(?:\.\d+)?)?)?)$")
ROW = re.compile(r":(\d+)$")


@dataclass(frozen=True, slots=True, eq=False)
class Future:
    """A forecast: ``point`` ``(horizon, targets)`` and, if there are any, ``bands`` ``(horizon, targets, quantiles)``,
    both float32 in the units of the data."""

    point: np.ndarray
    bands: np.ndarray

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Future):
            return NotImplemented
        return np.array_equal(self.point, other.point) and np.array_equal(self.bands, other.bands)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """How it went: what was seen of the targets, and what came, ``ahead`` ``(horizon, targets)``, nothing where it is
    still to come."""

    source: Any
    targets: tuple[int, ...]
    ahead: np.ndarray

    @property
    def seen(self) -> np.ndarray:
        """``(window, targets)``."""
        x = self.source.x if isinstance(self.source, Span) else np.asarray(self.source)
        return (x if x.ndim > 1 else x[:, None])[:, list(self.targets)]


def point_of(value: Any, like: np.ndarray) -> np.ndarray:
    """The numbers of a ``Future``, or of another program's answer, ``(horizon, targets)``."""
    return value.point if isinstance(value, Future) else np.asarray(value, np.float64).reshape(like.shape)


def dates(id: str, lead: int, horizon: int, step: str) -> list[str]:
    """What the steps of a forecast are called, whose sample is named after the last step that was seen: their stamps,
    their rows, or how far ahead they lie."""
    ahead = np.arange(lead, lead + horizon)
    if (found := STAMP.search(id)) and step:
        clock = Clock.named(step)
        return clock.words(clock.after(np.datetime64(found[1], "ms"), ahead))
    if row := ROW.search(id):
        return [str(int(row[1]) + i) for i in ahead.tolist()]
    return [f"+{i}" for i in ahead.tolist()]


def flat(y: Any) -> np.ndarray:
    """``(steps,)`` or ``(steps, columns)`` as the latter."""
    table = np.asarray(y, np.float32)
    return table[:, None] if table.ndim == 1 else table
