"""Digits to be restored: MNIST's test digits (IDX, gzip) as one file of arrays with their parts.

    python recipes/prepare/restore-digits.py ../shared/data/mnist-10k digits.npz

The first 6,000 digits are for training, the next 1,000 for choosing, the last 3,000 for the test.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np

SIDE, HEAD = 28, 16  # pixels of a digit's side, bytes before the first
PARTS = {"train": 6000, "valid": 1000, "test": 3000}


def main(source: Path, target: Path) -> None:
    with gzip.open(source / "t10k-images-idx3-ubyte.gz") as file:
        digits = np.frombuffer(file.read()[HEAD:], np.uint8).reshape(-1, SIDE, SIDE)
    split = np.repeat(list(PARTS), list(PARTS.values()))
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target, x=digits, split=split)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
