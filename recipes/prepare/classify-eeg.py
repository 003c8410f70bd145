"""The Bonn recordings cut into windows, for recipes/classify-eeg.toml; and figures of whole segments.

    python recipes/prepare/classify-eeg.py ../shared/data/eeg-bonn eeg.npz --window 2048 --step 512
    python recipes/prepare/classify-eeg.py runs/eeg results/classify-eeg.json --segments

500 segments of 4097 steps (23.6 seconds) of one electrode, 100 of each of five sets (Andrzejak et al. 2001, Physical
Review E 64:061907). Written are ``x`` (count, window), ``y`` the sets' names, and ``groups``, the segment that a window
was cut from, so that all windows of a segment stay in one fold. With --segments, what crnn compare left in a folder is
asked again: the windows of each segment in its test fold, whose probabilities are averaged; figures of segments join
those of windows in the results file.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np


def prepare(source: Path, target: Path, window: int, step: int) -> None:
    """Cut each segment in ``source`` into windows of ``window`` steps, a new one every ``step``."""
    with np.load(source / "eeg.npz") as file:
        signals, labels, names = file["signals"], file["labels"], file["names"]
    starts = range(0, signals.shape[1] - window + 1, step)
    x = np.stack([signals[:, start : start + window] for start in starts], axis=1)
    groups = [f"{names[label]}/{i:03}" for i, label in enumerate(labels)]
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        target,
        x=x.reshape(-1, window),
        y=np.repeat(names[labels], len(starts)),
        groups=np.repeat(groups, len(starts)),
    )
    print(f"{len(signals):,} segments, {len(starts)} windows of {window} steps from each")


def score(runs: Path, results: Path) -> None:
    """Add the figures of whole segments to ``results``, answered by the networks of all folds under ``runs``."""
    import crnn
    from crnn.config import Recipe, fill
    from crnn.metrics.labels import Guess
    from crnn.metrics.labels import score as figures_of
    from crnn.train.prepare import read_parts

    guesses = []
    for folder in sorted(runs.glob("*/fold-*")):
        recipe = fill(Recipe, json.loads((folder / "recipe.json").read_text(encoding="utf-8"))["recipe"], "recipe")
        samples, predictor = read_parts(recipe, [])["test"], crnn.load(folder)
        segments: dict[str, list[dict[str, float]]] = {}
        truth = {str(sample.group): sample.y for sample in samples}
        for sample, answer in zip(samples, predictor.stream(samples), strict=True):
            segments.setdefault(str(sample.group), []).append({part.value: part.score for part in answer.parts})
        for name, windows in segments.items():
            mean = {label: sum(w[label] for w in windows) / len(windows) for label in windows[0]}
            order = sorted(mean, key=lambda label: -mean[label])
            guesses.append(Guess(truth[name], tuple(order), tuple(mean[label] for label in order)))
    figures = figures_of(guesses, None)
    result = json.loads(results.read_text(encoding="utf-8"))
    for key in ("accuracy", "accuracy_low", "accuracy_high", "macro_f1"):
        result["metrics"][f"segment_{key}"] = figures[key]
        print(f"segment_{key}: {100 * figures[key]:.2f} %")
    results.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, help="folder with eeg.npz; with --segments, of the runs of crnn compare")
    parser.add_argument("target", type=Path, help="the .npz file to write; with --segments, the results file")
    parser.add_argument("--segments", action="store_true", help="add the figures of whole segments to a results file")
    parser.add_argument("--window", type=int, default=178, help="steps of a window")
    parser.add_argument("--step", type=int, default=0, help="steps from one window to the next; 0 is a window's length")
    given = parser.parse_args()
    if given.segments:
        score(given.source, given.target)
    else:
        prepare(given.source, given.target, given.window, given.step or given.window)
