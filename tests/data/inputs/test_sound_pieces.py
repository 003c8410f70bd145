"""A sound in pieces has the frames of the whole, to the bit; and what no network should hear is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.data.inputs.sound import Sound
from crnn.errors import DataError, SettingsError

soundfile = pytest.importorskip("soundfile")
KINDS: dict[str, dict[str, Any]] = {
    "logmel": {"mels": 20},
    "mfcc": {"features": "mfcc", "mels": 24, "coefficients": 13},
    "raw": {"features": "raw"},
    "far apart": {"mels": 10, "window": 5.0, "hop": 12.0},
}


def kind(rate: int = 8000, **values: Any) -> Sound:
    made = Sound(Sound.Settings(**values), rate)
    rng = np.random.default_rng(3)
    mean, deviation = rng.normal(-60, 9, made.mean.shape), rng.uniform(1, 20, made.deviation.shape)
    return Sound(made.settings, rate, mean.tolist(), deviation.tolist())


def noise(samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(1).standard_normal(samples)).astype(np.float32)


def heard(made: Sound, x: np.ndarray, cuts: list[int], rate: int) -> np.ndarray:
    pieces = made.pieces(rate)
    found = [pieces.push(piece) for piece in np.split(x, cuts)]
    return np.concatenate([*found, pieces.finish()])


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.one_of(st.integers(0, 3), st.integers(0, 700)), max_size=20))
def test_pieces_of_any_sizes_are_the_whole_to_the_bit(name: str, sizes: list[int]) -> None:
    made, x = kind(**KINDS[name]), noise(3000)
    cuts = np.minimum(np.cumsum([0, *sizes]), len(x)).tolist()
    assert np.array_equal(heard(made, x, cuts, 8000), made.finish(made.decode(x)))


@pytest.mark.parametrize("name", KINDS)
def test_single_samples_are_the_whole_to_the_bit(name: str) -> None:
    made, x = kind(**KINDS[name]), noise(1200)
    assert np.array_equal(heard(made, x, list(range(1200)), 8000), made.finish(made.decode(x)))


@pytest.mark.parametrize(("given", "rate"), [(16000, 8000), (44100, 16000), (8000, 16000), (11025, 8000)])
@pytest.mark.parametrize("size", [1, 160, 1000, 30_000])
def test_another_rate_is_resampled_as_that_of_a_file(given: int, rate: int, size: int, tmp_path: Path) -> None:
    made, x = kind(rate, mels=20), noise(7001 if size == 1 else 30_011)
    soundfile.write(tmp_path / "a.wav", x, given, subtype="FLOAT")
    found = heard(made, x, list(range(size, len(x), size)), given)
    assert np.array_equal(found, made.finish(made.decode(tmp_path / "a.wav")))


def test_whole_numbers_of_16_bits_are_those_of_a_file(tmp_path: Path) -> None:
    made, x = kind(mels=20), (noise(4000) * 32767).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", x, 8000, subtype="PCM_16")
    for same in (x, x.astype(">i2")):
        assert np.array_equal(heard(made, same, [7, 2000], 8000), made.finish(made.decode(tmp_path / "a.wav")))


def test_no_more_is_kept_than_a_window() -> None:
    pieces = kind(mels=20).pieces(8000)
    for _ in range(50):
        pieces.push(noise(777))
        assert len(pieces._left) < 200
    assert pieces.samples == pieces.sent == 50 * 777


def test_it_says_what_it_heard() -> None:
    pieces = kind(mels=20).pieces(8000)
    pieces.push(np.zeros(800, np.int16))
    assert pieces.silent and pieces.seconds == 0.1
    pieces.push(np.array([0.5, 1.0, -1.0], np.float32))
    assert not pieces.silent and pieces.cut_off == 2
    assert not pieces.findings
    pieces.push(np.full(100, -32768, np.int16))
    assert [f.kind for f in pieces.findings] == ["clipped"]
    assert [f.kind for f in kind(mels=20).pieces(4000).findings] == ["lower rate"]


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros((100, 2), np.float32), r"shape \(100, 2\).*one channel.*mean\(axis=1\)"),
        (np.array([0.0, np.nan], np.float32), "no numbers.*nan_to_num"),
        (np.array([0.0, np.inf], np.float64), "no numbers"),
        (np.zeros(10, np.int32), "type int32.*16 bits"),
        (np.array(["a"]), "type <U1"),
    ],
)
def test_what_is_no_sound_is_refused_and_changes_nothing(samples: np.ndarray, words: str) -> None:
    made, x = kind(mels=20), noise(1000)
    pieces = made.pieces(8000)
    found = [pieces.push(x[:333])]
    with pytest.raises(DataError, match=words):
        pieces.push(samples)
    found += [pieces.push(x[333:]), pieces.push([]), pieces.finish()]
    assert np.array_equal(np.concatenate(found), made.finish(made.decode(x)))


def test_settings_that_need_the_whole_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"input\.range is 60.*loudest moment.*input\.range=0"):
        kind(mels=20, range=60.0).pieces(8000)
    with pytest.raises(SettingsError, match="rate=16000"):
        kind(mels=20).pieces(0)
