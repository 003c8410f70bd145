"""Rows of a table file (.jsonl .csv .tsv .parquet) as mappings, each with its number, whatever wrote it.

A row is a line, or lines where a cell in quotes goes on over several: a broken one spoils only itself. Numbers are
those that an editor shows (parquet: 1 is the first row).
"""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from crnn.data.formats._files import decode, is_picture, unreadable
from crnn.errors import CrnnError, DataError, MissingExtra

SUFFIXES = frozenset({".jsonl", ".ndjson", ".csv", ".tsv", ".parquet"})
WITHOUT_HEADER = ["image", "text"]
_LOOK = 100  # rows of JSON lines that are asked for their keys
_TALLEST = 1000  # lines of a row; a quote that stays open longer was never meant as one


def columns(path: Path) -> list[str]:
    """The names of the columns, read from the head of the file.

    Raises ``DataError`` for a file that is empty or broken at its head, ``MissingExtra`` for parquet without pyarrow.
    """
    kind = path.suffix.lower()
    if kind == ".parquet":
        with _parquet(path) as file:
            return list(file.schema_arrow.names)
    if kind in (".csv", ".tsv"):
        return _head(path)[0]
    broken: list[CrnnError] = []
    names = {key: None for _, row in islice(_json_rows(path, broken), _LOOK) for key in row}
    if not names:
        raise broken[0] if broken else _empty(path)
    return list(names)


def rows(path: Path, names: Sequence[str], left_out: list[CrnnError]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and values of each row, at least of the columns ``names``; broken rows go to ``left_out``.

    Raises ``DataError`` for what makes the rest of the file unsure (not UTF-8, broken parquet).
    """
    kind = path.suffix.lower()
    if kind == ".parquet":
        return _parquet_rows(path, names)
    return _cell_rows(path, left_out) if kind in (".csv", ".tsv") else _json_rows(path, left_out)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not blank."""
    try:
        with path.open("rb") as file:
            for number, data in enumerate(file, 1):
                if line := decode(data, path, number).rstrip("\r\n"):
                    yield number, line
    except OSError as error:
        raise unreadable(path, error) from error


def _table_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The same, without a first line that tells Excel the delimiter (``sep=;``), which the header tells, too."""
    for number, line in _lines(path):
        if number > 1 or not re.fullmatch(r"\"?sep=.\"?", line, re.IGNORECASE):
            yield number, line


def _json_rows(path: Path, left_out: list[CrnnError]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in _lines(path):
        if line.isspace():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            why = error.msg if isinstance(error, json.JSONDecodeError) else "it cannot be read"
            left_out.append(_broken(path, number, f"is not JSON ({why})", "one object on each line"))
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            expected = 'an object such as {"image": "a.png", "text": "one"}'
            left_out.append(_broken(path, number, f"is a {type(row).__name__}", expected))


def _cell_rows(path: Path, left_out: list[CrnnError]) -> Iterator[tuple[int, dict[str, Any]]]:
    names, delimiter, has_header, quoted = _head(path)
    lines = _table_lines(path)
    if has_header:
        next(lines, None)
    waiting: deque[tuple[int, str]] = deque()
    while (found := waiting.popleft() if waiting else next(lines, None)) is not None:
        number, line = found
        try:
            cells = _cells(line, delimiter, quoted)
        except csv.Error as error:
            cells = _tall_row(line, waiting, lines, delimiter, len(names))
            if not cells:
                expected = "a row with its quotes closed, quotes inside of a text doubled"
                left_out.append(_broken(path, number, f"is no row ({error})", expected))
                continue
        if not any(cell.strip() for cell in cells):
            continue
        if any(cell.strip() for cell in cells[len(names) :]):
            given, expected = f"has {len(cells)} cells", f"{len(names)} (a text with {delimiter!r} in quotes)"
            left_out.append(_broken(path, number, given, expected))
            continue
        yield number, dict(zip(names, cells, strict=False))


def _tall_row(
    line: str, waiting: deque[tuple[int, str]], lines: Iterator[tuple[int, str]], delimiter: str, count: int
) -> list[str]:
    """The ``count`` cells of a row whose quotes are closed some lines behind ``line``, which are taken from ``waiting``
    and then ``lines``. None where no row comes of it: then what was looked at is ``waiting``."""
    parts, open_quote = [line], line.count('"') % 2 == 1
    while open_quote and len(parts) < _TALLEST:
        if len(parts) > len(waiting):
            following = next(lines, None)
            if following is None:
                return []
            waiting.append(following)
        parts.append(waiting[len(parts) - 1][1])
        open_quote ^= parts[-1].count('"') % 2 == 1
    with suppress(csv.Error):
        cells = next(csv.reader(["\n".join(parts)], delimiter=delimiter, strict=True))
        if len(cells) == count:
            for _ in parts[1:]:
                waiting.popleft()
            return cells
    return []


def _head(path: Path) -> tuple[list[str], str, bool, bool]:
    """Columns, delimiter, whether there is a header, and whether a .tsv puts every cell in quotes."""
    first = next(_table_lines(path), None)
    if first is None:
        raise _empty(path)
    line = first[1]
    delimiters = "\t" if path.suffix.lower() == ".tsv" else "\t;,|"
    quoted = all(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in line.split("\t"))
    cells: dict[str, list[str]] = {}
    for delimiter in delimiters:
        with suppress(csv.Error):  # a tab never fails
            cells[delimiter] = _cells(line, delimiter, quoted)
    for delimiter, names in cells.items():
        if len(names) > 1 and any(is_picture(Path(name.strip())) for name in names):
            if len(names) != len(WITHOUT_HEADER) or not is_picture(Path(names[0].strip())):
                raise DataError(
                    f"has {len(names)} cells in its first line and no header",
                    expected="a header that names the columns, or two columns: picture and text",
                    do=f"Write a first line such as image{delimiter}text, and put texts with {delimiter!r} in quotes.",
                    file=path,
                )
            return WITHOUT_HEADER, delimiter, False, quoted
    delimiter = max(cells, key=lambda each: len(cells[each]))
    return cells[delimiter], delimiter, True, quoted


def _cells(line: str, delimiter: str, quoted: bool) -> list[str]:
    """The cells of a line. Quotes in a .tsv are letters, unless every cell has them or they double those inside."""
    if delimiter != "\t":
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    return [_unquote(cell, quoted) for cell in line.split("\t")]


def _unquote(cell: str, quoted: bool) -> str:
    if len(cell) < 2 or not cell[0] == cell[-1] == '"':
        return cell
    inner = cell[1:-1]
    doubled = '""' in inner and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if quoted or doubled else cell


def _parquet(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "series") from error
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
        raise _not_parquet(path) from error


def _parquet_rows(path: Path, names: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    with _parquet(path) as file:
        import pyarrow

        number = 0
        try:
            for batch in file.iter_batches(batch_size=256, columns=list(names)):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
        except (pyarrow.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
            raise _not_parquet(path) from error


def _not_parquet(path: Path) -> DataError:
    return DataError("is broken", expected="a parquet file", do="Copy or write it again.", file=path)


def _empty(path: Path) -> DataError:
    return DataError("holds no rows", expected="a table of pictures and texts", do="Copy or write it again.", file=path)


def _broken(path: Path, number: int, given: str, expected: str) -> DataError:
    return DataError(f"line {number} {given}", expected=expected, do="Correct that line.", file=path)
