"""Label maps read: a number for each pixel, from an index picture, a picture in colours, or polygons."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from crnn.data.arrays import BROKEN
from crnn.data.inputs._pictures import _open, size_of
from crnn.errors import DataError
from crnn.types import Clip

Colour = tuple[int, int, int]
LEGENDS = ("classes", "labels", "label_colors", "label_colours", "class_dict", "codes", "colors", "colours", "legend")
"""Stems of the file that names the labels of a folder, in the order in which they are looked for."""
NUMBER = re.compile(r"^\d{1,3}(: ?| )")
COLOUR = r"(?P<r>\d{1,3}) (?P<g>\d{1,3}) (?P<b>\d{1,3})"
WITH_COLOUR = re.compile(rf"(\d{{1,3}}:? )?{COLOUR} (?P<name>.+)"), re.compile(rf"(?P<name>.+) {COLOUR}")
WRITTEN_AS = "a line each: a name, or R G B and a name"


@dataclass(frozen=True, slots=True)
class Legend:
    """What labels are called, by their numbers, and the colours in which they are drawn, if they are."""

    names: tuple[str, ...]
    colours: tuple[Colour, ...] = ()


@dataclass(frozen=True, slots=True)
class Painted:
    """A picture whose pixels are labels: numbers, or colours of ``legend``."""

    path: Path
    legend: Legend | None = None


@dataclass(frozen=True, slots=True)
class Polygons:
    """Labels drawn as polygons on a ground of label 0, later ones over earlier ones: ``parts`` are a label and its
    points ``(x, y, x, y, ...)`` in pixels of a picture of ``size`` (width, height)."""

    file: Path
    size: tuple[int, int]
    parts: tuple[tuple[int, tuple[float, ...]], ...] = field(repr=False)
    legend: Legend


Source = Painted | Polygons | Path | np.ndarray | list[Any]
"""What can be read as a label map."""


def read_map(source: Source) -> np.ndarray:
    """Labels ``(height, width)``, int32: numbers as they are stored or of the legend, else colours as 0xRRGGBB. Raises
    ``DataError``."""
    if isinstance(source, (np.ndarray, list)):
        source = np.asarray(source)
        x = source[..., 0] if source.ndim == 3 and source.shape[2] == 1 else source
        if x.ndim != 2 or x.dtype.kind not in "bui":
            given = f"an array of shape {source.shape} and type {source.dtype}"
            raise DataError(given, expected="whole numbers (height, width)", do="Convert the label map.")
        return x.astype(np.int32)
    if isinstance(source, Polygons):
        canvas = Image.new("I", source.size, 0)
        pen = ImageDraw.Draw(canvas)
        for label, points in source.parts:
            pen.polygon(points, fill=label)
        return np.asarray(canvas, np.int32)
    painted = Painted(source) if isinstance(source, Path) else source
    return _painted(painted)


def size_of_map(source: Source) -> tuple[int, int]:
    """Width and height, from the header alone."""
    if isinstance(source, (np.ndarray, list)):
        height, width = np.shape(source)[:2]
        return width, height
    if isinstance(source, Polygons):
        return source.size
    return size_of(source.path if isinstance(source, Painted) else source)


def size_of_picture(source: Any) -> tuple[int, int] | None:
    """Width and height of the picture or clip that a map belongs to, ``None`` where it cannot be said cheaply."""
    if isinstance(source, Clip):
        return None
    if isinstance(source, np.ndarray) and source.ndim == 4:
        return source.shape[2], source.shape[1]
    return size_of(source)


def file_of(source: Any) -> Path | None:
    """The file of a label map, for messages."""
    if isinstance(source, Polygons):
        return source.file
    return source.path if isinstance(source, Painted) else source if isinstance(source, Path) else None


def wrong_size(source: Any, size: tuple[int, int], picture: tuple[int, int]) -> DataError:
    """A map of another ``size`` (width, height) than its ``picture``."""
    return DataError(
        f"is a label map of {size[0]} x {size[1]} pixels",
        expected=f"{picture[0]} x {picture[1]}, as its picture",
        do="Write the map at the size of the picture, or scale both alike (labels without smoothing).",
        file=file_of(source),
    )


def _painted(source: Painted) -> np.ndarray:
    colours = source.legend.colours if source.legend is not None else ()
    with _open(source.path) as picture:
        if picture.format == "JPEG":
            do = "Save label maps as PNG; a JPEG blurs numbers and colours."
            raise DataError("is a label map in JPEG", expected="a PNG", do=do, file=source.path)
        try:
            if picture.mode in ("1", "L", "P", "I", "I;16", "I;16B") and not (colours and picture.mode == "P"):
                x = np.asarray(picture).astype(np.int32)
                return x if not colours or picture.mode != "L" else _of_grey(x, source)
            x = np.asarray(picture.convert("RGB")).astype(np.int32)
        except BROKEN as error:
            do = "Copy it again or take it out of the data."
            raise DataError(f"cannot be decoded ({error})", expected="a picture", do=do, file=source.path) from error
    packed = x[..., 0] << 16 | x[..., 1] << 8 | x[..., 2]
    return packed if not colours else _of_legend(packed, source)


def _of_grey(x: np.ndarray, source: Painted) -> np.ndarray:
    """Numbers of the legend as they are; what lies above them are its greys."""
    assert source.legend is not None
    return x if x.max(initial=0) < len(source.legend.names) else _of_legend(x << 16 | x << 8 | x, source)


def _of_legend(packed: np.ndarray, source: Painted) -> np.ndarray:
    """Colours as the numbers of the legend. Raises ``DataError`` for one that it does not have."""
    assert source.legend is not None
    known = np.array([r << 16 | g << 8 | b for r, g, b in source.legend.colours])
    order = np.argsort(known)
    place = np.clip(np.searchsorted(known[order], packed), 0, len(known) - 1)
    wrong = known[order][place] != packed
    if wrong.any():
        y, x = (int(axis[0]) for axis in np.nonzero(wrong))
        value = int(packed[y, x])
        raise DataError(
            f"has the colour {(value >> 16, value >> 8 & 255, value & 255)} at {x},{y}",
            expected=f"one of the {len(known)} colours of the legend",
            do="Add it to the legend, or save label maps without smoothing.",
            file=source.path,
        )
    return order[place].astype(np.int32)


# legends


def find_legend(folder: Path) -> Legend | None:
    """The legend in ``folder``, if there is one. Raises ``DataError`` for one that cannot be read."""
    for stem in LEGENDS:
        for ending in (".txt", ".csv", ".json"):
            if (folder / (stem + ending)).is_file():
                return read_legend(folder / (stem + ending))
    return None


@lru_cache(maxsize=4)
def _kept(path: Path, stamp: tuple[int, int]) -> str:
    return path.read_text(encoding="utf-8-sig")


def _text(path: Path) -> str:
    """What stands in ``path``, kept as long as the file is the same."""
    try:
        state = path.stat()
        return _kept(path, (state.st_mtime_ns, state.st_size))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", expected="a legend", do="Save it as UTF-8.", file=path) from error


def read_legend(path: Path) -> Legend:
    """Names and colours of a legend: JSON (names, or names with their colours), or lines of names, of ``R G B name``
    or of ``name,R,G,B``. Raises ``DataError``."""
    rows = _of_json(path) if path.suffix == ".json" else list(_of_lines(_text(path)))
    coloured = [colour for _, colour in rows if colour is not None]
    names = [name for name, _ in rows]
    twice = next((name for name in names if names.count(name) > 1), None)
    if not rows or twice is not None or (coloured and len(coloured) < len(rows)) or len(set(coloured)) < len(coloured):
        given = "names no labels" if not rows else "lacks colours for some labels, or names one twice"
        given = given if twice is None else f"names {twice!r} twice"
        raise DataError(given, expected=f"a legend, {WRITTEN_AS}", do="Correct it.", file=path)
    return Legend(tuple(names), tuple(coloured))


def _of_lines(text: str) -> Iterable[tuple[str, Colour | None]]:
    for line in text.splitlines():
        words = " ".join(next(csv.reader([line])) if "," in line else [line]).split()
        if {"r", "g", "b"} <= {word.lower() for word in words}:  # a header
            continue
        plain = " ".join(words)
        found = next(filter(None, (form.fullmatch(plain) for form in WITH_COLOUR)), None)
        name = NUMBER.sub("", found["name"] if found else plain)
        if any(not letter.isdigit() for letter in name):
            yield name, (int(found["r"]), int(found["g"]), int(found["b"])) if found else None


def _of_json(path: Path) -> list[tuple[str, Colour | None]]:
    rows: list[dict[str, Any]]
    wrong = DataError("is no legend", expected="names, or names with their colours", do="Correct it.", file=path)
    try:
        values = json.loads(_text(path))
        if isinstance(values, dict) and all(re.fullmatch(r"\d+", key) for key in values):
            values = [values[key] for key in sorted(values, key=int)]
        if isinstance(values, dict):
            values = [{"name": name, "color": colour} for name, colour in values.items()]
        rows = [({"name": value} if isinstance(value, str) else value) for value in values]
        return [(str(row["name"]), _colour(row.get("color", row.get("colour")))) for row in rows]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise wrong from error


def _colour(value: Sequence[int] | None) -> Colour | None:
    if value is None:
        return None
    red, green, blue = (int(v) for v in value)
    return red, green, blue
