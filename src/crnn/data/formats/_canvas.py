"""The picture of a page described in XML: where it is, its size, and outlines in its pixels."""

from __future__ import annotations

import math
import os
import re
import warnings
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

from crnn.data.formats._files import exists, inside, is_picture
from crnn.errors import DataError

Point = tuple[float, float]


def points(text: str) -> list[Point]:
    """Points from ``"x,y x,y"``, ``"x y x y"`` or ``"(x,y) (x,y)"``. Raises ``DataError``."""
    numbers = [float(number) for number in re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", text)]
    if len(numbers) % 2 or not all(map(math.isfinite, numbers)):
        raise DataError(f"has the points {text[:60]!r}", expected='pairs such as "10,20 30,20"', do="Correct them.")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def find_picture(xml: Path, named: str) -> Path:
    """The page picture of ``xml``: the file that it names, beside it or a folder up, else a picture of the same stem.

    A name that is absolute or leaves the folder is never followed. Raises ``DataError``.
    """
    above = Path(os.path.abspath(xml.parent)).parent  # Transkribus and OCR-D keep the XML in a folder of its own
    folders = (xml.parent, above)
    refused = ""
    stems = {xml.stem: None}
    try:
        wanted = [inside(folder, named) for folder in folders] if named.strip() else []
        stems = {PurePosixPath(wanted[0]).stem: None, **stems} if wanted else stems
    except DataError as error:
        wanted, refused = [], f"{error.given}, and "
    beside = (picture for folder in folders for stem in stems for picture in _pictures(folder, stem))
    found = next((picture for picture in chain(wanted, beside) if exists(picture)), None)
    if found is None:
        raise DataError(
            f"{refused}its page picture is not there",
            expected=f"{named if named and not refused else xml.stem + '.jpg (or .png, .tif ...)'} beside it",
            do="Copy the picture there.",
            file=xml,
        )
    return found


@dataclass(frozen=True, slots=True)
class Canvas:
    """A page picture's size in pixels, and how many pixels a unit of the file's coordinates has along x and y."""

    width: int
    height: int
    scale: Point = (1.0, 1.0)

    def fit(self, outline: list[Point]) -> tuple[Point, ...]:
        """``outline`` in pixels, kept on the picture. Raises ``DataError`` if no area is left."""
        (across, down), (right, bottom) = self.scale, (self.width, self.height)
        fitted = tuple((min(max(x * across, 0.0), right), min(max(y * down, 0.0), bottom)) for x, y in outline)
        xs, ys = {x for x, _ in fitted}, {y for _, y in fitted}
        if len(fitted) < 3 or max(xs) - min(xs) < 1 or max(ys) - min(ys) < 1:
            raise DataError(
                f"has an outline without area on the picture ({self.width} x {self.height} pixels)",
                expected="three points or more on the picture",
                do="Draw it again, or check that the picture is the right one.",
            )
        return fitted


def canvas(picture: Path, declared: Point | None, xml: Path) -> tuple[Canvas, float | None]:
    """The canvas of ``picture`` for outlines on a page of the size that ``xml`` declares, and its dots an inch.

    A picture that was scaled since keeps its outlines. Raises ``DataError`` if it has another shape, or is unreadable.
    """
    width, height, dpi = _size(picture)
    if declared is None or not all(0 < side < math.inf for side in declared):
        return Canvas(width, height), dpi
    scale = (width / declared[0], height / declared[1])
    if abs(width - declared[0]) <= 2 and abs(height - declared[1]) <= 2:
        scale = (1.0, 1.0)
    if not abs(scale[0] / scale[1] - 1) <= 0.02:  # nan, too
        raise DataError(
            f"speaks of a page of {declared[0]:g} x {declared[1]:g}, but {picture.name} has {width} x {height} pixels",
            expected="the picture on which the lines were drawn, upright and not cut",
            do="Give that picture, or correct the size in the file.",
            file=xml,
        )
    return Canvas(width, height, scale), dpi


def _pictures(folder: Path, stem: str) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.stem == stem and is_picture(file))
    except OSError:  # a folder up may be closed
        return []


def _size(picture: Path) -> tuple[int, int, float | None]:
    """Width and height as shown (after the camera's rotation) and dots an inch, from the file's head."""
    from PIL import Image

    from crnn.data.inputs._pictures import READ

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(picture, formats=READ) as image:
                (width, height), dpi = image.size, image.info.get("dpi")
                told = image.format == "TIFF" or "exif" in image.info  # asking a PNG without it would decode it
                turned = told and image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except Exception as error:  # a damaged head makes Pillow raise nearly anything
        raise DataError(f"is no picture ({error})", expected="a picture", do="Copy it again.", file=picture) from error
    if turned:
        width, height = height, width
    return width, height, float(dpi[0]) if dpi and float(dpi[0]) >= 30 else None  # 1 and 0 mean: not known
