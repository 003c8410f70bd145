"""Films as folders of pictures, in a folder per class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crnn.data.formats import Asked, open_data
from crnn.data.inputs import suffixes_of
from crnn.errors import CrnnError, DataError

FILMS = Asked(answer="label", suffixes=suffixes_of(["film"]))
ANY = Asked(answer="label", suffixes=suffixes_of(["film", "picture"]))


@pytest.fixture
def data(picture: Callable[..., Path], tmp_path: Path) -> Path:
    for name in ("fight/a/1.png", "fight/a/2.png", "fight/b/1.png", "calm/a/1.png"):
        picture(name)
    return tmp_path


def test_a_folder_of_pictures_is_a_film_where_films_are_asked_for(data: Path) -> None:
    found = [(s.id, s.x, s.y, s.split) for s in open_data(data, asked=FILMS)]
    names = [("calm/a", "calm"), ("fight/a", "fight"), ("fight/b", "fight")]
    assert found == [(name, data / name, y, None) for name, y in names]


def test_the_same_folders_are_classes_of_pictures_otherwise(data: Path) -> None:
    assert len(open_data(data, asked=ANY)) == 4
    assert {s.x.suffix for s in open_data(data, asked=ANY)} == {".png"}


def test_splits_may_lie_above(data: Path, picture: Callable[..., Path]) -> None:
    for part in ("train", "test"):
        for name in ("fight/a/1.png", "calm/c/1.png"):
            picture(f"films/{part}/{name}")
    found = [(s.id, s.y, s.split) for s in open_data(data / "films", asked=FILMS)]
    assert sorted(found) == [
        ("test/calm/c", "calm", "test"),
        ("test/fight/a", "fight", "test"),
        ("train/calm/c", "calm", "train"),
        ("train/fight/a", "fight", "train"),
    ]


def test_a_class_may_be_called_train(data: Path, picture: Callable[..., Path]) -> None:
    picture("train/c/1.png")
    assert ("train/c", "train", None) in [(s.id, s.y, s.split) for s in open_data(data, asked=FILMS)]


def test_empty_folders_are_named_and_one_class_is_not_enough_to_recognise_it(data: Path) -> None:
    (data / "fight/empty").mkdir()
    left_out: list[CrnnError] = []
    assert len(open_data(data, left_out=left_out, asked=FILMS)) == 3
    assert [str(error.file) for error in left_out] == [str(data / "fight/empty")]
    assert "holds no pictures; expected the frames of a film" in str(left_out[0])
    with pytest.raises(DataError, match="frames: a folder for each class"):
        open_data(data / "fight", asked=FILMS)
