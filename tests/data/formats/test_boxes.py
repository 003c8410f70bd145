"""Pascal VOC, COCO and tables of boxes: read, written, and what strangers' files do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from crnn.data.formats import Asked, coco, open_data, voc
from crnn.errors import CrnnError, DataError
from crnn.types import Box, Boxes, Clip, Sample

ASKED = Asked(answer="boxes")


def picture(path: Path, size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (9, 90, 200)).save(path)
    return path


def annotation(path: Path, *objects: str, size: str = "<width>40</width><height>30</height>", name: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    things = "".join(f"<object>{thing}</object>" for thing in objects)
    text = f"<annotation><filename>{name}</filename><size>{size}</size>{things}</annotation>"
    path.write_text(text, encoding="utf-8")
    return path


def thing(label: str, *edges: Any, more: str = "") -> str:
    names = ("xmin", "ymin", "xmax", "ymax")
    inner = "".join(f"<{n}>{v}</{n}>" for n, v in zip(names, edges, strict=True))
    return f"<name>{label}</name>{more}<bndbox>{inner}</bndbox>"


def read(path: Path, asked: Asked = ASKED, name: str = "auto") -> tuple[list[Sample], list[str]]:
    bad: list[CrnnError] = []
    samples = open_data(path, name, bad, asked=asked)
    return samples, [str(error) for error in bad]


# Pascal VOC


def test_voc_as_it_comes(tmp_path: Path) -> None:
    for i, part in enumerate(("train", "train", "val", "test")):
        picture(tmp_path / "JPEGImages" / f"{i}.jpg")
        annotation(tmp_path / "Annotations" / f"{i}.xml", thing("cat", 1, 1, 11, 21))
        file = tmp_path / "ImageSets" / "Main" / f"{part}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((file.read_text() if file.exists() else "") + f"{i}\n")
    (tmp_path / "ImageSets" / "Main" / "trainval.txt").write_text("0\n1\n2\n")
    samples, bad = read(tmp_path)
    assert not bad and [s.split for s in samples] == ["train", "train", "valid", "test"]
    assert samples[0].id == "JPEGImages/0.jpg" and samples[0].x == tmp_path / "JPEGImages" / "0.jpg"
    assert samples[0].y == Boxes((40, 30), (Box("cat", 0, 0, 11, 21),)), "pixels are counted from 1"


def test_voc_beside_pictures_in_folders_of_splits_and_by_the_name_inside(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "a.PNG")
    annotation(tmp_path / "train" / "a.xml", thing("cat", 2, 2, 5, 5, more="<difficult>1</difficult>"), name="gone.png")
    picture(tmp_path / "valid" / "b.png")
    annotation(tmp_path / "valid" / "other.xml", name="C:\\pictures\\b.png", size="")
    samples, bad = read(tmp_path)
    assert not bad and [(s.split, s.x.name) for s in samples] == [("train", "a.PNG"), ("valid", "b.png")]
    assert samples[0].y.boxes == (Box("cat", 1, 1, 5, 5, counts=False),)
    assert samples[1].y == Boxes((0, 0), ()), "nothing is there, and nobody says how large it is"


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        (thing("cat", 1, "x", 3, 4), "object 1 (cat) has no box that can be read"),
        ("<name>cat</name>", "object 1 (cat) has no box that can be read"),
        (thing("", 1, 2, 3, 4), "object 1 has no name"),
        ("<name>cat</name", "is broken XML"),
    ],
)
def test_broken_annotations_are_left_out_and_named(inside: str, said: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / f"{name}.png")
    annotation(tmp_path / "a.xml", thing("cat", 1, 2, 3, 4))
    file = annotation(tmp_path / "b.xml", inside)
    samples, bad = read(tmp_path)
    assert len(samples) == 1 and f"{file}: {said}" in bad[0]


def test_entities_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    text = '<!DOCTYPE annotation [<!ENTITY a "cat">]><annotation><object><name>&a;</name></object></annotation>'
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(DataError, match="defines entities"):
        open_data(tmp_path, "voc", asked=ASKED)


def test_pictures_and_annotations_without_each_other(tmp_path: Path) -> None:
    for name in ("a", "c"):
        picture(tmp_path / f"{name}.png")
    annotation(tmp_path / "a.xml", thing("cat", 1, 2, 3, 4))
    annotation(tmp_path / "b.xml", thing("cat", 1, 2, 3, 4), name="../../etc/b.png")
    samples, bad = read(tmp_path)
    assert [s.id for s in samples] == ["a.png"]
    assert "b.xml: names the picture 'b.png', which is not there" in bad[0] and "c.png: has no annotation" in bad[1]
    _, bad = read(tmp_path, Asked(answer="boxes", truths=False))
    assert len(bad) == 1, "who only wants answers needs no annotation"


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    boxes = Boxes((40, 30), (Box("c<at", 0, 1.5, 10, 20.5, 0.25), Box("dog", 5, 5, 7, 7, counts=False)))
    voc.write("a.png", boxes, tmp_path / "a.xml")
    (sample,), _ = read(tmp_path)
    assert sample.y.boxes == tuple(replace(b, score=1.0) for b in boxes.boxes), "a truth is sure"
    (tmp_path / "a.xml").unlink()
    coco.write([("a.png", boxes)], ("c<at", "dog"), tmp_path / "a.json")
    (sample,), _ = read(tmp_path)
    assert sample.y.boxes == tuple(replace(b, score=1.0) for b in boxes.boxes), "a truth is sure"
    assert json.loads((tmp_path / "a.json").read_text())["annotations"][0]["score"] == 0.25


def test_films_of_annotated_frames(tmp_path: Path) -> None:
    for i in range(4):
        picture(tmp_path / f"film{i}.png")
        annotation(tmp_path / f"film{i}.xml", thing("cat", 1, 2, 3, 4))
    samples, _ = read(tmp_path, Asked(answer="boxes", frames=3))
    assert [s.x for s in samples] == [
        Clip(tmp_path, 0, 1), Clip(tmp_path, 0, 2), Clip(tmp_path, 0, 3), Clip(tmp_path, 1, 3),
    ]  # fmt: skip


def test_a_picture_that_is_none_is_no_frame(tmp_path: Path) -> None:
    picture(tmp_path / "a1.png")
    (tmp_path / "a2.jp2").write_bytes((tmp_path / "a1.png").read_bytes())
    rows = [f"{name},x,1,1,3,3" for name in ("a1.png", "a2.jp2")]
    (tmp_path / "t.csv").write_text("\n".join(["file,label,left,top,right,bottom", *rows]))
    samples, _ = read(tmp_path / "t.csv", Asked(answer="boxes", frames=3))
    assert [s.x for s in samples] == [Clip(tmp_path, 0, 1), tmp_path / "a2.jp2"]


# COCO


def coco_file(path: Path, annotations: list[Any]) -> Path:
    values = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 30} for i in range(2)],
        "annotations": annotations,
        "categories": [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}],
    }
    path.write_text(json.dumps(values))
    for i in range(2):
        picture(path.parent / f"{i}.png")
    return path


def test_coco_boxes_and_pictures_without_any(tmp_path: Path) -> None:
    coco_file(tmp_path / "instances_val2017.json", [
        {"id": 1, "image_id": 0, "category_id": 9, "bbox": [1, 2, 10, 20], "segmentation": {"counts": "x"}},
        {"id": 2, "image_id": 0, "category_id": 7, "bbox": [0, 0, 5, 5], "iscrowd": 1},
    ])  # fmt: skip
    samples, bad = read(tmp_path)
    assert not bad and [s.split for s in samples] == ["valid", "valid"]
    assert samples[0].y.boxes == (Box("dog", 1, 2, 11, 22), Box("cat", 0, 0, 5, 5, counts=False))
    assert samples[1].y.boxes == ()


def test_coco_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coco_file(tmp_path / "a.json", [])
    loads, times = json.loads, list[str]()
    monkeypatch.setattr("json.loads", lambda text: times.append(text) or loads(text))
    assert len(read(tmp_path)[0]) == 2 and len(times) == 1


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"id": 3, "image_id": 0, "category_id": 8, "bbox": [1, 2, 3, 4]}, "annotation 3 has the category 8"),
        ({"id": 3, "image_id": 0, "category_id": 7, "bbox": [1, 2, 3]}, "annotation 3 has the box [1, 2, 3]"),
        ({"id": 3, "image_id": 0, "category_id": 7}, "annotation 3 has the box None"),
        ({"id": 3, "image_id": 0, "category_id": 7, "bbox": "1234x"}, "annotation 3 has the box 1234x"),
        ("cat", "has an annotation 'cat'"),
        ({"category_id": 7, "bbox": [1, 2, 3, 4]}, "has an annotation"),
    ],
)
def test_broken_coco_is_left_out_and_named(broken: Any, said: str, tmp_path: Path) -> None:
    good = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]}
    coco_file(tmp_path / "a.json", [good, broken])
    samples, bad = read(tmp_path)
    assert any(said in error for error in bad) and "1.png" in [s.id for s in samples]


# tables


@pytest.mark.parametrize(
    ("columns", "edges"),
    [
        ("file,label,left,top,right,bottom", ("1,2,11,22", "0,0,5,5", ",,,")),
        ("filename,class,xmin,ymin,xmax,ymax,width,height", ("1,2,11,22,40,30", "0,0,5,5,40,30", ",,,,40,30")),
        ("image,category,x,y,width,height", ("1,2,10,20", "0,0,5,5", ",,,")),
    ],
)
def test_tables_of_usual_columns(columns: str, edges: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / f"{name}.png")
    rows = [f"{name},{e}" for name, e in zip(("a.png,cat", "a.png,dog", "b.png,"), edges, strict=True)]
    (tmp_path / "boxes.csv").write_text("\n".join([columns, *rows]) + "\n")
    samples, bad = read(tmp_path)
    assert not bad and [s.id for s in samples] == ["a.png", "b.png"]
    assert samples[0].y.boxes == (Box("cat", 1, 2, 11, 22), Box("dog", 0, 0, 5, 5)) and samples[1].y.boxes == ()


def test_tables_of_a_column_that_is_asked_for(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("file,breed,x,y,width,height\na.png,pug,1,2,10,20\n")
    for path in (tmp_path / "t.csv", tmp_path):
        (sample,), bad = read(path, Asked(answer="boxes", columns=("breed",)))
        assert not bad and sample.y.boxes == (Box("pug", 1, 2, 11, 22),)
    with pytest.raises(DataError, match="is asked for the columns 'breed', 'file'; expected one column of labels"):
        open_data(tmp_path / "t.csv", asked=Asked(answer="boxes", columns=("breed", "file")))
    (tmp_path / "t.csv").write_text("file,label,left,top,right,bottom\na.png,cat,1,2,11,22\n")
    (sample,), _ = read(tmp_path / "t.csv", Asked(answer="boxes", columns=("label",)))
    assert sample.y.boxes == (Box("cat", 1, 2, 11, 22),)


def test_a_picture_in_two_splits_is_left_out(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / f"{name}.png")
    rows = ["a.png,cat,1,2,3,4,train", "a.png,cat,1,2,3,4,test", "b.png,cat,1,2,3,4,", "b.png,cat,1,2,3,4,test"]
    (tmp_path / "t.csv").write_text("\n".join(["file,label,left,top,right,bottom,split", *rows]))
    (sample,), bad = read(tmp_path / "t.csv")
    assert (sample.id, sample.split, len(sample.y.boxes)) == ("b.png", "test", 2)
    assert len(bad) == 1 and "line 3 puts its source into the split 'test', a row before it into 'train'" in bad[0]


def test_a_picture_with_a_broken_row_is_left_out(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / f"{name}.png")
    rows = ["file,label,left,top,right,bottom", "a.png,cat,1,2,11,22", "a.png,cat,x,2,11,22", "b.png,cat,1,2,3,4"]
    (tmp_path / "boxes.csv").write_text("\n".join(rows) + "\n")
    samples, bad = read(tmp_path)
    assert [s.id for s in samples] == ["b.png"] and "line 3 says 'x'; expected a finite number" in bad[0]


def test_a_table_without_the_columns_says_so(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "a.csv").write_text("file,label,left,top\na.png,cat,1,2\n")
    with pytest.raises(DataError, match="has the columns 'file', 'label', 'left', 'top'"):
        open_data(tmp_path / "a.csv", "boxes", asked=ASKED)
