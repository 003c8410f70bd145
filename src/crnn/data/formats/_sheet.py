"""A sheet of numbers, a row a step, as people have it: .csv, .tsv or .txt, with a header or none, dates or none."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crnn.data.clock import parse
from crnn.data.formats._files import decode, read_bytes
from crnn.errors import DataError

CLOCKS = ("time", "timestamp", "datetime", "date", "ds", "day", "month", "index", "t", "no", "")
"""Names of columns that tell or count the time, in lower case."""
ABSENT = ("", "nan", "na", "n/a", "null", "none", "?", "-")
COUNTED = ("index", "t", "no", "")
"""Those that count when they hold numbers, and tell no time."""
FIRST_STAMP = 100_000_000  # seconds; smaller numbers count steps
FEW = 0.01  # of the rows may be broken
MANY = 0.5  # of a column's cells that are numbers, if it is a column of numbers


@dataclass(frozen=True, slots=True)
class Sheet:
    """``table`` is float64 ``(rows, columns)``, NaN where nothing stands; ``lines`` are those of the file."""

    names: tuple[str, ...]
    table: np.ndarray
    lines: np.ndarray
    stamps: np.ndarray | None
    words: tuple[str, ...]
    """Columns that hold no numbers."""
    broken: tuple[int, ...] = ()
    """Lines with other counts of cells, which are left out."""


def read_sheet(path: Path) -> Sheet:
    """The columns of numbers in ``path``, and its stamps. Lines that are broken are left out where dates say what is
    lacking. Raises ``DataError`` naming the line."""
    text = decode(read_bytes(path), path)
    rows = _rows(text, path)
    header = not any(_number(cell) is not None and cell.lower() not in ABSENT for _, row in rows[:1] for cell in row)
    names = [name.strip() for name in rows[0][1]] if header else [str(i + 1) for i in range(len(rows[0][1]))]
    if header:
        rows = rows[1:]
        if rows and len(rows[0][1]) == len(names) + 1:  # R and pandas leave the index without a name
            names = ["", *names]
    if not rows:
        do = "Give a table with a row for each step."
        raise DataError("holds no rows of numbers", expected="numbers", do=do, file=path)
    broken = [(line, row) for line, row in rows if len(row) != len(names)]
    rows = [(line, row) for line, row in rows if len(row) == len(names)]
    columns: dict[int, Sequence[str]] = dict(enumerate(zip(*(row for _, row in rows), strict=True)))
    lines = np.array([line for line, _ in rows])
    stamps = _stamps(names if header else [], columns) if rows else None
    if broken and (stamps is None or len(broken) > FEW * len(rows)):
        line, row = broken[0]
        given, expected = f"line {line} has {len(row)} cells", f"{len(names)}, as in the first line"
        raise DataError(given, expected=expected, do="Correct or delete that line.", file=path)
    kept, words, values = [], [], []
    for i, column in columns.items():
        numbers, wrong = _numbers(column)
        if len(wrong) > MANY * len(column):
            words.append(names[i])
        elif wrong:
            given = f"line {lines[wrong[0]]} says {column[wrong[0]]!r} in the column {names[i]}"
            raise DataError(given, expected="a number", do="Correct it, or leave the cell empty.", file=path)
        else:
            kept.append(names[i])
            values.append(numbers)
    if not kept:
        given = f"has the columns {', '.join(map(repr, names[:20]))}, none of numbers"
        raise DataError(given, expected="a column of numbers", do="Give a table with numbers in it.", file=path)
    lost = tuple(line for line, _ in broken)
    return Sheet(tuple(kept), np.stack(values, axis=1), lines, stamps, tuple(words), lost)


def _rows(text: str, path: Path) -> list[tuple[int, list[str]]]:
    """Line and cells of each row that is not blank."""
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise DataError("holds no rows", expected="numbers, a row a step", do="Copy or write it again.", file=path)
    delimiter = max("\t;,", key=first.count)
    if not first.count(delimiter) and len(first.split()) > 1 and parse([first.strip()]) is None:
        return [(i, line.split()) for i, line in enumerate(lines, 1) if line.strip()]
    try:
        return [
            (i, [cell.strip() for cell in row])
            for i, row in enumerate(csv.reader(lines, delimiter=delimiter), 1)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        do = "Write it again as plain CSV."
        raise DataError(f"cannot be read ({error})", expected="a table", do=do, file=path) from error


def _stamps(names: Sequence[str], columns: dict[int, Sequence[str]]) -> np.ndarray | None:
    """The stamps; the columns that hold them or count the rows are taken out. Dates stand in a column of a usual name,
    or in the first whose cells are dates; numbers of a column named so are seconds, or milliseconds, since 1970."""
    found = None
    for i, name in enumerate(names):
        plain, column = name.strip().lower(), columns[i]
        if plain not in CLOCKS or all(cell.lower() in ABSENT for cell in column):
            continue
        numbers, wrong = _numbers(column)
        seconds = not wrong and bool(np.nanmin(numbers) >= FIRST_STAMP)
        if found is None and seconds and not re.fullmatch(r"\d{8}", column[0]):
            unit = 1 if np.nanmin(numbers) >= 1000 * FIRST_STAMP else 1000
            found = np.round(numbers * unit).astype("datetime64[ms]")
            del columns[i]
        elif found is None and (wrong or plain not in COUNTED) and (stamps := parse(column)) is not None:
            found = stamps
            del columns[i]
        elif not wrong and plain in COUNTED:
            del columns[i]
    if found is None:
        for i, column in columns.items():
            numbers, wrong = _numbers(column[:3])
            if len(wrong) == len(column[:3]) and (found := parse(column)) is not None:
                del columns[i]
                break
    return found


def _numbers(column: Sequence[str]) -> tuple[np.ndarray, list[int]]:
    """The numbers of a column, NaN for those that are absent, and the places of what is neither."""
    try:
        return np.array(column, np.float64), []
    except ValueError:
        values = [_number(cell) for cell in column]
        wrong = [i for i, value in enumerate(values) if value is None]
        return np.array([np.nan if value is None else value for value in values]), wrong


def _number(cell: str) -> float | None:
    """A number as it is written in most places of the world, with a point or a comma; NaN for nothing."""
    if cell.strip().lower() in ABSENT:
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        return float(cell.replace(",", ".")) if re.fullmatch(r"[+-]?\d+,\d+(e[+-]?\d+)?", cell.strip()) else None
