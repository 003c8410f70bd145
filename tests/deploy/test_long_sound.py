"""A sound that is too long to be heard whole is heard in pieces, cut where it is quiet, in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from crnn.data.inputs._sound_cuts import cut
from crnn.data.inputs.sound import Sound
from crnn.deploy.predict import Predictor
from crnn.errors import DataError

RATE = 8000


def spoken(seconds: int) -> np.ndarray:
    """Noise with a pause of a quarter of a second before each whole one."""
    x = np.random.default_rng(0).normal(0, 0.1, seconds * RATE).astype(np.float32)
    for second in range(1, seconds + 1):
        x[second * RATE - RATE // 4 : second * RATE] *= 0.001
    return x


def test_pieces_end_in_pauses_and_are_the_whole(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", spoken(30), RATE, subtype="FLOAT")
    found = list(cut(tmp_path / "a.wav", RATE, 7.5))
    assert np.array_equal(np.concatenate([x for _, x in found]), spoken(30))
    begins = [begin for begin, _ in found]
    assert begins == pytest.approx(np.cumsum([0, *(len(x) / RATE for _, x in found[:-1])]))
    assert len(found) > 3 and all(len(x) <= 7.5 * RATE for _, x in found)
    assert all(0.75 <= begin % 1 <= 1 for begin in begins[1:]), "in a pause"


def test_silence_is_passed_over_and_stereo_of_another_rate_is_heard(tmp_path: Path) -> None:
    x = spoken(12)
    x[4 * RATE : 9 * RATE] = 0
    soundfile.write(tmp_path / "a.flac", np.stack([x, x], 1), RATE)
    found = list(cut(tmp_path / "a.flac", 2 * RATE, 2.0))
    begins = [begin for begin, _ in found]
    assert begins[0] == 0 and max(begins) > 9 and not any(5 <= begin < 7 for begin in begins)
    assert all(np.abs(y).max() > 1e-4 for _, y in found)
    assert max(len(y) for _, y in found) <= 4 * RATE


def test_a_long_file_needs_no_more_memory_than_a_shorter_one(tmp_path: Path) -> None:
    def most(minutes: int) -> int:
        with soundfile.SoundFile(tmp_path / "long.wav", "w", RATE, 1) as file:
            for _ in range(minutes):
                file.write(spoken(60))
        tracemalloc.start()
        for _ in cut(tmp_path / "long.wav", RATE, 30.0):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert most(20) < 1.2 * most(5)


def limited(bundle: Any, **settings: float) -> Predictor:
    """The network with other limits of its input."""
    kind = bundle.kind
    own = Sound(replace(kind.settings, **settings), kind.rate, kind.mean.tolist(), kind.deviation.tolist())
    return Predictor(replace(bundle, kind=own), precision="float32")


@pytest.fixture
def listener(tiny: Callable[..., Any]) -> Predictor:
    """A reader that hears at most two seconds at once, in pieces of one."""
    bundle = tiny("cascade", "transcribe", "sound")
    kind = bundle.kind
    short = Sound(
        replace(kind.settings, longest=2.0, piece=1.0), kind.rate, kind.mean.tolist(), kind.deviation.tolist()
    )
    return Predictor(replace(bundle, kind=short), precision="float32")


def test_the_answer_is_that_of_the_pieces(listener: Predictor, tmp_path: Path) -> None:
    rate = listener.kind.rate
    file, short = tmp_path / "long.wav", tmp_path / "short.wav"
    x = np.random.default_rng(1).normal(0, 0.1, 7 * rate).astype(np.float32)
    soundfile.write(file, x, rate, subtype="FLOAT")
    soundfile.write(short, x[:rate], rate, subtype="FLOAT")
    pieces = list(listener.kind.cut(file))
    each = [listener(y) for _, y in pieces]
    answer, other = listener([file, short])
    assert answer.value == " ".join(a.value for a in each if a.value) and len(pieces) >= 7
    places = [begin + part.start for (begin, _), a in zip(pieces, each, strict=True) for part in a.parts]
    assert [p.start for p in answer.parts if p.value != " "] == pytest.approx(
        [p for p, part in zip(places, [q for a in each for q in a.parts], strict=True) if part.value != " "]
    )
    assert 0 <= answer.score <= 1 and other.value == listener(short).value


def test_errors_of_long_files_name_them(listener: Predictor, tmp_path: Path) -> None:
    rate = listener.kind.rate
    silent, broken = tmp_path / "silent.wav", tmp_path / "broken.wav"
    soundfile.write(silent, np.zeros(5 * rate, np.float32), rate)
    x = np.full(5 * rate, 0.1, np.float32)
    x[4 * rate + 7] = np.nan
    soundfile.write(broken, x, rate, subtype="FLOAT")
    for path, said in ((silent, "is silent"), (broken, "no numbers")):
        with pytest.raises(DataError, match=said) as caught:
            listener(path)
        assert str(path) in str(caught.value)


def test_what_cannot_be_joined_is_still_refused(tiny: Callable[..., Any], tmp_path: Path) -> None:
    network = limited(tiny("cascade", "classify", "sound"), longest=2.0)
    rate = network.kind.rate
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 3 * rate), rate)
    with pytest.raises(DataError, match="lasts 3 seconds"):
        network(tmp_path / "a.wav")
