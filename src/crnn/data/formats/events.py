"""A table of events: each row names a source, and a label from its start to its stop; as DCASE writes them.

A source with several events has several rows, one without any a row without a label. Places are in seconds where the
input has a rate, in pixels for pictures, in steps otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

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
from crnn.data.formats._rows import columns, rows
from crnn.data.formats._tables import Fits, choose, has_column, holds, part_of
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
    return holds(path, _fits(asked))


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each source that is named, its ``y`` the events in the order of their starts."""
    return read_for(path, left_out, ASKED)


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """The same with the group and the column of labels that are asked for. A source of which a row is broken goes to
    ``left_out``, since it would be silent where something happened. Raises ``DataError`` if columns are missing."""
    root = root_of(path)
    for table in choose(path, _fits(asked)):
        part = part_of(root, path, table)
        roles = label_roles_of(columns(table), table, asked)
        if not roles.keys() >= NEEDED:
            raise missing(columns(table), WANTED, table, "Rename the columns.")
        found: dict[Path, list[Part]] = {}
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
                events = found.setdefault(source, [])
                if label:
                    start, stop = (number_of(row.get(roles[role]), where, table) for role in ("start", "stop"))
                    if not 0 <= start < stop:
                        given, do = f"{where}has an event from {start:g} to {stop:g}", "Correct that row."
                        raise DataError(given, expected="a start, and a stop behind it", do=do, file=table)
                    events.append(Part(label, start, stop, 1.0))
            except DataError as error:
                left_out.append(error)
                broken |= {source} if source is not None else set()
        for source, events in found.items():
            if source not in broken:
                group, split = shared[source]
                ordered = tuple(sorted(events, key=lambda event: (event.start, event.stop, str(event.value))))
                yield Sample(name_in(root, source), source, ordered, group, split or part)


def _fits(asked: Asked) -> Fits:
    """Whether a table has the columns; one that is asked for is looked for when it is read, which says what lacks."""

    def fits(names: Sequence[str], table: Path) -> bool:
        roles = roles_of(names, table, replace(asked, columns=()))
        return roles.keys() >= NEEDED - ({"label"} if asked.columns else set())

    return fits
