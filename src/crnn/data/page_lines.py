"""Lines of text on a page: as baselines with heights, as a label map to learn from, and found in one again.

A label map has the numbers 0 for ground, 1 for what lies close above a baseline, 2 for the baseline itself and 3 for
what lies close below. Only half of a line's height is labelled on either side, so that lines whose ascenders reach into
the descenders above keep ground between them, and their heights can be measured all the same.

Coordinates are those of the picture's edges: the middle of its first pixel is (0.5, 0.5), so a picture that is scaled
scales them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crnn.types import Part

Point = tuple[float, float]
NAMES = ("ground", "above", "baseline", "below")
"""The labels of a finder, by their numbers."""
LABELLED = 0.5
"""Share of the height above and below a baseline that is labelled."""
THIN = 20
"""A baseline's label is a tenth of the line's height thick, this share of it on each side, and at least two pixels."""
SKIPPED = 2
"""Columns without a baseline that tracing goes on behind."""
GAP = 0.6
"""Heights that two pieces of a line may lie apart; columns have more between them."""
LEAST = 3.0
"""Pixels of a line's height in a label map below which it is no line."""


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text: ``baseline`` from left to right, the height ``above`` and ``below`` it, all in pixels."""

    baseline: tuple[Point, ...]
    above: float
    below: float
    text: str | None = None
    score: float | None = None
    words: tuple[Part, ...] = ()
    """Where its words are, from start to stop in pixels along the baseline."""

    @property
    def height(self) -> float:
        return self.above + self.below

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        xs, ys = zip(*self.polygon, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def polygon(self) -> tuple[Point, ...]:
        """The outline, clockwise from the upper left: the baseline moved along its normals."""
        points = np.array(self.baseline)
        normals = normals_of(points)  # downwards
        top, bottom = points - self.above * normals, points + self.below * normals
        return tuple((float(x), float(y)) for x, y in (*top, *bottom[::-1]))

    def scaled(self, across: float, down: float) -> TextLine:
        """The same line, unread, on a page that is ``across`` times as wide and ``down`` times as high."""
        baseline = tuple((x * across, y * down) for x, y in self.baseline)
        return replace(self, baseline=baseline, above=self.above * down, below=self.below * down)


def around(lines: Sequence[TextLine]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the box around ``lines``."""
    left, top, right, bottom = zip(*(line.box for line in lines), strict=True)
    return min(left), min(top), max(right), max(bottom)


def normals_of(points: np.ndarray) -> np.ndarray:
    """Unit vectors across a polyline ``(points, 2)``, to the right of its direction: downwards for text."""
    along = np.gradient(points, axis=0) if len(points) > 1 else np.array([[1.0, 0.0]])
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    return np.stack([-along[:, 1], along[:, 0]], axis=1)


def draw(lines: Sequence[TextLine], size: tuple[int, int]) -> np.ndarray:
    """The label map, uint8 ``(height, width)`` of ``size``; what two lines claim is the nearer one's."""
    height, width = size
    numbers = np.zeros(size, np.uint8)
    distance = np.full(size, np.inf)
    for line in lines:
        (xs, ys), half = np.array(line.baseline).T, max(1.0, line.height / THIN)
        first, last = max(0, int(xs[0])), min(width, int(np.ceil(xs[-1])))
        level = np.interp(np.arange(first, last) + 0.5, xs, ys)
        up, down = max(half + 1, LABELLED * line.above), max(half + 1, LABELLED * line.below)
        top, bottom = (int(np.clip(y, 0, height)) for y in (ys.min() - up - 1, ys.max() + down + 2))
        if last <= first or bottom <= top:
            continue
        offset = np.arange(top, bottom)[:, None] + 0.5 - level  # of each pixel from the baseline
        new = np.select([abs(offset) <= half, (offset < 0) & (offset > -up), (offset > 0) & (offset < down)], [2, 1, 3])
        far = np.where(abs(offset) <= half, 0, abs(offset) / np.where(offset < 0, up, down))
        place = slice(top, bottom), slice(first, last)
        nearer = (new > 0) & (far < distance[place])
        numbers[place] = np.where(nearer, new, numbers[place])
        distance[place] = np.where(nearer, far, distance[place])
    return numbers


def lines_in(numbers: np.ndarray) -> list[TextLine]:
    """The lines of a label map ``(height, width)``, in no order: baselines are traced from column to column, pieces
    that go on behind a gap are joined, and heights are measured on the labels above and below."""
    up, down = _runs(numbers == 1), _runs((numbers == 3)[::-1])[::-1]
    pieces = []
    for trace in _traces(numbers == 2):
        piece = _measured(trace, up, down)
        if piece is not None:
            pieces.append(piece)
    joined = _joined(sorted(pieces, key=lambda piece: piece.x[0]))
    wide = [piece for piece in joined if piece.x[-1] - piece.x[0] + 1 >= 0.6 * piece.height]
    return [piece.line() for piece in wide if not any(_within(piece, other) for other in wide)]


