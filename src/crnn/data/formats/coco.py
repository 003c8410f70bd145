"""COCO annotations: a JSON file of pictures, categories, polygons and boxes, each picture in a folder beside it.

Where maps are asked for, the polygons become label maps: numbers of the categories in their order, 0 for what lies in
none of them; where things overlap, the smaller one is seen. Where boxes are, crowds are neither to be found nor wrong.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crnn.data.formats._asked import Asked
from crnn.data.formats._files import SPLITS, Split, exists, inside, name_in, split_of, unreadable
from crnn.data.formats._frames_before import FramesBefore
from crnn.data.inputs._pictures import MOST_PIXELS
from crnn.data.label_maps import Legend, Polygons
from crnn.errors import CrnnError, DataError, named
from crnn.files import write_aside
from crnn.types import Box, Boxes, Sample

WANTED = "COCO annotations (a .json file with images, annotations and categories)"
ANSWERS = ("map", "boxes")
GROUND = "background"
LISTS = ("images", "annotations", "categories")
HEAD = 4096  # bytes of a file in which one of its keys is looked for


def recognise(path: Path) -> bool:
    """Whether ``path`` is such a file, or a folder with one (also in its folder annotations)."""
    return any(map(_is_coco, _files(path)))


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each picture; those without any polygon are all ground. What cannot be used goes to ``left_out``."""
    return read_for(path, left_out, Asked(answer="map"))


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """The same, of boxes where these are asked for."""
    boxed, clips = asked.answer == "boxes", FramesBefore(asked.frames)
    root = path if path.is_dir() else path.parent.parent if path.parent.name == "annotations" else path.parent
    for file in filter(_is_coco, _files(path)):
        try:
            values = _values(file)
        except DataError as error:
            left_out.append(error)
            continue
        number, legend = _categories(values, file)
        drawn: dict[Any, list[Any]] = defaultdict(list)
        broken: dict[Any, DataError] = {}
        for annotation in values["annotations"]:
            try:
                one = [_box(annotation, number, legend, file)] if boxed else _polygons(annotation, number, file)
                drawn[annotation["image_id"]] += one
            except DataError as error:
                broken[annotation.get("image_id")] = error
            except (KeyError, TypeError, AttributeError):
                given, do = f"has an annotation {str(annotation)[:60]!r}", "Write its image_id and category_id."
                left_out.append(DataError(given, expected="one as COCO describes it", do=do, file=file))
        for picture in values["images"]:
            try:
                if picture["id"] in broken:
                    raise broken[picture["id"]]
                source = _find(str(picture["file_name"]), file, root)
                size = int(picture["width"]), int(picture["height"])
                if min(size) < (not boxed) or size[0] * size[1] > MOST_PIXELS:
                    raise ValueError(f"{size[0]} x {size[1]} pixels")
                parts = drawn[picture["id"]]
            except (KeyError, TypeError, ValueError, OverflowError):
                given, do = f"has a picture {str(picture)[:60]!r}", "Write its id, file_name, width and height."
                left_out.append(DataError(given, expected="a picture as COCO describes it", do=do, file=file))
                continue
            except DataError as error:
                left_out.append(named(error, str(file)))
                continue
            part = split_of(root, file) or _split_in(file) or split_of(root, source)
            if boxed:
                y: Any = Boxes(size, tuple(parts), file=file)
            else:
                y = Polygons(file, size, tuple((n, points) for _, n, points in sorted(parts, reverse=True)), legend)
            yield Sample(name_in(root, source), clips.ending_at(source), y, split=part)


