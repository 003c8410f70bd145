"""How well samples were told apart: accuracy, F1, confusions, and whether the network knows how sure it may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn.errors import DataError
from crnn.metrics import sureness
from crnn.metrics.interval import interval

FIGURES: dict[str, tuple[str, str, str]] = {
    "accuracy": ("Accuracy", "Samples whose label is right.", "%"),
    "balanced_accuracy": ("Balanced accuracy", "Mean over the classes of the share of each that is right.", "%"),
    "macro_f1": ("Macro F1", "Mean over the classes of the harmonic mean of precision and recall.", "%"),
    "top_3": ("Among the first three", "Samples whose label is among the three likeliest.", "%"),
    "calibration_error": (
        "Calibration error",
        "How far, on average, how sure the network is lies from how often it is right.",
        "%",
    ),
    "log_loss": ("Log loss", "Mean of minus the natural logarithm of the probability given to the truth.", ""),
}
"""What each figure of ``score`` is called, what it says in plain words, and its unit (``%``: shown as per cent)."""
LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Guess:
    """One answer: labels with their probabilities, the likeliest first."""

    truth: Any
    labels: tuple[Any, ...]
    scores: tuple[float, ...]

    @property
    def right(self) -> bool:
        return self.labels[0] == self.truth

    @property
    def of_truth(self) -> float:
        """Probability given to the truth."""
        return next((s for label, s in zip(self.labels, self.scores, strict=True) if label == self.truth), 0.0)


def score(guesses: Sequence[Guess], groups: Sequence[Hashable] | None = None, seed: int = 0) -> dict[str, float]:
    """The figures of many guesses, fractions all but the log loss.

    - ``accuracy``, and its 95 % interval ``accuracy_low``, ``accuracy_high`` (see ``interval``);
    - ``balanced_accuracy``, ``macro_f1``: means over the classes of the truth (a class that is never the truth but was
      guessed spoils the precision of others and has no F1 of its own);
    - ``top_3`` where there are more than three labels;
    - ``calibration_error``, ``log_loss`` where there are probabilities (Guo et al. 2017, arXiv 1706.04599).

    Raises ``DataError`` if there is nothing to score.
    """
    if not guesses:
        raise DataError("there is nothing to score", expected="at least one sample", do="Check the data.")
    wrong = np.array([not g.right for g in guesses], dtype=np.int64)
    result = {"accuracy": 1 - float(wrong.mean())}
    if len(guesses) > 1:
        low, high = interval(wrong, np.ones_like(wrong), groups, seed)
        result |= {"accuracy_low": 1 - high, "accuracy_high": 1 - low}
    rows = per_class(guesses)
    result["balanced_accuracy"] = float(np.mean([row["recall"] for row in rows]))
    result["macro_f1"] = float(np.mean([row["f1"] for row in rows]))
    if max(len(g.labels) for g in guesses) > 3:
        result["top_3"] = float(np.mean([g.truth in g.labels[:3] for g in guesses]))
    if any(len(g.labels) > 1 for g in guesses):
        result["calibration_error"] = calibration_error(guesses)
        result["log_loss"] = float(np.mean([-np.log(max(LEAST, g.of_truth)) for g in guesses]))
    return result


def per_class(guesses: Sequence[Guess]) -> list[dict[str, Any]]:
    """For each label of the truth, in order: ``label, count, precision, recall, f1``. Never guessed is precision 0."""
    truths, guessed = Counter(g.truth for g in guesses), Counter(g.labels[0] for g in guesses)
    right = Counter(g.truth for g in guesses if g.right)
    rows = []
    for label in ordered(truths):
        precision = right[label] / max(1, guessed[label])
        recall = right[label] / truths[label]
        f1 = 2 * right[label] / (truths[label] + guessed[label])
        rows.append({"label": label, "count": truths[label], "precision": precision, "recall": recall, "f1": f1})
    return rows


def confusion(guesses: Sequence[Guess], labels: Sequence[Any]) -> np.ndarray:
    """How often each of ``labels`` (rows) was taken for each (columns), ``(labels, labels)``."""
    place = {label: i for i, label in enumerate(labels)}
    table = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for g in guesses:
        table[place[g.truth], place[g.labels[0]]] += 1
    return table


def confusions(guesses: Sequence[Guess], most: int = 30) -> list[tuple[str, str, int]]:
    """The ``most`` frequent mistakes ``(truth, guess, count)``."""
    counts = Counter((str(g.truth), str(g.labels[0])) for g in guesses if not g.right)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(truth, guess, count) for (truth, guess), count in ranked[:most]]


def reliability(guesses: Sequence[Guess]) -> list[tuple[float, float, int]]:
    """Ranges of sureness, see ``sureness.reliability``."""
    return sureness.reliability(*_sure_and_right(guesses))


def calibration_error(guesses: Sequence[Guess]) -> float:
    """How far sureness lies from being right, see ``sureness.calibration_error``."""
    return sureness.calibration_error(*_sure_and_right(guesses))


def _sure_and_right(guesses: Sequence[Guess]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([g.scores[0] for g in guesses]), np.array([g.right for g in guesses], dtype=float)


def ordered(labels: Any) -> list[Any]:
    """Labels in their order: numbers by size, before words by letter."""
    return sorted(labels, key=lambda x: (isinstance(x, str), x if isinstance(x, str) else float(x)))
