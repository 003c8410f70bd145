"""Sound: frames as librosa's, whatever file they come from; and what cannot be heard is named."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crnn.data.inputs.sound import Sound
from crnn.data.inputs.sound_augment import SoundAugment
from crnn.errors import DataError, MissingExtra, SettingsError
from crnn.types import Sample

soundfile = pytest.importorskip("soundfile")
RATE = 8000
CASES = json.loads((Path(__file__).parent / "librosa.json").read_text())
OFF: dict[str, Any] = {"shift": 0.0, "cut": 0.0, "turn": 0.0, "speed": 0.0, "pitch": 0.0, "gain": 0.0, "noise": 0.0}
OFF |= {"filter": 0.0, "frequency_masks": 0, "time_masks": 0}


def kind(rate: int = RATE, **values: Any) -> Sound:
    return Sound(Sound.Settings(**values), rate)


def tone(seconds: float = 0.5, hertz: float = 440.0, rate: int = RATE, level: float = 0.3) -> np.ndarray:
    """A tone that fades away."""
    time = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hertz * time) * np.exp(-2 * time)).astype(np.float32)


def written(path: Path, x: np.ndarray | None = None, rate: int = RATE, **options: Any) -> Path:
    soundfile.write(path, tone(rate=rate) if x is None else x, rate, **options)
    return path


# librosa


def chirp(rate: int, seconds: float = 0.25) -> np.ndarray:
    """A rising tone, a rattle, noise, and a gap of silence."""
    t = np.arange(int(rate * seconds)) / rate
    noise = 0.02 * np.random.default_rng(7).standard_normal(len(t))
    x = 0.4 * np.sin(2 * np.pi * (200 + 900 * t) * t) * np.exp(-2 * t) + noise + 0.1 * np.sign(np.sin(240 * np.pi * t))
    x[len(x) // 2 : len(x) // 2 + rate // 20] = 0
    return x


def heard(case: dict[str, Any], features: str) -> np.ndarray:
    names = ("window", "hop", "mels", "low", "high")
    made = kind(case["rate"], features=features, coefficients=13, **{name: case[name] for name in names})
    x = chirp(case["rate"])
    return made.finish(made.decode(x))[:, 0]


@pytest.mark.parametrize("case", CASES, ids=lambda c: str(c["rate"]))
@pytest.mark.parametrize("features", ["logmel", "mfcc"])
def test_features_equal_those_that_librosa_once_gave(case: dict[str, Any], features: str) -> None:
    """``librosa.json`` holds some frames of what ``test_features_equal_librosa`` compares with, of librosa 0.11.0."""
    found = heard(case, features)
    assert len(found) == case["count"]
    np.testing.assert_allclose(found[case["frames"]], case[features], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda c: str(c["rate"]))
def test_features_equal_librosa(case: dict[str, Any]) -> None:
    librosa = pytest.importorskip("librosa")
    rate, window, hop = case["rate"], *(round(case["rate"] * case[n] / 1000) for n in ("window", "hop"))
    size = 1 << (window - 1).bit_length()
    border = (size - window) // 2, size - window - (size - window) // 2  # librosa puts the window amid the transform
    shape = {"sr": rate, "n_fft": size, "win_length": window, "hop_length": hop, "center": False}
    bands = {"n_mels": case["mels"], "fmin": case["low"], "fmax": case["high"], "dtype": np.float64}
    power = librosa.feature.melspectrogram(y=np.pad(chirp(rate), border), **shape, **bands)
    expected = librosa.power_to_db(power, top_db=None)
    np.testing.assert_allclose(heard(case, "logmel"), expected.T, rtol=1e-6, atol=1e-5)
    expected = librosa.feature.mfcc(S=expected, n_mfcc=13)
    np.testing.assert_allclose(heard(case, "mfcc"), expected.T, rtol=1e-6, atol=1e-5)


# frames


@given(st.integers(200, 3000), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_a_frame_sees_its_own_window_alone(samples: int, seed: int) -> None:
    made = kind(mels=20)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(samples).astype(np.float32)
    whole = made.decode(x)
    assert len(whole) == 1 + (samples - 200) // 80 == made.steps(x)
    t = int(rng.integers(len(whole)))
    np.testing.assert_array_equal(made.decode(x[80 * t : 80 * t + 200])[0], whole[t])
    other = rng.standard_normal(samples).astype(np.float32)
    other[80 * t : 80 * t + 200] = x[80 * t : 80 * t + 200]
    np.testing.assert_array_equal(made.decode(other)[t], whole[t])


def test_a_recording_in_pieces_has_the_same_frames() -> None:
    made, x = kind(mels=20), chirp(RATE, 2.0).astype(np.float32)
    kept, found = np.zeros(0, np.float32), []
    for piece in np.array_split(x, [777, 1500, 1501, 9000]):
        heard = np.concatenate([kept, piece])
        if len(heard) >= made.window:
            found.append(made.decode(heard))
            heard = heard[made.hop * len(found[-1]) :]
        kept = heard
    np.testing.assert_array_equal(np.concatenate(found), made.decode(x))


def test_long_recordings_are_transformed_in_blocks_and_give_the_same() -> None:
    made, x = kind(mels=20), np.random.default_rng(0).standard_normal(RATE * 25).astype(np.float32)
    whole = made.decode(x)
    assert len(whole) > 2048
    np.testing.assert_array_equal(whole[2000:2100], made.decode(x[80 * 2000 : 80 * 2099 + 200]))


def test_a_tone_stands_in_its_band_and_steps_are_told_in_seconds() -> None:
    made = kind(mels=40)
    assert made.spec.rate == 100 and made.spec.space == (40,) and made.unit == "frames"
    bands = [made.decode(tone(hertz=hertz)).mean(0).argmax() for hertz in (200, 400, 800, 1600, 3200)]
    assert bands == sorted(set(bands))
    x, scale = made.decode_scaled(tone(1.0))
    assert scale == 100 and abs(len(x) / scale - 1.0) < 0.025


@pytest.mark.parametrize(
    ("features", "shape", "steps_a_second"), [("logmel", (1, 64), 100), ("mfcc", (1, 20), 100), ("raw", (1,), 8000)]
)
def test_features_have_the_shape_that_is_said(features: str, shape: tuple[int, ...], steps_a_second: float) -> None:
    made = kind(features=features)
    x = made.finish(made.decode(tone()))
    assert x.dtype == np.float32 and x.shape[1:] == shape == (made.spec.channels, *made.spec.space)
    assert len(x) == made.steps(tone()) and made.spec.rate == steps_a_second


# files


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("wav", {}),
        ("wav", {"subtype": "FLOAT"}),
        ("wav", {"subtype": "PCM_24"}),
        ("flac", {}),
        ("ogg", {}),
        ("mp3", {}),
        ("aiff", {}),
    ],
)
def test_files_of_all_kinds_sound_alike(suffix: str, options: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path / f"a.{suffix}", **options)
    made = kind(mels=20)
    x = made.decode(path)
    assert len(x) == made.steps(path) == made.steps(tone())
    loud = made.decode(tone()) > -30
    assert np.abs(x - made.decode(tone()))[loud].mean() < 1.5


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 16000, 22050, 44100, 48000])
def test_every_rate_becomes_the_same_and_its_steps_are_foretold(rate: int, tmp_path: Path) -> None:
    made = kind(mels=20, high=1500.0)
    for samples in (rate // 3, rate // 3 + 1, rate // 2 - 1):
        path = written(tmp_path / "a.wav", tone(1.0, rate=rate)[:samples], rate)
        x = made.decode(path)
        assert len(x) == made.steps(path)
        expected = made.decode(tone(1.0)[: samples * RATE // rate])
        loud = expected > -25
        assert np.abs(x[: len(expected)] - expected)[loud].max() < 1.0


def test_channels_are_mixed(tmp_path: Path) -> None:
    left, right = tone(hertz=300), tone(hertz=1500)
    path = written(tmp_path / "a.wav", np.stack([left, right], axis=1), subtype="FLOAT")
    np.testing.assert_allclose(kind().decode(path), kind().decode((left + right) / 2), atol=1e-3)


# what is learned


def test_each_band_is_around_zero_in_the_training_part(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    samples = [
        Sample(f"{i}", written(tmp_path / f"{i}.wav", 0.1 * rng.standard_normal(4000).astype(np.float32)))
        for i in range(6)
    ]
    for features in ("logmel", "mfcc", "raw"):
        made = Sound.learn(Sound.Settings(features=features, mels=20, coefficients=8), samples)
        x = np.concatenate([made.finish(made.decode(s.x)).reshape(made.steps(s.x), -1) for s in samples])
        np.testing.assert_allclose(x.mean(0), 0, atol=1e-3)
        np.testing.assert_allclose(x.std(0), 1, atol=1e-3)
        again = Sound.restore(made.settings, json.loads(json.dumps(made.learned())))
        assert np.array_equal(again.finish(again.decode(samples[0].x)), made.finish(made.decode(samples[0].x)))
        assert again.spec == made.spec


def test_the_usual_rate_of_the_training_part_is_taken_up_to_16000(tmp_path: Path) -> None:
    some = [Sample(f"{rate}", written(tmp_path / f"{rate}.wav", rate=rate)) for rate in (8000, 44100)]
    assert Sound.learn(Sound.Settings(), [some[0], some[0], some[1]]).rate == 8000
    assert Sound.learn(Sound.Settings(), [some[0], some[1], some[1]]).rate == 16000
    assert Sound.learn(Sound.Settings(rate=22050), some).rate == 22050


def test_bands_in_which_there_is_never_anything_stay_empty(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", rate=8000)
    made = Sound.learn(Sound.Settings(rate=16000), [Sample("a", path)])
    assert np.isfinite(made.finish(made.decode(path))).all() and np.abs(made.finish(made.decode(path))).max() < 50


def test_a_sound_that_cannot_be_read_does_not_hinder_learning(tmp_path: Path) -> None:
    good, bad = written(tmp_path / "a.wav"), tmp_path / "b.wav"
    bad.write_bytes(b"")
    assert Sound.learn(Sound.Settings(), [Sample("b", bad), Sample("a", good)]).rate == 8000
    with pytest.raises(DataError, match="holds 0 bytes"):
        Sound.learn(Sound.Settings(), [Sample("b", bad)])


# what cannot be heard


def spoiled(path: Path, name: str) -> Path:
    good = written(path / "good.flac").read_bytes()
    wav = written(path / "good.wav").read_bytes()
    contents = {"empty.wav": b"", "text.wav": b"no sound at all", "cut.flac": good[: len(good) // 2]}
    contents["cut.wav"] = wav[: len(wav) // 2]
    waves = {
        "none.wav": tone()[:0],
        "silent.wav": np.zeros(4000),
        "short.wav": tone()[:150],
        "long.wav": np.tile(tone(), 9),
        "nan.wav": np.full(4000, np.nan),
    }
    if name in contents:
        (path / name).write_bytes(contents[name])
    elif name in waves:
        written(path / name, waves[name], subtype="FLOAT")
    return path / name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty.wav", "holds 0 bytes; expected a sound file"),
        ("text.wav", "is not a sound file"),
        ("gone.wav", "is not there"),
        ("cut.flac", "cannot be decoded; expected a whole sound file"),
        ("cut.wav", "is cut off"),
        ("none.wav", "holds no samples"),
        ("silent.wav", "is silent"),
        ("short.wav", "lasts 19 milliseconds; expected at least one window of 25"),
        ("long.wav", "lasts 4 seconds; expected at most 4"),
        ("nan.wav", "holds values that are no numbers"),
    ],
)
def test_what_cannot_be_heard_is_named(name: str, words: str, tmp_path: Path) -> None:
    path = spoiled(tmp_path, name)
    for features in ("logmel", "raw"):
        if features == "raw" and name == "short.wav":
            continue
        made = kind(longest=4.2, features=features)
        for read in (made.decode, made.look, made.picture):
            if name == "short.wav" and read == made.picture:
                continue
            with pytest.raises(DataError, match=words) as caught:
                read(path)
            assert caught.value.file == path


def test_arrays_that_are_no_sound() -> None:
    for source in (np.zeros((4, 5)), np.zeros(100, int), 7, None):
        assert not Sound.reads(source)
        with pytest.raises(DataError, match="expected a path, or real numbers"):
            kind().decode(source)
    with pytest.raises(DataError, match="is silent"):
        kind().decode(np.zeros(4000))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mels": 400}, "mel bands, the first of them number 1, lie between"),
        ({"low": 3000.0, "high": 2000.0}, "from 3000 to 2000 Hz"),
        ({"high": 6000.0}, "at most 4000"),
        ({"features": "mfcc", "mels": 20, "coefficients": 30}, "input.coefficients is 30"),
    ],
)
def test_settings_that_hear_nothing_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        kind(**values)


@pytest.mark.parametrize("library", ["soundfile", "soxr"])
def test_libraries_that_are_missing_are_named(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.wav", rate=16000)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf"the library '{library}' .* pip install 'crnn\[audio\]'"):
        kind().decode(path)


def test_doubts_are_told(tmp_path: Path) -> None:
    loud = written(tmp_path / "loud.wav", np.sign(tone(hertz=100)) * 1.0, subtype="FLOAT")
    made = kind()
    assert [f.kind for f in made.look(loud).findings] == ["clipped"]
    low = written(tmp_path / "low.wav", rate=4000)
    assert [f.kind for f in made.look(low).findings] == ["lower rate"]
    plain = made.look(written(tmp_path / "plain.wav"))
    assert not plain.findings and plain.steps == made.steps(tone()) and plain.digest != made.look(low).digest


@pytest.mark.parametrize("features", ["logmel", "raw"])
def test_the_picture_for_reports(features: str, tmp_path: Path) -> None:
    made = kind(features=features)
    shown = Image.open(io.BytesIO(made.picture(written(tmp_path / "a.wav", tone(hertz=200)))))
    x = np.asarray(shown.convert("L"), float)
    assert shown.format == "PNG" and shown.width >= 240
    assert np.ptp(x) > 100
    if features == "logmel":
        assert x[-20:].mean() > x[:80].mean(), "low tones are below"


# variations


@pytest.mark.parametrize("features", ["logmel", "raw"])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_variations_depend_on_the_generator_alone_and_leave_the_source(features: str, seed: int) -> None:
    made = kind(features=features)
    x = made.decode(tone())
    before = x.copy()
    one, other = (made.vary(x, None, SoundAugment(turn=0.5), np.random.default_rng(seed))[0] for _ in range(2))
    assert np.array_equal(one, other) and np.array_equal(x, before)
    assert one.dtype == np.float32 and one.shape[1:] == x.shape[1:] and np.isfinite(made.finish(one)).all()
    assert 0.85 * len(x) <= len(one) <= 1.25 * len(x)


def test_nothing_is_varied_where_all_is_off() -> None:
    for features in ("logmel", "raw"):
        made = kind(features=features)
        x = made.decode(tone())
        for seed in range(5):
            for augment in (SoundAugment(**OFF), SoundAugment(share=0.0)):
                assert np.array_equal(made.vary(x, None, augment, np.random.default_rng(seed))[0], x)


STRENGTHS = {"shift": 0.2, "cut": 0.2, "turn": 1.0, "speed": 0.2, "pitch": 3.0, "gain": 6.0, "noise": 1.0}
STRENGTHS |= {"filter": 6.0, "frequency_masks": 2, "time_masks": 2}


@pytest.mark.parametrize("one", list(OFF))
@pytest.mark.parametrize("features", ["logmel", "raw"])
def test_each_strength_does_something(one: str, features: str) -> None:
    made = kind(features=features)
    x = made.decode(tone())
    augment = SoundAugment(**{**OFF, one: STRENGTHS[one]})
    found = [made.vary(x, None, augment, np.random.default_rng(seed))[0] for seed in range(5)]
    nothing = features == "raw" and one in ("pitch", "filter", "frequency_masks")
    assert all(np.array_equal(y, x) for y in found) == nothing


def test_masks_are_stripes_of_the_mean() -> None:
    made = Sound(Sound.Settings(mels=20), RATE, [-40.0] * 20)
    x = made.decode(tone(1.0))
    augment = SoundAugment(**{**OFF, "frequency_masks": 1, "time_masks": 1}, frequency_width=0.2, time_width=0.2)
    for seed in range(20):
        y = made.vary(x, None, augment, np.random.default_rng(seed))[0]
        blotted = (y == -40.0) & (x != -40.0)
        rows, columns = blotted.all(1), blotted.all(0)
        assert rows.sum() <= 0.2 * len(x) and columns.sum() <= 4
        assert np.array_equal(blotted, rows[:, None] | columns[None])
        assert np.array_equal(y[~blotted], x[~blotted])


def test_a_longer_throat_lowers_all_frequencies_by_one_factor() -> None:
    made = kind(16_000, mels=64)
    augment = SoundAugment(**{**OFF, "pitch": 4.0})
    for seed in range(10):
        moved = []
        for hertz in (300.0, 500.0, 1500.0, 3000.0):
            x = made.decode(tone(0.3, hertz, 16_000))
            y = made.vary(x, None, augment, np.random.default_rng(seed))[0]
            peak = int(x.mean(0).argmax())
            near = slice(max(0, peak - 6), peak + 7)
            places = [np.average(np.arange(64)[near], weights=10 ** (z.mean(0)[near] / 10)) for z in (x, y)]
            moved.append(places[1] - places[0])
        low, middle, high, highest = moved
        assert abs(high - highest) < 0.6
        assert abs(low - 0.3 * high) < 0.6 and abs(middle - 0.5 * high) < 0.6


def test_three_views_are_the_sound_and_its_spectrum_moved() -> None:
    made = kind(mels=20, views=2.0)
    x = made.decode(tone(1.0, 2000.0))
    views = made.views(x)
    assert len(views) == made.view_count == 3 and views[0] is x
    peak = int(x.mean(0).argmax())
    assert [int(v.mean(0).argmax()) for v in views] == [peak, peak - 2, peak + 2]
    assert kind(features="raw", views=2.0).view_count == kind().view_count == 1


def test_a_filter_is_a_line_that_bends_a_few_times_and_the_same_all_the_time() -> None:
    made = kind(mels=40)
    x = made.decode(tone(1.0))
    for seed in range(10):
        response = made.vary(x, None, SoundAugment(**{**OFF, "filter": 6.0}), np.random.default_rng(seed))[0] - x
        assert np.allclose(response, response[0], atol=1e-4) and np.abs(response).max() <= 6.001
        assert (np.abs(np.diff(response[0], 2)) > 1e-3).sum() <= 2 * 3


def test_a_range_makes_sounds_equally_loud_and_their_silence_equally_quiet() -> None:
    x = tone(1.0) * np.linspace(0, 1, RATE, dtype=np.float32)
    made = kind(mels=20, range=40.0)
    loud, quiet = made.decode(x), made.decode(0.01 * x)
    assert loud.max() == 0 and loud.min() == -40
    assert np.allclose(loud, quiet, atol=1e-3)


def test_what_is_cut_off_lies_at_the_ends() -> None:
    made = kind(mels=20)
    x = made.decode(tone(1.0) * np.linspace(0.1, 1, RATE, dtype=np.float32))
    for seed in range(10):
        y = made.vary(x, None, SoundAugment(**{**OFF, "cut": 0.3}), np.random.default_rng(seed))[0]
        first = next(i for i in range(len(x)) if np.array_equal(x[i], y[0]))
        assert np.array_equal(y, x[first : first + len(y)])
        assert first <= 0.3 * len(x) and len(x) - first - len(y) <= 0.3 * len(x)
    alone = made.vary(x[:1], None, SoundAugment(**{**OFF, "cut": 1.0}), np.random.default_rng(0))[0]
    assert np.array_equal(alone, x[:1])


def test_noise_lies_as_far_below_as_is_said() -> None:
    made = kind(mels=20)
    x = made.decode(tone(1.0) + 0.1)
    for seed in range(10):
        y = made.vary(x, None, SoundAugment(**{**OFF, "noise": 1.0}, distance=10.0), np.random.default_rng(seed))[0]
        added = 10 ** (y / 10.0) - 10 ** (x / 10.0)
        distance = 10 * np.log10((10 ** (x / 10.0)).mean() / added.mean())
        assert 9.5 < distance < 30.5


def test_labels_of_steps_move_with_them() -> None:
    made = kind(mels=20)
    x = made.decode(np.concatenate([tone(0.5, 300), tone(0.5, 3000)]))
    y = (np.arange(len(x)) > len(x) // 2).astype(int)
    low, high = (x[y == v].mean(0).argmax() for v in (0, 1))
    augment = SoundAugment(**{**OFF, "turn": 1.0, "speed": 0.2, "shift": 0.3})
    for seed in range(10):
        varied, moved = made.vary(x, y, augment, np.random.default_rng(seed))
        assert moved is not None and len(moved) == len(varied)
        assert np.mean((varied[:, high] > varied[:, low]) == moved) > 0.93


def test_what_is_put_around_a_sound_is_quiet_and_the_sound_is_whole() -> None:
    made = kind(mels=20)
    x = made.decode(np.concatenate([tone(0.5) * 0.001, tone(0.5)]))
    for seed in range(10):
        y = made.vary(x, None, SoundAugment(**{**OFF, "shift": 0.5}), np.random.default_rng(seed))[0]
        places = [i for i in range(len(y) - len(x) + 1) if np.array_equal(y[i : i + len(x)], x)]
        assert places in ([0], [len(y) - len(x)])
        rest = np.delete(y, np.arange(places[0], places[0] + len(x)), axis=0)
        assert not len(rest) or rest.mean() < x.mean()
