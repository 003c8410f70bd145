"""Clips of fights in blocks of one camera or several, as a table, for recipes/classify-videos.toml.

    python recipes/prepare/classify-videos.py ../shared/data/videos-fight fights

Clips of one camera follow each other by number, and no camera may be in two parts. So each class is cut into fifteen
blocks of about ten clips in the order of their numbers; of the places near each tenth clip, the one is taken where the
next clip looks least like the one before. Block 3 of fights and block 3 of the rest are one group. Written are copies
of the clips and ``clips.csv`` with the columns file, label and group.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np

from crnn.data.inputs.film import Film

BLOCKS = 15
NEAR = 4  # clips by which a border may lie off


def likeness(files: list[Path]) -> np.ndarray:
    """How much each clip but the first looks like the one before: correlation of their mean pictures."""
    film = Film.restore(Film.Settings(frames=4, height=24, width=32, colour="grey"), {})
    means = [film.decode(file).astype(float).mean(0).ravel() for file in files]
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in pairwise(means)])


def borders(likeness: np.ndarray, blocks: int) -> list[int]:
    """Where blocks of about one length begin, and the end."""
    count = len(likeness) + 1
    inner = []
    for i in range(1, blocks):
        low = round(i * count / blocks) - NEAR
        inner.append(low + int(np.argmin(likeness[low - 1 : low + 2 * NEAR])))
    return [0, *inner, count]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", type=Path, help="the folder with fight and nofight")
    parser.add_argument("target", type=Path, help="folder for the clips and their table")
    given = parser.parse_args()
    rows = []
    for label in ("fight", "nofight"):
        files = sorted((given.source / label).glob("*.mp4"))
        (given.target / label).mkdir(parents=True, exist_ok=True)
        alike = likeness(files)
        edges = borders(alike, BLOCKS)
        for block, (first, last) in enumerate(pairwise(edges), 1):
            for file in files[first:last]:
                shutil.copyfile(file, given.target / label / file.name)
                rows.append((f"{label}/{file.name}", label, block))
        print(
            f"{label}: {len(files)} clips; likeness at the borders at most {max(alike[e - 1] for e in edges[1:-1]):.2f}"
        )
    with (given.target / "clips.csv").open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("file", "label", "group"), *rows])


if __name__ == "__main__":
    main()
