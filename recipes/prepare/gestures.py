"""Paths of a fingertip, cut into windows of 16 points, as one .npz file in which no block shares a point with another.

    python recipes/prepare/gestures.py ../shared/data/finger-gestures runs/gestures.npz

A row of the table is a window of a longer path and the next row mostly the same window one point later, so that rows
dealt at random would be in training and test at once. Rows that go on from each other are kept together here: a block
is one or more whole paths, ``--rows`` rows or more, of one class. Blocks are the groups of the .npz file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

SAME = 1e-5  # the table's own rounding


def paths(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """For each row ``(points, 2)`` of ``x`` with class ``y`` the number of the path that it is a window of."""
    steps = np.diff(x, axis=1)
    on = (np.abs(steps[1:, :-1] - steps[:-1, 1:]).max(axis=(1, 2)) < SAME) & (y[1:] == y[:-1])
    return np.concatenate([[0], np.cumsum(~on)])


def blocks(y: np.ndarray, path: np.ndarray, least: int) -> np.ndarray:
    """For each row the number of its block: whole paths, neighbours of one class, until there are ``least`` rows."""
    block = np.zeros(len(y), int)
    first = number = 0
    for i in range(1, len(y)):
        if y[i] != y[i - 1] or (path[i] != path[i - 1] and i - first >= least):
            first, number = i, number + 1
        block[i] = number
    return block


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", type=Path, help="the folder with point_history.csv and labels.csv")
    parser.add_argument("target", type=Path, help="the .npz file to write")
    parser.add_argument("--rows", type=int, default=50, help="rows of a block, at least")
    given = parser.parse_args()
    table = np.loadtxt(given.source / "point_history.csv", delimiter=",")
    names = (given.source / "labels.csv").read_text(encoding="utf-8-sig").split("\n")
    y, x = table[:, 0].astype(int), table[:, 1:].reshape(len(table), -1, 2)
    block = blocks(y, paths(y, x), given.rows)
    given.target.parent.mkdir(parents=True, exist_ok=True)
    labels = np.array([name.strip() for name in names])[y]
    np.savez_compressed(given.target, x=x.astype(np.float32), y=labels, groups=block)
    print(f"{len(x)} windows in {block[-1] + 1} blocks: {given.target}")


if __name__ == "__main__":
    main()
