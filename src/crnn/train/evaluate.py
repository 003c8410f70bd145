"""Test a bundle: answer every sample, compare with the truth, say the figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crnn.deploy.predict import Predictor
from crnn.errors import CrnnError, DataError
from crnn.train.report import write_html
from crnn.types import Prediction, Report, Sample


@dataclass(frozen=True, slots=True)
class Tested:
    """A report, the prediction of each sample that has a truth and could be read, and the errors of the others."""

    report: Report
    samples: tuple[Sample, ...]
    predictions: tuple[Prediction, ...]
    left_out: tuple[CrnnError, ...]


def evaluate(
    predictor: Predictor,
    samples: Sequence[Sample],
    *,
    progress: Callable[[], None] = lambda: None,
    others: Mapping[str, Mapping[str, Any]] | None = None,
) -> Tested:
    """Figures of ``predictor`` on ``samples``; those without a truth, or that cannot be read, are left out and said.

    ``others`` are other programs' answers, ``{name: {id: value}}``; their figures on the same samples join the
    baselines. Raises ``DataError`` if no sample remains, or if another program left one unanswered.
    """
    task = predictor.task
    asked: list[Sample] = []
    left_out: list[CrnnError] = []
    for sample in samples:
        if task.truth(sample) is not None:
            asked.append(sample)
        else:
            left_out.append(
                DataError("has no truth", expected="an answer to compare with", do="Add it.", file=sample.id)
            )
    seen, predictions = [], []
    for sample, answer in zip(asked, _watched(predictor.stream(asked), progress), strict=True):
        if isinstance(answer, CrnnError):
            left_out.append(answer)
        else:
            seen.append(sample)
            predictions.append(answer)
    if not seen:
        raise DataError(
            f"none of {len(samples)} samples can be tested ({left_out[0] if left_out else 'there are none'})",
            expected="samples with a truth",
            do="Run crnn check on the data.",
        )
    baselines = task.baselines(seen)
    for name, answers in (others or {}).items():
        if missing := [s.id for s in seen if s.id not in answers]:
            raise DataError(
                f"the baseline {name!r} has no answer for {len(missing)} samples, such as {missing[0]}",
                expected="an answer for each sample",
                do="Write one line of JSON with id and answer for each.",
            )
        pairs = [(task.truth(s), Prediction(s.id, answers[s.id], 1.0)) for s in seen]
        baselines[name] = task.score(pairs, [s.group for s in seen])
    report = report_of(task, seen, predictions, baselines)
    return Tested(report, tuple(seen), tuple(predictions), tuple(left_out))


def report_of(
    task: Any, samples: Sequence[Sample], predictions: Sequence[Prediction], baselines: Mapping[str, Any]
) -> Report:
    """The figures of ``predictions``, one for each of ``samples``, which have a truth."""
    pairs = [(task.truth(s), p) for s, p in zip(samples, predictions, strict=True)]
    rows = tuple(task.row(truth, p) for truth, p in pairs)
    return Report(task.score(pairs, [s.group for s in samples]), rows, baselines, task.details(pairs))


def _watched(answers: Iterator[Any], progress: Callable[[], None]) -> Iterator[Any]:
    for answer in answers:
        progress()
        yield answer


def write_page(path: Path, tested: Tested, predictor: Predictor, *, title: str, summary: dict[str, Any]) -> None:
    """The HTML report: figures, confusions, worst samples first with their pictures."""
    by_id = {s.id: (s, p) for s, p in zip(tested.samples, tested.predictions, strict=True)}

    def fragment(row: Any) -> str:
        sample, prediction = by_id[row["id"]]
        return predictor.task.show(prediction, predictor.task.truth(sample), predictor.kind.shown(sample.x))

    write_html(path, tested.report, title=title, summary=summary, fragments=fragment)
