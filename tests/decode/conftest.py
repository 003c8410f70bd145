"""What decoders are compared with: every text that a small network output can write."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

Text = tuple[int, ...]


def drawn(random: np.random.Generator, time: int, outputs: int, sharp: float) -> np.ndarray:
    """Log-probabilities ``(time, outputs)``, the surer the larger ``sharp``."""
    x = random.normal(size=(time, outputs)) * sharp
    return x - np.logaddexp.reduce(x, axis=1, keepdims=True)


def written(path: Text) -> Text:
    """What a path writes."""
    return tuple(number for number, _ in itertools.groupby(path) if number)


def all_texts(log_probs: np.ndarray) -> dict[Text, float]:
    """The logarithm of the probability of each text, by every path."""
    time, outputs = log_probs.shape
    paths = np.array(list(itertools.product(range(outputs), repeat=time)))
    scores = log_probs[np.arange(time), paths].sum(1)
    texts: dict[Text, float] = {}
    for path, score in zip(paths.tolist(), scores.tolist(), strict=True):
        text = written(tuple(path))
        texts[text] = np.logaddexp(texts.get(text, -np.inf), score)
    return texts


@pytest.fixture
def brute() -> Any:
    """Trying everything: ``drawn``, ``written``, ``all_texts``."""
    return SimpleNamespace(drawn=drawn, written=written, all_texts=all_texts)


@pytest.fixture(scope="session")
def cases() -> list[tuple[np.ndarray, dict[Text, float]]]:
    """Outputs of 7 steps and 4 outputs, unsure and sure, each with all its texts."""
    random = np.random.default_rng(0)
    outputs = [drawn(random, 7, 4, 2.0 if case % 2 else 1.0) for case in range(30)]
    return [(log_probs, all_texts(log_probs)) for log_probs in outputs]
