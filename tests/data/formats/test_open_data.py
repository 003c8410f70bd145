"""The door to all formats: what it recognises, and what it says where it cannot."""

from __future__ import annotations

import os

import pytest

from crnn.data.formats import FORMATS, open_data, split_id
from crnn.errors import DataError, SettingsError


def test_every_format_offers_the_same():
    for name, reader in FORMATS.items():
        assert reader.WANTED, name
        assert callable(reader.recognise) and callable(reader.read)


def test_pictures_alone_are_samples_without_text(tmp_path, picture, file):
    picture("train/a.png")
    one = picture("b.tif")
    file("README.txt", "About these pictures.")
    assert [(s.id, s.y, s.split) for s in open_data(tmp_path)] == [
        ("b.tif", None, None),
        ("train/a.png", None, "train"),
    ]
    assert [(s.id, s.x) for s in open_data(str(one))] == [("b.tif", one)]


def test_pictures_can_be_asked_for_where_there_are_texts(tmp_path, picture, file):
    picture("a.png")
    file("a.gt.txt", "one")
    assert [s.y for s in open_data(tmp_path, "pictures")] == [None]


def test_texts_asked_for_and_not_there(tmp_path, picture):
    picture("a.png")
    picture("b.png")
    with pytest.raises(DataError, match=r"2 left out; the first: .*a.png: has no text; expected a.gt.txt beside it"):
        open_data(tmp_path, "pairs", [])
    with pytest.raises(DataError, match=r"holds no table; expected a table"):
        open_data(tmp_path, "table")


def test_texts_in_another_folder(tmp_path, picture, file):
    for i in range(2):
        picture(f"images/{i}.png")
        file(f"texts/{i}.txt", "one")
    with pytest.raises(DataError) as caught:
        open_data(tmp_path)
    assert "holds 2 .png and 2 .txt files; expected pairs: pictures with their texts" in str(caught.value)
    assert "for 0.png, 0.gt.txt (there is 0.txt)" in str(caught.value)


def test_xml_of_another_kind(tmp_path, picture, file):
    for i in range(2):
        picture(f"{i}.png")
        file(f"{i}.xml", "<annotation/>")
    with pytest.raises(DataError, match=r"holds 2 .png and 2 .xml files; .*0.xml is neither PAGE nor ALTO"):
        open_data(tmp_path)
    with pytest.raises(DataError, match=r"is a .xml file; expected .*PAGE XML"):
        open_data(tmp_path / "0.xml")


@pytest.mark.parametrize("names", [[], ["a.pdf", "b.pdf", "c"]])
def test_nothing_to_use(tmp_path, file, names):
    for name in names:
        file(name, "x")
    said = "holds 2 .pdf and 1 plain files" if names else "holds no files"
    for name in ("auto", "pairs", "page", "alto", "pictures"):
        with pytest.raises(DataError, match=said):
            open_data(tmp_path, name)


def test_a_path_that_is_not_there(tmp_path):
    for path in (tmp_path / "none", tmp_path / ("x" * 5000), str(tmp_path / "a\0b")):
        with pytest.raises(DataError):
            open_data(path)


def test_a_file_of_no_kind(file):
    with pytest.raises(DataError, match=r"a.gt.txt: is a .txt file"):
        open_data(file("a.gt.txt", "one"))


def test_an_unknown_format_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(SettingsError, match="Did you mean 'pairs'"):
        open_data(tmp_path, "pair")


def test_data_of_two_kinds_need_a_word(tmp_path, picture, file):
    picture("a.png")
    file("a.gt.txt", "one")
    file("lines.csv", "image,text\na.png,two\n")
    with pytest.raises(DataError, match=r"can be read as pairs and as table; .*--format pairs"):
        open_data(tmp_path)
    assert [s.y for s in open_data(tmp_path, "table")] == ["two"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the administrator may read everything")
def test_a_closed_folder(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    with pytest.raises(DataError, match="cannot be read"):
        open_data(tmp_path)


def test_ids_name_file_and_line():
    assert split_id("a/Page.XML#l#1") == ("a/Page.XML", "l#1")
    assert split_id("a.png#t.csv:3") == ("a.png#t.csv:3", None)
