"""Strings of 3 to 7 spoken digits, joined from clips of one speaker, for recipes/transcribe-digit-strings.toml.

    python recipes/prepare/digit-strings.py ../shared/data/digits-spoken strings

The source is the Free Spoken Digit Dataset: a folder for each digit, files named ``DIGIT_SPEAKER_TAKE.flac``. A string
takes clips at random, none twice, with pauses of up to 0.3 seconds before, between and behind them, filled with the
noise of the clips' own quietest moments, so that a pause does not sound switched off. Written are
``strings/SPEAKER-NUMBER.flac`` (8 kHz) and ``strings.csv``: file, text ("3 1 4"), speaker.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile

COUNT = 240  # strings of each speaker
LENGTHS = (3, 7)  # digits
PAUSE = 0.3  # seconds at most
RATE = 8000
FRAME = RATE // 100


def noise(clips: list[np.ndarray], rng: np.random.Generator) -> float:
    """The deviation of the quietest tenth of the frames of some of a speaker's clips."""
    some = [clips[i] for i in rng.integers(0, len(clips), 50)]
    frames = np.concatenate([clip[: len(clip) // FRAME * FRAME].reshape(-1, FRAME) for clip in some])
    return float(np.quantile(frames.std(axis=1), 0.1))


def prepare(source: Path, target: Path) -> None:
    """Join the clips of each speaker, and say how much that is."""
    clips: dict[str, list[tuple[str, np.ndarray]]] = defaultdict(list)
    for path in sorted(source.glob("*/*.flac")):
        digit, speaker, _ = path.stem.split("_")
        x, rate = soundfile.read(path, dtype="float32")
        assert rate == RATE, f"{path} has {rate} samples a second"
        clips[speaker].append((digit, x))
    (target / "strings").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    with (target / "strings.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("file", "text", "speaker"))
        for speaker, own in sorted(clips.items()):
            level, seconds = noise([x for _, x in own], rng), 0.0
            for number in range(COUNT):
                chosen = [own[i] for i in rng.choice(len(own), rng.integers(LENGTHS[0], LENGTHS[1] + 1), replace=False)]
                pieces = [pause(level, rng)]
                for _, x in chosen:
                    pieces += [x, pause(level, rng)]
                name = f"strings/{speaker}-{number:03}.flac"
                joined = np.concatenate(pieces)
                soundfile.write(target / name, joined, RATE)
                table.writerow((name, " ".join(digit for digit, _ in chosen), speaker))
                seconds += len(joined) / RATE
            print(f"{speaker}: {COUNT} strings, {seconds / 60:.1f} minutes")


def pause(level: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of a length drawn at random."""
    return (level * rng.standard_normal(int(rng.uniform(0, PAUSE) * RATE))).astype(np.float32)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, help="folder of digits")
    parser.add_argument("target", type=Path, help="folder to write")
    given = parser.parse_args()
    prepare(given.source, given.target)
