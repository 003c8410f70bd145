"""A sheet of numbers, a row a step, as people have it: .csv, .tsv or .txt, with a header or none, dates or none."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crnn.data.clock import parse, stray
from crnn.data.formats._files import decode, read_bytes
from crnn.data.inputs._numbers import ABSENT, COMMA, number_in
from crnn.data.inputs._numbers import CLOCKS as USUAL
from crnn.errors import DataError

CLOCKS = (*USUAL, "ds", "day", "month", "no")
"""Names of columns that tell or count the time, in lower case; some are those of channels in recordings."""
COUNTED = ("index", "t", "no", "")
"""Those that count when they hold numbers, and tell no time."""
RISING = ("t", "no", "time", "timestamp")
"""Those that count if their numbers rise from row to row; else they are a temperature, or nitric oxide."""
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
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
    rows, delimiter = _rows(text, path)
    header = not any(number_in(c, delimiter) is not None and not _absent(c) for _, row in rows[:1] for c in row)
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
    empty = [i for i, column in columns.items() if all(map(_absent, column))]
    words = [names[i] for i in empty if names[i]]
    columns = {i: column for i, column in columns.items() if i not in empty}
    stamps = _stamps(names, columns, delimiter, lines, path, header=header) if rows else None
    if broken and (stamps is None or len(broken) > FEW * len(rows)):
        line, row = broken[0]
        given, expected = f"line {line} has {len(row)} cells", f"{len(names)}, as in the first line"
        raise DataError(given, expected=expected, do="Correct or delete that line.", file=path)
    kept: list[str] = []
    values: list[np.ndarray] = []
    for i, column in columns.items():
        numbers, wrong = _numbers(column, delimiter)
        commas = [place for place in wrong if COMMA.fullmatch(column[place]) or THOUSANDS.fullmatch(column[place])]
        if wrong and len(wrong) - len(commas) <= MANY * len(column):
            place = (commas or wrong)[0]
            do = "Write a point, and none between thousands." if commas else "Correct it, or leave the cell empty."
            given = f"line {lines[place]} says {column[place]!r} in the column {names[i]}"
            raise DataError(given, expected="a number", do=do, file=path)
        if wrong:
            words.append(names[i])
        elif names[i] in kept:
            given, do = f"has two columns {names[i]!r}", "Name them apart."
            raise DataError(given, expected="a name for each column", do=do, file=path)
        else:
            kept.append(names[i])
            values.append(numbers)
    if not kept:
        given = f"has the columns {', '.join(map(repr, names[:20]))}, none of numbers"
        raise DataError(given, expected="a column of numbers", do="Give a table with numbers in it.", file=path)
    lost = tuple(line for line, _ in broken)
    return Sheet(tuple(kept), np.stack(values, axis=1), lines, stamps, tuple(words), lost)


def _rows(text: str, path: Path) -> tuple[list[tuple[int, list[str]]], str | None]:
    """Line and cells of each row that is not blank, and what lies between cells, ``None`` for blanks."""
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise DataError("holds no rows", expected="numbers, a row a step", do="Copy or write it again.", file=path)
    delimiter = max("\t;,", key=first.count)
    if not first.count(delimiter) and len(first.split()) > 1 and parse([first.strip()]) is None:
        return [(i, line.split()) for i, line in enumerate(lines, 1) if line.strip()], None
    try:
        return [
            (i, [cell.strip() for cell in row])
            for i, row in enumerate(csv.reader(lines, delimiter=delimiter), 1)
            if any(cell.strip() for cell in row)
        ], delimiter
    except csv.Error as error:
        do = "Write it again as plain CSV."
        raise DataError(f"cannot be read ({error})", expected="a table", do=do, file=path) from error


def _stamps(
    names: Sequence[str],
    columns: dict[int, Sequence[str]],
    delimiter: str | None,
    lines: np.ndarray,
    path: Path,
    *,
    header: bool,
) -> np.ndarray | None:
    """The stamps; the columns that hold them or count the rows are taken out. Dates stand in a column of a usual name,
    or in the first whose cells are dates; numbers of a column named so are seconds, or milliseconds, since 1970. Raises
    ``DataError`` where one cell of a column of dates is none."""
    found = None
    for i, column in list(columns.items()) if header else ():
        plain = names[i].strip().lower()
        if plain not in CLOCKS:
            continue
        numbers, wrong = _numbers(column, delimiter)
        dates = ["" if _absent(cell) else cell for cell in column]
        if found is None and not wrong and np.nanmin(numbers) >= FIRST_STAMP:
            unit = 1 if np.nanmin(numbers) >= 1000 * FIRST_STAMP else 1000
            found = np.round(numbers * unit).astype("datetime64[ms]")
            del columns[i]
        elif found is None and (wrong or plain not in COUNTED) and (stamps := parse(dates)) is not None:
            found = stamps
            del columns[i]
        elif not wrong and plain in (*COUNTED, *RISING) and (plain not in RISING or (np.diff(numbers) > 0).all()):
            del columns[i]
        elif found is None and wrong and (place := stray(dates)) is not None:
            given = f"line {lines[place]} says {column[place]!r} in the column {names[i]}"
            raise DataError(given, expected="a date, written as most are", do="Correct it.", file=path)
    if found is None:
        for i, column in columns.items():
            dates = ["" if _absent(cell) else cell for cell in column]
            first = [cell for cell in dates if cell][:3]
            if len(_numbers(first, delimiter)[1]) == len(first) and (found := parse(dates)) is not None:
                del columns[i]
                break
    return found


def _numbers(column: Sequence[str], delimiter: str | None) -> tuple[np.ndarray, list[int]]:
    """The numbers of a column, NaN for those that are absent, and the places of what is neither."""
    try:
        return np.array(column, np.float64), []
    except ValueError:
        values = [number_in(cell, delimiter) for cell in column]
        wrong = [i for i, value in enumerate(values) if value is None]
        return np.array([np.nan if value is None else value for value in values]), wrong


def _absent(cell: str) -> bool:
    return cell.lower() in ABSENT
