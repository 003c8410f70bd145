"""Tables that name pictures and texts."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crnn.data.formats import Asked, open_data
from crnn.errors import DataError, MissingExtra


@pytest.fixture(autouse=True)
def pictures(picture: Callable[..., Path]) -> None:
    for name in ("a.png", "b.png", "images/c.png"):
        picture(name)


def refused(path: Path) -> list[str]:
    """What is left out of a table, as sentences without the path."""
    left_out: list = []
    open_data(path, left_out=left_out)
    assert all(error.file == path and error.do for error in left_out)
    return [str(error).removeprefix(f"{path}: ") for error in left_out]


def pairs_of(path: Path) -> list[tuple[str, str]]:
    return [(s.id, s.y) for s in open_data(path)]


def test_json_lines_with_all_columns(tmp_path, file):
    path = file(
        "lines.jsonl",
        '\ufeff{"image": "images/c.png", "text": "Grüße", "writer": 7, "split": "dev", "language": "de"}\n\n'
        '{"image": "a.png", "text": "1938", "writer": null, "split": ""}\n',
    )
    c, a = open_data(path)
    assert (c.id, c.x, c.y, c.group, c.split) == ("images/c.png", tmp_path / "images/c.png", "Grüße", "7", "valid")
    assert (a.id, a.y, a.group, a.split) == ("a.png", "1938", None, None)


@pytest.mark.parametrize("image", ["image", "File", "filename", "file_name", "path", "picture", "Image Path"])
@pytest.mark.parametrize("text", ["text", "Transcription", "transcript", "label", "ground-truth", "words"])
def test_usual_names_of_columns(file, image, text):
    assert pairs_of(file("t.csv", f"{text},{image}\none,a.png\n")) == [("a.png", "one")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", [True, False])
def test_delimiter_and_header_are_found_out(file, delimiter, header):
    first = f"image{delimiter}text\n" if header else ""
    other = {",": ";", ";": ",", "\t": ",", "|": ","}[delimiter]
    path = file("t.csv", f"{first}a.png{delimiter}one{other} two{other} three\r\nb.png{delimiter}four\r\n")
    expected = [("a.png", f"one{other} two{other} three"), ("b.png", "four")]
    assert pairs_of(path) == expected
    assert pairs_of(file("excel.csv", f"sep={delimiter}\r\n{path.read_text()}")) == expected


def test_quotes_of_csv(file):
    path = file("t.csv", 'image,text\na.png,"one, ""two"""\nb.png,"open\nimages/c.png,"He" said\nimages/c.png,last\n')
    left_out = []
    assert [s.y for s in open_data(path, left_out=left_out)] == ['one, "two"', "last"]
    assert [error.given.split(" (")[0] for error in left_out] == ["line 3 is no row", "line 4 is no row"]


def test_a_cell_in_quotes_may_have_several_lines(file):
    text = 'text;label\n"Good,\n\nreally ""good"".\r\n";pos\n"never closed;neg\nbad;neg\n"also\nbad";neg\n'
    left_out: list = []
    samples = open_data(file("t.csv", text), left_out=left_out, asked=Asked(answer="label"))
    found = [(s.id, s.x, s.y) for s in samples]
    assert found == [
        ("t.csv:2", 'Good, really "good".', "pos"),
        ("t.csv:7", "bad", "neg"),
        ("t.csv:8", "also bad", "neg"),
    ]
    assert [str(error).split(": ")[1][:31] for error in left_out] == ["line 6 is no row (unexpected en"]
    rows = 'image,text\na.png,"one\ntwo"\nb.png,three\n'
    (sentence,) = refused(file("lines.csv", rows))
    assert sentence.startswith("line 2 holds 2 lines of text; expected one line, as on the picture")


def test_sentences_of_several_lines_in_json(file):
    path = file("t.jsonl", json.dumps({"text": "Good.\n\nReally.", "label": "pos"}))
    assert [s.x for s in open_data(path, asked=Asked(answer="label"))] == ["Good. Really."]


def test_quotes_of_tsv_are_letters_unless_doubled_or_everywhere(file):
    path = file("t.tsv", 'image\ttext\na.png\t"He" said "no"\nb.png\t"Open\nimages/c.png\t"a ""b"""\n')
    assert [s.y for s in open_data(path)] == ['"He" said "no"', '"Open', 'a "b"']
    path = file("all.tsv", '"image"\t"text"\n"a.png"\t"one"\n')
    assert pairs_of(path) == [("a.png", "one")]


def test_a_headless_table_of_more_columns_is_refused(file):
    with pytest.raises(DataError, match=r"has 3 cells in its first line and no header.*image,text"):
        open_data(file("t.csv", "a.png,Hello, world\n"))


