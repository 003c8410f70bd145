"""Pictures of all kinds opened: files, regions of pages and arrays, upright, grey or in colour, bounded in size."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from crnn.data.arrays import BROKEN
from crnn.data.packed import Packed, readable
from crnn.errors import DataError
from crnn.types import Region

Source = Path | Region | np.ndarray | Image.Image
"""What can be read as a picture."""
Mode = Literal["L", "RGB"]
"""Grey or colour."""
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".ppm", ".pbm", ".pnm"}
)
OPENING = Lock()  # the warnings' filters belong to the whole process, and pictures are opened in threads
READ = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
"""What Pillow may take a file for, whatever it is called: other readers of its many are slow, old, or start programs
(EPS)."""
FREE, DENSEST = 20_000_000, 4000
"""Pixels above which a file must have a byte for so many of them: a blank page has, what only fills memory not."""
MOST_PIXELS = 80_000_000  # an A2 page at 300 dpi; below the size at which Pillow itself refuses


def opened(source: Source, least: tuple[int, int], mode: Mode = "L") -> tuple[Image.Image, tuple[int, int]]:
    """The picture in ``mode``, of a file no smaller than ``least`` (width, height) where it can be decoded smaller; and
    width and height of the source. Raises ``DataError``."""
    if isinstance(source, Path):
        return _load(source, least, mode)
    if isinstance(source, Region):
        picture = _cut(_page(source.page, mode), source)
    elif isinstance(source, Image.Image):
        picture = in_mode(source, mode)
    elif isinstance(source, np.ndarray) and source.dtype == np.uint8 and source.ndim in (2, 3) and source.size:
        picture = in_mode(Image.fromarray(source[..., 0] if source.shape[2:] == (1,) else source), mode)
    else:
        raise _no_picture(source)
    return picture, picture.size


def _no_picture(source: Any) -> DataError:
    given = f"a {type(source).__name__}"
    if isinstance(source, np.ndarray):
        given = f"an array of shape {source.shape} and type {source.dtype}"
    return DataError(given, expected="a path, or uint8 (height, width) or (height, width, 3)", do="Convert it.")


def pixels(source: Any) -> Any:
    """Arrays of numbers from 0 to 1 or to 255, or of 16 bits, as uint8; anything else as it is. Raises ``DataError``
    for an array of other numbers."""
    if not isinstance(source, np.ndarray) or source.dtype == np.uint8 or not source.size:
        return source
    if source.dtype.kind not in "fiu":
        return source
    low, high = float(source.min()), float(source.max())
    most = (
        65535.0 if source.dtype == np.uint16 and high > 255 else 1.0 if source.dtype.kind == "f" and high <= 1 else 255
    )
    if not (low >= 0 and high <= most):
        do = "Give them as they were before they were normalised: the network does so itself."
        raise DataError(f"holds values from {low:g} to {high:g}", expected="0 to 1, or 0 to 255", do=do)
    return (source * (255 / most)).astype(np.uint8)


def values_of(path: Path) -> np.ndarray:
    """The numbers of a grey picture as they are stored, of 8 bits or more: ``(height, width)``; a picture in colour as
    ``(height, width, 3)``. Raises ``DataError``."""
    with _open(path) as picture:
        if picture.mode.startswith("I") or picture.mode == "F":
            try:
                return np.asarray(picture)
            except BROKEN as error:
                do = "Copy it again or take it out of the data."
                raise DataError(f"cannot be decoded ({error})", expected="a whole picture", do=do, file=path) from error
        grey = picture.mode in ("1", "L", "LA")
    return np.asarray(opened(path, (0, 0), "L" if grey else "RGB")[0])


def size_of(source: Source) -> tuple[int, int]:
    """Width and height of what will be cut or read, from the header alone. Raises ``DataError``."""
    if isinstance(source, Image.Image):
        return source.size
    if isinstance(source, np.ndarray):
        return (source.shape[1], source.shape[0]) if source.ndim > 1 else (1, 1)
    if isinstance(source, Region):
        left, top, right, bottom = _box(source, *size_of(source.page))
        return right - left, bottom - top
    if isinstance(source, Packed) and len(source.facts) == 2:
        return source.facts[0], source.facts[1]
    if not isinstance(source, Path):
        raise _no_picture(source)
    with _open(source) as picture:
        return _upright(picture)


def in_mode(picture: Image.Image, mode: Mode) -> Image.Image:
    """``picture`` in ``mode``: values of any depth as 0 to 255, transparent parts as paper."""
    if picture.mode.startswith("I") or picture.mode == "F":
        x = np.asarray(picture, dtype=np.float32)
        most = float(x.max(initial=0))
        if picture.mode == "F":
            top = 65535.0 if most > 255 else 255.0 if most > 1 else 1.0
        else:  # 32 bits hold any values: mostly those of 16 bits, or of 8
            top = 255.0 if picture.mode == "I" and most <= 255 else 65535.0
        return Image.fromarray(np.clip(x / top * 255, 0, 255).astype(np.uint8)).convert(mode)
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture)
    return picture.convert(mode)


def name_of(source: object) -> str | None:
    """The file of ``source`` for messages, if it has one."""
    if isinstance(source, Region):
        return str(source.page)
    return str(source) if isinstance(source, Path) else None


def _open(path: Path) -> Image.Image:
    """The picture with its header read, or one sentence that says why not."""
    try:
        with OPENING, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(readable(path), formats=READ)
    except FileNotFoundError as error:
        raise DataError("is not there", expected="a picture", do="Check the path.", file=path) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large("", path) from error
    except BROKEN as error:
        given = "holds 0 bytes" if path.is_file() and path.stat().st_size == 0 else "is not a picture"
        do = "Copy it again or take it out of the data."
        raise DataError(given, expected="a PNG, JPEG, WebP, TIFF or BMP file", do=do, file=path) from error
    if _has_pages(picture):
        picture.close()
        do = "Make a file of each page, such as: magick a.tif a-%d.png"
        raise DataError("holds several pages", expected="a picture of one", do=do, file=path)
    if picture.width * picture.height > MOST_PIXELS:
        picture.close()
        raise _too_large(f" ({picture.width} x {picture.height})", path)
    if picture.width * picture.height > max(FREE, DENSEST * path.stat().st_size):
        picture.close()
        given = f"claims {picture.width} x {picture.height} pixels in {path.stat().st_size:,} bytes"
        do = "Copy it again; if it is blank, leave it out."
        raise DataError(given, expected="a picture with something to see", do=do, file=path)
    return picture


def _has_pages(picture: Image.Image) -> bool:
    """Whether a TIFF holds another page of the same size; what is smaller is a thumbnail."""
    if picture.format != "TIFF":
        return False
    size = picture.size
    try:
        picture.seek(1)
        several = picture.size == size
        picture.seek(0)
    except BROKEN:  # there is none, or decoding will say what is wrong
        return False
    return several


def _too_large(size: str, path: Path) -> DataError:
    expected = f"at most {MOST_PIXELS // 1_000_000} million pixels"
    return DataError(f"is too large{size}", expected=expected, do="Scale it down or cut it into pieces.", file=path)


def _load(path: Path, least: tuple[int, int], mode: Mode) -> tuple[Image.Image, tuple[int, int]]:
    """Pixels of a file, upright, transparent parts as paper; and its true width and height, since a JPEG may be
    decoded smaller, but not below ``least`` (0 for any: decoded whole)."""
    with _open(path) as picture:
        try:
            size = _upright(picture)
            if any(least) and picture.format == "JPEG":
                wanted = least if size == picture.size else least[::-1]
                picture.draft(mode, (max(1, wanted[0]), max(1, wanted[1])))
            picture.load()
            return in_mode(ImageOps.exif_transpose(picture), mode), size
        except (*BROKEN, Image.DecompressionBombError) as error:
            raise DataError(
                f"cannot be decoded ({error})",
                expected="a whole picture",
                do="Copy it again or take it out of the data.",
                file=path,
            ) from error


@lru_cache(maxsize=2)
def _kept_page(path: Path, mode: Mode, stamp: tuple[int, int]) -> Image.Image:
    return _load(path, (0, 0), mode)[0]


def _page(path: Path, mode: Mode) -> Image.Image:
    """The page, kept for its other lines as long as the file is the same."""
    try:
        state = path.stat()
    except OSError:
        return _load(path, (0, 0), mode)[0]  # which says what is wrong
    return _kept_page(path, mode, (state.st_mtime_ns, state.st_size))


def _upright(picture: Image.Image) -> tuple[int, int]:
    """Width and height after the turn that the file's EXIF orientation asks for."""
    if picture.format == "PNG" and "exif" not in picture.info:
        return picture.size  # to look for it behind the pixels, Pillow would decode them all
    try:
        turned = picture.getexif().get(0x0112, 1) >= 5
    except BROKEN:
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
    paper = np.percentile(x[m], 75, axis=0).astype(np.uint8)
    return Image.fromarray(np.where(m if x.ndim == 2 else m[..., None], x, paper))
