"""Choose how a reader uses a language model, by the error on lines it did not learn from, and how sure it may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crnn.deploy.predict import Predictor
from crnn.errors import CrnnError, DataError
from crnn.tasks import Task
from crnn.tasks._lines.stand_in import StandIn
from crnn.types import Batch, Prediction, Sample

WEIGHTS = (0.3, 0.5, 0.7, 0.9, 1.2)
BONUSES = (0.0, 0.5, 1.0, 1.5, 2.0)
WORD_BONUSES = (-1.0, 0.0, 1.0, 2.0, 4.0)
UNKNOWNS = (-0.5, -1.5, -2.5, -4.0)


@dataclass(frozen=True, slots=True)
class Tried:
    """A way to find texts, its figures, the task that finds them so, and what it found beside the truth."""

    reading: Any
    figures: dict[str, float]
    task: Any
    pairs: Sequence[tuple[Any, Prediction]] = field(repr=False)


def tune(
    predictor: Predictor,
    samples: Sequence[Sample],
    reading: Any,
    *,
    unknowns: Sequence[float] = UNKNOWNS,
    tried: Callable[[Tried], None] = lambda _: None,
) -> Tried:
    """The best of several weights and bonuses of ``reading`` on ``samples``, which need a text each.

    The network answers once; weights are tried with the bonus given, then bonuses with the best weight, then, for a
    model of words, ``unknowns`` (what a letter of an unknown word adds; none leaves that as it is), then the weights
    beside the best. A reading without a language model is tried as it is. ``tried`` is told of each. The task of the
    best has scores that are as often right on ``samples`` as they say. Raises ``DataError`` if no sample has a text and
    can be read.
    """
    task = predictor.task
    truth = {s.id: task.truth(s) for s in samples}
    heard = _Heard(task)
    said = Predictor(replace(predictor.bundle, task=heard), precision=predictor.precision)
    asked = [s for s in samples if truth[s.id] is not None]
    seen = [s for s, answer in zip(asked, said.stream(asked), strict=True) if not isinstance(answer, CrnnError)]
    if not seen:
        raise DataError("no line can be read and has a text", expected="one at least", do="Run crnn check on the data.")
    groups = [s.group for s in seen]
    found: dict[tuple[float, float, float], Tried] = {}

    def read(own: Any, reader: Any) -> Tried:
        pairs = [(truth[s.id], reader.read(s.id, *heard.said[s.id])) for s in seen]
        return Tried(own, task.score(pairs, groups), reader, pairs)

    def judge(own: Any) -> Tried:
        key = (own.weight, own.bonus, own.unknown)
        if key not in found:
            found[key] = read(own, task.with_reading(own))
            tried(found[key])
        return found[key]

    def settled(best: Tried) -> Tried:
        return read(best.reading, best.task.settle(best.pairs))

    name, better = task.best

    def best(field: str, start: Any, values: Sequence[float]) -> Any:
        choices = [judge(replace(start, **{field: value})) for value in values]
        return better(choices, key=lambda t: t.figures[name])

    if reading.model is None:
        return settled(judge(reading))
    words = reading.model.of_words
    chosen = best("weight", reading, WEIGHTS).reading
    chosen = best("bonus", chosen, WORD_BONUSES if words else BONUSES).reading
    if words and unknowns:
        chosen = best("unknown", chosen, unknowns).reading
    at = WEIGHTS.index(chosen.weight)
    return settled(best("weight", chosen, WEIGHTS[max(0, at - 1) : at + 2]))


class _Heard(StandIn):
    """A task that remembers what the network said."""

    def __init__(self, task: Task) -> None:
        super().__init__(task, do="Tune a bundle that reads text.")
        self.said: dict[str, Any] = {}

    def predict(self, net: Any, batch: Batch) -> list[Prediction]:
        said = self.task.said(net, batch)
        self.said.update(zip(batch.ids, said, strict=True))
        return [Prediction(id, "", 1.0) for id in batch.ids]
