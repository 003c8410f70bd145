"""Answers as the index of a shard has them, in plain values, and as a task knows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crnn.data.inputs._pictures import MOST_PIXELS
from crnn.data.label_maps import Legend, Painted, Polygons
from crnn.data.packed import Packed
from crnn.errors import DataError, SettingsError
from crnn.types import Box, Boxes, Part


def plain(answer: Any) -> Any:
    """An answer as JSON has it. Raises ``SettingsError`` for one that is no word or number."""
    if answer is None or isinstance(answer, (str, int, float)):
        return answer
    if isinstance(answer, (list, tuple)):
        return [plain(part) for part in answer]
    if isinstance(answer, Part):
        return {"label": answer.value, "start": answer.start, "stop": answer.stop}
    if isinstance(answer, Boxes):
        rows = [[b.label, b.left, b.top, b.right, b.bottom, b.counts] for b in answer.boxes]
        return {"size": list(answer.size), "boxes": rows}
    if isinstance(answer, np.generic):
        return answer.item()
    if isinstance(answer, Polygons):
        return {"size": list(answer.size), "parts": [[label, list(points)] for label, points in answer.parts]}
    given = f"answers are a {type(answer).__name__}"
    expected = "texts, labels, numbers, events, sentences, boxes, label maps or pictures"
    raise SettingsError(given, expected=expected, do="Train on the folder itself.")


def truth_of(row: Mapping[str, Any], kind: str, shard: Path, legend: Legend | None) -> Any:
    """The answer of a row of an index, which is a file of ``shard`` or stands in the row. Raises ``DataError``."""
    if "truth" in row:
        file = Packed.at(shard, row["truth"])
        return Painted(file, legend) if kind == "map" else file
    return answer_of(row["answer"], kind, shard, legend)


def legend_of(values: Any, shard: Path) -> Legend | None:
    """The legend of label maps, as an index has it: names and colours. Raises ``DataError``."""
    try:
        if values is None:
            return None
        colours = tuple((int(red), int(green), int(blue)) for red, green, blue in values[1])
        return Legend(tuple(map(str, values[0])), colours)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        do = "Pack the data again."
        raise DataError(f"has a legend that is none ({error})", expected="names, colours", do=do, file=shard) from error


def answer_of(value: Any, kind: str, file: Path | None = None, legend: Legend | None = None) -> Any:
    """What ``plain`` gave, as the task knows it. Raises ``DataError``."""
    try:
        if kind == "map" and value is not None:
            shapes = tuple((int(label), tuple(map(_number, points))) for label, points in value["parts"])
            size = _size(value["size"])
            if any(not 0 <= label < 1 << 31 or len(points) < 4 or len(points) % 2 for label, points in shapes):
                raise ValueError("a polygon that is none")
            return Polygons(file or Path(), size, shapes, legend or Legend(()))
        if kind == "events" and isinstance(value, list) and value and not isinstance(value[0], dict):
            return [label if isinstance(label, (int, str)) else _number(label) for label in value]  # one for each step
        if kind == "events" and value is not None:
            parts = [Part(str(v["label"]), _number(v["start"]), _number(v["stop"]), 1.0) for v in value]
            if wrong := [part for part in parts if not 0 <= part.start < part.stop]:
                raise ValueError(f"one lasts from {wrong[0].start:g} to {wrong[0].stop:g}")
            return tuple(sorted(parts, key=lambda part: (part.start, part.stop)))
        if kind == "boxes" and value is not None:
            boxes = [
                Box(str(name), _number(left), _number(top), _number(right), _number(bottom), 1.0, bool(counts))
                for name, left, top, right, bottom, counts in value["boxes"]
            ]
            return Boxes(_size(value["size"]), tuple(boxes), file=file)
        if kind == "numbers" and value is not None:
            return tuple(map(_number, value)) if isinstance(value, list) else _number(value)
        if kind == "sentences" and value is not None:
            return [str(line) for line in ([value] if isinstance(value, str) else value)]
        return None if value is None else str(value)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        do = "Correct it, or pack the data again."
        raise DataError(f"has an answer that is none of {kind} ({error})", expected=kind, do=do, file=file) from error


def _number(value: Any) -> float:
    """``value`` as a finite number. Raises ``ValueError``."""
    if not math.isfinite(number := float(value)):
        raise ValueError(f"{value!r} is not finite")
    return number


def _size(value: Any) -> tuple[int, int]:
    """Width and height, of no more pixels than a picture may have; boxes may not know them. Raises ``ValueError``."""
    width, height = int(value[0]), int(value[1])
    if min(width, height) < 0 or width * height > MOST_PIXELS:
        raise ValueError(f"a size of {width} x {height} pixels")
    return width, height
