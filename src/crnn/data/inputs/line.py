"""Pictures of one line of text: time runs along the columns, space is the height.

A source (file or region of a page) becomes grey, is scaled to one height and normalised to ink: 0 is paper, 1 the
darkest stroke, so padding with zeros is padding with paper.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

from crnn.config import Count
from crnn.data.inputs._line_doubts import Ink, look
from crnn.data.inputs.line_augment import LineAugment
from crnn.errors import DataError
from crnn.findings import Look
from crnn.types import InputSpec, Region

Source = Path | Region | np.ndarray | Image.Image
"""What can be read as a line."""
OPENING = Lock()  # the warnings' filters belong to the whole process, and pictures are opened in threads
MOST_PIXELS = 80_000_000  # an A2 page at 300 dpi; below the size at which Pillow itself refuses


class Line:
    """Reads, varies and normalises line pictures; ``decode`` gives uint8 ``(height, width)``, ``finish`` float32
    ``(width, 1, height)``."""

    Augment = LineAugment
    unit = "columns"
    """What one step of the input is called."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        height: Count = 64
        """Height in pixels to which each line is scaled."""
        polarity: Literal["auto", "dark", "light"] = "auto"
        """Ink darker than paper, lighter, or found out for each picture."""
        longest: Count = 6000
        """Most columns after scaling; longer pictures are refused."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self.settings = settings
        self.spec = InputSpec("line", 1, (settings.height,))

    def steps(self, source: Source) -> int:
        """Columns that ``source`` will have, from the picture's header alone."""
        width, height = _size(source)
        return self._width(width, height, source)

    def decode(self, source: Source) -> np.ndarray:
        """``source`` as grey uint8 ``(height, width)``, dark ink on light paper. Raises ``DataError``."""
        return self.decode_scaled(source)[0]

    def decode_scaled(self, source: Source) -> tuple[np.ndarray, float]:
        """The same, and how many columns one pixel of the picture became."""
        picture, (width, height) = _grey(source, 2 * self.settings.height)
        size = (self._width(width, height, source), self.settings.height)
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
        x = np.asarray(picture)
        if self.settings.polarity == "light" or (self.settings.polarity == "auto" and is_inverted(x)):
            x = 255 - x
        return x, size[0] / width

    def finish(self, x: np.ndarray) -> np.ndarray:
        """uint8 ``(height, width)`` to ink, float32 ``(width, 1, height)``, paper 0 and the darkest strokes 1."""
        paper, ink = np.percentile(x[:, ::2], (75, 0.5))
        scale = 1.0 / max(float(paper) - float(ink), 24.0)  # a blank line stays blank
        table = np.clip((float(paper) - np.arange(256)) * scale, -0.5, 1.25).astype(np.float32)
        return table[x.T][:, None, :]  # (height, width) -> (time, channels, height)

    def look(self, source: Path | Region) -> Look:
        """What is to be said of one picture before training. Raises ``DataError``."""
        x = Line(replace(self.settings, polarity="dark")).decode(source)
        polarity = self.settings.polarity
        ink: Ink = "light" if is_inverted(x) else "dark" if polarity == "light" and is_inverted(255 - x) else "unsure"
        return look(x, size=_size(source), ink=ink, polarity=polarity)

    def picture(self, source: Source) -> bytes:
        """The line as the network sees it, as a PNG file's bytes, for reports."""
        file = io.BytesIO()
        Image.fromarray(self.decode(source)).save(file, format="PNG")
        return file.getvalue()

    def _width(self, width: int, height: int, source: object) -> int:
        columns = max(1, round(width * self.settings.height / height))
        if columns > self.settings.longest:
            raise DataError(
                f"is {width} x {height} pixels, {columns} columns at height {self.settings.height}",
                expected=f"a picture of one line, at most {self.settings.longest} columns",
                do="Cut the line out of its page, or raise input.longest.",
                file=_name(source),
            )
        return columns


def is_inverted(x: np.ndarray) -> bool:
    """Whether most of the picture is dark: then the paper is, and the ink is light."""
    low, middle, high = np.percentile(x, (1, 50, 99))
    return bool(high - low > 40 and middle - low < 0.35 * (high - low))


def _name(source: object) -> str | None:
    if isinstance(source, Region):
        return str(source.page)
    return str(source) if isinstance(source, Path) else None


def _open(path: Path) -> Image.Image:
    """The picture with its header read, or one sentence that says why not."""
    try:
        with OPENING, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(path)
    except FileNotFoundError as error:
        raise DataError("is not there", expected="a picture", do="Check the path.", file=path) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large("", path) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        given = "holds 0 bytes" if path.is_file() and path.stat().st_size == 0 else "is not a picture"
        do = "Copy it again or take it out of the data."
        raise DataError(given, expected="a PNG, JPEG, WebP, TIFF or BMP file", do=do, file=path) from error
    if picture.width * picture.height > MOST_PIXELS:
        picture.close()
        raise _too_large(f" ({picture.width} x {picture.height})", path)
    return picture


