"""How well the pixels of pictures were named: shares of right pixels, overlap and borders of each label, and counts.

Everything is computed from what is counted in each picture, so that no pixels have to be kept. Of a label, pixels of it
are T in truth and P in the answer::

    IoU = |T and P| / |T or P|      Dice = 2 |T and P| / (|T| + |P|)      accuracy = |T and P| / |T|

The boundary F1 (Csurka et al. 2013) is the harmonic mean of the share of the answer's border pixels that have one of
the truth's within ``tolerance`` pixels, and of the share of the truth's that have one of the answer's.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crnn.errors import DataError
from crnn.metrics.interval import interval, intervals

IGNORED = 255
FIGURES: dict[str, tuple[str, str, str]] = {
    "pixel_accuracy": ("Pixel accuracy", "Pixels whose label is right.", "%"),
    "miou": ("Mean IoU", "Mean over the labels of the overlap of answer and truth, as a share of both together.", "%"),
    "class_accuracy": ("Class accuracy", "Mean over the labels of the share of its pixels that are right.", "%"),
    "dice": ("Dice", "Mean over the labels (but the ground, where there are two) of the F1 of its pixels.", "%"),
    "boundary_f1": ("Boundary F1", "Mean over the labels of the F1 of its border pixels.", "%"),
    "count_error": ("Count error", "How many things too many or too few are found in a picture, on average.", ""),
    "count_share": ("Relative count error", "The same, as a share of the things that are there.", "%"),
}
"""What each figure is called, what it says in plain words, and its unit."""


@dataclass(slots=True)
class Counts:
    """What is counted in pictures of ``labels`` labels; ``add`` takes truth and answer ``(height, width)``, of which
    ``IGNORED`` pixels of the truth do not count."""

    labels: int
    tolerance: int = 2
    things: tuple[int, ...] = ()
    """Labels of which each connected piece is a thing to be counted."""
    smallest: int = 0
    """Pixels below which a piece is none."""
    confusion: np.ndarray = field(init=False)
    """Pixels by truth (rows) and answer (columns), of all pictures."""
    pixels: list[np.ndarray] = field(default_factory=list)
    """Of each picture, right, true and answered pixels of each label ``(3, labels)``."""
    borders: list[np.ndarray] = field(default_factory=list)
    """Of each picture and label, the answer's border pixels that are near one of the truth's, all of the answer's, the
    truth's that are near, all of the truth's ``(4, labels)``."""
    counts: list[np.ndarray] = field(default_factory=list)
    """Of each picture, things in truth and answer ``(2, things)``."""

    def __post_init__(self) -> None:
        self.confusion = np.zeros((self.labels, self.labels), np.int64)

    def add(self, truth: np.ndarray, answer: np.ndarray) -> None:
        """One picture."""
        here = table(truth, answer, self.labels)
        self.confusion += here
        self.pixels.append(np.stack([here.diagonal(), here.sum(1), here.sum(0)]))
        self.borders.append(borders(truth, answer, self.labels, self.tolerance))
        if self.things:
            known = np.where(truth == IGNORED, IGNORED, answer)
            found = [[count(x, n, self.smallest) for n in self.things] for x in (truth, known)]
            self.counts.append(np.array(found))

    def figures(self, groups: Sequence[Hashable] | None = None) -> dict[str, float]:
        """The figures, all but the count error fractions, with 95 % intervals where there are several pictures; Dice
        and boundary F1 only where there is anything to find or found. Raises ``DataError`` if nothing is to score."""
        if not self.pixels or not self.confusion.sum():
            do = "Give pictures with label maps."
            raise DataError("no pixel has a label", expected="at least one", do=do)
        pixels = np.stack(self.pixels).astype(np.float64)  # (pictures, 3, labels)
        of_picture = pixels.sum(2)
        result = {"pixel_accuracy": float(of_picture[:, 0].sum() / of_picture[:, 1].sum())}
        if len(pixels) > 1:
            wrong = of_picture[:, 1] - of_picture[:, 0]
            low, high = interval(wrong, of_picture[:, 1], groups)
            result |= {"pixel_accuracy_low": 1 - high, "pixel_accuracy_high": 1 - low}
        flat = pixels.reshape(len(pixels), -1)
        for name, figure in (("miou", self._miou), ("dice", self._dice)):
            result[name] = float(figure(flat.sum(0)[None])[0])
            if len(pixels) > 1:
                result[f"{name}_low"], result[f"{name}_high"] = intervals(flat, figure, groups)
        rows = self.by_label()
        for name, own in (("class_accuracy", "accuracy"), ("boundary_f1", "boundary_f1")):
            result[name] = float(_mean_of_rows(np.array([[row[own] for row in rows]]))[0])
        if self.counts:
            truth, answer = np.stack(self.counts).sum(2).T.astype(np.float64)
            result["count_error"] = float(abs(answer - truth).mean())
            result["count_share"] = float(abs(answer - truth).sum() / max(1.0, truth.sum()))
        return {name: value for name, value in result.items() if value == value}

    def by_label(self) -> list[dict[str, Any]]:
        """For each label: ``number, pixels`` (of the truth), ``iou, dice, accuracy, boundary_f1``; NaN for what is
        neither in truth nor answer, and for the accuracy of what is not in the truth."""
        right, true, said = np.stack(self.pixels).sum(0).astype(np.float64)
        near, all_said, reached, all_true = np.stack(self.borders).sum(0).astype(np.float64)
        precision, recall = _ratio(near, all_said), _ratio(reached, all_true)
        lone = np.where((all_said + all_true) > 0, 0.0, np.nan)  # a border on one side only
        both = np.where((all_said > 0) & (all_true > 0), _ratio(2 * precision * recall, precision + recall, 0.0), lone)
        values = {
            "iou": _ratio(right, true + said - right),
            "dice": _ratio(2 * right, true + said),
            "accuracy": _ratio(right, true),
            "boundary_f1": both,
        }
        return [
            {"number": i, "pixels": int(true[i])} | {name: float(v[i]) for name, v in values.items()}
            for i in range(self.labels)
        ]

    def _miou(self, sums: np.ndarray) -> np.ndarray:
        """Of sums ``(draws, 3 * labels)``; labels that are neither in truth nor answer do not count."""
        right, true, said = np.moveaxis(sums.reshape(len(sums), 3, -1), 1, 0)
        return _mean_of_rows(_ratio(right, true + said - right))

    def _dice(self, sums: np.ndarray) -> np.ndarray:
        right, true, said = np.moveaxis(sums.reshape(len(sums), 3, -1), 1, 0)
        values = _ratio(2 * right, true + said)
        return _mean_of_rows(values[:, 1:] if self.labels == 2 else values)


def table(truth: np.ndarray, answer: np.ndarray, labels: int) -> np.ndarray:
    """Pixels by truth (rows) and answer (columns), ``(labels, labels)``."""
    there = truth != IGNORED
    pairs = truth[there].astype(np.int64) * labels + answer[there]
    return np.bincount(pairs, minlength=labels * labels).reshape(labels, labels)


def borders(truth: np.ndarray, answer: np.ndarray, labels: int, tolerance: int) -> np.ndarray:
    """Border pixels that have one of the same label within ``tolerance`` in the other map, see ``Counts.borders``."""
    t, a = _border(truth), _border(np.where(truth == IGNORED, IGNORED, answer))
    found = []
    for one, other in ((a, t), (t, a)):
        near = np.zeros(one.shape, bool)
        for y in range(-tolerance, tolerance + 1):
            for x in range(-tolerance, tolerance + 1):
                if x * x + y * y <= tolerance * tolerance:
                    here, there = _shifted(one.shape, y, x)
                    near[here] |= one[here] == other[there]
        there_is = one != IGNORED
        found += [np.bincount(one[near & there_is], minlength=labels), np.bincount(one[there_is], minlength=labels)]
    return np.stack(found)


def _border(x: np.ndarray) -> np.ndarray:
    """``x`` where a pixel has a neighbour of another label, ``IGNORED`` elsewhere; next to such there is no border."""
    edge = np.zeros(x.shape, bool)
    for one, other in (
        ((slice(None), slice(1, None)), (slice(None), slice(-1))),
        ((slice(1, None), slice(None)), (slice(-1), slice(None))),
    ):
        differ = (x[one] != x[other]) & (x[one] != IGNORED) & (x[other] != IGNORED)
        edge[one] |= differ
        edge[other] |= differ
    return np.where(edge, x, IGNORED)


def _shifted(shape: tuple[int, ...], y: int, x: int) -> tuple[Any, Any]:
    """Slices of pixels, and of those ``y`` below and ``x`` to the right of them."""
    height, width = shape
    here = slice(max(0, -y), min(height, height - y)), slice(max(0, -x), min(width, width - x))
    there = slice(max(0, y), min(height, height + y)), slice(max(0, x), min(width, width + x))
    return here, there


def pieces(mask: np.ndarray) -> np.ndarray:
    """Connected pieces of true pixels ``(height, width)``, neighbours also across corners: int32, 0 for none, pieces
    numbered from 1 in reading order. Runs of pixels are joined row by row (Rosenfeld & Pfaltz 1966)."""
    height, width = mask.shape
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, starts = np.nonzero(edges == 1)
    stops = np.nonzero(edges == -1)[1]
    parent = list(range(len(rows)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first = np.searchsorted(rows, np.arange(height + 1)).tolist()
    begin, end = starts.tolist(), stops.tolist()
    for row in range(1, height):
        above, last = first[row - 1], first[row]
        for i in range(first[row], first[row + 1]):
            while above < last and end[above] < begin[i]:
                above += 1
            j = above
            while j < last and begin[j] <= end[i]:
                one, other = sorted((root(i), root(j)))
                parent[other] = one
                j += 1
    roots = np.array([root(i) for i in range(len(parent))], int)
    numbers = np.unique(roots, return_inverse=True)[1] + 1 if len(roots) else roots
    found = np.zeros((height, width + 1), np.int32)
    np.add.at(found, (rows, starts), numbers)
    np.add.at(found, (rows, stops), -numbers)
    return found.cumsum(1, dtype=np.int32)[:, :width]


def things(x: np.ndarray, number: int, smallest: int = 0) -> list[tuple[int, float, float]]:
    """Area in pixels and centre (x, y) of each connected piece of the label ``number`` of at least ``smallest``
    pixels."""
    found = pieces(x == number)
    y, x_ = np.nonzero(found)
    numbers = found[y, x_]
    areas = np.bincount(numbers)[1:]
    centres = [np.bincount(numbers, weights=axis)[1:] / np.maximum(1, areas) for axis in (x_, y)]
    rows = zip(areas.tolist(), *(c.tolist() for c in centres), strict=True)
    return [(int(area), cx, cy) for area, cx, cy in rows if area >= max(1, smallest)]


def count(x: np.ndarray, number: int, smallest: int = 0) -> int:
    """How many there are."""
    areas = np.bincount(pieces(x == number).ravel())[1:]
    return int((areas >= max(1, smallest)).sum())


def _ratio(above: np.ndarray, below: np.ndarray, empty: float = np.nan) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(above), empty), where=below > 0)


def _mean_of_rows(values: np.ndarray) -> np.ndarray:
    """Of what is there; NaN where nothing is."""
    there = ~np.isnan(values)
    return _ratio(np.where(there, values, 0).sum(1), there.sum(1))
