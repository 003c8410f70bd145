"""Recordings read from files of numbers: .csv, .tsv, .txt, .npy; whatever is wrong is named by its row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from crnn.data.arrays import BROKEN, read_npy
from crnn.errors import DataError

SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".npy"})
CLOCKS = ("time", "timestamp", "t", "date", "datetime", "index", "")
"""Names of columns that count or tell the time, in lower case; they are no channels."""
ABSENT = ("", "nan", "na", "n/a", "null", "none", "?", "-")
COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE)
CLOCKED = 1000  # rows that the step of a clock is taken from
Read = TypeVar("Read")


def read_numbers(path: Path, columns: Sequence[str] = (), usual: Sequence[str] = ()) -> np.ndarray:
    """The recording in ``path`` as float32 ``(time, channels)``; absent values are NaN.

    ``columns`` names those that are wanted (or gives their numbers, from 1); without it a file that has all the
    ``usual`` ones gives these, in their order. Raises ``DataError``.
    """
    if path.suffix.lower() == ".npy":
        return as_recording(_read(path, read_npy), path)
    text = _text(path)
    if not text.strip():
        do = "Copy it again or take it out of the data."
        raise DataError("holds no rows", expected="a recording", do=do, file=path)
    return _table(text, path, columns, usual)


def heading_of(path: Path) -> tuple[tuple[str, ...], float | None]:
    """The names of the channels of ``path``, none where it says none; and the step of its clock, in the clock's unit,
    ``None`` without one that counts. Raises ``DataError``."""
    text = "" if path.suffix.lower() == ".npy" else _text(path)
    if not text.strip():
        return (), None
    names, _, delimiter, skip = _layout(text)
    clock = next((i for i, name in enumerate(names) if name.strip().lower() in CLOCKS), None)
    channels = tuple(name for name in names if name.strip().lower() not in CLOCKS)
    rows = [_cells(line, delimiter) for line in text.splitlines()[skip : skip + CLOCKED] if line.strip()]
    if clock is None or len(rows) < 2:
        return channels, None
    times = [number_in(row[clock], delimiter) if len(row) > clock else None for row in rows]
    if any(time is None for time in times):
        return channels, None
    step = float(np.median(np.diff(np.array(times, np.float64))))
    return channels, step if step > 0 else None


def _text(path: Path) -> str:
    return _read(path, lambda path: path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8"))


def _read(path: Path, how: Callable[[Path], Read]) -> Read:
    try:
        return how(path)
    except FileNotFoundError as error:
        raise DataError("is not there", expected="a recording", do="Check the path.", file=path) from error
    except BROKEN as error:
        do = "Copy it again or take it out of the data."
        raise DataError(f"cannot be read ({error})", expected="a file of numbers", do=do, file=path) from error


def as_recording(x: np.ndarray, file: Path | str | None = None) -> np.ndarray:
    """Numbers ``(time,)`` or ``(time, channels)`` as float32 ``(time, channels)``. Raises ``DataError``."""
    if x.ndim == 1 and x.dtype.kind in "fiub":
        x = x[:, None]
    if x.ndim != 2 or x.dtype.kind not in "fiub" or not x.size:
        raise DataError(
            f"is an array of shape {x.shape} and type {x.dtype}",
            expected="numbers (time,) or (time, channels)",
            do="Give one recording, its steps along the first axis.",
            file=file,
        )
    return x.astype(np.float32)


def _layout(text: str) -> tuple[list[str], int, str | None, int]:
    """The columns' names, none without a header; how many there are; what lies between; and lines before the rows."""
    first = next(line for line in text.splitlines() if line.strip())
    delimiter = next((d for d in ("\t", ";", ",") if d in first), None)
    cells = _cells(first, delimiter)
    header = any(number_in(cell, delimiter) is None for cell in cells)
    return cells if header else [], len(cells), delimiter, text.splitlines().index(first) + header


def _table(text: str, path: Path, columns: Sequence[str], usual: Sequence[str]) -> np.ndarray:
    names, count, delimiter, skip = _layout(text)
    wanted = _wanted(names, count, columns or (usual if set(usual) <= set(names) else ()), path)
    if not any(line.strip() for line in text.splitlines()[skip:]):
        do = _texts_first(text, delimiter, path) + "Copy it again or take it out of the data."
        raise DataError("holds no rows of numbers", expected="a recording", do=do, file=path)
    try:
        return np.loadtxt(
            io.StringIO(text), np.float32, delimiter=delimiter, skiprows=skip, usecols=wanted, ndmin=2, comments=None
        )
    except ValueError:
        return _slowly(text, delimiter, wanted, skip, path)


def _slowly(text: str, delimiter: str | None, wanted: Sequence[int], skip: int, path: Path) -> np.ndarray:
    """The same cell by cell: absent values become NaN, and what is no number is named by its row."""
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if number <= skip or not line.strip():
            continue
        cells = _cells(line, delimiter)
        if len(cells) <= max(wanted):
            raise DataError(
                f"row {number} has {len(cells)} values",
                expected=f"at least {max(wanted) + 1}, as in the first row",
                do=_texts_first(text, delimiter, path) + "Correct or delete that row.",
                file=path,
            )
        values = [number_in(cells[i], delimiter) for i in wanted]
        for i, value in zip(wanted, values, strict=True):
            if value is None:
                do = "Correct or delete that row; name the columns that are wanted in input.columns."
                do = _texts_first(text, delimiter, path) + do
                raise DataError(f"row {number} says {cells[i]!r}", expected="a number", do=do, file=path)
        rows.append(values)
    return np.array(rows, np.float32)


def _texts_first(text: str, delimiter: str | None, path: Path) -> str:
    """How texts are read, to stand before other advice, if ``path`` is a .txt file without a row of numbers."""
    rows = (_cells(line, delimiter) for line in text.splitlines() if line.strip())
    if path.suffix.lower() != ".txt" or any(all(number_in(c, delimiter) is not None for c in row) for row in rows):
        return ""
    return "If it is a text, say so with --set input.name=sentence. "


def _wanted(names: Sequence[str], count: int, columns: Sequence[str], path: Path) -> list[int]:
    """Places of the columns that are wanted. Raises ``DataError`` for one that is not there."""
    if not columns:
        kept = [i for i in range(count) if not names or names[i].strip().lower() not in CLOCKS]
        return kept or list(range(count))
    places = []
    for column in columns:
        if column in names:
            places.append(names.index(column))
        elif column.isdigit() and 1 <= int(column) <= count:
            places.append(int(column) - 1)
        else:
            there = ", ".join(map(repr, names[:20])) if names else f"{count} without names"
            raise DataError(f"has the columns {there}", expected=repr(column), do="Set input.columns.", file=path)
    return places


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]


def number_in(cell: str, delimiter: str | None) -> float | None:
    """A number with a point or, where commas part no cells, a comma; NaN for nothing."""
    if cell.strip().lower() in ABSENT:
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        return float(cell.replace(",", ".")) if delimiter != "," and COMMA.fullmatch(cell.strip()) else None