def _too_large(size: str, path: Path) -> DataError:
    expected = f"at most {MOST_PIXELS // 1_000_000} million pixels"
    return DataError(f"is too large{size}", expected=expected, do="Scale it down or cut the lines out.", file=path)


def _load(path: Path, least_height: int = 0) -> tuple[Image.Image, tuple[int, int]]:
    """Grey pixels of a file, upright, transparent parts as paper; and its true width and height, since a JPEG may be
    decoded smaller, but not below ``least_height``."""
    with _open(path) as picture:
        try:
            size = _upright(picture)
            if least_height and picture.format == "JPEG":
                least = (1, least_height) if size == picture.size else (least_height, 1)
                picture.draft("L", least)
            picture.load()
            return _to_grey(ImageOps.exif_transpose(picture)), size
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(
                f"cannot be decoded ({error})",
                expected="a whole picture",
                do="Copy it again or take it out of the data.",
                file=path,
            ) from error


def _to_grey(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        x = np.asarray(picture, dtype=np.float32)
        top = 65535.0 if picture.mode != "F" or x.max(initial=0) > 255 else (255.0 if x.max(initial=0) > 1 else 1.0)
        return Image.fromarray(np.clip(x / top * 255, 0, 255).astype(np.uint8))
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture)
    return picture.convert("L")


@lru_cache(maxsize=2)
def _kept_page(path: Path, stamp: tuple[int, int]) -> Image.Image:
    return _load(path)[0]


def _page(path: Path) -> Image.Image:
    """The page, kept for its other lines as long as the file is the same."""
    try:
        state = path.stat()
    except OSError:
        return _load(path)[0]  # which says what is wrong
    return _kept_page(path, (state.st_mtime_ns, state.st_size))


def _grey(source: Source, least_height: int) -> tuple[Image.Image, tuple[int, int]]:
    """The grey picture of a line, of a file no smaller than ``least_height``; and width and height of the source."""
    if isinstance(source, Path):
        return _load(source, least_height)
    if isinstance(source, Region):
        picture = _cut(_page(source.page), source)
    elif isinstance(source, Image.Image):
        picture = _to_grey(source)
    elif isinstance(source, np.ndarray) and source.dtype == np.uint8 and source.ndim in (2, 3) and source.size:
        picture = _to_grey(Image.fromarray(source))
    else:
        given = (
            f"an array of shape {source.shape} and type {source.dtype}" if isinstance(source, np.ndarray) else source
        )
        raise DataError(str(given), expected="a path, or uint8 (height, width) or (height, width, 3)", do="Convert it.")
    return picture, picture.size


def _size(source: Source) -> tuple[int, int]:
    """Width and height of what will be cut or read."""
    if isinstance(source, Image.Image):
        return source.size
    if isinstance(source, np.ndarray):
        return (source.shape[1], source.shape[0]) if source.ndim > 1 else (1, 1)
    if isinstance(source, Region):
        left, top, right, bottom = _box(source, *_size(source.page))
        return right - left, bottom - top
    with _open(source) as picture:
        return _upright(picture)


def _upright(picture: Image.Image) -> tuple[int, int]:
    """Width and height after the turn that the file's EXIF orientation asks for."""
    if picture.format == "PNG" and "exif" not in picture.info:
        return picture.size  # to look for it behind the pixels, Pillow would decode them all
    try:
        turned = picture.getexif().get(0x0112, 1) >= 5
    except (OSError, SyntaxError, ValueError):
        turned = False  # decoding will say what is wrong with the file
    return picture.size[::-1] if turned else picture.size


def _box(region: Region, width: int, height: int) -> tuple[int, int, int, int]:
    xs, ys = zip(*region.polygon, strict=True)
    left, top = max(0, int(min(xs))), max(0, int(min(ys)))
    right, bottom = min(width, int(np.ceil(max(xs))) + 1), min(height, int(np.ceil(max(ys))) + 1)
    if right <= left or bottom <= top:
        raise DataError(
            f"has a line at {left},{top} to {right},{bottom}",
            expected=f"a polygon inside the page of {width} x {height} pixels",
            do="Check that the XML belongs to this picture and has its size.",
            file=region.page,
        )
    return left, top, right, bottom


def _cut(page: Image.Image, region: Region) -> Image.Image:
    """What lies inside the polygon, the rest of its box filled with paper (the median of the inside's lighter half)."""
    box = _box(region, *page.size)
    line = page.crop(box)
    inside = Image.new("L", line.size, 0)
    ImageDraw.Draw(inside).polygon([(x - box[0], y - box[1]) for x, y in region.polygon], fill=255, outline=255)
    x, m = np.asarray(line), np.asarray(inside) > 0
    if not m.any():
        return line
    paper = int(np.percentile(x[m], 75))
    return Image.fromarray(np.where(m, x, np.uint8(paper)))
