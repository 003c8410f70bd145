"""What is odd about labels, seen before any training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from crnn.findings import Doubts, Finding, Seen
from crnn.tasks._labels.known import Labels

UNEVEN = 20  # times as many samples of the largest class as of the smallest


def doubts(seen: Sequence[Seen], labels: Labels) -> Doubts:
    """What is odd about the labels of ``seen``, for a task that knows ``labels``."""
    findings = [*_unusable(seen, labels), *_few(seen), *_absent(seen, labels), *_uneven(seen)]
    figures = {
        split: {"classes": len({s.sample.y for s in seen if s.split == split and s.usable})}
        for split in dict.fromkeys(s.split for s in seen)
    }
    return Doubts(tuple(findings), figures, {"classes": len(labels)})


def _unusable(seen: Sequence[Seen], labels: Labels) -> Iterator[Finding]:
    for s in seen:
        if s.problem is None:
            continue
        kind = "no label" if s.sample.y is None else "too short"
        if s.sample.y is not None and s.sample.y not in labels.number:
            kind = "labels that the training part lacks"
        finding = Finding.of(s.problem, kind, file=s.sample.id, split=s.split)
        if s.split != "train" and kind == "labels that the training part lacks":
            said = f"{s.problem.given}: it will count as wrong"
            finding = Finding("warning", kind, s.sample.id, said, finding.do, s.split)
        yield finding


def _counts(seen: Sequence[Seen], split: str) -> Counter[Any]:
    return Counter(s.sample.y for s in seen if s.split == split and s.usable)


def _few(seen: Sequence[Seen]) -> Iterator[Finding]:
    counts = _counts(seen, "train")
    for s in seen:
        if s.split == "train" and s.usable and counts[s.sample.y] == 1:
            said = f"is the only one of the class {s.sample.y!r} in the training part"
            do = "One example hardly teaches a class: add samples, or drop the class."
            yield Finding("warning", "class with one sample", s.sample.id, said, do, "train")


def _absent(seen: Sequence[Seen], labels: Labels) -> Iterator[Finding]:
    for split in dict.fromkeys(s.split for s in seen):
        there = _counts(seen, split)
        lacking = [str(name) for name in labels.names if name not in there]
        if lacking and split != "train":
            shown = ", ".join(lacking[:10]) + (" ..." if len(lacking) > 10 else "")
            said = f"of the split {split} have none of {len(lacking)} classes ({shown})"
            do = "Its figures say nothing of these: add samples of them."
            yield Finding("note", "classes that are not there", None, said, do, split)


def _uneven(seen: Sequence[Seen]) -> Iterator[Finding]:
    counts = _counts(seen, "train")
    if len(counts) < 2:
        return
    (most, many), (least, few) = counts.most_common()[0], counts.most_common()[-1]
    if many > UNEVEN * few:
        said = f"have {many} samples of {most!r} and {few} of {least!r}"
        do = "Look at balanced accuracy and macro F1, and try task.balance = 0.5."
        yield Finding("note", "uneven classes", None, said, do, "train")
