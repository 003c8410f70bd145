"""What is odd about boxes, seen before any training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from crnn.errors import CrnnError
from crnn.findings import Doubts, Finding, Seen
from crnn.metrics.boxes import edges, overlaps
from crnn.tasks._boxes.labels import BoxLabels
from crnn.types import Box, Boxes

TWICE = 0.95  # overlap from which on two boxes of a label are one


def doubts(seen: Sequence[Seen], labels: BoxLabels) -> Doubts:
    """What is odd about the boxes of ``seen``, for a task that knows ``labels``."""
    findings: list[Finding] = []
    counts: dict[str, list[Counter[str]]] = {}
    for s in seen:
        if s.problem is not None:
            kind = "no boxes" if s.sample.y is None else "boxes that do not fit"
            findings.append(Finding.of(s.problem, kind, file=s.sample.id, split=s.split))
        if not s.usable:
            continue
        try:
            truth, odd = labels.truth(s.sample)
        except CrnnError as error:
            findings.append(Finding.of(error, "boxes that do not fit", file=s.sample.id, split=s.split))
            continue
        for box, why in odd:
            do = "It is left out; correct or delete it."
            findings.append(Finding("warning", "box left out", s.sample.id, f"{_say(box)} {why}", do, s.split))
        for box in _twice(truth):
            do = "Delete one of them."
            findings.append(Finding("warning", "box twice", s.sample.id, f"{_say(box)} is there twice", do, s.split))
        if not truth.boxes:
            do = "Nothing needs to be done if nothing is to be seen there."
            findings.append(Finding("note", "picture without boxes", s.sample.id, "has no box", do, s.split))
        counts.setdefault(s.split, []).append(Counter(b.label for b in truth.boxes))
    findings += _absent(counts, labels)
    figures = {split: _figures(rows) for split, rows in counts.items()}
    return Doubts(tuple(findings), figures, {"labels": len(labels)})


def _say(box: Box) -> str:
    return f"has a box ({box.label} at {box.left:g},{box.top:g} to {box.right:g},{box.bottom:g}) that"


def _twice(truth: Boxes) -> list[Box]:
    """Boxes that another one before them covers."""
    rows = edges(truth.boxes)
    near = np.triu(overlaps(rows, rows) >= TWICE, 1)
    return [
        box
        for j, box in enumerate(truth.boxes)
        if any(near[i, j] and truth.boxes[i].label == box.label for i in range(j))
    ]


def _absent(counts: dict[str, list[Counter[str]]], labels: BoxLabels) -> list[Finding]:
    findings = []
    for split, rows in counts.items():
        absent = [name for name in labels.names if not any(row[name] for row in rows)]
        if absent:
            do = "Its figures say nothing of these: add pictures of them."
            said = f"of the split {split} have no box of {', '.join(absent[:10])}"
            findings.append(Finding("note", "labels that are not there", None, said, do, split))
    return findings


def _figures(rows: Sequence[Counter[str]]) -> dict[str, object]:
    sums = sorted(row.total() for row in rows)
    return {"boxes": sum(sums), "boxes a picture": (sums[0], sums[len(sums) // 2], sums[-1])}
