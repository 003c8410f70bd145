"""A table of sources and their texts, labels or numbers: .jsonl, .csv, .tsv or .parquet, or a folder that holds one.

Columns are known by their usual names; paths are relative to the table's folder and may not leave it, since tables come
from strangers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crnn.data.formats._asked import Answer, Asked
from crnn.data.formats._columns import number_of, roles_of, source_of, spell, word_of
from crnn.data.formats._files import SPLITS, Split, line_text, name_in, root_of, split_of
from crnn.data.formats._rows import SUFFIXES, columns, rows
from crnn.errors import CrnnError, DataError, MissingExtra
from crnn.types import Sample

WANTED = "a table (.jsonl .csv .tsv .parquet) with a column of pictures or other files and a column of answers"
ANSWERS = ("text", "label", "numbers")

USUAL = ("lines", "labels", "metadata", "transcriptions", "ground_truth", "gt", "index")
"""Stems of the table that is meant where a folder holds several."""


def recognise(path: Path) -> bool:
    """Whether ``path`` is named like a table, or a folder with a table whose columns are known."""
    return recognise_for(path, Asked())


def recognise_for(path: Path, asked: Asked) -> bool:
    """The same for what is asked for; a file that could itself be a source must have the columns."""
    if path.is_file():
        named = path.suffix.lower() in SUFFIXES
        return named and (path.suffix.lower() not in asked.suffixes or bool(_known([path], asked)))
    return bool(_known(_near(path), asked))


def knows(path: Path, column: str) -> bool:
    """Whether a table there has that column."""
    tables = [path] if path.is_file() else _near(path)
    return any(spell(column) in map(spell, columns(table)) for table in tables)


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each row that has a text and names a picture that is there.

    Raises ``DataError`` if it is unsure which table is meant, or if columns are missing.
    """
    return read_for(path, left_out, Asked())


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """A sample for each row with the answer that is asked for. Rows without a label or number have ``y=None``."""
    root = root_of(path)
    seen: set[str] = set()
    for table in _choose(path, asked):
        part = split_of(root, table) or (_split_stem(table) if path.is_dir() else None)
        roles = roles_of(columns(table), table, asked)
        word = "row" if table.suffix.lower() == ".parquet" else "line"
        for number, row in rows(table, list(dict.fromkeys(roles.values())), left_out):
            try:
                x = _source(row, roles, table, f"{word} {number} ")
                y = _answer(row, roles, asked.answer, table, f"{word} {number} ")
                group, split = _shared(row, roles, table, f"{word} {number} ")
            except DataError as error:
                left_out.append(error)
                continue
            name = name_in(root, x) if isinstance(x, Path) else f"{table.name}:{number}"
            if name in seen:  # a source that is named twice
                name = f"{name}#{table.name}:{number}"
            seen.add(name)
            yield Sample(name, x, y, group, split or part)


def _source(row: Mapping[str, Any], roles: Mapping[str, str], table: Path, where: str) -> Any:
    """What is seen: the file that is named, a text that stands there, or several by name. Raises ``DataError``."""
    several = {role.removeprefix("input:"): name for role, name in roles.items() if role.startswith("input:")}
    if several:
        return {role: _cell(row.get(name), table, where) for role, name in several.items()}
    if "sentence" in roles:
        return line_text(word_of(row.get(roles["sentence"]), where + "has a text that", table), table, where)
    return source_of(row.get(roles.get("image") or roles["source"]), table, where)


def _cell(value: Any, table: Path, where: str) -> Any:
    """A file if the cell names one, else its text."""
    if isinstance(value, str) and len(Path(value).suffix) > 1 and " " not in Path(value).suffix:
        return source_of(value, table, where)
    return line_text(word_of(value, where + "has an input that", table), table, where)


def _answer(row: Mapping[str, Any], roles: Mapping[str, str], answer: Answer, table: Path, where: str) -> Any:
    """The text, label or numbers of a row; ``None`` where a label or number is not given."""
    named = [name for role, name in roles.items() if role.startswith("answer:")]
    cells = [row.get(name) for name in named or [roles[role] for role in ("text", "label", "number") if role in roles]]
    if answer == "text":
        return line_text(word_of(cells[0], where + "has a text that", table), table, where)
    if all(cell is None or cell == "" for cell in cells):
        return None
    if answer == "numbers":
        numbers = tuple(number_of(cell, where, table) for cell in cells)
        return numbers if len(numbers) > 1 else numbers[0]
    return word_of(cells[0], where + "has a label that", table).strip() or None


def _shared(
    row: Mapping[str, Any], roles: Mapping[str, str], table: Path, where: str
) -> tuple[str | None, Split | None]:
    """Group and split of a row. Raises ``DataError``."""
    group = word_of(row.get(roles["group"]), where + "has a group that", table) if "group" in roles else ""
    split = word_of(row.get(roles["split"]), where + "has a split that", table) if "split" in roles else ""
    if split and split.lower() not in SPLITS:
        raise DataError(
            f"{where}has the split {split!r}", expected="train, valid or test", do="Correct that row.", file=table
        )
    return group or None, SPLITS.get(split.lower())


def _choose(path: Path, asked: Asked) -> list[Path]:
    """The tables that are meant: one, or one for each split. Raises ``DataError`` where that is unsure."""
    if path.is_file():
        return [path]
    near = _near(path)
    tables = _known(near, asked) or near[:1]  # of tables that are all unknown, one tells what its columns lack
    here = [table for table in tables if table.parent == path]
    usual = [table for table in here if table.stem.lower() in USUAL]
    if len(here) == 1 or len(usual) == 1:
        return here if len(here) == 1 else usual
    parts = [_split_stem(table) if here else split_of(path, table) for table in here or tables]
    if parts and None not in parts and len(set(parts)) == len(parts):
        return here or tables
    if not tables:
        raise DataError("holds no table", expected=WANTED, do="Give the path of the table.", file=path)
    raise DataError(
        f"holds the tables {', '.join(name_in(path, table) for table in here or tables)}",
        expected="one table, or one named lines, or one for each of train, valid, test",
        do="Give the path of the one that is meant.",
        file=path,
    )


def _near(path: Path) -> list[Path]:
    """Tables in the folder, and in its subfolders that are named as splits."""
    parts = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and folder.name.lower() in SPLITS]
    return [
        file
        for folder in (path, *parts)
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in SUFFIXES and file.is_file() and not file.name.startswith(".")
    ]


def _known(tables: Sequence[Path], asked: Asked) -> list[Path]:
    """Those of ``tables`` that have columns for source and answer (parquet counts where pyarrow is missing)."""
    known = []
    for table in tables:
        try:
            roles = roles_of(columns(table), table, asked)
        except MissingExtra:
            pass
        except DataError:
            continue
        else:
            if "sentence" in roles and not {"label", "number"} & roles.keys() and not asked.columns:
                continue  # a column of texts alone may be anything
        known.append(table)
    return known


def _split_stem(table: Path) -> Split | None:
    return SPLITS.get(table.stem.lower())