def write(answers: Iterable[tuple[str, Boxes]], labels: Sequence[str], path: Path) -> None:
    """Write the boxes of pictures, named as they are, to ``path``; ``labels`` are the categories, numbered from 1.
    Raises ``DataError`` where it cannot be written."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    number = {label: i for i, label in enumerate(labels, 1)}
    for i, (name, boxes) in enumerate(answers, 1):
        images.append({"id": i, "file_name": name, "width": boxes.size[0], "height": boxes.size[1]})
        for b in boxes.boxes:
            width, height = round(b.right - b.left, 2), round(b.bottom - b.top, 2)
            row = {"id": len(annotations) + 1, "image_id": i, "category_id": number[b.label]}
            box = {"bbox": [b.left, b.top, width, height], "area": round(width * height, 2), "score": b.score}
            annotations.append({**row, **box, "iscrowd": int(not b.counts)})
    categories = [{"id": i, "name": label} for label, i in number.items()]
    with write_aside(path) as file:
        values = {"images": images, "annotations": annotations, "categories": categories}
        json.dump(values, file, ensure_ascii=False)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" else []
    folders = [f for f in sorted(path.iterdir()) if f.is_dir() and f.name.lower() in ("annotations", *SPLITS)]
    return [file for folder in (path, *folders) for file in sorted(folder.glob("*.json"))]


def _is_coco(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            head = stream.read(HEAD)
            keys = (b'"images"', b'"annotations"', b'"categories"', b'"info"', b'"licenses"')
            if not head.lstrip().startswith(b"{") or not any(key in head for key in keys):
                return False
            stream.seek(0)
            data = stream.read()
    except OSError:
        return False
    return all(
        re.search(rb'"%s"\s*:\s*\[' % key.encode(), data) for key in LISTS
    )  # parsing takes long, and once is enough


def _values(file: Path) -> Mapping[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(file, error) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not JSON ({error})", expected=WANTED, do="Export it again.", file=file) from error
    if not isinstance(values, dict) or not all(isinstance(values.get(key), list) for key in LISTS):
        raise DataError("is not COCO", expected=WANTED, do="Export it again.", file=file)
    return values


def _categories(values: Mapping[str, Any], file: Path) -> tuple[dict[Any, int], Legend]:
    """The number of each category, from 1 on, and their names behind that of the ground."""
    try:
        rows = sorted(values["categories"], key=lambda row: int(row["id"]))
        names = (GROUND, *(str(row["name"]) for row in rows))
        return {row["id"]: i for i, row in enumerate(rows, 1)}, Legend(names)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        given = "has categories without id or name"
        raise DataError(given, expected="both for each", do="Export it again.", file=file) from error


def _box(annotation: Mapping[str, Any], number: Mapping[Any, int], legend: Legend, file: Path) -> Box:
    """The box of a thing. Raises ``DataError``."""
    name = f"annotation {annotation.get('id', '?')} "
    label = legend.names[_category(annotation, number, file)]
    try:
        left, top, width, height = (float(v) for v in annotation["bbox"])
    except (KeyError, TypeError, ValueError) as error:
        given = f"{name}has the box {str(annotation.get('bbox'))[:60]}"
        raise DataError(given, expected="left, top, width, height", do="Correct it.", file=file) from error
    return Box(label, left, top, left + width, top + height, counts=not annotation.get("iscrowd"))


def _category(annotation: Mapping[str, Any], number: Mapping[Any, int], file: Path) -> int:
    """The number of a thing's category. Raises ``DataError``."""
    if annotation.get("category_id") not in number:
        given = f"annotation {annotation.get('id', '?')} has the category {annotation.get('category_id')!r}"
        raise DataError(given, expected="one of the categories", do="Correct it.", file=file)
    return number[annotation["category_id"]]


def _polygons(
    annotation: Mapping[str, Any], number: Mapping[Any, int], file: Path
) -> list[tuple[float, int, tuple[float, ...]]]:
    """Area, label and points of each polygon of a thing. Raises ``DataError``."""
    name = f"annotation {annotation.get('id', '?')} "
    shape = annotation.get("segmentation")
    if isinstance(shape, dict):
        raise DataError(
            f"{name}is drawn as run lengths (RLE)",
            expected="polygons",
            do="Export polygons, or write label maps as PNG.",
            file=file,
        )
    label, found = _category(annotation, number, file), []
    for points in shape or ():
        try:
            numbers = tuple(float(p) for p in points)
        except (TypeError, ValueError):
            numbers = ()
        if len(numbers) < 6 or len(numbers) % 2:
            given = f"{name}has a polygon of {len(numbers)} numbers"
            raise DataError(given, expected="x, y of three points or more", do="Correct it.", file=file)
        xs, ys = numbers[::2], numbers[1::2]
        area = abs(sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(xs)))) / 2
        found.append((area, label, numbers))
    return found


def _find(name: str, file: Path, root: Path) -> Path:
    """The picture that is called ``name``, in one of the usual folders. Raises ``DataError``."""
    named = next((part for part in file.stem.split("_") if part.rstrip("0123456789").lower() in SPLITS), ".")
    places = (file.parent, root / named, root / "images" / named, root, root / "images")
    for folder in (*places, *(root / split for split in SPLITS)):
        if folder.is_dir() and exists(path := inside(folder, name)):
            return path
    raise DataError(
        f"names {name!r}, which is not there",
        expected=f"a file in {root}, or in its folder images or that of a split",
        do="Copy the picture there.",
        file=file,
    )


def _split_in(file: Path) -> Split | None:
    """The split in a name such as instances_train2017."""
    parts = (part.rstrip("0123456789").lower() for part in file.stem.split("_"))
    return next((SPLITS[part] for part in parts if part in SPLITS), None)
