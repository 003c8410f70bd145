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
                first, last = (round(min(edge * scale, steps)) for edge in (part.start, part.stop))
                table[first : max(first + 1, last), number[part.value]] = True
        return table
    place = np.minimum(((np.arange(steps) + 0.5) / max(1, steps) * len(y)).astype(int), len(y) - 1)
    for step, i in enumerate(place if len(y) else ()):
        if y[i] in number:
            table[step, number[y[i]]] = True
    return table


def is_answer(y: Any) -> bool:
    """Whether ``y`` can be an answer at all: events, or labels of steps."""
    return isinstance(y, (list, tuple))


def is_events(y: Iterable[Any]) -> bool:
    """Whether ``y`` holds events, not labels of steps."""
    return all(isinstance(part, Part) for part in y)


def known_events(y: Sequence[Any], rate: float) -> tuple[Part, ...]:
    """``y`` as events: as it is, or runs of equal labels, ``rate`` of them to the unit (0 counts them)."""
    if is_events(y):
        return tuple(y)
    return events_of([None if label in NOTHING else label for label in y], rate or 1.0)


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


def parts_of(there: np.ndarray, shares: np.ndarray, labels: Sequence[Any], *, stride: int, length: int) -> list[Part]:
    """Runs of true values of ``there`` ``(steps, labels)`` as events in steps of an input of ``length`` steps, with
    their mean of ``shares``, in the order of their beginnings. The last step reaches to the end."""
    parts = []
    for i, label in enumerate(labels):
        for a, b in runs(there[:, i]):
            if a * stride < length:
                stop, sure = _end_of(b, len(there), stride, length), min(1.0, float(shares[a:b, i].mean()))
                parts.append(Part(label, float(a * stride), stop, sure))
    return sorted(parts, key=lambda part: (part.start, part.stop))


def _end_of(stop: int, count: int, stride: int, length: int) -> float:
    return float(length if stop == count else min(stop * stride, length))
