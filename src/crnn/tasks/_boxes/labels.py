"""What a training part says of boxes: labels, how large things are, how many there usually are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crnn.data.boxes import boxes_of, fitted, size_of_source
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.metrics.boxes import Finds
from crnn.registry import suggest
from crnn.types import Box, Boxes, Sample

SURE = 0.3
"""How sure a box must be to be said, before a validation part says better."""
UNIT = 16.0  # pixels, for a network without data
TRIED = np.round(np.arange(0.05, 0.96, 0.05), 2)
"""Scores from which on boxes could be said."""
RARE = 10  # things of a label in the validation part below which it says nothing about such a score
ALIKE = 0.005  # of F1


@dataclass(frozen=True, slots=True)
class BoxLabels:
    """``names`` by their numbers, and what is usual."""

    names: tuple[str, ...]
    unit: float = UNIT
    """Half of the side of a thing of middle size, in pixels."""
    sure: tuple[float, ...] = ()
    """How sure a box of each label must be to be said."""
    usual: tuple[tuple[str, float, float, float, float], ...] = ()
    """The boxes of the picture whose counts are nearest to the mean, as shares of its width and height."""
    chosen: bool = False
    """Whether the recipe named the labels: boxes of others are then ground."""

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def learn(cls, settings: Any, samples: Sequence[Sample]) -> BoxLabels:
        """Raises ``DataError`` if there is no box, and ``SettingsError`` for labels that are nowhere."""
        found: list[tuple[Sample, Boxes]] = []
        error: CrnnError | None = None
        for sample in samples:
            try:
                if sample.y is not None:
                    found.append((sample, boxes_of(sample.y)))
            except CrnnError as wrong:
                error = error or wrong
        counts = Counter(box.label for _, y in found for box in y.boxes)
        if not counts:
            do = "Give pictures with boxes, see docs/detect.md."
            raise error or DataError("no sample has a box", expected="at least one", do=do)
        for name in settings.labels:
            if name not in counts:
                said = f"task.labels names {name!r}"
                expected = f"a label of the training part: {', '.join(sorted(counts)[:12])}"
                raise SettingsError(said, expected=expected, do=suggest(name, counts))
        names = settings.labels or tuple(sorted(counts))
        sides = [
            (max(0.0, b.right - b.left) * max(0.0, b.bottom - b.top)) ** 0.5
            for _, y in found
            for b in y.boxes
            if b.label in names
        ]
        unit = max(1.0, float(np.median(sides)) / 2)
        return cls(names, unit, (), _usual(names, found), bool(settings.labels))

    @classmethod
    def blank(cls, count: int) -> BoxLabels:
        """Labels 0, 1 and so on, without data."""
        return cls(tuple(map(str, range(count))))

    @classmethod
    def restore(cls, learned: Mapping[str, Any]) -> BoxLabels:
        """What ``learned`` gave."""
        usual = tuple((str(name), *map(float, edges)) for name, *edges in learned["usual"])
        sure = tuple(map(float, learned["sure"]))
        chosen = bool(learned["chosen"])
        return cls(tuple(map(str, learned["labels"])), float(learned["unit"]), sure, usual, chosen)  # type: ignore[arg-type]

    def learned(self) -> dict[str, Any]:
        """As plain values for the bundle."""
        known = {"labels": list(self.names), "unit": self.unit, "sure": list(self.sure)}
        return known | {"usual": [list(row) for row in self.usual], "chosen": self.chosen}

    def extend(self, new: BoxLabels) -> BoxLabels:
        """The same numbers, the labels that only ``new`` has behind the known ones. Distances keep their unit."""
        names = (*self.names, *(name for name in new.names if name not in self.names))
        return replace(self, names=names, sure=(), usual=new.usual, chosen=new.chosen)

    def settled(self, finds: Finds) -> BoxLabels:
        """The same with the score of each label that suits ``finds``."""
        f1 = finds.f1_from(TRIED.tolist())
        good = np.where(f1 >= f1.max(1, keepdims=True) - ALIKE, abs(TRIED - SURE), np.inf)
        rare = np.stack(finds.truths).sum(0) < RARE
        return replace(self, sure=tuple(np.where(rare, SURE, TRIED[good.argmin(1)]).tolist()))

    def sure_of(self, label: str, least: float = 0.0) -> float:
        """From which score on a box of ``label`` is said; ``least``, where it is set, for all."""
        return least or (self.sure[self.names.index(label)] if self.sure else SURE)

    def truth(self, sample: Sample) -> tuple[Boxes, list[tuple[Box, str]]]:
        """The boxes of ``sample`` as far as they lie in its picture, and those that cannot be used, with what is wrong
        with each. Raises ``DataError`` for labels that are not known, and for boxes of a picture of another size."""
        return self.fit(sample.y, size_of_source(sample.x))

    def fit(self, y: Any, size: tuple[int, int]) -> tuple[Boxes, list[tuple[Box, str]]]:
        """The same for a picture of ``size`` (width, height)."""
        given = boxes_of(y)
        if all(given.size) and given.size != size:
            raise DataError(
                f"has boxes for a picture of {given.size[0]} x {given.size[1]} pixels",
                expected=f"{size[0]} x {size[1]}, as its picture",
                do="Scale boxes and picture alike.",
                file=given.file,
            )
        unknown = [b.label for b in given.boxes if b.label not in self.names]
        if unknown and not self.chosen:
            raise DataError(
                f"has the label {unknown[0]!r}",
                expected=f"one of the training part: {', '.join(self.names[:12])}",
                do="Correct it, or set task.labels to those to look for; others are then ground.",
                file=given.file,
            )
        good, odd = fitted([b for b in given.boxes if b.label in self.names], size)
        return Boxes(size, tuple(good), file=given.file), odd

    def rows(self, boxes: Boxes) -> np.ndarray:
        """As an array of boxes, see ``crnn.data.boxes``."""
        rows = [(b.left, b.top, b.right, b.bottom, self.names.index(b.label), b.counts) for b in boxes.boxes]
        return np.array(rows, np.float32).reshape(-1, 6)

    def usual_in(self, size: tuple[int, int]) -> Boxes:
        """The usual boxes in a picture of ``size``."""
        w, h = size
        return Boxes(size, tuple(Box(name, w * a, h * b, w * c, h * d) for name, a, b, c, d in self.usual))


def _usual(names: Sequence[str], found: Sequence[tuple[Sample, Boxes]]) -> tuple[Any, ...]:
    counts = np.array([[sum(b.label == name for b in y.boxes) for name in names] for _, y in found])
    near = abs(counts - counts.mean(0)).sum(1)
    for i in np.argsort(near, kind="stable").tolist():
        sample, y = found[i]
        try:
            size = y.size if all(y.size) else size_of_source(sample.x)
        except CrnnError:
            continue
        boxes, _ = fitted([b for b in y.boxes if b.label in names], size)
        sides = (*size, *size)
        edges = [(b.left, b.top, b.right, b.bottom) for b in boxes]
        shares = [[round(v / side, 4) for v, side in zip(row, sides, strict=True)] for row in edges]
        return tuple((b.label, *row) for b, row in zip(boxes, shares, strict=True))
    return ()
