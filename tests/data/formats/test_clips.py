"""Films cut into what is seen and what follows: parts in time, holes, wrong order, folders, sequences."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from crnn.data.formats import Asked, Cutting, open_data
from crnn.data.inputs import INPUTS
from crnn.errors import CrnnError, DataError
from crnn.types import Clip, Sample


def asked(*, truths: bool = True, **cutting: Any) -> Asked:
    values = {"past": 3, "future": 2, **cutting}
    return Asked(answer="frames", suffixes=INPUTS["frames"].suffixes, cutting=Cutting(**values), truths=truths)


def stamped(path: Path, minutes: list[int]) -> Path:
    """Frames whose values are their minutes after midnight."""
    times = [f"202010310{m // 60}{m % 60:02}00" for m in minutes]
    np.savez(path, rain=np.broadcast_to(np.array(minutes)[:, None, None], (len(minutes), 4, 4)), times=times)
    return path


def minutes(source: Any) -> list[int]:
    return source[:, 0, 0].tolist()


def test_one_film_is_divided_by_the_clock(tmp_path: Path) -> None:
    path = stamped(tmp_path / "day.npz", list(range(0, 200, 10)))
    samples = open_data(path, asked=asked(valid_from="01:40", test_from="02:10", until="2020-10-31 03:00"))
    assert Counter(s.split for s in samples) == {"train": 6, "valid": 2, "test": 4}
    first = next(s for s in samples if s.split == "valid")
    assert minutes(first.x) == [70, 80, 90] and minutes(first.y) == [100, 110], "it may look back, its targets may not"
    assert first.id == "day.npz:2020-10-31 01:30:00"
    told: dict[int, set[str | None]] = {}
    for s in samples:
        for minute in minutes(s.y):
            told.setdefault(minute, set()).add(s.split)
    assert all(len(splits) == 1 for splits in told.values()), "no frame to be foretold is in two parts"
    assert max(told) == 170


def test_one_film_is_divided_by_shares(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((40, 4, 4)))
    samples = open_data(tmp_path / "a.npy", asked=asked(every=4))
    assert Counter(s.split for s in samples) == {"train": 6, "valid": 2, "test": 5}
    assert samples[0].id == "a.npy:02"


def test_frames_are_put_in_order_and_holes_are_said(tmp_path: Path) -> None:
    path = stamped(tmp_path / "day.npz", [10, 0, 20, 30, 40, 50, 90, 100, 110, 120, 130, 140])
    left_out: list[CrnnError] = []
    samples = open_data(path, left_out=left_out, asked=asked(shares=(1, 0, 0)))
    assert [minutes(s.x)[0] for s in samples] == [0, 10, 90, 100]
    (error,) = left_out
    assert "lacks 3 frames after 2020-10-31T00:50:00; expected one every 600 seconds" in str(error)


def test_two_frames_at_one_time(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"two frames at 2020-10-31T00:10:00; .* Drop one"):
        open_data(stamped(tmp_path / "day.npz", [0, 10, 10, 20, 30, 40]), asked=asked())


def test_times_that_cannot_be(tmp_path: Path) -> None:
    path = stamped(tmp_path / "day.npz", list(range(0, 100, 10)))
    for cutting, words in (
        ({"valid_from": "half past"}, "the time 'half past'; expected an hour"),
        ({"valid_from": "01:00", "test_from": "00:30"}, "expected parts one after the other"),
    ):
        with pytest.raises(DataError, match=words):
            open_data(path, asked=asked(**cutting))
    np.savez(tmp_path / "b.npz", rain=np.zeros((9, 4, 4)), times=["soon"] * 9)
    np.savez(tmp_path / "c.npz", rain=np.zeros((9, 4, 4)), times=[1, 2])
    np.save(tmp_path / "d.npy", np.zeros((9, 4, 4)))
    for name, words in {
        "b.npz": "has times that are none",
        "c.npz": "has 9 frames and 2 times",
        "d.npy": "has frames whose times are not known",
    }.items():
        with pytest.raises(DataError, match=words):
            open_data(tmp_path / name, asked=asked(valid_from="01:00"))


def test_a_film_that_is_too_short(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 4, 4)))
    with pytest.raises(DataError, match=r"a.npy: has 4 frames; expected at least 5, of which 3 are seen .* task.past"):
        open_data(tmp_path / "a.npy", asked=asked())


def test_sequences_say_their_split(tmp_path: Path) -> None:
    frames = np.zeros((4, 5, 6, 7), np.uint8)
    np.savez(tmp_path / "a.npz", frames=frames, split=["train", "train", "val", "test"])
    samples = open_data(tmp_path / "a.npz", asked=asked())
    assert [(s.id, s.split) for s in samples] == [
        ("a.npz:0", "train"),
        ("a.npz:1", "train"),
        ("a.npz:2", "valid"),
        ("a.npz:3", "test"),
    ]
    assert samples[0].x.shape == (3, 6, 7) and samples[0].y.shape == (2, 6, 7)
    np.savez(tmp_path / "b.npz", frames=frames, split=["train", "later", "val", "test"])
    np.savez(tmp_path / "c.npz", frames=frames, split=["train"])
    for name, words in {"b.npz": "sequence 1 has the split 'later'", "c.npz": "4 sequences and 1 entries"}.items():
        with pytest.raises(DataError, match=words):
            open_data(tmp_path / name, asked=asked())


def test_folders_of_films(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split / "one").mkdir(parents=True)
        np.save(tmp_path / split / "two.npy", np.zeros((6, 4, 4)))
        for i in range(5):
            Image.new("L", (8, 6), 10 * i).save(tmp_path / split / "one" / f"{i}.pgm")
    with av.open(str(tmp_path / "train" / "three.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=8)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "gray"
        for i in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((24, 32), 40 * i, np.uint8), format="gray")))
        container.mux(stream.encode())
    samples = open_data(tmp_path, asked=asked())
    assert Counter((s.group, s.split) for s in samples) == {
        ("test/one", "test"): 1,
        ("test/two.npy", "test"): 2,
        ("train/one", "train"): 1,
        ("train/three.mkv", "train"): 1,
        ("train/two.npy", "train"): 2,
    }
    kind = INPUTS["frames"](INPUTS["frames"].Settings())
    by_id = {s.id: s for s in samples}
    assert by_id["train/one"].y == Clip(tmp_path / "train" / "one", 3, 2)
    for name, step in (("train/one", 10), ("train/three.mkv", 40)):
        x = kind.decode(by_id[name].y)
        assert np.allclose(255 * x.mean((1, 2, 3)), [3 * step, 4 * step], atol=1)


def test_names_of_pictures_tell_the_time(tmp_path: Path) -> None:
    for minute in (0, 5, 10, 15, 25, 30):
        Image.new("L", (4, 4)).save(tmp_path / f"radar_20201031_07{minute:02}.png")
    left_out: list[CrnnError] = []
    open_data(tmp_path, left_out=left_out, asked=asked(past=1, future=1, shares=(1, 0, 0)))
    assert "lacks 1 frame after 2020-10-31T07:15:00" in str(left_out[0])


def test_two_pictures_of_one_time(tmp_path: Path) -> None:
    for name in ("0700", "0705", "0705b", "0710", "0720", "0725"):
        Image.new("L", (4, 4)).save(tmp_path / f"radar_20201031_{name}.png")
    with pytest.raises(DataError, match="two frames at 2020-10-31T07:05:00"):
        open_data(tmp_path, asked=asked(past=1, future=1, shares=(1, 0, 0)))


@pytest.mark.parametrize("first", [0, 1403636579763, 1403636579763555584])
def test_numbers_of_many_digits_are_no_times(first: int, tmp_path: Path) -> None:
    for i in range(6):
        Image.new("L", (4, 4)).save(tmp_path / f"{first + 50 * i:012}.png")
    samples = open_data(tmp_path, asked=asked(past=1, future=1, shares=(1, 0, 0)))
    assert len(samples) > 1 and samples[0].id.endswith(":0")


def test_ahead_of_the_last_frame(tmp_path: Path) -> None:
    path = stamped(tmp_path / "day.npz", list(range(0, 100, 10)))
    (sample,) = open_data(path, asked=asked(truths=False, valid_from="00:30"))
    assert sample.y is None and minutes(sample.x) == [70, 80, 90]
    np.save(tmp_path / "short.npy", np.zeros((2, 4, 4)))
    (short,) = open_data(tmp_path / "short.npy", asked=asked(truths=False))
    assert isinstance(short, Sample) and len(short.x) == 2


def test_a_damaged_film_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "good.npy", np.zeros((6, 4, 4)))
    (tmp_path / "bad.npz").write_bytes(b"")
    left_out: list[CrnnError] = []
    assert len(open_data(tmp_path, left_out=left_out, asked=asked())) == 2
    assert "bad.npz: cannot be read" in str(left_out[0])
