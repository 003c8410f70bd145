"""The Bonn recordings as the kind of input `sound` takes them, for recipes/classify-eeg.toml.

    python recipes/prepare/classify-eeg.py ../shared/data/eeg-bonn eeg.npz

500 segments of 4097 steps (23.6 seconds) of one electrode, 100 of each of five sets (Andrzejak et al. 2001, Physical
Review E 64:061907). Written are ``x`` (500, 4097), numbers from -1 to 1 as a sound has them, and ``y``, the names of
the sets.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

FULL = 2048  # what the converter of 12 bits could count to


def prepare(source: Path, target: Path) -> None:
    with np.load(source / "eeg.npz") as file:
        signals, labels, names = file["signals"], file["labels"], file["names"]
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target, x=(signals / FULL).astype(np.float32), y=names[labels])
    print(f"{len(signals):,} segments of {signals.shape[1]:,} steps")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, help="folder with eeg.npz")
    parser.add_argument("target", type=Path, help="the .npz file to write")
    given = parser.parse_args()
    prepare(given.source, given.target)
