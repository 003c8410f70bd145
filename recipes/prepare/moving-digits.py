"""Moving digits (Srivastava et al. 2015) from handwritten ones, for recipes/nowcast-moving-digits.toml.

    python recipes/prepare/moving-digits.py ../shared/data/mnist-10k digits.npz
    python recipes/prepare/moving-digits.py ../shared/data/mnist-10k small.npz --side 32 --train 2000 --valid 300 \
        --test 500

Each sequence has 20 frames of 64 x 64 with two digits that fly straight on, 3 to 5 pixels a frame as in Shi et al.
2015, and are thrown back by the walls; where they overlap, the brighter one is seen. Written are ``frames`` (sequence,
20, 64, 64), 8 bits, and ``split``. Digits of train, valid and test are disjoint thirds, so that none of the digits that
are tested was ever seen. With ``--side 32`` all is half as large: frames, digits (means of 2 x 2 pixels) and speeds.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np

SIDE, FRAMES, DIGITS = 64, 20, 2
SPEED = (3.0, 5.0)
SPLITS = ("train", "valid", "test")


def read_digits(folder: Path) -> np.ndarray:
    """The pictures (count, 28, 28) of an IDX file."""
    (file,) = folder.glob("*images*ubyte.gz")
    data = gzip.decompress(file.read_bytes())
    count, height, width = (int.from_bytes(data[at : at + 4], "big") for at in (4, 8, 12))
    return np.frombuffer(data, np.uint8, offset=16).reshape(count, height, width)


def course(rng: np.random.Generator, room: int, pace: float) -> np.ndarray:
    """Upper left corners (frames, 2) of a digit between walls ``room`` pixels apart, at ``pace`` times the speed."""
    place = rng.uniform(0, room, 2)
    angle, speed = rng.uniform(0, 2 * np.pi), pace * rng.uniform(*SPEED)
    step = speed * np.array([np.sin(angle), np.cos(angle)])
    straight = place + step * np.arange(FRAMES)[:, None]
    folded = straight % (2 * room)  # walls are mirrors
    return np.minimum(folded, 2 * room - folded).round().astype(int)


def sequence(rng: np.random.Generator, digits: np.ndarray, side: int) -> np.ndarray:
    frames = np.zeros((FRAMES, side, side), np.uint8)
    for digit in digits[rng.integers(len(digits), size=DIGITS)]:
        height, width = digit.shape
        for frame, (row, column) in zip(frames, course(rng, side - height, side / SIDE), strict=True):
            part = frame[row : row + height, column : column + width]
            np.maximum(part, digit, out=part)
    return frames


def prepare(source: Path, target: Path, counts: dict[str, int], side: int, seed: int) -> None:
    rng, times = np.random.default_rng(seed), SIDE // side
    digits = read_digits(source)
    count, height, width = digits.shape
    digits = digits.reshape(count, height // times, times, width // times, times).mean((2, 4)).round().astype(np.uint8)
    parts = np.array_split(digits[rng.permutation(len(digits))], len(SPLITS))
    frames = [sequence(rng, part, side) for name, part in zip(SPLITS, parts, strict=True) for _ in range(counts[name])]
    split = np.repeat(SPLITS, [counts[name] for name in SPLITS])
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target, frames=np.stack(frames), split=split)
    print(f"{len(frames):,} sequences of {FRAMES} frames")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, help="folder with the pictures of MNIST (IDX, gzip)")
    parser.add_argument("target", type=Path, help="the .npz file to write")
    for name, count in zip(SPLITS, (10_000, 2_000, 3_000), strict=True):
        parser.add_argument(f"--{name}", type=int, default=count, help=f"sequences of {name}")
    parser.add_argument("--side", type=int, default=SIDE, choices=(16, 32, SIDE), help="height and width of a frame")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    prepare(given.source, given.target, {name: getattr(given, name) for name in SPLITS}, given.side, given.seed)
