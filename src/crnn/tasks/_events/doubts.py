"""What is odd about events, seen before any training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crnn.findings import Doubts, Finding, Seen
from crnn.tasks._events.runs import known_events, overlaps


def doubts(seen: Sequence[Seen], labels: int, *, many: bool, rate: float) -> Doubts:
    """What is odd about the events of ``seen``, for a task of so many ``labels``, of which ``many`` may be there at one
    time; ``rate`` labels of steps make one unit."""
    findings = [Finding.of(s.problem, "no usable labels", file=s.sample.id, split=s.split) for s in seen if s.problem]
    figures = {}
    for split in dict.fromkeys(s.split for s in seen):
        known = [known_events(s.sample.y, rate) for s in seen if s.split == split and s.usable]
        figures[split] = {"events": sum(map(len, known)), "labels": len({p.value for e in known for p in e})}
    if not many:
        findings += _overlapping(seen, rate)
    return Doubts(tuple(findings), figures, {"labels": labels})


def _overlapping(seen: Sequence[Seen], rate: float) -> Iterator[Finding]:
    for s in seen:
        if s.usable and overlaps(known_events(s.sample.y, rate)):
            do = "Set task.labels to many."
            yield Finding("warning", "overlapping events", s.sample.id, "has events at one time", do, s.split)
