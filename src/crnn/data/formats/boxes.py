"""A table of boxes: each row names a picture, a label, and left, top, right and bottom, or x, y, width and height.

A picture with several things has several rows, one without any a row without a label. Places are in pixels from the
upper left corner of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crnn.data.formats._asked import Asked
from crnn.data.formats._columns import number_of
from crnn.data.formats._files import name_in, root_of
from crnn.data.formats._frames_before import FramesBefore
from crnn.data.formats._labelled_rows import Roles, by_source, fits_of
from crnn.data.formats._tables import choose, has_column, holds, part_of
from crnn.errors import CrnnError
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
    return holds(path, fits_of(asked, _enough))


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each picture that is named, its ``y`` the boxes in the order of their rows."""
    return read_for(path, left_out, ASKED)


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """The same with the group and the column of labels that are asked for; where several frames are, of clips that end
    at the picture. A picture of which a row is broken goes to ``left_out``, since its boxes would be wrong. Raises
    ``DataError`` if columns are missing."""
    root, clips = root_of(path), FramesBefore(asked.frames)
    for table in choose(path, fits_of(asked, _enough)):
        part = part_of(root, path, table)
        found = by_source(table, asked, left_out, enough=_enough, wanted=WANTED, read=_box)
        for source, boxes, (group, split) in found:
            y = Boxes((0, 0), tuple(boxes), file=table)
            yield Sample(name_in(root, source), clips.ending_at(source), y, group, split or part)


def _box(label: str, row: Mapping[str, Any], roles: Roles, where: str, table: Path) -> Box:
    names = EDGES if roles.keys() >= set(EDGES) else SIDES
    left, top, right, bottom = (number_of(row.get(roles[name]), where, table) for name in names)
    return Box(label, left, top, *((right, bottom) if names == EDGES else (left + right, top + bottom)))


def _enough(roles: set[str]) -> bool:
    """Whether these parts make boxes."""
    return roles >= {"source", "label"} and (roles >= set(EDGES) or roles >= set(SIDES))
