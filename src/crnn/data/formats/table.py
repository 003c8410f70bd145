"""A table of sources and their texts, labels or numbers: .jsonl, .csv, .tsv or .parquet, or a folder that holds one.

Columns are known by their usual names; paths are relative to the table's folder and may not leave it, since tables come
from strangers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crnn.data.formats._asked import Answer, Asked
from crnn.data.formats._columns import number_of, roles_of, shared_of, source_of, word_of
from crnn.data.formats._files import UNREAD, line_text, name_in, passage, root_of
from crnn.data.formats._frames_before import FramesBefore
from crnn.data.formats._rows import SUFFIXES, columns, rows
from crnn.data.formats._tables import Fits, choose, has_column, holds, part_of
from crnn.data.label_maps import Painted, find_legend
from crnn.errors import CrnnError, DataError
from crnn.types import Sample

WANTED = "a table (.jsonl .csv .tsv .parquet) with a column of pictures or other files and a column of answers"
ANSWERS = ("text", "label", "numbers", "map", "picture")
knows = has_column


def recognise(path: Path) -> bool:
    """Whether ``path`` is named like a table, or a folder with a table whose columns are known."""
    return recognise_for(path, Asked())


def recognise_for(path: Path, asked: Asked) -> bool:
    """The same for what is asked for; a file that could itself be a source must have the columns."""
    if path.is_file():
        meant = bool(asked.inputs or asked.columns) or path.suffix.lower() not in asked.suffixes
        if meant:
            return path.suffix.lower() in SUFFIXES
    return holds(path, _fits(asked))


def _fits(asked: Asked) -> Fits:
    """Whether a table has the columns for source and answer."""

    def fits(names: Sequence[str], table: Path) -> bool:
        roles = roles_of(names, table, asked)
        if asked.answer == "map":  # whose column may be called anything else
            return "map" in roles or bool(asked.columns)
        if asked.answer == "picture":
            return "clean" in roles or bool(asked.columns) or asked.spoiling != "none"
        # a column of texts alone may be anything
        return "sentence" not in roles or bool({"label", "number"} & roles.keys() or asked.columns)

    return fits


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each row that has a text and names a picture that is there.

    Raises ``DataError`` if it is unsure which table is meant, or if columns are missing.
    """
    return read_for(path, left_out, Asked())


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """A sample for each row with the answer that is asked for. Rows without a label or number have ``y=None``."""
    root, clips = root_of(path), FramesBefore(asked.frames if asked.answer == "map" else 1)
    seen: set[str] = set()
    for table in choose(path, _fits(asked)):
        part = part_of(root, path, table)
        roles = roles_of(columns(table), table, asked)
        word = "row" if table.suffix.lower() == ".parquet" else "line"
        for number, row in rows(table, list(dict.fromkeys(roles.values())), left_out):
            try:
                x = _source(row, roles, table, f"{word} {number} ", asked.suffixes)
                y = _answer(row, roles, asked.answer, table, f"{word} {number} ")
                group, split = shared_of(row, roles, table, f"{word} {number} ")
            except DataError as error:
                left_out.append(error)
                continue
            name = name_in(root, x) if isinstance(x, Path) else f"{table.name}:{number}"
            if name in seen:  # a source that is named twice
                name = f"{name}#{table.name}:{number}"
            seen.add(name)
            x = clips.ending_at(x) if isinstance(x, Path) else x
            yield Sample(name, x, y, group, split or part)


def _source(row: Mapping[str, Any], roles: Mapping[str, str], table: Path, where: str, suffixes: frozenset[str]) -> Any:
    """What is seen: the file that is named, a text that stands there, or several by name. Raises ``DataError``."""
    several = {role.removeprefix("input:"): name for role, name in roles.items() if role.startswith("input:")}
    if several:
        return {role: _cell(row.get(name), table, where, suffixes) for role, name in several.items()}
    if "sentence" in roles:
        return passage(word_of(row.get(roles["sentence"]), where + "has a text that", table), table, where)
    return source_of(row.get(roles.get("image") or roles["source"]), table, where)


def _cell(value: Any, table: Path, where: str, suffixes: frozenset[str]) -> Any:
    """A file if the cell ends like one of ``suffixes``, or one that people take for such, else its text."""
    if isinstance(value, str) and Path(value).suffix.lower() in suffixes | UNREAD.keys():
        return source_of(value, table, where)
    return passage(word_of(value, where + "has an input that", table), table, where)


def _answer(row: Mapping[str, Any], roles: Mapping[str, str], answer: Answer, table: Path, where: str) -> Any:
    """The text, label, numbers or label map of a row; ``None`` where it is not given (but for a text)."""
    named = [name for role, name in roles.items() if role.startswith("answer:")]
    usual = [roles[role] for role in ("text", "label", "number", "map", "clean") if role in roles]
    cells = [row.get(name) for name in named or usual]
    if answer == "text":
        return line_text(word_of(cells[0], where + "has a text that", table), table, where)
    if all(cell is None or cell == "" for cell in cells):
        return None
    if answer == "map":
        return Painted(source_of(cells[0], table, where), find_legend(table.parent))
    if answer == "picture":
        return source_of(cells[0], table, where)
    if answer == "numbers":
        numbers = tuple(number_of(cell, where, table) for cell in cells)
        return numbers if len(numbers) > 1 else numbers[0]
    return word_of(cells[0], where + "has a label that", table).strip() or None
