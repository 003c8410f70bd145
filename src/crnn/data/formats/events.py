"""A table of events: each row names a source, and a label from its start to its stop; as DCASE writes them.

A source with several events has several rows, one without any a row without a label. Places are in seconds where the
input has a rate, in pixels for pictures, in steps otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from crnn.data.formats._asked import Asked
from crnn.data.formats._columns import number_of, roles_of, shared_of, source_of, spell, word_of
from crnn.data.formats._files import Split, name_in, root_of, split_of
from crnn.data.formats._rows import SUFFIXES, columns, rows
from crnn.data.formats._tables import choose, known, near, split_stem
from crnn.errors import CrnnError, DataError
from crnn.types import Part, Sample

WANTED = "a table (.jsonl .csv .tsv .parquet) with columns for file, onset, offset and label"
ANSWERS = ("events",)
ASKED = Asked(answer="events")


def recognise(path: Path) -> bool:
    """Whether ``path`` is such a table, or a folder that holds one."""
    if path.is_file():
        return path.suffix.lower() in SUFFIXES and bool(known([path], _fits))
    return bool(known(near(path), _fits))


def knows(path: Path, column: str) -> bool:
    """Whether a table there has that column."""
    tables = [path] if path.is_file() else near(path)
    return any(spell(column) in map(spell, columns(table)) for table in tables)


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each source that is named, its ``y`` the events in the order of their starts."""
    return read_for(path, left_out, ASKED)


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """The same with the group that is asked for. Raises ``DataError`` if columns are missing."""
    root = root_of(path)
    for table in choose(path, _fits):
        part = split_of(root, table) or (split_stem(table) if path.is_dir() else None)
        roles = roles_of(columns(table), table, asked)
        if not _fits(list(roles.values()), table):
            names = ", ".join(map(repr, columns(table)[:20]))
            raise DataError(f"has the columns {names}", expected=WANTED, do="Rename the columns.", file=table)
        found: dict[Path, tuple[list[Part], str | None, Split | None]] = {}
        for number, row in rows(table, list(dict.fromkeys(roles.values())), left_out):
            where = f"{'row' if table.suffix.lower() == '.parquet' else 'line'} {number} "
            try:
                source = source_of(row.get(roles["source"]), table, where)
                label = word_of(row.get(roles["label"]), where + "has a label that", table).strip()
                group, split = shared_of(row, roles, table, where)
                events = found.setdefault(source, ([], group, split or part))[0]
                if label:
                    start, stop = (number_of(row.get(roles[role]), where, table) for role in ("start", "stop"))
                    if not 0 <= start < stop:
                        given, do = f"{where}has an event from {start:g} to {stop:g}", "Correct that row."
                        raise DataError(given, expected="a start, and a stop behind it", do=do, file=table)
                    events.append(Part(label, start, stop, 1.0))
            except DataError as error:
                left_out.append(error)
        for source, (events, group, split) in found.items():
            ordered = tuple(sorted(events, key=lambda event: (event.start, event.stop, str(event.value))))
            yield Sample(name_in(root, source), source, ordered, group, split)


def _fits(names: Sequence[str], table: Path) -> bool:
    roles = roles_of(names, table, ASKED)
    return {"source", "label", "start", "stop"} <= roles.keys()
