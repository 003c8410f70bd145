"""What tasks share: what most of them answer alike, and how answers are written down."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from crnn.data.formats import Answer
from crnn.errors import DataError, SettingsError
from crnn.files import write_aside
from crnn.tasks._arrays import first_lengths
from crnn.types import Prediction, Sample


class Common:
    """Answers of a task that gives one value for each sample; a task says for itself only what differs."""

    answer: Answer = "label"
    kinds: tuple[str, ...] = ("picture", "series", "sound", "film", "sentence", "line")
    model = "cascade"
    models: ClassVar[Mapping[str, str]] = {}
    aligned = False
    averages = False
    varies = True
    votes = False
    compares = False
    of_columns = False
    explains = True
    """Whether it can be said which moments of the input made an answer."""
    columns: tuple[str, ...] = ()
    """Columns of its CSV files, where an answer may have no row."""
    stratum: Callable[[Sample], Any] | None = None

    @classmethod
    def asks(cls, settings: Any) -> dict[str, Any]:
        """What else formats must know to give its answers: fields of ``crnn.data.formats.Asked``."""
        return {}

    def with_input(self, kind: Any) -> Self:
        """The task for inputs of ``kind``, which was learned after it; those that answer in its units keep it."""
        return self

    def opened(self, file: Path) -> Sample | None:
        """The sample that is to be answered of ``file``, where a format must make it; ``None`` where it is the file."""
        return None

    @property
    def follows(self) -> bool:
        """Whether answers that have come true lately move the next; only then ``earlier`` and ``moved`` are asked."""
        return False

    def earlier(self, sample: Sample) -> list[Sample]:
        """Samples whose truth was known when ``sample`` is answered, with it."""
        raise NotImplementedError

    def moved(self, answer: Prediction, known: Sequence[tuple[Any, Prediction]]) -> Prediction:
        """``answer`` by what came true of those that are ``known``."""
        raise NotImplementedError

    def settle(self, pairs: Sequence[tuple[Any, Prediction]]) -> Self:
        """The task as it goes into the bundle, with what the validation part says of it: nothing."""
        return self

    def vote(self, answers: Sequence[Prediction]) -> Prediction:
        """One answer for several; only tasks whose answers can be put to the vote are asked."""
        raise NotImplementedError

    def exported(self, net: Any) -> Any:
        """Of ``net``, what a graph of ONNX is to say: its answer, or what is made of it by torch at once."""
        return net

    def so_far(self, sample: Sample) -> Any:
        """What ``show`` is given where nothing is compared: the truth, if there is one."""
        return self.truth(sample)

    def truth(self, sample: Sample) -> Any:
        """What is to be answered of ``sample``, ``None`` where nobody knows."""
        raise NotImplementedError

    def given(self, id: str, value: Any, truth: Any) -> Prediction:
        """What another program answered to the sample ``id`` whose ``truth`` is known: ``value``, as JSON holds it.
        Raises ``DataError`` for what is no answer of this task."""
        return Prediction(id, value, 1.0)

    def arrays(self) -> dict[str, np.ndarray]:
        """What was learned and is too large for plain values, by name."""
        return {}

    def facts(self) -> dict[str, str]:
        """What was learned, in words for ``crnn show``."""
        return {}

    def along(self, y: Any, steps: Any, scale: float) -> np.ndarray:
        """Labels of single steps; only tasks that are ``aligned`` are asked."""
        raise NotImplementedError

    def by_label(self, pairs: Sequence[tuple[Any, Prediction]]) -> dict[Any, float]:
        """How well each label is answered, from 0 to 1; nothing where there are no labels."""
        return {}

    def weight(self, batch: Any) -> float:
        """What the mean of the loss is over, so that batches can be brought together: samples, or their steps."""
        return float(first_lengths(batch.inputs).sum()) if self.aligned else len(batch)

    def word(self, value: Any) -> str:
        """A value for people, in a few letters."""
        return str(value)

    def line(self, prediction: Prediction, *, top: int = 1) -> str:
        """A prediction for people, on one line."""
        return f"{prediction.id}\t{self.word(prediction.value)}\t{prediction.score:.2f}"

    def plain(self, prediction: Prediction, *, top: int = 1) -> dict[str, Any]:
        """A prediction as plain values."""
        raise NotImplementedError

    def rows(self, prediction: Prediction) -> list[dict[str, Any]]:
        """A prediction as rows of a CSV file, whose columns are the keys of values that are no lists."""
        return [self.plain(prediction)]

    def write(self, predictions: Iterable[Prediction], path: Path) -> None:
        """``.jsonl`` (all there is) or ``.csv``."""
        rows = (
            row for p in predictions for row in (self.rows(p) if path.suffix.lower() == ".csv" else [self.plain(p)])
        )
        write_rows(rows, path, names=self.columns)


def too_short(sample: Sample, steps: int | None) -> DataError | None:
    """That none of the ``steps`` of output is left of ``sample``, if so."""
    if steps is None or steps > 0:
        return None
    do = "Take a longer sample, or a model that joins fewer steps."
    return DataError("leaves no step of output", expected="at least one", do=do, file=sample.id)


def write_rows(
    rows: Iterable[Mapping[str, Any]], path: Path, *, text: str | None = None, names: Sequence[str] = ()
) -> None:
    """Write ``rows`` as ``.jsonl`` or ``.csv`` (columns ``names``, or those of the first row), or the values of the key
    ``text`` as ``.txt``, a line each.

    Raises ``SettingsError`` for another ending.
    """
    kind = path.suffix.lower()
    endings = [".jsonl", ".csv"] if text is None else [".txt", ".jsonl", ".csv"]
    if kind not in endings:
        known = f"{', '.join(endings[:-1])} or {endings[-1]}"
        raise SettingsError(f"the file {path.name!r}", expected=f"a name in {known}", do="Rename it.")
    with write_aside(path) as file:
        table = csv.writer(file, lineterminator="\n")
        if names and kind == ".csv":
            table.writerow(names)
        for row in rows:
            if kind == ".txt":
                file.write(row[str(text)] + "\n")
            elif kind == ".jsonl":
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            else:
                if not names:
                    names = columns_of(row)
                    table.writerow(names)
                table.writerow([cell(row.get(name)) for name in names])


def columns_of(row: Mapping[str, Any]) -> list[str]:
    """The keys whose values fit into a cell."""
    return [name for name, value in row.items() if not isinstance(value, (list, tuple, dict))]


def cell(value: Any) -> Any:
    """A value as it stands in a table."""
    return f"{value:.4f}" if isinstance(value, float) else value
