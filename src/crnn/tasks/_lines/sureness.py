"""How sure a reader may be of letters and lines, fitted on the validation part.

A network that was trained long is surer than it may be (Guo et al. 2017, arXiv 1706.04599). Their temperature divides
the network's outputs; here it divides the log odds of a letter's score, whoever found the letter (best path or beam),
and a shift is learned beside it (Platt 1999): a language model makes doubtful letters right. Both leave the order of
scores as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn.metrics import sureness
from crnn.metrics.text import compare, right_letters
from crnn.tasks._charts import rejection_svg, reliability_svg
from crnn.types import Prediction

FIGURES: dict[str, tuple[str, str, str]] = {
    "calibration_error": (
        "Calibration error",
        "How far, on average, how sure the network is of a letter lies from how often such letters are right.",
        "%",
    ),
    "cer_surest_90": (
        "Letter errors of the surest nine tenths",
        "Letter errors where the tenth of the lines that the network is least sure of is not read.",
        "%",
    ),
}
"""What a reader's figures of sureness are called, what they say, and their unit."""
LEAST = 1e-6  # of a score, and of one minus a score
STRENGTH = 1.0  # of the belief that scores are right as they are, in answers
STEPS = 50
LOWEST = 0.05  # slope: the order of scores stays


@dataclass(frozen=True, slots=True)
class Odds:
    """A map of scores: ``slope`` times their log odds, plus ``shift``."""

    slope: float = 1.0
    shift: float = 0.0

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Scores that are as often right as they say, in (0, 1), of ``scores`` of any shape."""
        return np.asarray(_share(self.slope * _log_odds(np.asarray(scores, dtype=float)) + self.shift))

    @classmethod
    def fit(cls, scores: np.ndarray, right: np.ndarray) -> Odds:
        """The map with the least log loss for ``scores`` that were ``right``, shares from 0 to 1, both ``(answers,)``.

        Newton's steps, halved while they lead uphill; without answers nothing changes.
        """
        x = np.stack([_log_odds(scores), np.ones(len(scores))], axis=1)
        belief = np.array([1.0, 0.0])

        def loss(w: np.ndarray) -> float:
            z = x @ w
            return float((np.logaddexp(0, z) - right * z).sum() + STRENGTH / 2 * ((w - belief) ** 2).sum())

        w, least = belief, loss(belief)
        for _ in range(STEPS):
            p = _share(x @ w)
            slope = x.T @ (p - right) + STRENGTH * (w - belief)
            bend = (x * (p * (1 - p))[:, None]).T @ x + STRENGTH * np.eye(2)
            step = np.linalg.solve(bend, slope)
            while loss(w - step) > least and np.abs(step).max() > 1e-9:
                step = step / 2
            w, before = w - step, least
            least = loss(w)
            if before - least < 1e-9:
                break
        return cls(max(LOWEST, float(w[0])), float(w[1]))

    def after(self, first: Odds) -> Odds:
        """The map that does ``first`` and then this."""
        return Odds(self.slope * first.slope, self.slope * first.shift + self.shift)


@dataclass(frozen=True, slots=True)
class Sureness:
    """Maps of the scores of letters and of whole lines. A letter's score is then the share of such letters that are
    right, a line's the share of letters that is right in such lines."""

    letters: Odds = Odds()
    lines: Odds = Odds()

    def learned(self) -> dict[str, Any]:
        """Its plain values, for a bundle; nothing where nothing was fitted."""
        if self == PLAIN:
            return {}
        return {name: [odds.slope, odds.shift] for name, odds in (("letters", self.letters), ("lines", self.lines))}

    @classmethod
    def restore(cls, values: Mapping[str, Any]) -> Sureness:
        return cls(**{name: Odds(*map(float, values[name])) for name in ("letters", "lines") if name in values})

    def fit(self, pairs: Sequence[tuple[str, Prediction]]) -> Sureness:
        """What suits the validation part, whose answers have gone through these maps."""
        truths, answers = [t for t, _ in pairs if t], [p for t, p in pairs if t]
        sure, right = letters(list(zip(truths, answers, strict=True)))
        shares = [share_right(truth, p.value) for truth, p in zip(truths, answers, strict=True)]
        scores = np.array([p.score for p in answers], dtype=float)
        return Sureness(
            Odds.fit(sure, right).after(self.letters), Odds.fit(scores, np.array(shares, dtype=float)).after(self.lines)
        )


PLAIN = Sureness()


def letters(pairs: Sequence[tuple[str, Prediction]]) -> tuple[np.ndarray, np.ndarray]:
    """Scores of all letters that were read, and 1 for each that is right, else 0. Left out are readings whose parts do
    not spell them, in their own or in opposite order."""
    sure: list[float] = []
    right: list[bool] = []
    for truth, prediction in pairs:
        parts, read = prediction.parts, prediction.value
        spelt = "".join(str(part.value) for part in parts)
        if spelt != read:
            parts, spelt = parts[::-1], spelt[::-1]
        if spelt == read and len(parts) == len(read):
            sure += [part.score for part in parts]
            right += right_letters(truth, read)
    return np.array(sure, dtype=float), np.array(right, dtype=float)


def sureness_figures(pairs: Sequence[tuple[str, Prediction]]) -> dict[str, float]:
    """How honest the scores of letters are, and the errors of the surest lines; nothing where there are no scores."""
    sure, right = letters(pairs)
    if not len(sure):
        return {}
    share, rate = _answered(pairs)
    most = rate[share <= 0.9]
    error = sureness.calibration_error(sure, right)
    return {"calibration_error": error, "cer_surest_90": float(most[-1] if len(most) else rate[-1])}


def charts(pairs: Sequence[tuple[str, Prediction]]) -> list[tuple[str, str]]:
    """The same as pictures with their titles."""
    sure, right = letters(pairs)
    if not len(sure):
        return []
    return [
        ("Reliability of letters", reliability_svg(sureness.reliability(sure, right), "letters")),
        ("Errors of what is sure", rejection_svg(*_answered(pairs))),
    ]


def _answered(pairs: Sequence[tuple[str, Prediction]]) -> tuple[np.ndarray, np.ndarray]:
    """Share of the lines that are answered, the surest first, and their letter error rate."""
    tallies = [compare(truth, p.value) for truth, p in pairs]
    sure = np.array([p.score for _, p in pairs], dtype=float)
    return sureness.answered(sure, np.array([t.total for t in tallies]), np.array([t.letters for t in tallies]))


def share_right(truth: str, read: str) -> float:
    """One minus the letter error rate, at least 0."""
    return max(0.0, 1 - compare(truth, read).total / max(1, len(truth)))


def _log_odds(scores: np.ndarray) -> np.ndarray:
    p = np.clip(scores, LEAST, 1 - LEAST)
    return np.asarray(np.log(p) - np.log1p(-p))


def _share(log_odds: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(log_odds / 2)))
