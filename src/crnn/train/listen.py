"""The sounds of a test heard as while they are spoken: how well they are read so, and how fast."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from crnn.data.inputs._sound_files import decoded, header_of
from crnn.deploy.predict import Predictor
from crnn.deploy.stream import Stream
from crnn.errors import DataError
from crnn.train.evaluate import Tested
from crnn.types import Prediction

PIECE = 0.1  # seconds
LIVE = "heard live"
FIGURES = {
    "real_time_factor": (
        "Real-time factor",
        f"Time that the network works on a sound that comes in pieces of {PIECE} seconds, per second of the sound.",
        "",
    ),
    "piece_ms": ("Milliseconds for a piece", "Median time until a piece has been heard.", ""),
    "piece_ms_most": ("Milliseconds for most pieces", "95 of 100 pieces have been heard by then.", ""),
}
"""What the figures of listening are called, what they say, and their unit."""


def heard_live(predictor: Predictor, tested: Tested, *, progress: Callable[[], None] = lambda: None) -> Tested:
    """``tested`` with one more row, the same sounds heard in pieces of ``PIECE`` seconds, and how long these took.

    Arithmetic is in float32, as always in listening. A sound that says nothing has an empty text. Raises
    ``SettingsError`` for a network that cannot listen (see ``crnn.deploy.stream.Stream``).
    """
    task, took, seconds = predictor.task, array("d"), 0.0
    pairs = []
    for sample in tested.samples:
        stream = Stream(predictor, rate=_rate(predictor.kind, sample.x))
        for piece in _pieces(predictor.kind, sample.x):
            start = perf_counter()
            stream.push(piece)
            took.append(perf_counter() - start)
        start = perf_counter()
        try:
            answer = replace(stream.finish(), id=sample.id)
        except DataError:  # silence, or less than a window
            answer = Prediction(sample.id, "", 0.0)
        took.append(perf_counter() - start)
        seconds += stream.seconds
        pairs.append((task.truth(sample), answer))
        progress()
    report = tested.report
    times = 1000 * np.array(took)
    figures = {
        "real_time_factor": sum(took) / max(seconds, 1e-9),
        "piece_ms": float(np.median(times)),
        "piece_ms_most": float(np.quantile(times, 0.95)),
    }
    rows = {LIVE: task.score(pairs, [s.group for s in tested.samples]), **report.baselines}
    details = {**report.details, "figures": {**report.details.get("figures", {}), **FIGURES}}
    metrics = {**report.metrics, **figures}
    return replace(tested, report=replace(report, metrics=metrics, baselines=rows, details=details))


def _rate(kind: Any, source: Any) -> int:
    return header_of(source).rate if isinstance(source, Path) else kind.rate


def _pieces(kind: Any, source: Any) -> Iterator[np.ndarray]:
    """What arrives: ``(samples,)`` of at most ``PIECE`` seconds each."""
    size = max(1, round(PIECE * _rate(kind, source)))
    for block in decoded(source) if isinstance(source, Path) else [source]:
        yield from (block[start : start + size] for start in range(0, len(block), size))
