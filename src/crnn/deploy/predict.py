"""Prediction: any number of sources in, one answer for each, in their order, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crnn.bundle import Bundle, fold, load
from crnn.config import Precision
from crnn.data.collate import gather, of_one_size
from crnn.deploy.explain import Explanation, explain
from crnn.errors import CrnnError
from crnn.precision import autocast, resolve
from crnn.types import Batch, Prediction, Region, Sample, in_source

Source = Path | Region | np.ndarray | Any
"""What can be read: a path, a part of a page, an array, a picture of Pillow's, or several by name."""
Answer = Prediction | CrnnError


class Predictor:
    """A network ready to answer.

    >>> read = Predictor("zoo:typewritten")                     # doctest: +SKIP
    >>> read("line.png").value                                  # doctest: +SKIP
    'Anders Celsius'

    ``stream`` answers any number of samples. It sorts a window of them by length, so that batches hold little padding,
    gives each batch whole to one thread, from its files to its answers, and yields in the order given: cores that work
    side by side on batches of their own wait for nobody, unlike cores that share every small operation. A sample that
    cannot be read yields its error.
    """

    WINDOW = 16  # batches that are sorted together

    def __init__(
        self,
        bundle: Bundle | str | Path,
        *,
        precision: Precision = "auto",
        batch_size: int = 16,
        device: str = "cpu",
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else load(bundle)
        self.task, self.kind = self.bundle.task, self.bundle.kind
        self.net = fold(self.bundle.net.eval()).to(device)
        self.device, self.precision = device, resolve(precision, device)
        self.batch_size = batch_size

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
    def voters(self) -> tuple[Predictor, ...]:
        """The networks that answer: this one."""
        return (self,)

    def explain(self, source: Any, *, of: Any = None) -> Explanation:
        """Which moments of a ``Source`` made the answer, or speak for the label, number or text ``of``: see
        ``crnn.deploy.explain``. Raises the error of a source that cannot be read, and ``SettingsError``."""
        return explain(self, self._sample(source), of=of)

    def stream(self, samples: Iterable[Sample]) -> Iterator[Answer]:
        """An answer for each sample, in order. Places of parts are in pixels, seconds or steps of the source."""
        samples = iter(samples)
        threads = torch.get_num_threads() if self.device == "cpu" else 1
        windows: deque[_Window] = deque()
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                while window := list(islice(samples, self.WINDOW * self.batch_size)):
                    windows.append(_Window(self, window, pool))
                    if len(windows) > 1:  # the threads have the next window while this one is handed out
                        yield from windows.popleft().answers()
                while windows:
                    yield from windows.popleft().answers()
        finally:
            torch.set_num_threads(threads)

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
        read = [self._read(sample) for sample in samples]
        readable = [i for i, r in enumerate(read) if not isinstance(r, CrnnError)]
        answers: list[Any] = list(read)
        for rows in of_one_size([read[i][0][0] for i in readable]):  # type: ignore[index]
            good = [readable[row] for row in rows]
            inputs = gather([view for i in good for view in read[i][0]])  # type: ignore[index]
            targets = gather([self.task.encode(samples[i]).y for i in good]) if self.task.compares else None
            ids = tuple(samples[i].id for i in good)
            batch = Batch(ids, inputs, targets, views=self.kind.view_count).to(self.device)
            with torch.inference_mode(), autocast(self.precision, self.device):
                predictions = self.task.predict(self.net, batch)
            for i, prediction in zip(good, predictions, strict=True):
                answers[i] = in_source(prediction, read[i][1])  # type: ignore[index]
        return answers

    def _read(self, sample: Sample) -> tuple[list[Any], float] | CrnnError:
        """The views of one sample, and how many of its steps one unit of the source became."""
        try:
            x, scale = self.kind.decode_scaled(sample.x)
            return [self.kind.finish(view) for view in self.kind.views(x)], scale
        except CrnnError as error:
            return error


class _Window:
    """Samples that are sorted and answered together."""

    def __init__(self, predictor: Predictor, samples: list[Sample], pool: ThreadPoolExecutor) -> None:
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


def _steps(predictor: Predictor, sample: Sample) -> int:
    """Input steps of ``sample`` from its file's header; 0 if it has none, which reading it will explain."""
    try:
        return predictor.kind.steps(sample.x)
    except CrnnError:
        return 0
