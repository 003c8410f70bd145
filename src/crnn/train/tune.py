"""Choose how a reader uses a language model: weight and bonus, by the error on lines that it did not learn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crnn.deploy.predict import Predictor
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.tasks import Task
from crnn.types import Batch, Prediction, Sample

WEIGHTS = (0.3, 0.5, 0.7, 0.9, 1.2)
BONUSES = (0.0, 0.5, 1.0, 1.5, 2.0)


@dataclass(frozen=True, slots=True)
class Tried:
    """A way to find texts and its figures."""

    reading: Any
    figures: dict[str, float]


def tune(
    predictor: Predictor, samples: Sequence[Sample], reading: Any, *, tried: Callable[[Tried], None] = lambda _: None
) -> Tried:
    """The best of several weights and bonuses of ``reading`` on ``samples``, which need a text each.

    The network answers once; weights are tried with the bonus given, then bonuses with the best weight, then the
    weights beside it. ``tried`` is told of each. Raises ``DataError`` if no sample has a text and can be read.
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
    found: dict[tuple[float, float], Tried] = {}

    def judge(weight: float, bonus: float) -> Tried:
        if (weight, bonus) not in found:
            own = replace(reading, weight=weight, bonus=bonus)
            reader = task.with_reading(own)
            pairs = [(truth[s.id], reader.read(s.id, *heard.said[s.id])) for s in seen]
            found[weight, bonus] = Tried(own, task.score(pairs, groups))
            tried(found[weight, bonus])
        return found[weight, bonus]

    name, better = task.best

    def best(choices: Sequence[Tried]) -> Any:
        return better(choices, key=lambda t: t.figures[name]).reading

    first = best([judge(weight, reading.bonus) for weight in WEIGHTS])
    second = best([judge(first.weight, bonus) for bonus in BONUSES])
    at = WEIGHTS.index(second.weight)
    beside = [judge(weight, second.bonus) for weight in WEIGHTS[max(0, at - 1) : at + 2]]
    chosen = best(beside)
    return found[chosen.weight, chosen.bonus]


class _Heard:
    """A task that remembers what the network said."""

    def __init__(self, task: Task) -> None:
        if not hasattr(task, "with_reading"):
            raise SettingsError(
                f"the bundle's task is {task.name!r}", expected="transcribe", do="Tune a bundle that reads text."
            )
        self.task: Any = task
        self.said: dict[str, Any] = {}

    def predict(self, net: Any, batch: Batch) -> list[Prediction]:
        said = self.task.said(net, batch)
        self.said.update(zip(batch.ids, said, strict=True))
        return [Prediction(id, "", 1.0) for id in batch.ids]
