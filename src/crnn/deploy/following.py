"""Answers that are moved by what came true of earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from crnn.errors import CrnnError
from crnn.types import Prediction, Sample

Each = Callable[[Sequence[Sample]], list[Any]]


class Following:
    """Answers to samples of a ``task`` that ``follows``: for each, the earlier ones whose truth was known by then are
    answered, too, by ``each``, which is given so many at a time as make a ``batch``; and what came true of them moves
    it. Earlier answers are kept, since neighbours share them. Threads may ask at once."""

    def __init__(self, task: Any, each: Each, batch: int) -> None:
        self.task, self.each, self.batch = task, each, batch
        self.known: dict[Any, Prediction | CrnnError] = {}  # by source, the oldest first
        self.lock = Lock()

    def __call__(self, samples: Sequence[Sample]) -> list[Any]:
        before = [self.task.earlier(sample) for sample in samples]
        asked = {sample.x: sample for some in before for sample in some}
        with self.lock:
            known = {x: self.known[x] for x in asked if x in self.known}
        answers = self.each(samples)
        own = {s.x: answer for s, answer, some in zip(samples, answers, before, strict=True) if some}
        known |= own
        missing = [sample for x, sample in asked.items() if x not in known]
        for start in range(0, len(missing), self.batch):
            some = missing[start : start + self.batch]
            known |= zip((sample.x for sample in some), self.each(some), strict=True)
        self._keep(known)
        return [
            answer if isinstance(answer, CrnnError) else self.task.moved(answer, self._pairs(some, known))
            for answer, some in zip(answers, before, strict=True)
        ]

    def _pairs(self, samples: Sequence[Sample], known: dict[Any, Any]) -> list[tuple[Any, Prediction]]:
        """Truths and answers of those that could be read."""
        both = ((self.task.truth(sample), known[sample.x]) for sample in samples)
        return [(truth, answer) for truth, answer in both if not isinstance(answer, CrnnError)]

    def _keep(self, answers: dict[Any, Any]) -> None:
        """Keep twice as many as were needed at once: batches come in nearly the order of time."""
        with self.lock:
            self.known |= answers
            for x in list(self.known)[: max(0, len(self.known) - 2 * len(answers))]:
                del self.known[x]
