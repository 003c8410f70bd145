"""Recordings of numbers: files as people have them, gaps, scales, and labels of steps that move along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crnn.data.inputs.series import Series
from crnn.data.inputs.series_augment import SeriesAugment
from crnn.errors import DataError
from crnn.types import Sample

X = np.random.default_rng(0).normal(3, 2, (50, 2)).astype(np.float32)


def learned(*sources: Any, **settings: Any) -> Series:
    return Series.learn(Series.Settings(**settings), [Sample(str(i), x) for i, x in enumerate(sources)])


def test_lines_of_a_plot_have_names() -> None:
    kind = learned(X)
    assert "channel 2" in kind.shown(X) and "channel" not in learned(X[:, :1]).shown(X[:, :1])
    names = ("a", "b", "c", "d", "e", "<f>", "g", "h")
    wide = Series(Series.Settings(), [0.0] * 8, [1.0] * 8, names=names).shown(np.repeat(X, 4, axis=1))
    assert "&lt;f&gt;, and 2 not drawn" in wide and "<f>" not in wide


def test_each_channel_has_mean_0_and_deviation_1_of_the_training_part() -> None:
    kind = learned(X, X[:20] + 1)
    both = np.concatenate([kind.finish(kind.decode(x)) for x in (X, X[:20] + 1)])
    assert np.allclose(both.mean(0), 0, atol=1e-5) and np.allclose(both.std(0), 1, atol=1e-4)
    assert learned(np.full((9, 1), 5.0)).decode(np.full((9, 1), 5.0)).tolist() == [[0.0]] * 9, "what stands still is 0"
    volts = X * 1e-7
    assert np.allclose(learned(volts).decode(volts).std(0), 1, atol=1e-2), "however small its unit"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "x,y\n1,2\n3,4\n"),
        ("a.csv", "1,2\n3,4\n"),
        ("a.csv", "\ufeffx;y\n1;2\n3;4\n\n"),
        ("a.tsv", "x\ty\n1\t2\n3\t4\n"),
        ("a.txt", "1 2\n3  4\n"),
        ("a.csv", "time,x,y\n0,1,2\n1,3,4\n"),
        ("a.csv", ",x,y\n0,1,2\n1,3,4\n"),
        ("a.csv", "time;x;y\n0,0;1,0;2,0\n0,5;3,0;4e0\n"),
    ],
)
def test_files_as_people_have_them(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    kind = Series(Series.Settings(), [0.0, 0.0], [1.0, 1.0])
    assert kind.decode(tmp_path / name).tolist() == [[1, 2], [3, 4]] and kind.steps(tmp_path / name) == 2


def test_columns_that_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,name,y\n1,a,2\n3,b,4\n")
    for columns in (("x", "y"), ("1", "3")):
        assert learned(tmp_path / "a.csv", columns=columns).spec.channels == 2
    with pytest.raises(DataError, match=r"a.csv: row 2 says 'a'; expected a number.*input.columns"):
        learned(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"a.csv: has the columns 'x', 'name', 'y'; expected 'z'"):
        learned(tmp_path / "a.csv", columns=("z",))


def test_channels_are_known_by_their_names(tmp_path: Path) -> None:
    for name, text in (
        ("a", "time,x,y\n0,1,2\n1,3,4\n"),
        ("b", "x,y\n1,2\n3,4\n"),
        ("turned", "y,time,x\n2,0,1\n4,1,3\n"),
        ("more", "z,x,y\n9,1,2\n9,3,4\n"),
        ("other", "u,v\n1,2\n3,4\n"),
        ("nameless", "1,2\n3,4\n"),
    ):
        (tmp_path / f"{name}.csv").write_text(text)
    kind = learned(tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "turned.csv")
    for known in (kind, Series.restore(kind.settings, kind.learned())):
        assert known.names == ("x", "y")
        read = {file.stem: known._read(file).tolist() for file in tmp_path.iterdir()}
        assert all(values == [[1, 2], [3, 4]] for values in read.values()), read
    mixed = learned(tmp_path / "other.csv", tmp_path / "a.csv", tmp_path / "nameless.csv")
    assert mixed.names == () and mixed._read(tmp_path / "turned.csv").tolist() == [[2, 1], [4, 3]], "by place"
    assert learned(tmp_path / "a.csv", columns=("y",))._read(tmp_path / "turned.csv").tolist() == [[2], [4]]


def test_another_rate_is_told(tmp_path: Path) -> None:
    for name, step in (("a", 0.02), ("b", 0.02), ("c", 0.01)):
        (tmp_path / f"{name}.csv").write_text("time,x\n" + "".join(f"{i * step:.2f},{i % 7}\n" for i in range(20)))
    kind = learned(*(tmp_path / f"{name}.csv" for name in "abc"))
    assert kind.look(tmp_path / "a.csv").findings == ()
    (finding,) = Series.restore(kind.settings, kind.learned()).look(tmp_path / "c.csv").findings
    assert finding.sentence == "goes in steps of 0.01 of its clock, the training part in steps of 0.02"
    assert kind.look(np.arange(9.0)[:, None]).findings == ()


def test_gaps_are_refused_by_their_place_or_bridged(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n,4\n3,NaN\n4,8\n")
    with pytest.raises(DataError, match=r"a.csv: has 2 values that are no numbers, the first in step 2, channel 1"):
        learned(tmp_path / "a.csv")
    kind = Series(Series.Settings(missing="bridge"), [0.0, 0.0], [1.0, 1.0])
    assert kind.decode(tmp_path / "a.csv").tolist() == [[1, 2], [2, 4], [3, 6], [4, 8]]
    (tmp_path / "b.csv").write_text("x,y\n1,\n2,\n")
    with pytest.raises(DataError, match=r"b.csv: .*channel 2.*input.columns"):
        kind.decode(tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds no rows"),
        ("x,y\n", "holds no rows of numbers"),
        ("x,y\n1,2\n3\n", "row 3 has 1 values"),
        ("x,y\n1,2\n3,oops\n", "row 3 says 'oops'"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_broken_files_are_named_with_the_row(content: str | bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=f"a.csv: {words}"):
        learned(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("content", "is_text"),
    [
        ("a bad film\n", True),
        ("A good film, long.\nIt has 3 stars, and more.\n", True),
        ("One\n\nlonger than that\n", True),
        ("A longer line\nshort\n", True),
        ("x,y\n1,2\n3,oops\n", False),
        ("x,y\n1,2\n3\n", False),
    ],
)
def test_a_text_is_told_how_texts_are_read(content: str, is_text: bool, tmp_path: Path) -> None:
    for ending in (".txt", ".csv"):
        (tmp_path / f"a{ending}").write_text(content)
        with pytest.raises(DataError) as caught:
            learned(tmp_path / f"a{ending}")
        assert ("--set input.name=sentence" in caught.value.do) == (is_text and ending == ".txt")


def test_another_number_of_channels_and_too_many_steps_are_refused() -> None:
    kind = learned(X, longest=60)
    with pytest.raises(DataError, match="has 1 channels; expected 2"):
        kind.decode(X[:, 0])
    with pytest.raises(DataError, match="has 61 steps; expected at most 60"):
        kind.decode(np.zeros((61, 2)))
    with pytest.raises(DataError, match=r"an array of shape \(0, 2\)"):
        kind.decode(np.zeros((0, 2)))


def test_steps_of_a_file_are_joined_and_places_are_in_seconds() -> None:
    kind = Series(Series.Settings(every=5, rate=50), [0.0, 0.0], [1.0, 1.0])
    x, scale = kind.decode_scaled(X[:48])
    assert np.allclose(x, X[:45].reshape(9, 5, 2).mean(1)) and scale == kind.spec.rate == 10
    kind = Series(Series.Settings(every=4), [0.0, 0.0], [1.0, 1.0])
    assert kind.decode_scaled(X[:48])[1] == 0.25, "without a rate, in steps of the file"


def test_labels_of_steps_move_with_them() -> None:
    kind = Series()
    x = np.arange(40, dtype=np.float32)[:, None]
    for speed in (0.0, 0.3):
        augment = SeriesAugment(jitter=0, scaling=0, shift=0.3, crop=0.4, speed=speed)
        lengths = set()
        for i in range(50):
            moved, y = kind.vary(x, np.arange(40), augment, np.random.default_rng(i))
            assert len(moved) == len(y) and (np.abs(moved[:, 0] - y) <= (0.5 if speed else 0)).all()
            lengths.add(len(y))
        assert min(lengths) < 30 < max(lengths) <= (round(40 / 0.7) if speed else 40)


def test_another_pace_is_the_same_recording_on_straight_lines() -> None:
    x = np.stack([np.arange(100.0), -np.arange(100.0)], axis=1).astype(np.float32)
    augment = SeriesAugment(jitter=0, scaling=0, speed=0.5)
    paces = set()
    for i in range(30):
        varied, _ = Series(Series.Settings(channels=2)).vary(x, None, augment, np.random.default_rng(i))
        steps = np.diff(varied[:-2, 0])
        assert np.ptp(steps) < 1e-3 and np.allclose(varied[:, 0], -varied[:, 1])
        assert varied[0, 0] == 0 and varied[-1, 0] == pytest.approx(99, abs=1.5)
        paces.add(round(float(steps[0]), 1))
    assert min(paces) < 0.7 and max(paces) > 1.3
    assert len(Series().vary(x[:1, :1], None, augment, np.random.default_rng(0))[0]) == 1, "one step stays one"


def test_strengths_are_what_they_say() -> None:
    x = np.ones((2000, 3), np.float32)
    noisy = SeriesAugment(jitter=0.2, scaling=0)(x, np.random.default_rng(0))
    assert abs(float(noisy.std()) - 0.2) < 0.01
    scaled = [SeriesAugment(jitter=0, scaling=0.3)(x, np.random.default_rng(i)) for i in range(300)]
    assert abs(float(np.std([s[0] for s in scaled])) - 0.3) < 0.03 and all(np.ptp(s[:, 0]) == 0 for s in scaled)
    moved = [SeriesAugment(jitter=0, scaling=0, offset=0.3)(x, np.random.default_rng(i)) for i in range(300)]
    assert abs(float(np.std([m[0] for m in moved])) - 0.3) < 0.03 and all(np.ptp(m[:, 0]) == 0 for m in moved)


def test_axes_are_turned_and_lengths_stay() -> None:
    x = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    augment = SeriesAugment(jitter=0, scaling=0, rotation=30)
    turned = [augment(x, np.random.default_rng(i)) for i in range(20)]
    assert all(np.allclose((t**2).sum(1), (x**2).sum(1), atol=1e-4) and t.dtype == np.float32 for t in turned)
    angles = [
        np.degrees(np.arctan2(t[0, 1], t[0, 0]))
        for t in (augment(np.eye(2)[:1], np.random.default_rng(i)) for i in range(400))
    ]
    assert abs(float(np.std(angles)) - 30) < 3


def test_what_never_moves_is_noted() -> None:
    kind = learned(X)
    assert [f.kind for f in kind.look(np.ones((9, 2))).findings] == ["nothing moves"]
    assert kind.look(X).findings == ()
