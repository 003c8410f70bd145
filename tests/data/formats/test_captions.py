"""Sources with several sentences each, as people have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from crnn.data.described import Described
from crnn.data.formats import open_data
from crnn.data.formats._asked import Asked
from crnn.errors import CrnnError, DataError
from crnn.types import Sample

ASKED = Asked(answer="sentences")


def pictures(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(folder / name)


def opened(path: Path, asked: Asked = ASKED) -> tuple[list[Sample], list[CrnnError]]:
    left_out: list[CrnnError] = []
    return open_data(path, left_out=left_out, asked=asked), left_out


def test_lists_in_json_lines(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    rows = [
        {"image": "a.png", "captions": ["one  cat", "a cat"], "split": "test"},
        {"image": "b.png", "captions": "Ja."},
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for path in (tmp_path, tmp_path / "captions.jsonl"):
        samples, left_out = opened(path)
        assert [(s.id, s.y, s.split) for s in samples] == [
            ("a.png", ("one cat", "a cat"), "test"),
            ("b.png", ("Ja.",), None),
        ]
        assert not left_out


def test_rows_of_one_picture_become_one_sample(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "t.csv").write_text('image,caption\na.png,one\nb.png,"two, or three"\na.png,four\n')
    samples, _ = opened(tmp_path)
    assert [s.y for s in samples] == [("one", "four"), ("two, or three",)]


@pytest.mark.parametrize(
    ("cell", "sentences"),
    [
        ('["a dog", "a cat, too"]', ("a dog", "a cat, too")),
        ('["a dog" is what it says]', ('["a dog" is what it says]',)),
        ('["a dog", 3]', ('["a dog", 3]',)),
        ("[a dog]", ("[a dog]",)),
    ],
)
def test_lists_in_cells_are_written_as_json_does(cell: str, sentences: tuple[str, ...], tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    quoted = cell.replace('"', '""')
    (tmp_path / "t.csv").write_text(f'image,caption\na.png,"{quoted}"\n')
    (sample,), left_out = opened(tmp_path)
    assert sample.y == sentences and not left_out


def test_a_picture_in_two_splits_is_left_out(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    rows = ["a.png,a dog,train", "b.png,one,", "a.png,a cat,test", "b.png,two,test"]
    (tmp_path / "t.csv").write_text("\n".join(["image,caption,split", *rows]))
    samples, left_out = opened(tmp_path)
    assert [(s.id, s.y, s.split) for s in samples] == [("b.png", ("one", "two"), "test")]
    given = f"{tmp_path / 't.csv'}: line 4 puts its source into the split 'test', a row before it into 'train'"
    assert len(left_out) == 1 and str(left_out[0]).startswith(given)


def test_texts_that_answer_texts(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,answer,split\n21,vingt et un,train\n21,vingt-et-un,train\n7,sept,test\n")
    samples, _ = opened(tmp_path / "t.csv", Asked(answer="sentences", suffixes=frozenset({".txt"})))
    assert [(s.x, s.y, s.split) for s in samples] == [
        ("21", ("vingt et un", "vingt-et-un"), "train"),
        ("7", ("sept",), "test"),
    ]


def test_columns_that_are_named(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    (tmp_path / "t.csv").write_text("image,nl,fr\na.png,een kat,un chat\n")
    samples, _ = opened(tmp_path / "t.csv", Asked(answer="sentences", columns=("fr", "nl")))
    assert samples[0].y == ("un chat", "een kat")


def coco(**more: Any) -> dict[str, Any]:
    images = [{"id": 7, "file_name": "a.jpg"}, {"id": 3, "file_name": "b.jpg"}]
    notes = [{"image_id": 3, "caption": "two"}, {"image_id": 7, "caption": "one"}, {"image_id": 7, "caption": " uno "}]
    return {"images": images, "annotations": notes, **more}


def test_the_json_of_coco(tmp_path: Path) -> None:
    pictures(tmp_path, "train2017/a.jpg", "train2017/b.jpg")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "captions_train2017.json").write_text(json.dumps(coco()))
    for path in (tmp_path, tmp_path / "annotations" / "captions_train2017.json"):
        samples, _ = opened(path)
        assert [(s.id, s.y, s.split) for s in samples] == [
            ("train2017/a.jpg", ("one", "uno"), "train"),
            ("train2017/b.jpg", ("two",), "train"),
        ]


def test_splits_of_karpathy(tmp_path: Path) -> None:
    pictures(tmp_path, "images/a.jpg", "images/b.jpg")
    images = [
        {"filename": "a.jpg", "split": "restval", "sentences": [{"raw": "one", "tokens": ["one"]}]},
        {"filename": "b.jpg", "split": "val", "sentences": [{"raw": "two"}, {"raw": "deux"}]},
    ]
    (tmp_path / "dataset_flickr8k.json").write_text(json.dumps({"dataset": "flickr8k", "images": images}))
    samples, _ = opened(tmp_path)
    assert [(s.id, s.y, s.split) for s in samples] == [
        ("images/a.jpg", ("one",), "train"),
        ("images/b.jpg", ("two", "deux"), "valid"),
    ]


def test_a_text_beside_each_picture(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a.jpg", "test/b.jpg", "test/c.jpg")
    (tmp_path / "train" / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "test" / "b.txt").write_text("three")
    samples, left_out = opened(tmp_path)
    assert [(s.id, s.y, s.split) for s in samples] == [
        ("test/b.jpg", ("three",), "test"),
        ("train/a.jpg", ("one", "two"), "train"),
    ]
    assert [(str(e.file), e.given) for e in left_out] == [("test/c.jpg", "has no sentence")]


def test_empty_sentences_are_said(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png", "c.png")
    rows = [{"image": "a.png", "captions": ["one", "  "]}, {"image": "b.png", "captions": []}, {"image": "c.png"}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    samples, left_out = opened(tmp_path)
    assert [s.y for s in samples] == [("one",)]
    assert [e.given for e in left_out] == ["has 1 empty sentences among 2", "has no sentence", "has no sentence"]


def test_pictures_alone_are_to_be_answered(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    samples, left_out = opened(tmp_path)
    assert [s.y for s in samples] == [None, None] and not left_out


def test_what_is_broken_is_named(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg")
    file = tmp_path / "captions.json"
    file.write_text('{"images": [{"id": 1}], "annotations": [{"caption": "a"}]}')
    with pytest.raises(DataError, match=r"captions\.json: cannot be read as captions"):
        opened(tmp_path)
    file.write_text(json.dumps(coco()))
    samples, left_out = opened(tmp_path)
    assert [s.id for s in samples] == ["a.jpg"] and "b.jpg" in str(left_out[0])
    file.write_text(
        json.dumps({"images": [{"id": 1, "file_name": "../a.jpg"}], "annotations": [{"image_id": 1, "caption": "a"}]})
    )
    with pytest.raises(DataError, match="leaves the folder"):
        opened(tmp_path)


def test_boxes_and_the_words_that_speak_of_them(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    rows: list[dict[str, Any]] = [
        {"image": "a.png", "captions": ["one  cat", ""], "boxes": [[1, 0, 3, 9], [0, 0, 2, 3]]},
        {"image": "b.png", "captions": "a dog and a cat", "boxes": [[0, 0, 2, 3]], "phrases": [["a dog", 0]]},
        {"image": "b.png", "captions": "a cat", "boxes": [[2, 0, 4, 3]], "phrases": [[["a cat", 0]]]},
    ]
    rows[0]["phrases"] = [[["cat", 1]], []]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    samples, left_out = opened(tmp_path, Asked(answer="sentences", regions=True))
    one, two = (s.y for s in samples)
    assert one == Described(("one cat",), ((0.25, 0.0, 0.75, 1.0), (0.0, 0.0, 0.5, 1.0)), ((("cat", 1),),))
    assert two.boxes == ((0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0))
    assert two.phrases == ((("a dog", 0),), (("a cat", 1),)) and str(two) == "a dog and a cat / a cat"
    assert [e.given for e in left_out] == ["has 1 empty sentences among 2"]
    assert [s.y for s in opened(tmp_path)[0]] == [one.sentences, two.sentences], "for others there are sentences alone"


def test_boxes_in_cells_of_a_table(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    lines = ["image;caption;boxes;phrases", 'a.png;a cat;[[0, 0, 2, 3]];[["cat", 0]]', "b.png;a dog;;"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    samples, left_out = opened(tmp_path, Asked(answer="sentences", regions=True))
    assert [s.y for s in samples] == [
        Described(("a cat",), ((0.0, 0.0, 0.5, 1.0),), ((("cat", 0),),)),
        Described(("a dog",)),
    ]
    assert not left_out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"boxes": [[0, 0, 2]]}, "has the box [0, 0, 2] in a picture of 4 x 3"),
        ({"boxes": [[5, 0, 9, 3]]}, "some of it inside of the picture"),
        ({"boxes": [[2, 0, 1, 3]]}, "has the box [2, 0, 1, 3]"),
        ({"boxes": {"x": 1}}, "has boxes that are no list"),
        ({"boxes": "here"}, "has boxes that are no list"),
        ({"boxes": [[0, 0, 2, 3]], "phrases": [["cat", 1]]}, "has the phrase ['cat', 1] and 1 boxes"),
        ({"boxes": [[0, 0, 2, 3]], "phrases": [[["cat", 0]], []]}, "has phrases of 2 sentences, and 1 sentences"),
        ({"boxes": [[0, 0, 2, 3]], "phrases": [[["cat", True]]]}, "has the phrase ['cat', True]"),
    ],
)
def test_boxes_that_make_no_sense_are_named(more: dict[str, Any], words: str, tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    rows = [{"image": "a.png", "caption": "a cat", **more}, {"image": "b.png", "caption": "a dog"}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    samples, left_out = opened(tmp_path, Asked(answer="sentences", regions=True))
    assert [s.id for s in samples] == ["b.png"] and len(left_out) == 1
    assert words in str(left_out[0]) and "line 1" in str(left_out[0])
