"""What a bundle's language model gains over the best path, on the same lines, with the interval of the gain.

    python benchmarks/decoding_gain.py zoo:handwriting-fr ../shared/data/lines-handwritten-fr \
        --json results/decoding-handwriting.json

    crnn lm train ../shared/data/lines-typewritten --order 7 --out runs/typed.arpa.gz
    crnn tune zoo:typewritten ../shared/data/lines-typewritten --lm runs/typed.arpa.gz --out runs/typed.safetensors
    python benchmarks/decoding_gain.py runs/typed.safetensors ../shared/data/lines-typewritten \
        --json results/decoding-typewritten.json

Gains are relative: one minus errors with the model over errors without. Their intervals draw the same groups (writers,
pages) for both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from crnn.cli.test import result_of
from crnn.deploy.predict import Predictor
from crnn.metrics.interval import interval
from crnn.metrics.text import compare
from crnn.recipe import DataSettings
from crnn.tasks._lines.reading import BEST_PATH
from crnn.train.evaluate import Tested, evaluate
from crnn.train.prepare import held_back
from crnn.train.report import write_json

COUNTS = {"cer": "total", "wer": "word_errors"}


def main(bundle: str, data: str, json: Path | None) -> None:
    """Test twice, and say both."""
    told, plain = Predictor(bundle), Predictor(bundle)
    assert told.task.reading.model is not None, f"{bundle} holds no language model"
    plain.task = plain.task.with_reading(BEST_PATH)
    samples, part = held_back(told, DataSettings(train=data), [])
    first, second = evaluate(plain, samples), evaluate(told, samples)
    gains = gain(first, second)
    baselines = {"best path": {name: first.report.metrics[name] for name in (*COUNTS, "cer_low", "cer_high")}}
    report = replace(second.report, metrics={**second.report.metrics, **gains}, baselines=baselines)
    name = json.stem if json else "decoding"
    result = result_of(told, replace(second, report=report), data, part or "all", name)
    result = replace(result, command="python " + " ".join(sys.argv), model=f"{result.model}, {told.task.reading}")
    for key, tested in (("best path", first), (str(told.task.reading), second)):
        print(f"{key}: {told.task.say(tested.report.metrics)}")
    for key in COUNTS:
        low, high = (100 * gains[f"{key}_gain_{end}"] for end in ("low", "high"))
        print(f"{key}: {100 * gains[f'{key}_gain']:.1f} % fewer ({low:.1f} to {high:.1f})")
    if json is not None:
        write_json(json, result)


def gain(first: Tested, second: Tested) -> dict[str, float]:
    """Relative gains in letters and words of the second test of the same samples."""
    found = {}
    groups = [sample.group for sample in first.samples]
    for name, count in COUNTS.items():
        before, after = (np.array(errors(tested, count)) for tested in (first, second))
        low, high = interval(after, before, groups)
        found[f"{name}_gain"] = 1 - float(after.sum() / max(1, before.sum()))
        found |= {f"{name}_gain_low": 1 - high, f"{name}_gain_high": 1 - low}
    return found


def errors(tested: Tested, count: str) -> Sequence[int]:
    """Of each sample."""
    return [getattr(compare(row["truth"], row["read"]), count) for row in tested.report.rows]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", help="with a language model in it")
    parser.add_argument("data", help="lines with their texts")
    parser.add_argument("--json", type=Path, help="write a results file")
    given = parser.parse_args()
    main(given.bundle, given.data, given.json)
