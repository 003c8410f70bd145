"""Pictures with their label maps: folders as people name them, tables, COCO, clips of films."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crnn.data.formats import Asked, open_data
from crnn.data.label_maps import Painted, Polygons, read_map
from crnn.errors import CrnnError, DataError
from crnn.types import Clip

Make = Callable[..., Path]
MAPS = Asked(answer="map")


def pairs(path: Path, left_out: list[CrnnError] | None = None) -> dict[str, tuple[str, str | None]]:
    """Picture to map and split."""
    samples = open_data(path, left_out=left_out, asked=MAPS)
    assert all(isinstance(s.y, Painted) for s in samples)
    return {s.id: (s.y.path.relative_to(path).as_posix(), s.split) for s in samples}


@pytest.mark.parametrize(
    ("picture_name", "map_name", "split"),
    [
        ("images/a.jpg", "labels/a.png", None),
        ("images/train/a.jpg", "masks/train/a.png", "train"),
        ("val/images/a.jpg", "val/annotations/a.png", "valid"),
        ("test/a.png", "testannot/a.png", "test"),
        ("train/a.png", "train_labels/a_L.png", "train"),
        ("a.jpg", "a_mask.png", None),
        ("JPEGImages/a.jpg", "SegmentationClass/a.png", None),
    ],
)
def test_folders_as_people_name_them(
    picture_name: str, map_name: str, split: str | None, picture: Make, tmp_path: Path
) -> None:
    picture(picture_name)
    picture(map_name)
    assert pairs(tmp_path) == {picture_name: (map_name, split)}


def test_what_has_no_partner_is_named_and_a_legend_is_found(picture: Make, file: Make, tmp_path: Path) -> None:
    for name in ("images/a.png", "labels/a.png", "images/b.png", "labels/c.png"):
        picture(name)
    file("classes.txt", "ground\ncar\n")
    left_out: list[CrnnError] = []
    assert pairs(tmp_path, left_out) == {"images/a.png": ("labels/a.png", None)}
    said = " ".join(map(str, left_out))
    assert "b.png: has no label map" in said and "c.png: has no picture" in said
    (sample,) = open_data(tmp_path, left_out=[], asked=MAPS)
    assert sample.y.legend.names == ("ground", "car")


def test_pictures_of_one_name_are_said(picture: Make, file: Make, tmp_path: Path) -> None:
    for name in ("images/a.png", "images/A.png", "labels/a.png"):
        picture(name)
    left_out: list[CrnnError] = []
    assert len(pairs(tmp_path, left_out)) == 1
    assert ["has the name of images/A.png" in str(error) for error in left_out] == [True]


def test_frames_of_a_film_become_clips_that_end_at_their_own(picture: Make, tmp_path: Path) -> None:
    for name in ("a_1", "a_2", "a_10", "b_1"):
        picture(f"images/{name}.png")
        picture(f"labels/{name}.png")
    samples = open_data(tmp_path, asked=Asked(answer="map", frames=2))
    folder = tmp_path / "images"
    expected = {"a_1": (0, 1), "a_2": (0, 2), "a_10": (1, 2), "b_1": (3, 1)}
    assert {Path(s.id).stem: s.x for s in samples} == {k: Clip(folder, *v) for k, v in expected.items()}
    for given in (folder, folder / "a_10.png"):  # to be answered
        samples = open_data(given, asked=Asked(answer="map", frames=2, truths=False))
        assert samples[1 if given == folder else 0].x in (Clip(folder, 0, 2), Clip(folder, 1, 2))
        assert {s.y for s in samples} == {None}


def test_clips_of_tables_and_of_coco(picture: Make, file: Make, tmp_path: Path) -> None:
    for name in ("a_1", "a_2"):
        picture(f"coco/p/{name}.png")
        picture(f"table/p/{name}.png")
        picture(f"table/q/{name}.png")
    file("table/list.csv", "image,mask\np/a_2.png,q/a_2.png\n")
    file("coco/instances.json", coco(images=[{"id": 7, "file_name": "p/a_2.png", "width": 40, "height": 20}]))
    for name in ("table", "coco"):
        (sample,) = open_data(tmp_path / name, asked=Asked(answer="map", frames=3))
        assert sample.x == Clip(tmp_path / name / "p", 0, 2)


@pytest.mark.parametrize("name", ["list.csv", "list.jsonl"])
def test_tables_name_both(name: str, picture: Make, file: Make, tmp_path: Path) -> None:
    picture("p/a.png")
    picture("q/a.png")
    row = {"image": "p/a.png", "mask": "q/a.png", "split": "train"}
    text = json.dumps(row) if name.endswith("jsonl") else "\n".join(",".join(v) for v in (row, row.values()))
    (sample,) = open_data(file(name, text + "\n"), asked=MAPS)
    assert (sample.id, sample.y.path, sample.split) == ("p/a.png", tmp_path / "q/a.png", "train")


def coco(**changes: Any) -> str:
    square = [0, 0, 8, 0, 8, 8, 0, 8]
    inner = [2, 2, 4, 2, 4, 4, 2, 4]
    annotations = [
        {"id": 1, "image_id": 7, "category_id": 3, "segmentation": [inner]},
        {"id": 2, "image_id": 7, "category_id": 1, "segmentation": [square]},
    ]
    values = {
        "images": [{"id": 7, "file_name": "a.png", "width": 40, "height": 20}],
        "categories": [{"id": 3, "name": "cell"}, {"id": 1, "name": "tissue"}],
        "annotations": annotations,
    }
    return json.dumps(values | changes)


def test_coco_polygons_the_smaller_seen_above_the_larger(picture: Make, file: Make, tmp_path: Path) -> None:
    picture("train/a.png")
    path = file("annotations/instances_train.json", coco())
    for given in (path, tmp_path):
        (sample,) = open_data(given, asked=MAPS)
        assert sample.split == "train" and isinstance(sample.y, Polygons)
        assert sample.y.legend.names == ("background", "tissue", "cell")
        x = read_map(sample.y)
        assert x.shape == (20, 40) and x[3, 3] == 2 and x[7, 7] == 1 and x[15, 30] == 0


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        ({"category_id": 1, "segmentation": {"counts": "x", "size": [20, 40]}}, "run lengths (RLE)"),
        ({"category_id": 9, "segmentation": [[0, 0, 1, 0, 1, 1]]}, "has the category 9"),
        ({"category_id": 1, "segmentation": [[0, 0, 1, 0]]}, "polygon of 4 numbers"),
    ],
)
def test_coco_that_cannot_be_drawn(annotation: dict[str, Any], said: str, picture: Make, file: Make) -> None:
    picture("a.png")
    path = file("a.json", coco(annotations=[{"id": 5, "image_id": 7, **annotation}]))
    with pytest.raises(DataError) as caught:
        open_data(path, asked=MAPS)
    assert said in str(caught.value) and "annotation 5" in str(caught.value) and "a.json" in str(caught.value)


def test_coco_without_annotations_is_ground_and_without_pictures_says_so(picture: Make, file: Make) -> None:
    picture("a.png")
    (sample,) = open_data(file("a.json", coco(annotations=[])), asked=MAPS)
    assert not np.any(read_map(sample.y))
    gone = file("b/b.json", coco())
    with pytest.raises(DataError, match=r"b.json: names 'a.png', which is not there"):
        open_data(gone, asked=MAPS)


def test_pictures_alone_are_to_be_answered_and_folders_of_classes_are_not_asked_for(
    picture: Make, tmp_path: Path
) -> None:
    picture("cat/a.png")
    picture("dog/b.png")
    assert [s.y for s in open_data(tmp_path, asked=MAPS)] == [None, None]
