"""What answers: any number of sources in, one answer for each, in their order, in bounded memory, whoever runs the
network."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from crnn.data.packed import together
from crnn.data.stack import of_one_size
from crnn.deploy.following import Following
from crnn.errors import BundleError, CrnnError, DataError, SettingsError, named
from crnn.types import Prediction, Region, Sample, in_source

Source = Path | Region | np.ndarray | Any
"""What can be read: a path, a part of a page, an array, a picture of Pillow's, or several by name."""
Answer = Prediction | CrnnError
MOST_NAMED = 200  # letters of a sample's name that are said


def plain(task: Any, answer: Prediction, *, top: int = 1) -> dict[str, Any]:
    """An answer as it is given out: plain values of JSON, numbers with four digits behind the point, ``None`` for what
    is no number."""
    text = json.dumps(task.plain(answer, top=top))
    values: dict[str, Any] = json.loads(text, parse_float=_short, parse_constant=lambda _: None)
    return values


def _short(number: str) -> float:
    """Four digits behind the point, or four in all of what is small."""
    value = float(number)
    return round(value, 4) if abs(value) >= 0.1 else float(f"{value:.4g}")


class Answering:
    """A network ready to answer; who inherits says how it is run.

    ``stream`` answers any number of samples. It sorts a window of them by length, so that batches hold little padding,
    gives each batch whole to one thread, from its files to its answers, and yields in the order given: cores that work
    side by side on batches of their own wait for nobody, unlike cores that share every small operation. A sample that
    cannot be read yields its error.
    """

    WINDOW = 16  # batches that are sorted together

    bundle: Any
    task: Any
    kind: Any
    batch_size: int
    device = "cpu"
    precision: Any = "float32"
    following: Following | None = None
    file: Path | None = None
    """What the network was read from, if it was."""

    def _threads(self) -> AbstractContextManager[ThreadPoolExecutor]:
        """Threads that each run the network by themselves."""
        raise NotImplementedError

    def _said(self, samples: Sequence[Sample], views: Sequence[Any]) -> list[Prediction]:
        """What the network says of one batch of arrays, ``kind.view_count`` for each sample, all of one size."""
        raise NotImplementedError

    def __call__(self, source: Any) -> Any:
        """The ``Prediction`` of one ``Source`` (or path as text, or mapping of several), or a list of them for a list.

        Raises the error of the first that cannot be read.
        """
        many = isinstance(source, (list, tuple))
        samples = [self._sample(s) for s in (source if many else [source])]
        answers = list(self.stream(samples)) if len(samples) > 1 else self._answer(samples)
        for answer in answers:
            if isinstance(answer, CrnnError):
                raise answer
        return answers if many else answers[0]

    @property
    def name(self) -> str:
        """The model's, for people."""
        return str(self.bundle.encoder["name"])

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        raise NotImplementedError

    @property
    def voters(self) -> tuple[Answering, ...]:
        """The networks that answer: this one."""
        return (self,)

    def explain(self, source: Any, *, of: Any = None) -> Any:
        """Which moments of a source made the answer: only networks that torch runs can say."""
        raise SettingsError(
            "the network is an exported one", expected="a bundle, of which torch can say why", do="Explain the bundle."
        )

    def stream(self, samples: Iterable[Sample]) -> Iterator[Answer]:
        """An answer for each sample, in order. Places of parts are in pixels, seconds or steps of the source."""
        samples = iter(samples)
        windows: deque[_Window] = deque()
        with self._threads() as pool:
            while window := list(islice(samples, self.WINDOW * self.batch_size)):
                windows.append(_Window(self, window, pool))
                if len(windows) > 1:  # the threads have the next window while this one is handed out
                    yield from windows.popleft().answers()
            while windows:
                yield from windows.popleft().answers()

    def _sample(self, source: Any) -> Sample:
        if isinstance(source, Sample):
            return source
        if isinstance(source, Mapping):
            kinds = getattr(self.kind, "kinds", {})
            text = {k: kinds[k].source(v) for k, v in source.items() if k in kinds and isinstance(v, str)}
            return Sample("sample", {**source, **text})
        given = self.kind.source(source) if isinstance(source, str) else source
        if isinstance(given, Path) and (opened := self.task.opened(given)) is not None:
            return opened
        return Sample(str(given) if isinstance(given, (Path, str)) else "array", given)

    def _answer(self, samples: Sequence[Sample]) -> list[Answer]:
        """The answers of one batch."""
        if not self.task.follows:
            return self._each(samples)
        self.following = self.following or Following(self.task, self._each, self.batch_size)
        return self.following(samples)

    def _each(self, samples: Sequence[Sample]) -> list[Answer]:
        """The answers of one batch, each by itself."""
        with together(sample.x for sample in samples):
            read: list[Any] = [self._read(sample) for sample in samples]
        for i, sample in enumerate(samples):
            if isinstance(read[i], CrnnError) and (answer := self._cut(sample)) is not None:
                read[i] = answer
        readable = [i for i, r in enumerate(read) if isinstance(r, tuple)]
        answers: list[Any] = list(read)
        for rows in of_one_size([read[i][0][0] for i in readable]):
            good = [readable[row] for row in rows]
            views = [view for i in good for view in read[i][0]]
            predictions = self._run([samples[i] for i in good], views)
            for i, prediction in zip(good, predictions, strict=True):
                answers[i] = in_source(prediction, read[i][1])
        return answers

    def _run(self, samples: Sequence[Sample], views: Sequence[Any]) -> list[Prediction]:
        """``_said``, where the kind of input took all that is there. Raises ``BundleError`` for what a file holds that
        was accepted but does not fit together; a network of this process keeps the error that it raised."""
        try:
            return self._said(samples, views)
        except (CrnnError, AssertionError, MemoryError):
            raise
        except Exception as error:  # of settings and weights of a stranger, torch and numpy raise nearly anything
            if self.file is None or "memory" in str(error):
                raise
            given = f"does not run ({type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]})"
            expected = "settings and weights that fit each other and the input"
            do = "Take the file from its source again, or report this with the file and the input."
            raise BundleError(given, expected=expected, do=do, file=self.file) from error

    def _cut(self, sample: Sample) -> Answer | None:
        """The answer for what is too long to be read whole, of a task that can join answers to its pieces."""
        if not hasattr(self.task, "joined"):
            return None
        try:
            pieces = self.kind.cut(sample.x)
            if pieces is None:
                return None
            found: list[tuple[float, Prediction]] = []
            while some := list(islice(pieces, self.batch_size)):
                for (begin, _), answer in zip(some, self._each([Sample(sample.id, x) for _, x in some]), strict=True):
                    if isinstance(answer, CrnnError):
                        raise DataError(answer.given, expected=answer.expected, do=answer.do, file=sample.x)
                    found.append((begin, answer))
            return self.task.joined(sample.id, found)
        except CrnnError as error:
            return error

    def _read(self, sample: Sample) -> tuple[list[Any], float] | CrnnError:
        """The views of one sample, and how many of its steps one unit of the source became."""
        try:
            x, scale = self.kind.decode_scaled(sample.x)
            return [self.kind.finish(view) for view in self.kind.views(x)], scale
        except CrnnError as error:
            name = str(sample.id)  # of a sentence it is the sentence
            return named(error, name if len(name) <= MOST_NAMED else f"{name[:MOST_NAMED]} ...")


class _Window:
    """Samples that are sorted and answered together."""

    def __init__(self, predictor: Answering, samples: list[Sample], pool: ThreadPoolExecutor) -> None:
        size = predictor.batch_size
        order = sorted(range(len(samples)), key=lambda i: _steps(predictor, samples[i]))
        self.rows = [order[start : start + size] for start in range(0, len(order), size)]
        self.jobs: list[Future[list[Answer]]] = [
            pool.submit(predictor._answer, [samples[i] for i in rows]) for rows in self.rows
        ]

    def answers(self) -> Iterator[Answer]:
        """All answers, in the order of the samples."""
        done = [
            pair
            for rows, job in zip(self.rows, self.jobs, strict=True)
            for pair in zip(rows, job.result(), strict=True)
        ]
        return (answer for _, answer in sorted(done, key=lambda pair: pair[0]))


def _steps(predictor: Answering, sample: Sample) -> int:
    """Input steps of ``sample`` from its file's header; 0 if it has none, which reading it will explain."""
    try:
        return predictor.kind.steps(sample.x)
    except CrnnError:
        return 0
