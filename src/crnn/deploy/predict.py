"""Prediction with torch: see ``answering`` for what is asked of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from crnn.bundle import Bundle, find, fold, load
from crnn.config import Precision
from crnn.data.collate import gather
from crnn.deploy.answering import Answer, Answering, Source
from crnn.deploy.explain import Explanation, explain
from crnn.precision import autocast, resolve
from crnn.types import Batch, Prediction, Sample

__all__ = ["Answer", "Predictor", "Source"]


class Predictor(Answering):
    """A network ready to answer.

    >>> read = Predictor("zoo:typewritten")                     # doctest: +SKIP
    >>> read("line.png").value                                  # doctest: +SKIP
    'Anders Celsius'
    """

    def __init__(
        self,
        bundle: Bundle | str | Path,
        *,
        precision: Precision = "auto",
        batch_size: int = 16,
        device: str = "cpu",
    ) -> None:
        self.file = None if isinstance(bundle, Bundle) else find(bundle)
        self.bundle = bundle if isinstance(bundle, Bundle) else load(bundle)
        self.task, self.kind = self.bundle.task, self.bundle.kind
        self.net = fold(self.bundle.net.eval()).to(device)
        self.device, self.precision = device, resolve(precision, device)
        self.batch_size = batch_size

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.net.parameters())

    def explain(self, source: Any, *, of: Any = None) -> Explanation:
        """Which moments of a ``Source`` made the answer, or speak for the label, number or text ``of``: see
        ``crnn.deploy.explain``. Raises the error of a source that cannot be read, and ``SettingsError``."""
        return explain(self, self._sample(source), of=of)

    @contextmanager
    def _threads(self) -> Iterator[ThreadPoolExecutor]:
        threads = torch.get_num_threads() if self.device == "cpu" else 1
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                yield pool
        finally:
            torch.set_num_threads(threads)

    def _said(self, samples: Sequence[Sample], views: Sequence[Any]) -> list[Prediction]:
        targets = gather([self.task.encode(sample).y for sample in samples]) if self.task.compares else None
        ids = tuple(sample.id for sample in samples)
        batch = Batch(ids, gather(views), targets, views=self.kind.view_count).to(self.device)
        with torch.inference_mode(), autocast(self.precision, self.device):
            predictions: list[Prediction] = self.task.predict(self.net, batch)
        return predictions
