"""Events and labels of single steps: one made of the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from crnn.types import Part

NOTHING = (None, "")
"""Labels of steps at which there is nothing."""


def events_of(labels: Sequence[Any], rate: float = 1.0) -> tuple[Part, ...]:
    """Runs of equal labels as events, ``rate`` labels to the unit of the places."""
    events, at = [], 0
    for label, run in groupby(labels):
        count = len(list(run))
        if label not in NOTHING:
            events.append(Part(label, at / rate, (at + count) / rate, 1.0))
        at += count
    return tuple(events)


def activity(y: Sequence[Any], steps: int, scale: float, number: Mapping[Any, int]) -> np.ndarray:
    """Which labels are there at each step, bool ``(steps, labels)``: of events in units of which one is ``scale``
    steps, or of a label for each step (as many as there are, spread over the steps). Unknown labels are left out."""
    table = np.zeros((steps, len(number)), dtype=bool)
    if is_events(y):
        for part in y:
            if part.value in number:
                first, last = round(part.start * scale), round(part.stop * scale)
                table[first : max(first + 1, last), number[part.value]] = True
        return table
    place = np.minimum(((np.arange(steps) + 0.5) / max(1, steps) * len(y)).astype(int), len(y) - 1)
    for step, i in enumerate(place if len(y) else ()):
        if y[i] in number:
            table[step, number[y[i]]] = True
    return table


def is_events(y: Iterable[Any]) -> bool:
    """Whether ``y`` holds events, not labels of steps."""
    return all(isinstance(part, Part) for part in y)


def overlaps(events: Sequence[Part]) -> bool:
    """Whether two of these are there at one time."""
    ordered = sorted(events, key=lambda part: part.start)
    return any(a.stop > b.start + 1e-9 for a, b in pairwise(ordered))


def smooth(x: np.ndarray, width: int) -> np.ndarray:
    """The running median of ``width`` steps (odd) of ``x`` ``(time, outputs)``; the ends are repeated."""
    if width < 2 or len(x) < 2:
        return x
    half = width // 2
    padded = np.pad(x, ((half, half), (0, 0)), mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=0), axis=-1)


def runs(on: np.ndarray) -> list[tuple[int, int]]:
    """``[start, stop)`` of each run of true values of ``on`` ``(time,)``."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], on.astype(np.int8), [0]))))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
