"""Tables with a label in each row and several rows for one source: what tables of events and of boxes share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from crnn.data.formats._asked import Asked
from crnn.data.formats._columns import (
    Shared,
    agreed,
    label_roles_of,
    missing,
    roles_of,
    shared_of,
    source_of,
    spell,
    word_of,
)
from crnn.data.formats._rows import columns, rows
from crnn.data.formats._tables import Fits
from crnn.errors import CrnnError, DataError

Roles = Mapping[str, str]
Enough = Callable[[set[str]], bool]
"""Whether these parts of a row are all that is needed."""
Thing = TypeVar("Thing")


def fits_of(asked: Asked, enough: Enough) -> Fits:
    """Whether a table has the columns; one that is asked for is looked for when it is read, which says what lacks."""

    def fits(names: Sequence[str], table: Path) -> bool:
        roles = roles_of(names, table, replace(asked, columns=()))
        return enough({*roles, "label"} if asked.columns else {*roles})

    return fits


def by_source(
    table: Path,
    asked: Asked,
    left_out: list[CrnnError],
    *,
    enough: Enough,
    wanted: str,
    read: Callable[[str, Mapping[str, Any], Roles, str, Path], Thing],
) -> Iterator[tuple[Path, list[Thing], Shared]]:
    """Each source of ``table``, what ``read`` makes of its rows that have a label (of label, row, roles, how to name
    the row, and the table), and its group and split. A source of which a row is broken goes to ``left_out``. Raises
    ``DataError`` if columns are missing, where ``wanted`` are."""
    roles = label_roles_of(columns(table), table, asked)
    if not enough({*roles}):
        raise missing(columns(table), wanted, table, "Rename the columns.")
    grouped = spell(asked.group or "") == spell(roles.get("group", ""))  # what is asked for may be a pattern, too
    found: dict[Path, list[Thing]] = {}
    shared: dict[Path, Shared] = {}
    broken: set[Path] = set()
    for number, row in rows(table, list(dict.fromkeys(roles.values())), left_out):
        where = f"{'row' if table.suffix.lower() == '.parquet' else 'line'} {number} "
        source: Path | None = None
        try:
            source = source_of(row.get(roles["source"]), table, where)
            label = word_of(row.get(roles["label"]), where + "has a label that", table).strip()
            said, before = shared_of(row, roles, table, where), shared.get(source, (None, None))
            shared[source] = agreed(before, said, table, where, grouped=grouped)
            own = found.setdefault(source, [])
            if label:
                own.append(read(label, row, roles, where, table))
        except DataError as error:
            left_out.append(error)
            broken |= {source} if source is not None else set()
    yield from ((source, things, shared[source]) for source, things in found.items() if source not in broken)