@dataclass(slots=True)
class _Piece:
    """Part of a line: the level of its baseline ``y`` at the columns ``x``, and its heights."""

    x: np.ndarray
    y: np.ndarray
    above: float
    below: float

    @property
    def height(self) -> float:
        return self.above + self.below

    def level(self, x: float) -> float:
        """Where the baseline would be at ``x``, judged by the nearest columns of twice its height."""
        near = np.argsort(abs(self.x - x), kind="stable")[: max(8, int(2 * self.height))]
        if np.ptp(self.x[near]) < self.height:
            return float(np.median(self.y[near]))
        return float(np.polyfit(self.x[near] - x, self.y[near], 1)[1])

    def joined(self, other: _Piece) -> _Piece:
        """Both as one, ``other`` to the right; the longer counts more for the height."""
        mine, its = len(self.x), len(other.x)
        above = (self.above * mine + other.above * its) / (mine + its)
        below = (self.below * mine + other.below * its) / (mine + its)
        x, y = np.concatenate([self.x, other.x]), np.concatenate([self.y, other.y])
        order = np.argsort(x, kind="stable")
        return _Piece(x[order], y[order], above, below)

    def line(self) -> TextLine:
        """Nodes at most one height apart, each on a straight line through the columns around it."""
        left, right = float(self.x[0]), float(self.x[-1]) + 1
        count = max(2, int(np.ceil((right - left) / max(self.height, 1.0))) + 1)
        nodes = np.linspace(left, right, count)
        reach = max(1.5 * self.height, 6.0)
        levels = []
        for node in nodes:
            offset = self.x + 0.5 - node
            weight = np.clip(1 - (offset / reach) ** 2, 0, None)
            total = weight.sum()
            if total < 1e-6:  # in a gap
                levels.append(float(np.interp(node, self.x + 0.5, self.y)))
                continue
            middle, mean = (weight * offset).sum() / total, (weight * self.y).sum() / total
            spread = (weight * (offset - middle) ** 2).sum() / total
            slope = (weight * (offset - middle) * (self.y - mean)).sum() / total / max(spread, 1.0)
            levels.append(float(mean - slope * middle))
        points = tuple(zip(nodes.tolist(), levels, strict=True))
        return TextLine(points, self.above, self.below)


def _runs(mask: np.ndarray) -> np.ndarray:
    """How many true pixels lie one above the other down to each pixel, itself among them."""
    rows = np.arange(1, len(mask) + 1, dtype=np.int32)[:, None]
    return rows - np.maximum.accumulate(np.where(mask, 0, rows), axis=0)


def _traces(band: np.ndarray) -> list[np.ndarray]:
    """Baselines followed from left to right: rows ``(column, top, bottom)`` of each, ``bottom`` the first row below."""
    edges = np.diff(np.pad(band.astype(np.int8), ((1, 1), (0, 0))), axis=0).T
    columns, tops = np.nonzero(edges == 1)
    bottoms = np.nonzero(edges == -1)[1]
    begins = np.searchsorted(columns, np.arange(band.shape[1] + 1))
    done: list[np.ndarray] = []
    opened: list[list[tuple[int, int, int]]] = []
    for x in range(band.shape[1]):
        runs = list(zip(tops[begins[x] : begins[x + 1]].tolist(), bottoms[begins[x] : begins[x + 1]], strict=True))
        going = [trace for trace in opened if x - trace[-1][0] <= SKIPPED + 1]
        done += [np.array(trace) for trace in opened if x - trace[-1][0] > SKIPPED + 1]
        near = []
        for i, trace in enumerate(going):
            last, top, bottom = trace[-1]
            for j, (start, stop) in enumerate(runs):
                off = abs(start + stop - top - bottom) / 2
                if off <= x - last + max(0.5, (bottom - top) / 4):
                    near.append((off, i, j))
        taken_traces, taken_runs = set[int](), set[int]()
        for _, i, j in sorted(near):
            if i not in taken_traces and j not in taken_runs:
                taken_traces.add(i)
                taken_runs.add(j)
                going[i].append((x, runs[j][0], int(runs[j][1])))
        opened = going + [[(x, top, int(bottom))] for j, (top, bottom) in enumerate(runs) if j not in taken_runs]
    return done + [np.array(trace) for trace in opened]


def _measured(trace: np.ndarray, up: np.ndarray, down: np.ndarray) -> _Piece | None:
    """A traced baseline with its heights, ``None`` where most of it has nothing above."""
    x, top, bottom = trace.T
    half = (bottom - top) / 2
    high = np.where(top > 0, up[np.maximum(top - 1, 0), x], 0)
    low = np.where(bottom < len(down), down[np.minimum(bottom, len(down) - 1), x], 0)
    if len(x) < 5 or (high > 0).mean() < 0.5:
        return None
    above, below = (_middle(part + half) / LABELLED for part in (high, low))
    return _Piece(x, (top + bottom) / 2, above, below) if above + below >= LEAST else None


def _middle(values: np.ndarray) -> float:
    """The mean of the middle half: a median between whole numbers."""
    values = np.sort(values)
    quarter = len(values) // 4
    return float(values[quarter : len(values) - quarter].mean())


def _within(piece: _Piece, other: _Piece) -> bool:
    """Whether ``piece`` is a stroke in the midst of ``other``, a line at least twice as long."""
    shared = (piece.x >= other.x[0]) & (piece.x <= other.x[-1])
    if 2 * len(piece.x) > len(other.x) or shared.mean() < 0.6:
        return False
    off = abs(piece.y[shared] - np.interp(piece.x[shared], other.x, other.y))
    return float(off.mean()) < 0.4 * other.height


def _joined(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Pieces of one line, from left to right, as one: close behind each other, at one level, of like height."""
    found: list[_Piece] = []
    for piece in pieces:
        best, least = None, np.inf
        for i, other in enumerate(found):
            height = max(piece.height, other.height)
            gap = piece.x[0] - other.x[-1]
            if not -0.3 * height <= gap <= GAP * height or height > 2 * min(piece.height, other.height):
                continue
            off = abs(other.level(float(piece.x[0])) - piece.level(float(piece.x[0])))
            if off <= 0.15 * height and off + max(0, gap) < least:
                best, least = i, off + max(0, gap)
        if best is None:
            found.append(piece)
        else:
            found[best] = found[best].joined(piece)
    return found
