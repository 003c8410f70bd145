"""How well things were found in pictures: mean average precision as COCO counts it, F1 of what is said, and counts.

Average precision (AP) of a label at a threshold of overlap: the answer's boxes of all pictures, the surest first; one
is right if it overlaps a thing that no surer one has taken, by the threshold of intersection over union (IoU).
Precision is read off at 101 levels of recall, 0 to 1, at each as the best precision at that or more recall (Lin et al.
2014, arXiv 1405.0312, and the authors' program). Unlike there, all boxes of an answer count and not the first 100 of a
picture, since some pictures hold more cells than that.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from crnn.errors import DataError
from crnn.metrics.interval import intervals
from crnn.types import Box, Boxes

LEVELS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
"""Thresholds of IoU."""
RECALLS = np.linspace(0, 1, 101)
MOST_UNITS = 300
"""Groups that are drawn for intervals; of more, some are drawn together."""
DRAWS_AT_ONCE = 4_000_000
FIGURES: dict[str, tuple[str, str, str]] = {
    "map50": ("mAP@.5", "Mean over the labels of the average precision of boxes that overlap a thing by half.", "%"),
    "map": ("mAP@.5:.95", "The same, averaged over overlaps from 0.5 to 0.95.", "%"),
    "f1": ("F1", "Of boxes that are sure enough to be said, against things, at an overlap of half; all labels.", "%"),
    "count_error": ("Count error", "How many things too many or too few are said to be in a picture, on average.", ""),
    "count_share": ("Relative count error", "The same, as a share of the things that are there.", "%"),
}
"""What each figure is called, what it says in plain words, and its unit."""


class Finds:
    """What was found of things of ``labels`` in pictures; ``add`` takes the truth and the answer of one."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self.pictures = 0
        self.truths: list[np.ndarray] = []
        """Of each picture, how many things of each label are to be found."""
        self.said: list[np.ndarray] = []
        """Of each picture, how many are said to be there."""
        self.right: list[np.ndarray] = []
        """Of each picture, how many of the said are right, and how many wrong, ``(2, labels)``."""
        self._found: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {name: [] for name in self.labels}

    def add(self, truth: Boxes, answer: Boxes) -> None:
        """One picture. Things of other labels are none."""
        truths, said, right = np.zeros((3, len(self.labels)), np.int64)
        wrong = np.zeros(len(self.labels), np.int64)
        for i, label in enumerate(self.labels):
            things = [b for b in truth.boxes if b.label == label]
            sure = [b for b in answer.boxes if b.label == label]
            boxes = sorted([*sure, *(b for b in answer.doubtful if b.label == label)], key=lambda b: -b.score)
            truths[i] = sum(b.counts for b in things)
            hits, counted = matched(things, boxes)
            scores = np.array([b.score for b in boxes], np.float64)
            self._found[label].append((scores, hits, counted))
            hits, counted = matched(things, sorted(sure, key=lambda b: -b.score), LEVELS[:1])
            # what lies on things that do not count is neither right nor wrong
            said[i], right[i] = counted.sum(), hits.sum()
            wrong[i] = said[i] - right[i]
        self.pictures += 1
        self.truths.append(truths)
        self.said.append(said)
        self.right.append(np.stack([right, wrong]))

    def figures(self, groups: Sequence[Hashable] | None = None) -> dict[str, float]:
        """The figures, all but the count error fractions; ``map50`` with its 95 % interval where there are several
        pictures. Raises ``DataError`` if there is nothing to score."""
        truths = np.stack(self.truths) if self.pictures else np.zeros((0, 1), np.int64)
        if not truths.sum():
            do = "Give pictures with boxes."
            raise DataError("no picture has a box that is to be found", expected="at least one", do=do)
        precisions = self.precisions()
        result = {"map50": _mean(precisions[:, 0])}
        if self.pictures > 1:
            low, high = self._interval(groups)
            result |= {"map50_low": low, "map50_high": high}
        right, wrong = np.stack(self.right).sum((0, 2))
        off = abs(np.stack(self.said) - truths)
        return result | {
            "map": _mean(precisions),
            "f1": float(2 * right / max(1, right + wrong + truths.sum())),
            "count_error": float(off.sum(1).mean()),
            "count_share": float(off.sum() / truths.sum()),
        }

    def precisions(self) -> np.ndarray:
        """AP of each label at each of ``LEVELS``: ``(labels, levels)``, NaN for a label that is nowhere."""
        found = np.full((len(self.labels), len(LEVELS)), np.nan)
        for i in range(len(self.labels)):
            _, hits, counted, _, order = self._sorted(i)
            total = sum(int(t[i]) for t in self.truths)
            for level in range(len(LEVELS) if total else 0):
                counts = counted[level, order].astype(np.float64)[None]
                found[i, level] = average_precision(hits[level, order] * counts, counts, np.array([total]))[0]
        return found

    def f1_from(self, tried: Sequence[float]) -> np.ndarray:
        """F1 of each label at an overlap of half, where boxes are said from a score on: ``(labels, tried)``."""
        found = []
        for i in range(len(self.labels)):
            scores, hits, counted, *_ = self._sorted(i)
            total = sum(int(t[i]) for t in self.truths)
            from_on = scores >= np.asarray(tried)[:, None]
            found.append(2 * (from_on & hits[0]).sum(1) / np.maximum(1, (from_on & counted[0]).sum(1) + total))
        return np.stack(found)

    def by_label(self) -> list[dict[str, Any]]:
        """For each label: ``label, things, said, ap50, ap, recall, precision, count_error``; NaN for what cannot be
        said."""
        precisions, rows = self.precisions(), []
        truths, said, right = (np.stack(v) for v in (self.truths, self.said, self.right))
        for i, label in enumerate(self.labels):
            hits, things, boxes = right[:, 0, i].sum(), truths[:, i].sum(), said[:, i].sum()
            rows.append(
                {
                    "label": label,
                    "things": int(things),
                    "said": int(boxes),
                    "ap50": float(precisions[i, 0]),
                    "ap": float(np.mean(precisions[i])),
                    "recall": float(hits / things) if things else float("nan"),
                    "precision": float(hits / boxes) if boxes else float("nan"),
                    "count_error": float(abs(said[:, i] - truths[:, i]).mean()),
                }
            )
        return rows

    def _sorted(self, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of the boxes of label ``i``: scores, hits and whether they count ``(levels, boxes)``, pictures, and the order
        of falling scores."""
        found = self._found[self.labels[i]]
        scores = np.concatenate([f[0] for f in found])
        hits, counted = (np.concatenate([f[k] for f in found], axis=1) for k in (1, 2))
        pictures = np.repeat(np.arange(len(found)), [len(f[0]) for f in found])
        return scores, hits, counted, pictures, np.argsort(-scores, kind="stable")

    def _interval(self, groups: Sequence[Hashable] | None) -> tuple[float, float]:
        index: dict[Hashable, int] = {}
        keys = [("picture", i) if g is None else ("group", g) for i, g in enumerate(groups or [None] * self.pictures)]
        unit = np.array([index.setdefault(key, len(index)) for key in keys])
        if len(index) == 1:  # then pictures are drawn, as elsewhere
            unit = np.arange(self.pictures)
        unit %= MOST_UNITS
        tables = [self._sorted(i) for i in range(len(self.labels))]
        truths = np.stack(self.truths)

        def figure(drawn: np.ndarray) -> np.ndarray:
            """mAP@.5 where each unit was drawn so often ``(draws, units)``."""
            precisions = []
            for i, (_, hits, counted, pictures, order) in enumerate(tables):
                total = drawn[:, unit] @ truths[:, i]
                rows = []
                step = max(1, DRAWS_AT_ONCE // max(1, len(order)))
                for first in range(0, len(drawn), step):
                    some = slice(first, first + step)
                    weights = drawn[some][:, unit[pictures[order]]] * counted[0, order]
                    rows.append(average_precision(weights * hits[0, order], weights, total[some]))
                precisions.append(np.concatenate(rows))
            values = np.stack(precisions)
            there = ~np.isnan(values)
            sums, count = np.where(there, values, 0).sum(0), there.sum(0)
            return np.where(count > 0, sums / np.maximum(1, count), np.nan)  # a draw without a box says nothing

        return intervals(np.eye(int(unit.max()) + 1), figure)


def matched(
    things: Sequence[Box], boxes: Sequence[Box], levels: Sequence[float] = LEVELS
) -> tuple[np.ndarray, np.ndarray]:
    """Which of ``boxes`` (the surest first) are right at each of ``levels``, and which count: two arrays of bool
    ``(levels, boxes)``. A box takes the thing that it overlaps most of those that are left; what lies on a thing that
    does not count, by that share of its own area, does not count either."""
    hits = np.zeros((len(levels), len(boxes)), bool)
    counted = np.ones_like(hits)
    wanted, ignored = [b for b in things if b.counts], [b for b in things if not b.counts]
    if not boxes or not things:
        return hits, counted
    rows = edges(boxes)
    iou = overlaps(rows, edges(wanted))
    beside = (shared(rows, edges(ignored)) / np.maximum(areas(rows), 1e-9)[:, None]).max(1, initial=0)
    for k, level in enumerate(levels):
        free = np.ones(len(wanted), bool)
        for j in np.flatnonzero(iou.max(1, initial=0) >= level):
            left = np.where(free, iou[j], -1)
            best = int(left.argmax())
            if left[best] >= level:
                free[best], hits[k, j] = False, True
        counted[k] = hits[k] | (beside < level)
    return hits, counted


def average_precision(hits: np.ndarray, counts: np.ndarray, total: np.ndarray) -> np.ndarray:
    """AP of boxes in the order of falling scores: ``hits`` and ``counts`` ``(draws, boxes)`` are how often each is
    right and is there, ``total`` ``(draws,)`` how many things there are. NaN where there are none."""
    found = np.full(len(total), np.nan)
    right, said = hits.cumsum(1), counts.cumsum(1)
    precision = right / np.maximum(said, 1e-9)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.concatenate([best, np.zeros((len(best), 1))], axis=1)
    for k in np.flatnonzero(total > 0):
        found[k] = best[k, np.searchsorted(right[k] / total[k], RECALLS)].mean()
    return found


def overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of each of the boxes ``one`` ``(n, 4 or more)`` with each of ``other`` ``(m, ...)``:
    ``(n, m)``."""
    both = shared(one, other)
    return both / np.maximum(areas(one)[:, None] + areas(other)[None] - both, 1e-9)


def shared(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The area that each of ``one`` has in common with each of ``other``."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:4], other[None, :, 2:4])
    return (high - low).clip(min=0).prod(2)


def areas(rows: np.ndarray) -> np.ndarray:
    """Width times height of each."""
    return (rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1])


def edges(boxes: Sequence[Box]) -> np.ndarray:
    """float64 ``(boxes, 4)``: left, top, right, bottom."""
    return np.array([(b.left, b.top, b.right, b.bottom) for b in boxes], np.float64).reshape(-1, 4)


def _mean(values: np.ndarray) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else 0.0
