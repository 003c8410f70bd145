"""Test a bundle: answer every sample, compare with the truth, say the figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crnn.deploy.branches import Branches
from crnn.deploy.explain import NOTE, explain, shown
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
    apart: bool = False,
) -> Tested:
    """Figures of ``predictor`` on ``samples``; those without a truth, or that cannot be read, are left out and said.

    ``others`` are other programs' answers, ``{name: {id: value}}``; their figures on the same samples join the
    baselines. With ``apart`` so do those of the network without each of its branches, if it has any, which answers all
    samples once more for each (see ``crnn.deploy.branches``). Raises ``DataError`` if no sample remains, or if another
    program left one unanswered.
    """
    task, branches = predictor.task, Branches(predictor)
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
    with branches.watched() if apart else nullcontext():
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
    parts = _without_branches(predictor, branches, seen, progress) if apart else {}
    baselines = {**{name: figures for name, (figures, _) in parts.items()}, **task.baselines(seen)}
    baselines |= figures_of_others(task, seen, others or {})
    report = report_of(task, seen, predictions, baselines)
    if parts:
        report = replace(report, details=_with_branches(task, report.details, seen, predictions, parts))
    return Tested(report, tuple(seen), tuple(predictions), tuple(left_out))


def report_of(
    task: Any, samples: Sequence[Sample], predictions: Sequence[Prediction], baselines: Mapping[str, Any]
) -> Report:
    """The figures of ``predictions``, one for each of ``samples``, which have a truth."""
    pairs = [(task.truth(s), p) for s, p in zip(samples, predictions, strict=True)]
    rows = tuple(task.row(truth, p) for truth, p in pairs)
    return Report(task.score(pairs, [s.group for s in samples]), rows, baselines, task.details(pairs))


def figures_of_others(
    task: Any, samples: Sequence[Sample], others: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, float]]:
    """The figures of other programs' answers ``{name: {id: value}}``. Raises ``DataError`` for a sample without one,
    and for what is none."""
    found = {}
    for name, answers in others.items():
        if missing := [s.id for s in samples if s.id not in answers]:
            raise DataError(
                f"the baseline {name!r} has no answer for {len(missing)} samples, such as {missing[0]}",
                expected="an answer for each sample",
                do="Write one line of JSON with id and answer for each.",
            )
        try:
            pairs = [(truth := task.truth(s), task.given(s.id, answers[s.id], truth)) for s in samples]
            found[name] = task.score(pairs, [s.group for s in samples])
        except DataError as error:
            given = f"the baseline {name!r}: {error.given}"
            raise DataError(given, expected=error.expected, do=error.do, file=error.file) from error
    return found


Apart = Mapping[str, tuple[dict[str, float], Mapping[Any, float]]]
"""Of a network without one of its branches: figures, and how well each label is answered."""


def _without_branches(
    predictor: Predictor, branches: Branches, samples: Sequence[Sample], progress: Callable[[], None]
) -> Apart:
    task, found = predictor.task, {}
    for name in branches.names:
        with branches.without(name):
            answers = _watched(predictor.stream(samples), progress)
            pairs = [(task.truth(s), p) for s, p in zip(samples, answers, strict=True)]
        figures = task.score(pairs, [s.group for s in samples])
        own = {key: value for key, value in figures.items() if not key.endswith(("_low", "_high"))}
        found[f"without its {name}"] = own, task.by_label(pairs)
    return found


def _with_branches(
    task: Any, details: Mapping[str, Any], samples: Sequence[Sample], predictions: Sequence[Prediction], parts: Apart
) -> dict[str, Any]:
    """``details`` with a table of the labels: how well each is answered with all branches, and without each."""
    whole = task.by_label([(task.truth(s), p) for s, p in zip(samples, predictions, strict=True)])
    columns = {"whole network": whole, **{name: labels for name, (_, labels) in parts.items()}}
    rows = [{"label": label, **{name: of.get(label, 0.0) for name, of in columns.items()}} for label in whole]
    return {**details, "tables": [*details.get("tables", ()), ("Labels without a branch", rows)]}


def _watched(answers: Iterator[Any], progress: Callable[[], None]) -> Iterator[Any]:
    for answer in answers:
        progress()
        yield answer


def write_page(
    path: Path, tested: Tested, predictor: Predictor, *, title: str, summary: dict[str, Any], explained: int = 0
) -> None:
    """The HTML report: figures, confusions, worst samples first with their pictures, the first ``explained`` of them
    with the moments that made the answer."""
    task = predictor.task
    by_id = {s.id: (s, p) for s, p in zip(tested.samples, tested.predictions, strict=True)}
    worst = iter(range(explained if task.explains else 0))

    def fragment(row: Any) -> str:
        sample, prediction = by_id[row["id"]]
        why = explain(predictor, sample) if next(worst, None) is not None else None
        return task.show(prediction, task.truth(sample), shown(predictor, sample, why))

    note = f"{tested.report.details.get('note', '')} {NOTE if explained and task.explains else ''}"
    report = replace(tested.report, details={**tested.report.details, "note": note.strip()})
    write_html(path, report, title=title, summary=summary, fragments=fragment)


def write_answers(
    path: Path, fragments: Mapping[str, str], *, title: str, summary: dict[str, Any], note: str = NOTE
) -> None:
    """A page of answers whose truth nobody knows: ``fragments`` are HTML, by the id of each sample, in their order;
    ``note`` says what is to be seen in them."""
    report = Report({}, tuple({"id": id} for id in fragments), details={"note": note})
    write_html(
        path,
        report,
        title=title,
        summary=summary,
        fragments=lambda row: fragments[row["id"]],
        most=len(fragments),
        heading="Answers",
    )
