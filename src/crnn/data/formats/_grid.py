"""Rows of a sheet on a grid of equal steps: sorted, doubles made one, gaps filled where they are short."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crnn.data.clock import Clock
from crnn.data.formats._sheet import Sheet
from crnn.errors import DataError
from crnn.findings import Finding

SPARSE = 20  # steps of the grid for each row, beyond which a stamp is taken for wrong


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """``table`` is float64 ``(steps, columns)``, NaN in gaps; ``first`` is the stamp of its first step."""

    names: tuple[str, ...]
    table: np.ndarray
    clock: Clock | None
    first: np.datetime64 | None
    findings: tuple[Finding, ...] = ()

    def words(self, step: int) -> str:
        """What a step is called."""
        if self.clock is None or self.first is None:
            return f"row {step + 1}"
        return self.clock.words(self.clock.after(self.first, np.array([step])))[0]


def grid_of(sheet: Sheet, file: Path, name: str, clock: Clock | None = None) -> Grid:
    """The rows in order, one a step. Raises ``DataError`` for steps that are not equal, or not those of ``clock``."""
    table = np.where(np.isfinite(sheet.table), sheet.table, np.nan)
    if sheet.stamps is None:
        return Grid(sheet.names, table, None, None)
    findings = []
    stamps, lines = sheet.stamps, sheet.lines
    if sheet.broken:
        said = f"has {len(sheet.broken)} lines with more or fewer cells than the first, such as line {sheet.broken[0]}"
        findings.append(Finding("warning", "broken lines", name, said, "They are left out; correct or delete them."))
    if np.isnat(stamps).any():
        line = lines[np.isnat(stamps).argmax()]
        raise DataError(f"line {line} has no date", expected="a date in each row", do="Write it.", file=file)
    back = np.flatnonzero(np.diff(stamps) < np.timedelta64(0, "ms"))
    if len(back):
        said = f"is not in the order of its dates: line {lines[back[0] + 1]} is earlier than the one before"
        said += f", and so are {len(back) - 1} more" if len(back) > 1 else ""
        findings.append(Finding("warning", "dates out of order", name, said, "Nothing needs to be done; it is sorted."))
        order = np.argsort(stamps, kind="stable")
        stamps, lines, table = stamps[order], lines[order], table[order]
    single = np.unique(stamps)
    if len(single) < 2:
        do = "Give a table with a row for each step."
        raise DataError(f"has {len(single)} dates", expected="two at least", do=do, file=file)
    own = Clock.of(single)
    if clock is not None and own != clock and len(single) > 2:
        given, expected = f"has steps of {own.name}", f"{clock.name}, as the network has learned"
        raise DataError(given, expected=expected, do="Bring it to these steps, such as by their mean.", file=file)
    clock = own if clock in (None, own) else clock  # which knows in addition how its months are counted
    places, fits = clock.places(stamps)
    if not fits.all() or places[-1] + 1 > SPARSE * len(single):
        line = lines[np.argmin(fits)] if not fits.all() else lines[np.diff(places).argmax() + 1]
        raise DataError(
            f"has steps that are not equal: most are {clock.name}, line {line} does not fit",
            expected="equal steps, some of which may be missing",
            do="Correct that line, or bring the table to equal steps, such as by the mean of each hour.",
            file=file,
        )
    if len(places) > len(single):
        twice = int(np.flatnonzero(np.diff(places) == 0)[0])
        said = f"has {len(places) - len(single)} dates more than once, the first in line {lines[twice + 1]}"
        findings.append(Finding("warning", "dates twice", name, said, "Their mean is taken; drop one of each."))
    whole = np.full((int(places[-1]) + 1, table.shape[1]), np.nan)
    whole[places] = _means(table, places) if len(places) > len(single) else table
    grid = Grid(sheet.names, whole, clock, stamps[0], tuple(findings))
    if missing := len(whole) - len(single):
        first = int(np.setdiff1d(np.arange(places[-1] + 1), places)[0])
        said = f"lacks {missing} steps of {clock.name}, the first {grid.words(first)}"
        do = "Short gaps are filled by straight lines, longer ones are not crossed (task.fill)."
        findings.append(Finding("warning", "missing dates", name, said, do))
    return Grid(grid.names, whole, clock, stamps[0], tuple(findings))


def _means(table: np.ndarray, places: np.ndarray) -> np.ndarray:
    """For each row the mean of all rows at its place; what is absent does not count."""
    there = np.isfinite(table)
    total, count = (np.zeros((int(places[-1]) + 1, table.shape[1])) for _ in range(2))
    np.add.at(total, places, np.where(there, table, 0.0))
    np.add.at(count, places, there)
    with np.errstate(invalid="ignore"):
        return (total / count)[places]


def fill(grid: Grid, most: int, name: str, columns: Sequence[int], end: int | None) -> Grid:
    """Gaps of at most ``most`` steps filled by straight lines, in ``columns``; those behind ``end``, where nothing is
    to stand, are not looked at."""
    table, findings = grid.table.copy(), []
    filled: dict[str, int] = {}
    long: list[tuple[int, int, str]] = []
    for i in columns:
        column, title = table[:, i], grid.names[i]
        good = np.flatnonzero(np.isfinite(column))
        if not len(good):
            continue
        first, last = int(good[0]), int(good[-1])
        for begin, stop in _gaps(~np.isfinite(column[first : last + 1])):
            begin, stop = begin + first, stop + first
            if stop - begin <= most:
                line = np.linspace(column[begin - 1], column[stop], stop - begin + 2)
                column[begin:stop] = line[1:-1]
                filled[title] = filled.get(title, 0) + stop - begin
            else:
                long.append((begin, stop, title))
        rest = max(0, (len(column) if end is None else end) - last - 1)
        if first + rest:
            said = f"has nothing in the column {title} in {first} steps at its beginning and {rest} at its end"
            do = "These steps are not used; leave the column out if it is short."
            findings.append(Finding("warning", "begins late or ends early", name, said, do))
    if filled:
        said = f"has {sum(filled.values())} absent numbers that lie on straight lines now, in {_names(list(filled))}"
        do = "No window is tested that ends there or has them to foretell; task.fill says how long a gap may be."
        findings.append(Finding("note", "gaps filled", name, said, do))
    if long:
        begin, stop, _ = min(long)
        said = f"has {len({gap[:2] for gap in long})} long gaps in {_names(list(dict.fromkeys(c for *_, c in long)))}, "
        said += f"the first of {stop - begin} steps from {grid.words(begin)}"
        do = f"No window crosses them; fill them if you can, or raise task.fill above {most}."
        findings.append(Finding("warning", "long gaps", name, said, do))
    return Grid(grid.names, table, grid.clock, grid.first, tuple(findings))


def _names(columns: Sequence[str]) -> str:
    """Columns in words, a few of them by name."""
    if len(columns) > 5:
        return f"{len(columns)} columns"
    return f"the column{'s' * (len(columns) > 1)} {', '.join(columns)}"


def _gaps(absent: np.ndarray) -> Iterator[tuple[int, int]]:
    """Beginning and end of each run of ``absent`` steps."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], absent.astype(np.int8), [0]])))
    yield from ((int(a), int(b)) for a, b in edges.reshape(-1, 2))
