"""Scenes of ten seconds, in which sounds lie over a quiet noise at known times, for recipes/tag-sounds.toml.

    python recipes/prepare/tag-sounds.py ../shared/data/sounds scenes

The source is ESC-10: a folder for each class, files named ``FOLD-NUMBER-TAKE.ogg``. Scenes of the training and the
validation part are made of the clips of folds 1 to 4, no recording in both; scenes of the test part of fold 5, so that
nothing that is tested was heard before.

A clip of five seconds is not a sound of five seconds: a dog barks twice and the rest is silence. So an event is a
stretch in which the clip is audible: frames of 20 ms at most 30 dB below its loudest one, quieter moments of less than
a second within it. Of the audible stretches one is drawn, of that at most 1 to 4 seconds, and these are the event's
onset and offset. Events begin anywhere and may overlap, three at most at a time, never two of one class. Their loudest
frames differ by up to 12 dB. The background is noise between white and brown, 30 to 54 dB below these.

Written are ``scenes/PART-NUMBER.flac`` (16 kHz, one channel) and ``events.csv``: file, onset, offset, label, split.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile
import soxr

COUNTS = {"train": 800, "valid": 100, "test": 120}
RATE, SECONDS = 16_000, 10.0
MOST, TOGETHER = 5, 3  # events in a scene, and at one time
FRAME = RATE // 50
AUDIBLE, GAP = 30.0, 1.0  # decibels below the loudest frame; seconds of quiet that do not end a sound
LENGTHS = (1.0, 4.0)  # seconds that are taken of a longer sound, at most
SHORTEST = 0.1
FADE = RATE // 100  # samples over which a piece that is cut out begins and ends
LOUDEST = (-24.0, -12.0)  # decibels of an event's loudest frame
NOISE = (-66.0, -54.0)  # decibels of the background
VALID = 5  # of the recordings of folds 1 to 4, one in so many goes to the validation part

Clip = tuple[np.ndarray, list[tuple[int, int]]]


def read(path: Path) -> Clip:
    """The sound at ``RATE``, its loudest frame at 0 dB, and its audible stretches in samples."""
    x, rate = soundfile.read(path, dtype="float32", always_2d=True)
    x = soxr.resample(x.mean(1), rate, RATE)
    level = levels(x)
    heard = np.flatnonzero(level > level.max() - AUDIBLE)
    breaks = np.flatnonzero(np.diff(heard) > GAP * RATE / FRAME)
    starts, stops = heard[[0, *(breaks + 1)]], heard[[*breaks, -1]] + 1
    pairs = [(a * FRAME, b * FRAME) for a, b in zip(starts, stops, strict=True)]
    stretches = [(a, b) for a, b in pairs if b - a > SHORTEST * RATE]
    return x * 10 ** (-level.max() / 20), stretches


def levels(x: np.ndarray) -> np.ndarray:
    """Decibels of each frame."""
    frames = x[: len(x) // FRAME * FRAME].reshape(-1, FRAME)
    return 10 * np.log10(np.mean(frames**2, axis=1) + 1e-10)


def scene(clips: dict[str, list[Clip]], rng: np.random.Generator) -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    """The sound and its events, in the order of their onsets."""
    samples = int(SECONDS * RATE)
    mixed = 10 ** (rng.uniform(*NOISE) / 20) * noise(samples, rng)
    events: list[tuple[float, float, str]] = []
    for label in rng.permutation(sorted(clips))[: rng.integers(1, MOST + 1)]:
        x, stretches = clips[label][rng.integers(len(clips[label]))]
        first, last = stretches[rng.integers(len(stretches))]
        length = min(last - first, int(rng.uniform(*LENGTHS) * RATE))
        first += int(rng.integers(0, last - first - length + 1))
        piece = x[first : first + length].copy()
        ramp = np.linspace(0, 1, FADE, dtype=np.float32)
        piece[:FADE] *= ramp
        piece[-FADE:] *= ramp[::-1]
        piece *= 10 ** ((rng.uniform(*LOUDEST) - levels(piece).max()) / 20)
        start = int(rng.integers(0, samples - length + 1))
        onset, offset = start / RATE, (start + length) / RATE
        if sum(a < offset and onset < b for a, b, _ in events) < TOGETHER:
            mixed[start : start + length] += piece
            events.append((onset, offset, str(label)))
    return mixed / max(1.0, float(np.abs(mixed).max())), sorted(events)


def noise(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of 0 dB whose power falls with frequency: not at all (white) to by its square (brown)."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum *= np.maximum(np.arange(len(spectrum)), samples / RATE * 50) ** -rng.uniform(0, 1)
    x = np.fft.irfft(spectrum, samples)
    return (x / np.sqrt(np.mean(x**2))).astype(np.float32)


def prepare(source: Path, target: Path) -> None:
    """Draw the scenes of all parts, and say what was drawn."""
    clips: dict[str, dict[str, list[Clip]]] = {part: {} for part in COUNTS}
    for path in sorted(source.glob("*/*.ogg")):
        fold, recording, _ = path.stem.split("-")
        part = "test" if fold == "5" else "valid" if int(recording) % VALID == 0 else "train"
        clip = read(path)
        if clip[1]:
            clips[part].setdefault(path.parent.name, []).append(clip)
    (target / "scenes").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    with (target / "events.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("file", "onset", "offset", "label", "split"))
        for part, count in COUNTS.items():
            seen: Counter[str] = Counter()
            for number in range(count):
                name = f"scenes/{part}-{number:03}.flac"
                x, events = scene(clips[part], rng)
                soundfile.write(target / name, x, RATE)
                for onset, offset, label in events:
                    table.writerow((name, f"{onset:.3f}", f"{offset:.3f}", label, part))
                    seen[label] += 1
            heard = ", ".join(f"{label} {seen[label]} of {len(clips[part][label])} clips" for label in sorted(seen))
            print(f"{part}: {count} scenes; {heard}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, help="folder of ESC-10")
    parser.add_argument("target", type=Path, help="folder to write")
    given = parser.parse_args()
    prepare(given.source, given.target)
