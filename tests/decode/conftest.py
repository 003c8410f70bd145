"""What decoders are compared with: every text that a small network output can write."""

from __future__ import annotations

import itertools
from functools import cache
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


@cache
def all_paths(time: int, outputs: int) -> tuple[np.ndarray, list[Text], np.ndarray]:
    """Every path ``(paths, time)``, every text, and which of them each path writes."""
    paths = list(itertools.product(range(outputs), repeat=time))
    numbers: dict[Text, int] = {}
    writes = [numbers.setdefault(written(path), len(numbers)) for path in paths]
    return np.array(paths), list(numbers), np.array(writes)


def all_texts(log_probs: np.ndarray) -> dict[Text, float]:
    """The logarithm of the probability of each text, by every path."""
    paths, texts, writes = all_paths(*log_probs.shape)
    scores = np.full(len(texts), -np.inf)
    np.logaddexp.at(scores, writes, log_probs[np.arange(len(log_probs)), paths].sum(1))
    return dict(zip(texts, scores.tolist(), strict=True))


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
