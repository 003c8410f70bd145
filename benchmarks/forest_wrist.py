"""A random forest on hand-made features of wrist recordings, over the same folds as the network's.

    python benchmarks/forest_wrist.py DATA --group '([fm]\\d+)\\.csv' --folds 5 --out answers.jsonl

Needs scikit-learn, which the package does not. Features are those usual for accelerometers (Bao & Intille 2004; Figo et
al. 2010): moments, quantiles, crossings and correlations of the axes and of their magnitude, and shares of the
spectrum. Each fold's forest learns from all that is outside of the fold; a network has to leave its validation part
out, too. Figures are those of ``crnn test`` over all folds' answers together; the answers are written as ``crnn test
--baseline`` wants them.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path

import numpy as np

from crnn.data.formats import Asked, open_data
from crnn.data.inputs._numbers import SUFFIXES, read_numbers
from crnn.data.split import fold
from crnn.metrics.labels import Guess, score
from crnn.types import Sample

RATE = 32.0  # steps a second
GROUP = r"([fm]\d+)\.csv"
BANDS = (0.1, 0.6, 1.2, 2.0, 3.0, 5.0, 8.0, 12.0, 16.1)  # Hz


def features(x: np.ndarray) -> np.ndarray:
    """What a recording ``(time, 3)`` in units of gravity is described by, one vector."""
    strength = np.linalg.norm(x, axis=1, keepdims=True)
    found = [moments(channel) for channel in np.concatenate([x, strength], axis=1).T]
    still = np.where(x.std(0) > 1e-6, 0.0, 1e-6 * np.arange(len(x))[:, None] * [1, -1, 1])
    correlations = np.corrcoef((x + still).T)[np.triu_indices(3, 1)]
    jerk = np.abs(np.diff(x, axis=0))
    area = np.abs(x - x.mean(0)).sum(1).mean()
    return np.concatenate([*found, correlations, jerk.mean(0), jerk.std(0), [area]])


def moments(x: np.ndarray) -> np.ndarray:
    """The same of one channel ``(time,)``."""
    y = x - x.mean()
    deviation = max(float(x.std()), 1e-6)
    z = y / deviation
    power = np.abs(np.fft.rfft(y)) ** 2
    frequency = np.fft.rfftfreq(len(x), 1 / RATE)
    shares = power / max(power.sum(), 1e-9)
    bands = [shares[(frequency >= low) & (frequency < high)].sum() for low, high in pairwise(BANDS)]
    entropy = -(shares * np.log(shares + 1e-12)).sum() / np.log(len(shares))
    lag = round(RATE / 2)
    return np.array(
        [
            *(x.mean(), deviation, (z**3).mean(), (z**4).mean(), (x**2).mean()),
            *np.quantile(x, (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)),
            *(np.ptp(x), np.quantile(x, 0.75) - np.quantile(x, 0.25), np.abs(y).mean()),
            (np.diff(np.sign(y)) != 0).mean(),  # crossings of the mean
            (z[lag:] * z[:-lag]).mean() if len(z) > lag else 0.0,
            frequency[power.argmax()],
            entropy,
            *bands,
        ]
    )


def answers(samples: list[Sample], folds: int, *, trees: int, seed: int, balanced: bool) -> dict[str, str]:
    """What forests say of each sample, each by the one that has not seen its fold."""
    from sklearn.ensemble import RandomForestClassifier

    table = {s.id: features((read_numbers(Path(s.x)) / 63 * 2 - 1) * 1.5) for s in samples}
    said = {}
    for number in range(1, folds + 1):
        train, test = fold(samples, folds, number, seed, label=lambda s: s.y)
        weight = "balanced_subsample" if balanced else None
        forest = RandomForestClassifier(trees, random_state=seed, class_weight=weight, n_jobs=1)
        forest.fit([table[s.id] for s in train], [s.y for s in train])
        said |= dict(zip((s.id for s in test), map(str, forest.predict([table[s.id] for s in test])), strict=True))
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--group", default=GROUP, help="a pattern that finds the volunteer in a file's name")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--balanced", action="store_true", help="weigh classes by their inverse frequency")
    parser.add_argument("--out", type=Path, help="write the answers: JSON lines of id and answer")
    given = parser.parse_args()
    samples = open_data(given.data, "folders", [], asked=Asked(answer="label", suffixes=SUFFIXES, group=given.group))
    samples = list(samples)
    said = answers(samples, given.folds, trees=given.trees, seed=given.seed, balanced=given.balanced)
    figures = score([Guess(s.y, (said[s.id],), (1.0,)) for s in samples], [s.group for s in samples])
    for key in ("accuracy", "balanced_accuracy", "macro_f1"):
        print(f"{key:18} {figures[key]:.4f}")
    if given.out is not None:
        lines = [json.dumps({"id": s.id, "answer": said[s.id]}) for s in samples]
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
