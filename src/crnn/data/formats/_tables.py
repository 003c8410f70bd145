"""Which tables of a folder are meant: one, or one for each split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from crnn.data.formats._columns import spell
from crnn.data.formats._files import SPLITS, Split, name_in, split_of
from crnn.data.formats._rows import SUFFIXES, columns
from crnn.errors import DataError, MissingExtra

Fits: TypeAlias = Callable[[Sequence[str], Path], bool]
"""Whether a table of these columns is meant; it may raise ``DataError`` instead of saying no."""
USUAL = ("lines", "labels", "metadata", "transcriptions", "ground_truth", "gt", "index")
"""Stems of the table that is meant where a folder holds several."""


def choose(path: Path, fits: Fits) -> list[Path]:
    """The tables that are meant: one, or one for each split. Raises ``DataError`` where that is unsure."""
    if path.is_file():
        return [path]
    there = near(path)
    tables = known(there, fits) or there[:1]  # of tables that are all unknown, one tells what its columns lack
    here = [table for table in tables if table.parent == path]
    usual = [table for table in here if table.stem.lower() in USUAL]
    if len(here) == 1 or len(usual) == 1:
        return here if len(here) == 1 else usual
    parts = [_split_stem(table) if here else split_of(path, table) for table in here or tables]
    if parts and None not in parts and len(set(parts)) == len(parts):
        return here or tables
    if not tables:
        raise DataError(
            "holds no table", expected="a table (.jsonl .csv .tsv .parquet)", do="Give its path.", file=path
        )
    raise DataError(
        f"holds the tables {', '.join(name_in(path, table) for table in here or tables)}",
        expected="one table, or one named lines, or one for each of train, valid, test",
        do="Give the path of the one that is meant.",
        file=path,
    )


def near(path: Path) -> list[Path]:
    """Tables in the folder, and in its subfolders that are named as splits."""
    parts = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and folder.name.lower() in SPLITS]
    return [
        file
        for folder in (path, *parts)
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in SUFFIXES and file.is_file() and not file.name.startswith(".")
    ]


def known(tables: Sequence[Path], fits: Fits) -> list[Path]:
    """Those of ``tables`` whose columns fit (parquet counts where pyarrow is missing)."""
    found = []
    for table in tables:
        try:
            if not fits(columns(table), table):
                continue
        except MissingExtra:
            pass
        except DataError:
            continue
        found.append(table)
    return found


def holds(path: Path, fits: Fits) -> bool:
    """Whether ``path`` is a table that is meant, or a folder that holds one."""
    if path.is_file():
        return path.suffix.lower() in SUFFIXES and bool(known([path], fits))
    return bool(known(near(path), fits))


def has_column(path: Path, column: str) -> bool:
    """Whether a table there has that column."""
    tables = [path] if path.is_file() else near(path)
    return any(spell(column) in map(spell, columns(table)) for table in tables)


def part_of(root: Path, path: Path, table: Path) -> Split | None:
    """The split of a ``table`` found at ``path``: of its folder below ``root``, or as it is named itself."""
    return split_of(root, table) or (_split_stem(table) if path.is_dir() else None)


def _split_stem(table: Path) -> Split | None:
    """The split that a table is named as."""
    return SPLITS.get(table.stem.lower())
