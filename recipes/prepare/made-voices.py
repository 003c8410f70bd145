"""Digits spoken by programs, in many voices, to learn from beside those of a few people.

    python recipes/prepare/made-voices.py voices --takes 12

Asked are the speech synthesisers espeak-ng (accents of English with other throats), flite and festival, those of them
that are installed; on Debian: espeak-ng, flite, festival, festvox-kdlpc16k, festvox-us-slt-hts. Each take has a pace
and a pitch of its own. Written are ``voices/DIGIT/DIGIT_VOICE_TAKE.flac`` (8 kHz), the layout of the Free Spoken Digit
Dataset.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RATE = 8000
QUIET = 0.02  # of the loudest moment: what lies below it at both ends is cut off
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-gbcwmd", "en-gb-x-rp", "en-us-nyc", "en-029")
THROATS = (
    "m1",
    "m3",
    "m4",
    "m7",
    "f1",
    "f2",
    "f4",
    "f5",
    "Annie",
    "Andy",
    "Gene",
    "grandma",
    "klatt3",
    "norbert",
    "max",
)
FLITE = {"rms": 100, "slt": 180, "awb": 130, "kal16": 110}  # Hz, about their own
FESTIVAL = ("ked_diphone", "cmu_us_slt_arctic_hts")


def voices() -> list[tuple[str, str, str]]:
    """Name, program and voice of all that can be asked."""
    found = []
    if shutil.which("espeak-ng"):
        found += [
            (f"espeak-{throat.lower()}", "espeak-ng", f"{ACCENTS[i % len(ACCENTS)]}+{throat}")
            for i, throat in enumerate(THROATS)
        ]
    if shutil.which("flite"):
        found += [(f"flite-{voice}", "flite", voice) for voice in FLITE]
    if shutil.which("text2wave"):
        found += [(f"festival-{voice.split('_')[0]}", "text2wave", voice) for voice in FESTIVAL]
    return found


def spoken(word: str, program: str, voice: str, rng: np.random.Generator, file: str) -> tuple[np.ndarray, int]:
    """One take, as a program says it."""
    pace, pitch = float(np.exp(rng.uniform(-0.3, 0.3))), float(np.exp(rng.uniform(-0.2, 0.2)))
    said: str | None = None
    if program == "espeak-ng":
        command = [
            "espeak-ng",
            "-v",
            voice,
            "-s",
            str(round(150 * pace)),
            "-p",
            str(round(50 * pitch)),
            "-w",
            file,
            word,
        ]
    elif program == "flite":
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={1 / pace:.2f}"]
        command += ["--setf", f"int_f0_target_mean={FLITE[voice] * pitch:.0f}", "-t", word, "-o", file]
    else:
        command = ["text2wave", "-o", file, "-eval", f"(voice_{voice})"]
        command += ["-eval", f"(Parameter.set 'Duration_Stretch {1 / pace:.2f})"]
        said = word
    subprocess.run(command, input=said, text=True, check=True, capture_output=True, timeout=60)
    x, rate = soundfile.read(file, dtype="float32")
    return x, rate


def cut(x: np.ndarray, rate: int) -> np.ndarray:
    """``x`` at 8 kHz, without what is quiet at its ends, at the loudness of speech."""
    x = soxr.resample(x, rate, RATE)
    loud = np.flatnonzero(abs(x) > QUIET * abs(x).max())
    x = x[loud[0] : loud[-1] + 1]
    return x * np.float32(0.5 / abs(x).max())


def prepare(target: Path, takes: int) -> None:
    """Ask each voice for ``takes`` of each digit."""
    rng, count = np.random.default_rng(0), 0
    asked = voices()
    with tempfile.TemporaryDirectory() as folder:
        for name, program, voice in asked:
            for digit, word in enumerate(WORDS):
                (target / str(digit)).mkdir(parents=True, exist_ok=True)
                for take in range(takes):
                    x = cut(*spoken(word, program, voice, rng, f"{folder}/x.wav"))
                    soundfile.write(target / str(digit) / f"{digit}_{name}_{take}.flac", x, RATE)
                    count += 1
    print(f"{count} clips of {len(asked)} voices: {', '.join(name for name, _, _ in asked)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="the new folder")
    parser.add_argument("--takes", type=int, default=12, help="of each digit and voice")
    given = parser.parse_args()
    prepare(given.target, given.takes)
