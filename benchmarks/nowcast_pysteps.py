"""What pysteps foretells of rain, as answers that ``crnn test`` puts into the table of a network.

    pip install pysteps
    python benchmarks/nowcast_pysteps.py runs/rain radar/ pysteps.jsonl --method extrapolation
    crnn test runs/rain radar/ --baseline "pysteps, extrapolation=pysteps.jsonl"

pysteps (Pulkkinen et al. 2019, Geosci. Model Dev. 12) sees the frames that the network sees. Motion is found by its
Lucas-Kanade method in dBR (0.1 mm/h or more, else -15 dB) of the last three frames. ``extrapolation`` moves the last
frame on; ``sprog`` also lets small scales fade as they lose their predictability. What comes in over the border is no
rain.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from crnn.deploy.predict import Predictor
from crnn.files import write_aside
from crnn.recipe import DataSettings
from crnn.train.prepare import held_back

LOOKS, LEAST, NONE = 3, 0.1, -15.0  # frames for the motion; mm/h that count as rain; dB of less


def foretold(rain: np.ndarray, steps: int, method: str) -> np.ndarray:
    """The next ``steps`` frames ``(steps, height, width)`` in mm/h, of ``rain`` ``(time, height, width)``."""
    from pysteps import motion, nowcasts

    decibels = np.where(rain >= LEAST, 10 * np.log10(np.maximum(rain, LEAST)), NONE)
    flow = motion.get_method("LK")(decibels[-LOOKS:], verbose=False)
    make = nowcasts.get_method(method)
    if method == "extrapolation":
        return np.nan_to_num(make(rain[-1], flow, steps))
    levels = make(decibels[-LOOKS:], flow, steps, precip_thr=10 * np.log10(LEAST), n_cascade_levels=5)
    return np.where(np.nan_to_num(levels, nan=NONE) > NONE, 10 ** (np.nan_to_num(levels, nan=NONE) / 10), 0)


def main(bundle: str, data: str, out: Path, method: str, split: str | None) -> None:
    predictor = Predictor(bundle, precision="float32")
    samples, part = held_back(predictor, DataSettings(train=data), [], split=split)
    steps = predictor.task.settings.future
    with write_aside(out) as file:
        for sample in samples:
            frames = predictor.kind.decode(sample.x)[:, 0]
            answer = foretold(frames, steps, method)[:, None].round(2)
            file.write(json.dumps({"id": sample.id, "answer": answer.tolist()}) + "\n")
    print(f"{len(samples)} samples ({part})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("data")
    parser.add_argument("out", type=Path)
    parser.add_argument("--method", choices=("extrapolation", "sprog"), default="extrapolation")
    parser.add_argument("--split")
    given = parser.parse_args()
    main(given.bundle, given.data, given.out, given.method, given.split)