def test_a_row_of_too_many_cells(file):
    path = file("t.csv", "image,text,\na.png,one,,\nb.png,Hello, dear, world\n\n , ,\n")
    assert refused(path)[0].startswith("line 3 has 4 cells; expected 3 (a text with ',' in quotes)")


def test_unknown_columns_are_listed(file):
    with pytest.raises(DataError) as caught:
        open_data(file("t.csv", "image,caption\na.png,one\n"))
    assert "has the columns 'image', 'caption'; expected one for the text, named text, transcription" in str(
        caught.value
    )
    with pytest.raises(DataError, match="'scan', 'text'; expected one for the image, named image, file"):
        open_data(file("t.jsonl", '{"scan": "a.png", "text": "one"}'))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("/etc/hostname", "is an absolute path"),
        ("C:\\scans\\a.png", "is an absolute path"),
        ("\\\\server\\a.png", "is an absolute path"),
        ("../a.png", "leaves the folder by '..'"),
        ("images/../../a.png", "leaves the folder by '..'"),
        ("images\\..\\..\\a.png", "leaves the folder by '..'"),
        ("https://example.org/a.png", "is a web address"),
        ("file:///etc/hostname", "is a web address"),
        ("a\0.png", "is no path"),
        (".", "is no path"),
        ("z.png", "which is not there"),
        ("images", "which is not there"),
        ("x" * 5000 + ".png", "which is not there"),
        ("\ud800.png", "which is not there"),
        ("", "names no picture"),
        (None, "names no picture"),
        ({"bytes": "", "path": "a.png"}, "holds the picture itself"),
    ],
)
def test_a_row_without_a_picture_that_may_be_read(file, name, says):
    path = file("t.jsonl", "\n".join(json.dumps({"image": i, "text": "one"}) for i in (name, "a.png")))
    (sentence,) = refused(path)
    assert sentence.startswith("line 1 ")
    assert says in sentence


def test_a_path_may_go_up_inside_of_the_folder(file):
    path = file("t.csv", "image,text\nimages/../a.png,one\nimages\\c.png,two\n")
    assert pairs_of(path) == [("a.png", "one"), ("images/c.png", "two")]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('{"image": "a.png"}', "holds no text"),
        ('{"image": "a.png", "text": " "}', "holds no text"),
        ('{"image": "a.png", "text": null}', "holds no text"),
        ('{"image": "a.png", "text": 1.5}', "has a text that is a float"),
        ('{"image": "a.png", "text": ["one"]}', "has a text that is a list"),
        ('{"image": "a.png", "text": "one\\ntwo"}', "holds 2 lines of text"),
        ('{"image": "a.png", "text": "\\ud800"}', "holds half a letter"),
        ('{"image": "a.png", "text": "one", "split": "fold 3"}', "has the split 'fold 3'"),
        ('{"image": "a.png", "text": "one"', "is not JSON (Expecting ',' delimiter)"),
        ("[" * 100_000, "is not JSON"),
        ("9" * 5000, "is not JSON"),
        ('["a.png", "one"]', "is a list; expected an object"),
    ],
)
def test_a_row_that_cannot_be_used(file, row, says):
    path = file("t.jsonl", '{"image": "b.png", "text": "one"}\n' + row)
    assert len(open_data(path, left_out=[])) == 1
    assert refused(path)[0].startswith(f"line 2 {says}")


def test_a_picture_named_twice_gets_two_ids(file):
    path = file("t.csv", "image,text\na.png,one\na.png,two\n")
    assert [s.id for s in open_data(path)] == ["a.png", "a.png#t.csv:3"]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_what_is_not_utf_8_is_named_by_its_line(file, ending):
    rows = {"csv": "image,text\na.png,Grüße\n", "jsonl": '\n{"image": "a.png", "text": "Grüße"}\n'}[ending]
    with pytest.raises(DataError, match=rf"t.{ending}: line 2 is not UTF-8 \(byte 0xfc\).*Save it again as UTF-8"):
        open_data(file(f"t.{ending}", rows.encode("latin-1")))
    with pytest.raises(DataError, match="is UTF-16"):
        open_data(file(f"t.{ending}", rows.encode("utf-16")))


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_an_empty_table(file, ending):
    with pytest.raises(DataError, match=r"holds no rows|is broken"):
        open_data(file(f"t.{ending}", ""))


