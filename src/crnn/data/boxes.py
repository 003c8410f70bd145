"""Boxes of things in pictures as arrays that move with a picture's pixels, and boxes as users give them.

An array of boxes is float32 ``(boxes, 6)``: left, top, right, bottom, number of the label, and 1 if the thing is to be
found, 0 if it is neither right nor wrong to find it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from crnn.data.inputs._film_files import frames_in
from crnn.data.inputs._pictures import size_of
from crnn.errors import DataError
from crnn.types import Box, Boxes, Clip

LEFT_OVER = 0.3
"""Share of a thing that must still be seen, where a picture's border cuts it, for it to be looked for."""
LEAST = 1.0  # pixels of a side below which nothing is left of a box


def boxes_of(y: Any) -> Boxes:
    """``y`` as ``Boxes``: such, or a list of ``Box`` or of ``(label, left, top, right, bottom)``, which a score may
    follow. Raises ``DataError``."""
    if isinstance(y, Boxes):
        return y
    found = []
    for row in y if isinstance(y, (list, tuple)) else [y]:
        if not isinstance(row, Box):
            try:
                label, *numbers = row
                left, top, right, bottom, score = (float(v) for v in (*numbers, 1.0)[:5])
                row = Box(str(label), left, top, right, bottom, score)
            except (TypeError, ValueError) as error:
                expected = "Box, or (label, left, top, right, bottom)"
                raise DataError(f"a box is given as {str(row)[:60]}", expected=expected, do="Convert it.") from error
        found.append(row)
    return Boxes((0, 0), tuple(found))


def size_of_source(source: Any) -> tuple[int, int]:
    """Width and height of a picture, or of the last frame of a clip. Raises ``DataError``."""
    if isinstance(source, Clip):
        frames = frames_in(source.film)
        return size_of(frames[min(source.start + source.count, len(frames)) - 1])
    if isinstance(source, np.ndarray) and source.ndim == 4:
        source = source[-1]
    return size_of(source)


def fitted(boxes: Sequence[Box], size: tuple[int, int]) -> tuple[list[Box], list[tuple[Box, str]]]:
    """The boxes as far as they lie in a picture of ``size`` (width, height), and those of which nothing does, each with
    what is wrong with it."""
    good, odd = [], []
    for box in boxes:
        edges = box.left, box.top, box.right, box.bottom
        if not all(map(isfinite, edges)):
            odd.append((box, "has edges that are no numbers"))
        elif box.right <= box.left or box.bottom <= box.top:
            odd.append((box, "has no area"))
        else:
            left, right = (min(max(v, 0.0), float(size[0])) for v in (box.left, box.right))
            top, bottom = (min(max(v, 0.0), float(size[1])) for v in (box.top, box.bottom))
            if right - left < LEAST or bottom - top < LEAST:
                inside = box.right > 0 and box.bottom > 0 and box.left < size[0] and box.top < size[1]
                odd.append((box, "is smaller than a pixel" if inside else "lies outside of the picture"))
            else:
                good.append(replace(box, left=left, top=top, right=right, bottom=bottom))
    return good, odd


def cropped(rows: np.ndarray, corner: Sequence[float], zoom: float, tile: Sequence[int]) -> np.ndarray:
    """The boxes in a ``tile`` (height, width) that begins at ``corner`` (top, left) of the picture, which is ``zoom``
    times as large there: cut at its borders; what is hardly seen any more is not looked for."""
    moved = rows.copy()
    moved[:, [0, 2]] = (rows[:, [0, 2]] - corner[1]) * zoom
    moved[:, [1, 3]] = (rows[:, [1, 3]] - corner[0]) * zoom
    whole = _areas(moved)
    moved[:, [0, 2]] = moved[:, [0, 2]].clip(0, tile[1])
    moved[:, [1, 3]] = moved[:, [1, 3]].clip(0, tile[0])
    moved[_areas(moved) < LEFT_OVER * whole, 5] = 0
    return moved[(moved[:, 2] - moved[:, 0] >= LEAST) & (moved[:, 3] - moved[:, 1] >= LEAST)]


def mirrored(rows: np.ndarray, width: int) -> np.ndarray:
    """The boxes in the mirror image, left to right, of a picture of that ``width``."""
    moved = rows.copy()
    moved[:, [0, 2]] = width - rows[:, [2, 0]]
    return moved


def turned(rows: np.ndarray, quarters: int, size: Sequence[int]) -> np.ndarray:
    """The boxes in a picture of ``size`` (height, width) that was turned by ``quarters`` against the clock, as
    ``numpy.rot90`` does."""
    height, width = size
    for _ in range(quarters % 4):
        # what was right is above: (x, y) -> (y, width - x)
        left, top, right, bottom = rows[:, :4].T
        rows = np.column_stack([top, width - right, bottom, width - left, rows[:, 4:]]).astype(np.float32)
        height, width = width, height
    return rows


def _areas(rows: np.ndarray) -> np.ndarray:
    return (rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1])
