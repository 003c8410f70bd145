"""A table that names pictures and their texts: .jsonl, .csv, .tsv or .parquet, or a folder that holds one.

Columns are known by their usual names; paths are relative to the table's folder and may not leave it, since tables come
from strangers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crnn.data.formats._files import SPLITS, Split, exists, inside, line_text, name_in, root_of, split_of
from crnn.data.formats._rows import SUFFIXES, columns, rows
from crnn.errors import CrnnError, DataError, MissingExtra
from crnn.types import Sample

WANTED = "a table (.jsonl .csv .tsv .parquet) with a column of pictures and a column of texts"

NAMES: dict[str, tuple[str, ...]] = {
    "image": (
        *("image", "file", "filename", "file_name", "path", "picture", "img", "image_path", "image_file"),
        *("image_name", "img_path", "file_path", "filepath"),
    ),
    "text": (
        *("text", "transcription", "transcript", "label", "ground_truth", "words", "gt", "gt_text", "labels"),
        *("sentence", "line_text"),
    ),
    "group": ("group", "writer", "writer_id", "author", "document", "document_id", "page", "page_id"),
    "split": ("split", "part", "subset"),
}
"""Usual names of each column; where a table has several, the first here is taken. Spelling: lower case, ``_``."""
USUAL = ("lines", "labels", "metadata", "transcriptions", "ground_truth", "gt", "index")
"""Stems of the table that is meant where a folder holds several."""


def recognise(path: Path) -> bool:
    """Whether ``path`` is named like a table, or a folder with a table whose columns are known."""
    if path.is_file():
        return path.suffix.lower() in SUFFIXES
    return bool(_known(_near(path)))


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each row that has a text and names a picture that is there.

    Raises ``DataError`` if it is unsure which table is meant, or if columns are missing.
    """
    root = root_of(path)
    seen: set[str] = set()
    for table in _choose(path):
        part = split_of(root, table) or (_split_stem(table) if path.is_dir() else None)
        roles = _roles(columns(table), table)
        word = "row" if table.suffix.lower() == ".parquet" else "line"
        for number, row in rows(table, list(roles.values()), left_out):
            try:
                picture, text, group, split = _values(row, roles, table, f"{word} {number} ")
            except DataError as error:
                left_out.append(error)
                continue
            name = name_in(root, picture)
            if name in seen:  # a picture that is named twice
                name = f"{name}#{table.name}:{number}"
            seen.add(name)
            yield Sample(name, picture, text, group, split or part)


def _values(
    row: Mapping[str, Any], roles: Mapping[str, str], table: Path, where: str
) -> tuple[Path, str, str | None, Split | None]:
    """Picture, text, group and split of a row. Raises ``DataError``, which names the row by ``where``."""
    name = row.get(roles["image"])
    if isinstance(name, (dict, bytes)):
        raise DataError(
            f"{where}holds the picture itself",
            expected="the path of a picture file",
            do="Write the pictures into files beside the table.",
            file=table,
        )
    if not isinstance(name, str) or not name.strip():
        raise DataError(f"{where}names no picture", expected="its path", do="Write it, or delete the row.", file=table)
    try:
        picture = inside(table.parent, name)
    except DataError as error:
        raise DataError(where + error.given, expected=error.expected, do=error.do, file=table) from error
    if not exists(picture):
        raise DataError(
            f"{where}names {name!r}, which is not there",
            expected=f"a file in {table.parent}",
            do="Copy the picture there, or delete the row.",
            file=table,
        )
    text = line_text(_word(row.get(roles["text"]), where + "has a text that", table), table, where)
    group = _word(row.get(roles["group"]), where + "has a group that", table) if "group" in roles else ""
    split = _word(row.get(roles["split"]), where + "has a split that", table) if "split" in roles else ""
    if split and split.lower() not in SPLITS:
        raise DataError(
            f"{where}has the split {split!r}", expected="train, valid or test", do="Correct that row.", file=table
        )
    return picture, text, group or None, SPLITS.get(split.lower())


def _word(value: Any, where: str, table: Path) -> str:
    """A cell as text, ``""`` for none. A whole number is meant as written; another value is not a text."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise DataError(f"{where} is a {type(value).__name__}", expected="a text", do="Put it in quotes.", file=table)
    return value


def _roles(names: Sequence[str], table: Path) -> dict[str, str]:
    """Which column plays which part. Raises ``DataError`` listing the columns if picture or text is not among them."""
    spelled = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in reversed(names)}
    roles = {role: next((spelled[n] for n in usual if n in spelled), None) for role, usual in NAMES.items()}
    for role in ("image", "text"):
        if roles[role] is None:
            raise DataError(
                f"has the columns {', '.join(map(repr, names[:20]))}",
                expected=f"one for the {role}, named {', '.join(NAMES[role])}",
                do="Rename the column.",
                file=table,
            )
    return {role: name for role, name in roles.items() if name is not None}


def _choose(path: Path) -> list[Path]:
    """The tables that are meant: one, or one for each split. Raises ``DataError`` where that is unsure."""
    if path.is_file():
        return [path]
    near = _near(path)
    tables = _known(near) or near[:1]  # of tables that are all unknown, one tells what its columns lack
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


def _known(tables: Sequence[Path]) -> list[Path]:
    """Those of ``tables`` that have columns for picture and text (parquet counts where pyarrow is missing)."""
    known = []
    for table in tables:
        try:
            _roles(columns(table), table)
        except MissingExtra:
            pass
        except DataError:
            continue
        known.append(table)
    return known


def _split_stem(table: Path) -> Split | None:
    return SPLITS.get(table.stem.lower())