def test_parquet(tmp_path, file, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {
        "image": ["a.png", "z.png", "b.png"],
        "text": ["one", "two", None],
        "n": [1, 2, 3],
        "part": ["train"] * 3,
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    left_out = []
    (sample,) = open_data(tmp_path, left_out=left_out)
    assert (sample.id, sample.y, sample.split) == ("a.png", "one", "train")
    assert [error.given for error in left_out] == ["row 2 names 'z.png', which is not there", "row 3 holds no text"]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"crnn\[series\]"):
        open_data(tmp_path)


def test_parquet_with_pictures_inside_and_broken_parquet(tmp_path, file):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"image": [b"PNG"], "text": ["one"]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="row 1 holds the picture itself"):
        open_data(tmp_path / "t.parquet")
    data = (tmp_path / "t.parquet").read_bytes()
    with pytest.raises(DataError, match="is broken; expected a parquet file"):
        open_data(file("t.parquet", data[: len(data) // 2]))


def test_a_folder_with_one_table(tmp_path, file):
    file("lines.csv", "image,text\na.png,one\n")
    file("notes.csv", "day,weather\n1,rain\n")
    assert pairs_of(tmp_path) == [("a.png", "one")]


def test_of_several_tables_the_one_named_as_usual(tmp_path, file):
    file("lines.csv", "image,text\na.png,one\n")
    other = file("predictions.csv", "image,text\na.png,two\n")
    assert pairs_of(tmp_path) == [("a.png", "one")]
    other.rename(tmp_path / "labels.csv")
    with pytest.raises(DataError, match=r"holds the tables labels.csv, lines.csv; expected one table"):
        open_data(tmp_path)


def test_tables_named_as_splits(tmp_path, file):
    for name, picture in (("train", "a"), ("val", "b"), ("test", "images/c")):
        file(f"{name}.csv", f"image,text\n{picture}.png,one\n")
    assert [(s.id, s.split) for s in open_data(tmp_path)] == [
        ("images/c.png", "test"),
        ("a.png", "train"),
        ("b.png", "valid"),
    ]
    file("extra.csv", "image,text\na.png,one\n")
    with pytest.raises(DataError, match=r"extra.csv"):
        open_data(tmp_path)


def test_tables_in_folders_named_as_splits(tmp_path, file, picture):
    for name in ("train", "test"):
        picture(f"{name}/x.png")
        file(f"{name}/metadata.jsonl", '{"file_name": "x.png", "text": "one"}')
    assert [(s.id, s.split) for s in open_data(tmp_path)] == [("test/x.png", "test"), ("train/x.png", "train")]


def test_a_folder_with_a_table_of_unknown_columns_says_so(tmp_path, file):
    file("lines.csv", "scan,reading\na.png,one\n")
    with pytest.raises(DataError, match="has the columns 'scan', 'reading'"):
        open_data(tmp_path)


letters = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1, max_size=30)


@settings(max_examples=40, deadline=None)
@given(st.lists(letters.filter(lambda text: text.strip("\ufeff").strip()), min_size=1, max_size=4))
@pytest.mark.parametrize("ending", ["csv", "semicolon.csv", "jsonl"])
def test_any_text_comes_back(tmp_path_factory, ending, texts):
    folder = tmp_path_factory.mktemp("rows")
    path = folder / f"t.{ending}"
    names = [f"{i}.png" for i in range(len(texts))]
    with path.open("w", encoding="utf-8", newline="") as stream:
        if ending == "jsonl":
            stream.writelines(json.dumps({"image": n, "text": t}) + "\n" for n, t in zip(names, texts, strict=True))
        else:
            writer = csv.writer(stream, delimiter=";" if "semicolon" in ending else ",")
            writer.writerows([("image", "text"), *zip(names, texts, strict=True)])
    for name in names:
        Image.new("L", (2, 2)).save(folder / name)
    assert pairs_of(path) == list(zip(names, texts, strict=True))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60))
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_any_bytes_are_read_or_refused_by_a_sentence(tmp_path_factory, ending, data):
    path = tmp_path_factory.mktemp("bytes") / f"t.{ending}"
    path.write_bytes(data)
    with pytest.raises(DataError, match="expected"):
        open_data(path, left_out=[])


def test_among_several_inputs_a_sentence_is_no_file(tmp_path):
    Image.new("L", (2, 2)).save(tmp_path / "0.png")
    said = ["See www.example.com", "Version 2.0", "0.png", "gone.png", "old.jp2"]
    with (tmp_path / "t.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("image", "said", "label"), *(("0.png", text, "a") for text in said)])
    left_out = []
    asked = Asked(answer="label", inputs=("image", "said"))
    samples = open_data(tmp_path / "t.csv", left_out=left_out, asked=asked)
    assert [s.x["said"] for s in samples] == [*said[:2], tmp_path / "0.png"]
    assert [error.given.split("'")[1] for error in left_out] == ["gone.png", "old.jp2"]
