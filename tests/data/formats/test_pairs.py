"""Pictures with texts beside them."""

from __future__ import annotations

import pytest

from crnn.data.formats import open_data, pairs
from crnn.errors import DataError


def test_pictures_and_their_gt_txt(tmp_path, picture, file):
    x = picture("b.png")
    file("b.gt.txt", "Grüße \n")
    picture("A.JPG")
    file("A.gt.txt", b"\xef\xbb\xbfone\r\n")
    samples = open_data(tmp_path)
    assert [(s.id, s.y, s.group, s.split) for s in samples] == [
        ("A.JPG", "one", None, None),
        ("b.png", "Grüße ", None, None),
    ]
    assert samples[1].x == x


def test_plain_txt_serves_where_there_is_no_gt_txt(tmp_path, picture, file):
    picture("a.png")
    file("a.txt", "one")
    assert [s.y for s in open_data(tmp_path)] == ["one"]


def test_beside_gt_txt_a_plain_txt_is_a_recognised_text(tmp_path, picture, file):
    for name in ("a.png", "b.png"):
        picture(name)
        file(name.replace("png", "txt"), "recognised")
    file("a.gt.txt", "true")
    left_out = []
    assert [s.y for s in open_data(tmp_path, left_out=left_out)] == ["true"]
    assert "b.png: has no text; expected b.gt.txt beside it. Rename b.txt" in str(left_out[0])


def test_treated_pictures_share_text_and_group(tmp_path, picture, file):
    for name in ("p/a.nrm.png", "p/a.bin.png", "p/b.png"):
        picture(name)
    file("p/a.gt.txt", "one")
    file("p/b.gt.txt", "two")
    found = {s.id: (s.y, s.group) for s in open_data(tmp_path)}
    assert found == {"p/a.nrm.png": ("one", "p/a"), "p/a.bin.png": ("one", "p/a"), "p/b.png": ("two", "p/b")}


def test_numbered_pictures_do_not_take_the_text_of_their_page(tmp_path, picture, file):
    picture("page.1.png")
    file("page.gt.txt", "whole page")
    left_out = []
    with pytest.raises(DataError):
        open_data(tmp_path, "pairs", left_out)
    assert "page.1.png: has no text" in str(left_out[0])
    assert "page.gt.txt: has no picture" in str(left_out[1])


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("train", "train"),
        ("Val", "valid"),
        ("validation", "valid"),
        ("dev", "valid"),
        ("x/test/y", "test"),
        ("x", None),
    ],
)
def test_folders_name_the_split(tmp_path, picture, file, folder, split):
    picture(f"{folder}/a.png")
    file(f"{folder}/a.gt.txt", "one")
    assert [(s.id, s.split) for s in open_data(tmp_path)] == [(f"{folder}/a.png", split)]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "a.gt.txt: holds no text"),
        (b" \n\n", "a.gt.txt: holds no text"),
        (b"one\ntwo\n", "a.gt.txt: holds 2 lines of text; expected one line"),
        ("Grüße".encode("latin-1"), "a.gt.txt: is not UTF-8 (byte 0xfc)"),
        ("one".encode("utf-16"), "a.gt.txt: is UTF-16"),
    ],
)
def test_a_text_that_cannot_be_used_is_left_out(tmp_path, picture, file, content, says):
    for name in ("a", "b"):
        picture(f"{name}.png")
    file("a.gt.txt", content)
    file("b.gt.txt", "two")
    left_out = []
    assert [s.y for s in open_data(tmp_path, left_out=left_out)] == ["two"]
    assert says in str(left_out[0])
    with pytest.raises(DataError, match=r"a.gt.txt"):
        open_data(tmp_path)  # no list to tell it in


def test_one_picture_can_be_asked_for_with_its_text(picture, file):
    path = picture("a.png")
    file("a.gt.txt", "one")
    file("b.gt.txt", "another")
    left_out = []
    assert [s.y for s in pairs.read(path, left_out)] == ["one"]
    assert not left_out
    assert [(s.id, s.y) for s in open_data(path)] == [("a.png", None)]  # prediction asks for no text


def test_hidden_files_and_linked_circles_are_passed_over(tmp_path, picture, file):
    picture("a.png")
    file("a.gt.txt", "one")
    file("._a.png", b"")
    file("__MACOSX/a.png", b"")
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    assert [s.id for s in open_data(tmp_path)] == ["a.png"]


def test_reading_is_lazy_and_decodes_no_picture(tmp_path, file):
    file("a.png", b"no picture")
    file("a.gt.txt", "one")
    samples = pairs.read(tmp_path, [])
    assert next(samples).x == tmp_path / "a.png"


def test_a_name_that_is_no_text_still_makes_an_id_that_can_be_written(tmp_path, picture, file):
    picture("a\udcfc.png")
    file("a\udcfc.gt.txt", "one")
    assert [s.id.encode() for s in open_data(tmp_path)] == [b"a\\udcfc.png"]
