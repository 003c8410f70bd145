"""Films: a few frames of each, whatever wrote it, and never more in memory than those."""

from __future__ import annotations

import io
import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crnn.data.inputs._film_files import frames_in, header_of, read_frames
from crnn.data.inputs.film import Film, Scale
from crnn.data.inputs.film_augment import FilmAugment
from crnn.errors import DataError, MissingExtra
from crnn.types import Sample

av = pytest.importorskip("av")
CODECS = {
    "mkv": ("ffv1", "bgr0"),
    "mp4": ("libx264", "yuv420p"),
    "avi": ("mpeg4", "yuv420p"),
    "webm": ("libvpx", "yuv420p"),
    "gif": ("gif", "rgb8"),
    "3gp": ("mpeg4", "yuv420p"),
    "mts": ("libx264", "yuv420p"),
}
SIZE = (48, 32)
OFF: dict[str, Any] = {"flip": 0.0, "crop": 0.0, "brightness": 0.0, "contrast": 0.0, "jitter": 0.0}


def kind(width: int = SIZE[0], height: int = SIZE[1], **values: Any) -> Film:
    return Film(Film.Settings(**values), Scale(height, width))


def moving(count: int = 20, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A bright bar that moves to the right and grows brighter: ``(time, height, width, 3)``."""
    x = np.full((count, size[1], size[0], 3), 40, np.uint8)
    for t in range(count):
        left = round((size[0] - 8) * t / max(1, count - 1))
        x[t, 4:-4, left : left + 8] = (255 - 4 * t % 100, 200, 5 * t % 200)
    return x


def written(path: Path, x: np.ndarray | None = None, rate: int = 10) -> Path:
    x = moving() if x is None else x
    name, pixels = CODECS[path.suffix[1:]]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(name, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *x.shape[1:3], pixels
        if name == "libx264":
            stream.options = {"crf": "12"}
        for frame in x:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def in_folder(folder: Path, x: np.ndarray) -> Path:
    folder.mkdir()
    for i, frame in enumerate(x):
        Image.fromarray(frame).save(folder / f"f{i}.png")
    return folder


# frames


@pytest.mark.parametrize("suffix", list(CODECS))
def test_films_of_all_kinds_show_the_same(suffix: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"a.{suffix}")
    header = header_of(path)
    assert (header.frames, header.size) == (20, SIZE) and header.rate == pytest.approx(10, rel=0.06)
    x = kind(frames=10).decode(path).astype(float)
    assert x.shape == (10, 32, 48, 3)
    expected = moving()[1::2].astype(float)
    assert np.abs(x - expected).mean() < (0.01 if suffix == "mkv" else 30 if suffix == "gif" else 8)
    found = [np.flatnonzero(frame[16, :, 1] > 120).mean() for frame in x]
    assert np.abs(np.diff(found) - 40 / 9.5).max() < 1.5, "the bar moves on"


@given(st.integers(1, 40), st.integers(1, 40))
def test_frames_are_taken_evenly_and_again_where_there_are_few(count: int, frames: int) -> None:
    x = np.repeat(np.arange(count, dtype=np.uint8), 12).reshape(count, 2, 2, 3)
    found = kind(2, 2, frames=frames).decode(x)[:, 0, 0, 0].astype(int)
    assert len(found) == frames == kind(2, 2, frames=frames).steps(x)
    edges = np.arange(frames + 1) * count / frames
    assert all(a - 1 < t <= b for t, a, b in zip(found, edges, edges[1:], strict=False))
    assert len(set(found.tolist())) == min(count, frames)


def test_so_many_frames_a_second(tmp_path: Path) -> None:
    made = kind(rate=5.0)
    short, long = written(tmp_path / "a.mkv", moving(10)), written(tmp_path / "b.mkv", moving(40))
    assert [made.steps(p) for p in (short, long)] == [len(made.decode(p)) for p in (short, long)] == [5, 20]
    x, scale = made.decode_scaled(long)
    assert scale == pytest.approx(5.0, rel=0.01) and made.spec.rate == 5.0
    assert kind(frames=8).decode_scaled(long)[1] == pytest.approx(2.0, rel=0.01)
    assert np.array_equal(x, moving(40)[1::2])
    with pytest.raises(DataError, match="does not say how long it lasts"):
        made.steps(moving())


def test_a_folder_of_frames_is_a_film_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    folder = in_folder(tmp_path / "film", moving())
    assert [f.name for f in frames_in(folder)][8:12] == ["f8.png", "f9.png", "f10.png", "f11.png"]
    (folder / "f1²2.png").write_bytes((folder / "f1.png").read_bytes())
    assert len(frames_in(folder)) == 21, "not every digit is a number"
    (folder / "f1²2.png").unlink()
    assert Film.reads(folder) and np.array_equal(kind(frames=20).decode(folder), moving())
    assert np.array_equal(kind(frames=20).decode(moving()), moving())


def test_scaled_to_one_size_and_channels_before_space(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mkv")
    made = kind(24, 16, frames=4)
    x = made.finish(made.decode(path))
    assert x.shape == (4, 3, 16, 24) and x.dtype == np.float32 and made.spec.space == (16, 24)
    near = moving()[2::5].reshape(4, 16, 2, 24, 2, 3).mean((2, 4)).transpose(0, 3, 1, 2) / 255
    assert np.abs(x - near).mean() < 0.02
    grey = Film(Film.Settings(frames=4, colour="grey"), Scale(16, 24, (0.0,), (1.0,)))
    assert grey.finish(grey.decode(path)).shape == (4, 1, 16, 24)
    assert grey.finish(grey.decode(moving())).shape == (4, 1, 16, 24)


def test_motion_is_what_changed_since_the_frame_before() -> None:
    scale = Scale(32, 48, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    plain, beside, alone = (Film(Film.Settings(frames=5, motion=m), scale) for m in ("none", "beside", "alone"))
    x = plain.decode(moving())
    y, both, change = (each.finish(x) for each in (plain, beside, alone))
    assert beside.spec.channels == 6 and alone.spec.channels == 3
    assert both.shape == (5, 6, 32, 48) and both.dtype == change.dtype == np.float32
    np.testing.assert_array_equal(both, np.concatenate([y, change], axis=1))
    np.testing.assert_array_equal(change[1:], y[1:] - y[:-1])
    assert not change[0].any() and change[1:].any()


def test_only_the_wanted_frames_are_in_memory(tmp_path: Path) -> None:
    path = written(tmp_path / "a.avi", np.repeat(moving(10, (320, 240)), 20, axis=0))
    size = 200 * 240 * 320 * 3
    read_frames(path, [0], (16, 16), "RGB")
    tracemalloc.start()
    x = read_frames(path, list(range(0, 200, 10)), (64, 48), "RGB")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(x) == 20 and peak < size / 20


# what is learned


def test_scale_and_size_are_those_of_the_training_part(tmp_path: Path) -> None:
    some = [Sample(str(i), written(tmp_path / f"{i}.mkv")) for i in range(2)]
    made = Film.learn(Film.Settings(frames=20), some)
    assert made.spec.space == (32, 48)
    x = made.finish(made.decode(some[0].x))
    np.testing.assert_allclose(x.mean((0, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(x.std((0, 2, 3)), 1, atol=1e-3)
    again = Film.restore(made.settings, json.loads(json.dumps(made.learned())))
    assert again.scale == made.scale and again.spec == made.spec
    large = Film.learn(Film.Settings(frames=2), [Sample("a", moving(2, (400, 200)))])
    assert large.spec.space == (112, 224)
    assert Film.learn(Film.Settings(height=20), some).spec.space == (20, 30)
    assert Film.learn(Film.Settings(colour="grey"), some).spec.channels == 1


# what cannot be seen


def spoiled(folder: Path, name: str) -> Path:
    good = written(folder / "good.avi", np.random.default_rng(0).integers(0, 255, (40, 64, 64, 3), np.uint8))
    data = good.read_bytes()
    contents = {"empty.mp4": b"", "text.mp4": b"no film at all", "cut.avi": data[: len(data) // 2]}
    contents["cut.mp4"] = written(folder / "good.mp4").read_bytes()[:-500]
    if name in contents:
        (folder / name).write_bytes(contents[name])
    if name == "sound.mkv":
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
    if name == "folder":
        (folder / name).mkdir()
    return folder / name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty.mp4", "holds 0 bytes; expected a film"),
        ("text.mp4", "cannot be decoded"),
        ("gone.mp4", "is not there"),
        ("sound.mkv", "holds no film"),
        ("folder", "holds no pictures; expected the frames of a film"),
        ("cut.avi", "ends after|cannot be decoded"),
    ],
)
def test_what_cannot_be_seen_is_named(name: str, words: str, tmp_path: Path) -> None:
    path = spoiled(tmp_path, name)
    for read in (kind().decode, kind().look, kind().picture, lambda p: Film.learn(Film.Settings(), [Sample("a", p)])):
        with pytest.raises(DataError, match=words) as caught:
            read(path)
        assert caught.value.file == path


def test_what_is_no_film_at_all() -> None:
    for source in (np.zeros((4, 5)), np.zeros((0, 4, 4, 3), np.uint8), 7, None):
        with pytest.raises(DataError, match=r"expected .*uint8"):
            kind().decode(source)
    with pytest.raises(DataError, match="has 20 frames; expected at most 19"):
        kind(longest=19).decode(moving())
    with pytest.raises(DataError, match="holds no films"):
        Film.learn(Film.Settings(), [])


def test_a_library_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.mkv")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"the library 'av' .* pip install 'crnn\[video\]'"):
        kind().decode(path)


def test_doubts_are_told() -> None:
    made = kind(frames=8)
    assert [f.kind for f in made.look(np.full((9, 32, 48, 3), 7, np.uint8)).findings] == ["blank film"]
    assert [f.kind for f in made.look(moving()[:1].repeat(9, axis=0)).findings] == ["nothing moves"]
    assert [f.kind for f in made.look(moving(5)).findings] == ["short film"]
    look = made.look(moving())
    assert not look.findings and look.steps == 8 and look.digest != made.look(moving()[::-1].copy()).digest


def test_the_picture_for_reports_is_a_strip_of_frames() -> None:
    shown = Image.open(io.BytesIO(kind(frames=16).picture(moving())))
    assert shown.format == "PNG" and shown.size == (8 * 48 * 120 // 32, 120)
    grey = Film(Film.Settings(frames=3, colour="grey"), Scale(32, 48, (0.0,), (1.0,)))
    assert Image.open(io.BytesIO(grey.picture(moving()))).size == (3 * 48 * 120 // 32, 120)


# variations


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_variations_depend_on_the_generator_alone_and_leave_the_source(seed: int) -> None:
    made, x = kind(), moving()
    before = x.copy()
    one, other = (made.vary(x, None, FilmAugment(), np.random.default_rng(seed))[0] for _ in range(2))
    assert np.array_equal(one, other) and np.array_equal(x, before)
    assert one.shape == x.shape and one.dtype == np.uint8


def test_nothing_is_varied_where_all_is_off() -> None:
    for augment in (FilmAugment(**OFF), FilmAugment(share=0.0)):
        x, y = kind().vary(moving(), np.arange(20), augment, np.random.default_rng(0))
        assert np.array_equal(x, moving()) and y is not None and y.tolist() == list(range(20))


@pytest.mark.parametrize("one", list(OFF))
def test_each_strength_does_something(one: str) -> None:
    augment = FilmAugment(**{**OFF, one: 1.0 if one == "flip" else 0.4})
    found = [kind().vary(moving(), None, augment, np.random.default_rng(seed))[0] for seed in range(5)]
    assert not all(np.array_equal(x, moving()) for x in found)


def test_all_frames_are_varied_alike() -> None:
    x = moving()[:1].repeat(6, axis=0)
    for seed in range(10):
        y = kind().vary(x, None, FilmAugment(), np.random.default_rng(seed))[0]
        assert (y == y[:1]).all()


def test_labels_of_frames_move_with_them() -> None:
    x = np.arange(30, dtype=np.uint8).repeat(48).reshape(30, 4, 4, 3)
    for seed in range(10):
        augment = FilmAugment(**{**OFF, "jitter": 0.5})
        varied, moved = kind(4, 4).vary(x, np.arange(30), augment, np.random.default_rng(seed))
        assert moved is not None and varied[:, 0, 0, 0].tolist() == moved.tolist()
        assert np.abs(moved - np.arange(30)).max() == 1


def test_a_film_taken_with_the_camera_turned_is_upright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crnn.data.inputs import _film_files

    class Turned:
        """A decoded frame as a phone gives it: to be turned counterclockwise by ``rotation``."""

        def __init__(self, rotation: int) -> None:
            self.rotation, self.frame = rotation, av.VideoFrame.from_ndarray(moving()[7], format="rgb24")

        def to_ndarray(self, *, format: str, width: int, height: int, interpolation: str) -> np.ndarray:
            return self.frame.to_ndarray(format=format, width=width, height=height, interpolation=interpolation)

    for turns in (0, 1, 2, 3, -1):
        size = SIZE if turns % 2 == 0 else SIZE[::-1]
        x = _film_files._of_film(Turned(90 * turns), size, "RGB")
        assert np.array_equal(x, np.rot90(moving()[7], turns)) and x.shape[:2] == size[::-1]
