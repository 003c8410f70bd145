"""A table of events: each row names a source, and a label from its start to its stop; as DCASE writes them.

A source with several events has several rows, one without any a row without a label. Places are in seconds where the
input has a rate, in pixels for pictures, in steps otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crnn.data.formats._asked import Asked
from crnn.data.formats._columns import number_of
from crnn.data.formats._files import name_in, root_of
from crnn.data.formats._labelled_rows import Roles, by_source, fits_of
from crnn.data.formats._tables import choose, has_column, holds, part_of
from crnn.errors import CrnnError, DataError
from crnn.types import Part, Sample

WANTED = "a table (.jsonl .csv .tsv .parquet) with columns for file, onset, offset and label"
ANSWERS = ("events",)
ASKED = Asked(answer="events")
knows = has_column
NEEDED = frozenset({"source", "label", "start", "stop"})


def recognise(path: Path) -> bool:
    """Whether ``path`` is such a table, or a folder that holds one."""
    return recognise_for(path, ASKED)


def recognise_for(path: Path, asked: Asked) -> bool:
    """The same where a column of labels may be asked for, which then need not have a usual name."""
    return holds(path, fits_of(asked, NEEDED.issubset))


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each source that is named, its ``y`` the events in the order of their starts."""
    return read_for(path, left_out, ASKED)


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """The same with the group and the column of labels that are asked for. A source of which a row is broken goes to
    ``left_out``, since it would be silent where something happened. Raises ``DataError`` if columns are missing."""
    root = root_of(path)
    for table in choose(path, fits_of(asked, NEEDED.issubset)):
        part = part_of(root, path, table)
        found = by_source(table, asked, left_out, enough=NEEDED.issubset, wanted=WANTED, read=_event)
        for source, events, (group, split) in found:
            ordered = tuple(sorted(events, key=lambda event: (event.start, event.stop, str(event.value))))
            yield Sample(name_in(root, source), source, ordered, group, split or part)


def _event(label: str, row: Mapping[str, Any], roles: Roles, where: str, table: Path) -> Part:
    start, stop = (number_of(row.get(roles[role]), where, table) for role in ("start", "stop"))
    if not 0 <= start < stop:
        given, do = f"{where}has an event from {start:g} to {stop:g}", "Correct that row."
        raise DataError(given, expected="a start, and a stop behind it", do=do, file=table)
    return Part(label, start, stop, 1.0)
