"""Timelines: numbers in equal steps of time, and the spans of them that samples are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from crnn.data.clock import Clock
from crnn.findings import Finding


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """``table`` is float32 ``(steps, channels)``. Its last ``shifted`` channels are known beforehand: at each step
    stands what they will be at the last step of the forecast that is made there."""

    file: str
    table: np.ndarray
    names: tuple[str, ...]
    """Of the channels."""
    targets: tuple[int, ...]
    """The channels that are to be foretold."""
    filled: np.ndarray
    """Where the table holds a point of a line across a gap that nobody measured, bool ``(steps, channels)``."""
    shifted: int = 0
    calendar: int = 0
    """How many of these are made of the dates and are no columns of the file."""
    clock: Clock | None = None
    findings: tuple[Finding, ...] = ()
    """What was found odd, and done about it."""
    gaps: np.ndarray = field(init=False, repr=False)
    """How many of the steps before each are not whole, ``(steps + 1,)``."""
    truth: np.ndarray = field(init=False, repr=False)
    """What was measured of the targets, float32 ``(steps, targets)``, NaN elsewhere."""

    def __post_init__(self) -> None:
        gaps = np.concatenate([[0], np.cumsum(~np.isfinite(self.table).all(1))])
        object.__setattr__(self, "gaps", gaps)
        targets = list(self.targets)
        truth = np.where(self.filled[:, targets], np.float32(np.nan), self.table[:, targets])
        object.__setattr__(self, "truth", truth)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the file that were read."""
        return self.names[: len(self.names) - self.calendar]


@dataclass(frozen=True, slots=True)
class Span:
    """A source: the steps ``start .. stop - 1`` of a timeline are seen, and up to ``until`` it is to be foretold."""

    timeline: Timeline
    start: int
    stop: int
    until: int

    @property
    def x(self) -> np.ndarray:
        """What is seen, ``(window, channels)``, without a copy."""
        return self.timeline.table[self.start : self.stop]

    @property
    def whole(self) -> bool:
        """Whether there is no gap in what is seen."""
        return bool(self.timeline.gaps[self.stop] == self.timeline.gaps[self.start])

    @property
    def measured(self) -> bool:
        """Whether the last step that is seen was measured, as it is in use: the line across a gap that goes on behind
        would point at what is to be foretold."""
        return not self.timeline.filled[self.stop - 1].any()


def covered(spans: Iterable[Span]) -> list[np.ndarray]:
    """The steps of each timeline that any of the spans sees or has to foretell, each once: ``(steps, channels)``."""
    marks: dict[Timeline, np.ndarray] = {}
    for span in spans:
        mark = marks.setdefault(span.timeline, np.zeros(len(span.timeline.table) + 1, np.int64))
        mark[span.start] += 1
        mark[span.until] -= 1
    return [timeline.table[mark.cumsum()[:-1] > 0] for timeline, mark in marks.items()]
