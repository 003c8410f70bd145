"""How well events were found: F1 over segments of time, over events by their onset, and over time itself.

Segments and events are counted as in sed_eval (Mesaros, Heittola & Virtanen 2016, Applied Sciences 6(6):162): all
counts are added up over all recordings before anything is divided.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from math import ceil, floor
from typing import Any, TypeAlias

import numpy as np

from crnn.errors import DataError
from crnn.metrics.interval import interval
from crnn.metrics.labels import ordered
from crnn.types import Part

Events: TypeAlias = Sequence[Part]
Counts: TypeAlias = tuple[float, float, float]
"""Right, too many, missed."""
NEAR = 1e-6  # of a segment: what rounding may put on the wrong side of a border

FIGURES: dict[str, tuple[str, str, str]] = {
    "segment_f1": (
        "Segment F1",
        "Time in short segments: a label is there in both, or in one of truth and answer.",
        "%",
    ),
    "event_f1": ("Event F1", "Events whose label is right and whose beginning is near enough.", "%"),
    "time_f1": ("Time F1", "Time that truth and answer give the same label, however short.", "%"),
    "events_too_many": ("Events too many", "Events that were found where none begins, per event of the truth.", "%"),
    "events_missed": ("Events missed", "Events of the truth that were not found.", "%"),
}
"""What each figure of ``score`` is called, what it says in plain words, and its unit (``%``: shown as per cent)."""


def score(
    pairs: Sequence[tuple[Events, Events]],
    groups: Sequence[Hashable] | None = None,
    *,
    segment: float = 1.0,
    collar: float = 0.2,
    seed: int = 0,
) -> dict[str, float]:
    """Figures of ``(truth, found)`` events of many recordings, fractions; ``segment`` and ``collar`` are in the unit of
    the events' places. ``segment_f1`` has its 95 % interval ``segment_f1_low``, ``segment_f1_high``.

    Raises ``DataError`` if there is nothing to score.
    """
    if not pairs:
        raise DataError("there is nothing to score", expected="at least one sample", do="Check the data.")
    segments = np.array([segment_counts(truth, found, segment) for truth, found in pairs])
    events = np.array([event_counts(truth, found, collar) for truth, found in pairs])
    time = np.array([time_counts(truth, found) for truth, found in pairs])
    result = {"segment_f1": f1(segments.sum(0))}
    if len(pairs) > 1:
        wrong = segments[:, 1] + segments[:, 2]
        low, high = interval(wrong, 2 * segments[:, 0] + wrong, groups, seed)
        result |= {"segment_f1_low": 1 - high, "segment_f1_high": 1 - low}
    right, surplus, missed = events.sum(0)
    true = max(1, right + missed)
    shares = {"events_too_many": float(surplus / true), "events_missed": float(missed / true)}
    return result | {"event_f1": f1(events.sum(0)), "time_f1": f1(time.sum(0))} | shares


def per_label(
    pairs: Sequence[tuple[Events, Events]], segment: float = 1.0, collar: float = 0.2
) -> list[dict[str, Any]]:
    """For each label of truth or answer, in order: ``label, events, segment_f1, event_f1, time_f1``."""
    rows = []
    for label in ordered({part.value for truth, found in pairs for part in (*truth, *found)}):
        only = [tuple(tuple(p for p in parts if p.value == label) for parts in pair) for pair in pairs]
        segments, events, time = (
            np.sum([count(truth, found, *size) for truth, found in only], axis=0)
            for count, size in ((segment_counts, (segment,)), (event_counts, (collar,)), (time_counts, ()))
        )
        row = {"label": label, "events": sum(len(truth) for truth, _ in only)}
        rows.append({**row, "segment_f1": f1(segments), "event_f1": f1(events), "time_f1": f1(time)})
    return rows


def f1(counts: Any) -> float:
    """``2 right / (2 right + too many + missed)``; 1 where there is nothing to find and nothing was found."""
    right, surplus, missed = (float(count) for count in counts)
    total = 2 * right + surplus + missed
    return 2 * right / total if total else 1.0


def segment_counts(truth: Events, found: Events, segment: float) -> Counts:
    """Pairs of segment and label that are in both, in the answer alone, in the truth alone."""
    true, said = _cells(truth, segment), _cells(found, segment)
    return len(true & said), len(said - true), len(true - said)


def event_counts(truth: Events, found: Events, collar: float) -> Counts:
    """Events that are matched, found too many, and missed: labels are equal, onsets at most ``collar`` apart, and each
    is matched once; within a label, matching from left to right matches the most."""
    matched = 0
    for label in {part.value for part in truth}:
        true = sorted(part.start for part in truth if part.value == label)
        said = sorted(part.start for part in found if part.value == label)
        i = j = 0
        while i < len(true) and j < len(said):
            if abs(true[i] - said[j]) <= collar * (1 + NEAR):
                matched, i, j = matched + 1, i + 1, j + 1
            elif true[i] < said[j]:
                i += 1
            else:
                j += 1
    return matched, len(found) - matched, len(truth) - matched


def time_counts(truth: Events, found: Events) -> Counts:
    """Time that both, the answer alone and the truth alone give a label, summed over labels."""
    both = only_found = only_true = 0.0
    for label in {part.value for part in (*truth, *found)}:
        true, said = (_merged(part for part in parts if part.value == label) for parts in (truth, found))
        shared = sum(max(0.0, min(b, d) - max(a, c)) for a, b in true for c, d in said)
        both += shared
        only_true += sum(b - a for a, b in true) - shared
        only_found += sum(b - a for a, b in said) - shared
    return both, max(0.0, only_found), max(0.0, only_true)


def _cells(events: Events, segment: float) -> set[tuple[int, Any]]:
    """Segments by their numbers, each with the labels that are in any part of it."""
    cells = set()
    for part in events:
        first, last = floor(part.start / segment + NEAR), ceil(part.stop / segment - NEAR)
        cells |= {(i, part.value) for i in range(first, max(first + 1, last))}
    return cells


def _merged(events: Iterable[Part]) -> list[tuple[float, float]]:
    """Spans of time without overlap."""
    spans: list[tuple[float, float]] = []
    for start, stop in sorted((part.start, part.stop) for part in events):
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(stop, spans[-1][1]))
        else:
            spans.append((start, stop))
    return spans
