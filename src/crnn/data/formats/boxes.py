"""A table of boxes: each row names a picture, a label, and left, top, right and bottom, or x, y, width and height.

A picture with several things has several rows, one without any a row without a label. Places are in pixels from the
upper left corner of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crnn.data.formats._asked import Asked
from crnn.data.formats._columns import (
    Shared,
    agreed,
    label_roles_of,
    missing,
    number_of,
    roles_of,
    shared_of,
    source_of,
    word_of,
)
from crnn.data.formats._files import name_in, root_of
from crnn.data.formats._frames_before import FramesBefore
from crnn.data.formats._rows import columns, rows
from crnn.data.formats._tables import Fits, choose, has_column, holds, part_of
from crnn.errors import CrnnError, DataError
from crnn.types import Box, Boxes, Sample

WANTED = "a table (.jsonl .csv .tsv .parquet) with columns for file, label, left, top, right and bottom"
ANSWERS = ("boxes",)
ASKED = Asked(answer="boxes")
knows = has_column
EDGES, SIDES = ("left", "top", "right", "bottom"), ("x", "y", "width", "height")


def recognise(path: Path) -> bool:
    """Whether ``path`` is such a table, or a folder that holds one."""
    return recognise_for(path, ASKED)


def recognise_for(path: Path, asked: Asked) -> bool:
    """The same where a column of labels may be asked for, which then need not have a usual name."""
    return holds(path, _fits(asked))


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each picture that is named, its ``y`` the boxes in the order of their rows."""
    return read_for(path, left_out, ASKED)


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """The same with the group and the column of labels that are asked for; where several frames are, of clips that end
    at the picture. A picture of which a row is broken goes to ``left_out``, since its boxes would be wrong. Raises
    ``DataError`` if columns are missing."""
    root, clips = root_of(path), FramesBefore(asked.frames)
    for table in choose(path, _fits(asked)):
        part = part_of(root, path, table)
        roles = label_roles_of(columns(table), table, asked)
        if not _enough({*roles}):
            raise missing(columns(table), WANTED, table, "Rename the columns.")
        found: dict[Path, list[Box]] = {}
        shared: dict[Path, Shared] = {}
        broken: set[Path] = set()
        for number, row in rows(table, list(dict.fromkeys(roles.values())), left_out):
            where = f"{'row' if table.suffix.lower() == '.parquet' else 'line'} {number} "
            source: Path | None = None
            try:
                source = source_of(row.get(roles["source"]), table, where)
                label = word_of(row.get(roles["label"]), where + "has a label that", table).strip()
                said = shared_of(row, roles, table, where)
                before, grouped = shared.get(source, (None, None)), asked.group is not None
                shared[source] = agreed(before, said, table, where, grouped=grouped)
                own = found.setdefault(source, [])
                if label:
                    own.append(_box(label, row, roles, where, table))
            except DataError as error:
                left_out.append(error)
                broken |= {source} if source is not None else set()
        for source, boxes in found.items():
            if source not in broken:
                group, split = shared[source]
                y = Boxes((0, 0), tuple(boxes), file=table)
                yield Sample(name_in(root, source), clips.ending_at(source), y, group, split or part)


def _box(label: str, row: Mapping[str, Any], roles: Mapping[str, str], where: str, table: Path) -> Box:
    names = EDGES if roles.keys() >= set(EDGES) else SIDES
    left, top, right, bottom = (number_of(row.get(roles[name]), where, table) for name in names)
    return Box(label, left, top, *((right, bottom) if names == EDGES else (left + right, top + bottom)))


def _fits(asked: Asked) -> Fits:
    """Whether a table has the columns; one that is asked for is looked for when it is read, which says what lacks."""

    def fits(names: Sequence[str], table: Path) -> bool:
        roles = roles_of(names, table, replace(asked, columns=()))
        return _enough({*roles, "label"} if asked.columns else {*roles})

    return fits


def _enough(roles: set[str]) -> bool:
    """Whether these parts make boxes."""
    return roles >= {"source", "label"} and (roles >= set(EDGES) or roles >= set(SIDES))
