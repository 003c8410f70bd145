"""Prediction: any number of sources in, one answer for each, in their order, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crnn.bundle import Bundle, fold, load
from crnn.config import Precision
from crnn.data.collate import pad
from crnn.errors import CrnnError
from crnn.precision import autocast, resolve
from crnn.types import Batch, Prediction, Region, Sample

Source = Path | Region | np.ndarray | Any
"""What can be read: a path, a part of a page, an array or a picture of Pillow's."""


class Predictor:
    """A network ready to answer.

    >>> read = Predictor("zoo:typewritten")                     # doctest: +SKIP
    >>> read("line.png").value                                  # doctest: +SKIP
    'Anders Celsius'

    ``stream`` answers any number of samples: it reads ahead in threads, sorts a window of samples by length so that
    batches hold little padding, and yields in the order given. A sample that cannot be read yields its error.
    """

    def __init__(
        self,
        bundle: Bundle | str | Path,
        *,
        precision: Precision = "auto",
        batch_size: int = 16,
        readers: int = 2,
        device: str = "cpu",
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else load(bundle)
        self.task, self.kind = self.bundle.task, self.bundle.kind
        self.net = fold(self.bundle.net.eval()).to(device)
        self.device, self.precision = device, resolve(precision, device)
        self.batch_size, self.readers = batch_size, readers

    def __call__(self, source: str | Source | Sequence[str | Source]) -> Any:
        """The ``Prediction`` of one source, or a list of them for a list. Raises where one cannot be read."""
        many = isinstance(source, (list, tuple))
        answers = []
        for answer in self.stream(_sample(s) for s in (source if many else [source])):
            if isinstance(answer, CrnnError):
                raise answer
            answers.append(answer)
        return answers if many else answers[0]

    def stream(self, samples: Iterable[Sample]) -> Iterator[Prediction | CrnnError]:
        """An answer for each sample, in order. Places of parts are in pixels of the source."""
        samples = iter(samples)
        window = 16 * self.batch_size
        with ThreadPoolExecutor(self.readers) as pool:
            ahead = self._read(pool, islice(samples, window))
            while ahead:
                here, ahead = ahead, self._read(pool, islice(samples, window))
                yield from self._answer(here)

    def _read(self, pool: ThreadPoolExecutor, samples: Iterable[Sample]) -> list[tuple[Sample, Future]]:
        return [(sample, pool.submit(self._decode, sample)) for sample in samples]

    def _decode(self, sample: Sample) -> tuple[np.ndarray, float] | CrnnError:
        try:
            x, scale = self.kind.decode_scaled(sample.x)
            return self.kind.finish(x), scale
        except CrnnError as error:
            return error

    def _answer(self, window: list[tuple[Sample, Future]]) -> Iterator[Prediction | CrnnError]:
        read = [future.result() for _, future in window]
        answers: list[Any] = [r if isinstance(r, CrnnError) else None for r in read]
        order = sorted((i for i, a in enumerate(answers) if a is None), key=lambda i: len(read[i][0]))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            batch = Batch(tuple(window[i][0].id for i in rows), pad([read[i][0] for i in rows])).to(self.device)
            with torch.inference_mode(), autocast(self.precision, self.device):
                predictions = self.task.predict(self.net, batch)
            for i, prediction in zip(rows, predictions, strict=True):
                answers[i] = _in_source(prediction, read[i][1])
        yield from answers


def _sample(source: str | Source) -> Sample:
    if isinstance(source, Sample):
        return source
    path = Path(source) if isinstance(source, str) else source
    return Sample(str(path) if isinstance(path, Path) else "array", path)


def _in_source(prediction: Prediction, scale: float) -> Prediction:
    """Places in pixels of the source, of which one is ``scale`` columns of the input."""
    parts = tuple(replace(p, start=p.start / scale, stop=p.stop / scale) for p in prediction.parts)
    return replace(prediction, parts=parts)
