"""A folder per class, files without answers, and what a task looks for in data."""

from __future__ import annotations

from pathlib import Path

import pytest

from crnn.data.formats import Asked, open_data
from crnn.errors import CrnnError, DataError, SettingsError

CLASSES = Asked(answer="label", suffixes=frozenset({".png", ".csv"}))


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_the_folder_is_the_label(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.png", "cat/deep/2.PNG", "dog/1.png", "dog/notes.txt", "dog/.hidden.png", "readme.txt")
    samples = open_data(tmp_path, asked=CLASSES)
    assert [(s.id, s.y, s.split) for s in samples] == [
        ("cat/1.png", "cat", None),
        ("cat/deep/2.PNG", "cat", None),
        ("dog/1.png", "dog", None),
    ]


def test_splits_lie_above_the_classes(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/2.png", "test/b/3.png")
    found = {(s.split, s.y) for s in open_data(tmp_path, asked=CLASSES)}
    assert found == {("train", "a"), ("train", "b"), ("valid", "a"), ("test", "b")}


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    touch(tmp_path / "one", "car/1.png", "bus/1.png", "train/1.png")
    assert {(s.split, s.y) for s in open_data(tmp_path / "one", asked=CLASSES)} == {
        *((None, "car"), (None, "bus"), (None, "train"))
    }
    touch(tmp_path / "two", "train/car/1.png", "train/train/1.png", "test/train/deep/1.png")
    found = {(s.split, s.y) for s in open_data(tmp_path / "two", asked=CLASSES)}
    assert found == {("train", "car"), ("train", "train"), ("test", "train")}


def test_files_of_a_part_in_no_class_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.png", "train/b/1.png", "test/1.png", "test/2.png")
    left_out: list[CrnnError] = []
    assert {s.y for s in open_data(tmp_path, "auto", left_out, asked=CLASSES)} == {"a", "b"}
    (error,) = left_out
    assert error.file == tmp_path / "test" and "holds 2 files in no folder of a class" in str(error)


def test_an_empty_class_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png", "c/notes.txt")
    left_out: list[CrnnError] = []
    assert len(open_data(tmp_path, "auto", left_out, asked=CLASSES)) == 2
    (error,) = left_out
    assert "c: holds nothing that can be read; expected files of the class 'c'" in str(error)
    touch(tmp_path, "parts/train/a/1.png", "parts/train/b/1.png", "parts/test/a/1.png")
    (tmp_path / "parts/test/cow").mkdir()
    open_data(tmp_path / "parts", "auto", left_out, asked=CLASSES)
    assert left_out[-1].file == tmp_path / "parts/test/cow"


def test_a_folder_of_files_is_no_folder_of_classes(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png")
    assert [s.y for s in open_data(tmp_path, asked=CLASSES)] == [None, None], "to be predicted"
    with pytest.raises(DataError, match="folder for each class"):
        open_data(tmp_path, "folders", asked=CLASSES)


def test_recordings_are_no_table_of_files(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.csv", "b/1.csv")
    (tmp_path / "a/1.csv").write_text("x,y\n1,2\n")
    assert [s.y for s in open_data(tmp_path, asked=CLASSES)] == ["a", "b"]
    (alone,) = open_data(tmp_path / "a/1.csv", asked=CLASSES)
    assert alone.y is None and alone.x == tmp_path / "a/1.csv"


def test_lines_of_text_are_not_taken_for_classes(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png", "a/1.gt.txt", "b/1.gt.txt")
    assert [s.y for s in open_data(tmp_path)] == ["x", "x"], "whoever reads lines gets their texts"
    assert [s.y for s in open_data(tmp_path, asked=CLASSES)] == ["a", "b"]


def test_the_group_is_found_in_the_name(tmp_path: Path) -> None:
    touch(tmp_path, "a/anna_1.png", "b/anna_2.png", "b/bert_1.png")
    for pattern in (r"(\w+)_", r"anna|bert"):
        asked = Asked(answer="label", group=pattern)
        assert [s.group for s in open_data(tmp_path, asked=asked)] == ["anna", "anna", "bert"]
    for pattern, words in ((r"carl", "finds nothing in 'a/anna_1.png'"), ("(", "is neither a column nor a pattern")):
        with pytest.raises(SettingsError, match=words):
            open_data(tmp_path, asked=Asked(answer="label", group=pattern))


def test_files_that_nothing_reads_are_named_with_what_to_do(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png", "b/2.heic", "b/3.HEIC", "b/4.m4a", "b/notes.md")
    left_out: list[CrnnError] = []
    assert len(open_data(tmp_path, "auto", left_out, asked=CLASSES)) == 2
    assert [str(error).removeprefix(f"{tmp_path}: ") for error in left_out] == [
        "holds 2 .heic files, which are not read; expected files of the endings .png. Convert them to PNG.",
        "holds 1 .m4a files, which are not read; expected files of the endings .png. Convert them, such as: ffmpeg -i "
        "a.m4a a.flac",
    ]
    sounds = Asked(answer="label", suffixes=frozenset({".wav", ".flac"}))
    touch(tmp_path / "phone", "a/1.m4a", "b/1.m4a")
    for path, said in (
        ("phone", "holds 2 .m4a files; expected .flac .wav, or"),
        ("phone/a/1.m4a", "is a .m4a file; expected"),
    ):
        with pytest.raises(DataError, match=rf"{said}.*Convert them, such as: ffmpeg"):
            open_data(tmp_path / path, asked=sounds)
    with pytest.raises(DataError, match=r"1.png: is a .png file; expected .flac .wav, or data that name such files"):
        open_data(tmp_path / "a/1.png", asked=sounds)
