"""Numbers in equal steps of time: a CSV file (or several in a folder), a row a step, a date column or none.

Each sample is a window: what was seen, and what came. Rows are sorted by their dates, several of one date become their
mean, short gaps are filled by straight lines; longer ones no window crosses. In validation and test no window ends on
such a line, for it would point at what comes, or has its truths there. Each of these is said (``crnn check``).
Columns that are known beforehand, and the calendar, become channels that run ahead: at each step stands what they will
be at the last step of the forecast that is made there, so that a network needs no second input for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crnn.data.clock import Clock
from crnn.data.formats._asked import Ahead, Asked
from crnn.data.formats._files import Split, name_in, root_of, walk
from crnn.data.formats._grid import fill, grid_of
from crnn.data.formats._sheet import Sheet, read_sheet
from crnn.data.formats._tables import part_of
from crnn.data.formats._windows import cut, parts
from crnn.data.timelines import Span, Timeline
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.findings import Finding
from crnn.registry import suggest
from crnn.types import Sample

WANTED = "numbers in time (.csv .tsv .txt), a row a step, with a column of dates or without"
ANSWERS = ("future",)
SUFFIXES = frozenset({".csv", ".tsv", ".txt"})
LEARNED = 0.8  # of a training part that comes without a validation part, what is learned from


def recognise(path: Path) -> bool:
    """Whether ``path`` is named like a table, or a folder that holds one."""
    return any(file.suffix.lower() in SUFFIXES for file in walk(path))


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """The windows of each file. Files that cannot be used go to ``left_out``."""
    return read_for(path, left_out, Asked(answer="future"))


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """The windows of each file: ``x`` is a ``Span``, ``y`` float32 ``(horizon, targets)``. Where no truths are wanted,
    one sample a file: its last window, whose future nobody knows. Raises ``SettingsError`` for columns and parts that
    are not there."""
    ahead = asked.ahead or Ahead()
    root, files = root_of(path), [file for file in walk(path) if file.suffix.lower() in SUFFIXES]
    named = {file: part_of(root, path, file) for file in files}
    for file in files:
        try:
            made = _Made(read_sheet(file), file, name_in(root, file), ahead, asked.columns)
            if asked.truths:
                yield from made.windows(named[file], alone="valid" not in named.values())
            else:
                yield made.last()
        except DataError as error:
            left_out.append(error)


@dataclass(slots=True)
class _Columns:
    """Places of a sheet's columns by what they are for."""

    own: list[int]
    known: list[int]
    targets: list[int]


def _columns(names: Sequence[str], ahead: Ahead, wanted: Sequence[str], file: Path) -> _Columns:
    for name in (*ahead.columns, *ahead.known, *wanted):
        if name not in names:
            there = ", ".join(map(repr, names[:20]))
            raise SettingsError(f"has the columns {there}", expected=repr(name), do=suggest(name, names), file=file)
    read = [names.index(name) for name in ahead.columns or names]
    known = [names.index(name) for name in ahead.known]
    own = [i for i in read if i not in known]
    targets = [names.index(name) for name in wanted] or own
    both = [names[i] for i in targets if i in known]
    if both or not targets:
        given = f"the column {both[0]!r} is known beforehand and to be foretold" if both else "all columns are known"
        raise SettingsError(given, expected="a column to foretell", do="Leave it out of task.known.", file=file)
    return _Columns(own, known, targets)


class _Made:
    """The timeline of one file."""

    def __init__(self, sheet: Sheet, file: Path, name: str, ahead: Ahead, wanted: Sequence[str]) -> None:
        self.file, self.name, self.ahead = file, name, ahead
        columns = _columns(sheet.names, ahead, wanted or ahead.targets, file)
        clock = Clock.named(ahead.step) if ahead.step else None
        grid = grid_of(sheet, file, name, clock)
        shift = ahead.lead + ahead.horizon - 1
        self.seen = _last(grid.table[:, columns.own]) + 1  # rows behind tell of known columns alone
        whole = fill(grid, ahead.fill, name, [*columns.own, *columns.known], self.seen if columns.known else None)
        own, known = whole.table[:, columns.own], whole.table[:, columns.known]
        known = np.concatenate([known, np.full((shift, known.shape[1]), np.nan)])[shift : shift + len(own)]
        channels = [own, known]
        names = [sheet.names[i] for i in (*columns.own, *columns.known)]
        made = 0
        if ahead.calendar and grid.clock is not None and grid.first is not None:
            calendar = grid.clock.calendar(grid.clock.after(grid.first, np.arange(len(own)) + shift))
            channels.append(calendar)
            names += [f"calendar {i + 1}" for i in range(calendar.shape[1])]
            made = calendar.shape[1]
        shifted = len(columns.known) + made
        table = np.ascontiguousarray(np.concatenate(channels, axis=1)[: self.seen], np.float32)
        findings = (*grid.findings, *whole.findings, *_of_columns(table, names, sheet, name, shifted))
        filled = np.zeros(table.shape, bool)  # what is known beforehand is so in a gap as well
        filled[:, : len(columns.own)] = (np.isfinite(own) & ~np.isfinite(grid.table[:, columns.own]))[: self.seen]
        targets = tuple(columns.own.index(i) for i in columns.targets)
        self.timeline = Timeline(name, table, tuple(names), targets, filled, shifted, made, grid.clock, findings)
        self.grid = grid
        if len(table) < ahead.window + (ahead.lead + ahead.horizon - 1):
            given = f"has {len(table)} steps"
            expected = f"at least {ahead.window + shift}, to see {ahead.window} and foretell {ahead.horizon}"
            do = "Give a longer table, or shorten task.window or task.horizon."
            raise DataError(given, expected=expected, do=do, file=file)

    def windows(self, part: Split | None, *, alone: bool) -> Iterator[Sample]:
        """All windows without a long gap; those of a file that is one ``part`` belong to it. Where a training part is
        ``alone``, its end is the validation part. Lines across short gaps may be learned from; what is judged by has
        its last step and its truths measured."""
        a, filled = self.ahead, self.timeline.table[:, list(self.timeline.targets)]
        shares: Sequence[float]
        steps = len(filled)
        if part == "train" and alone:
            part, shares = None, (LEARNED, 1 - LEARNED, 0.0)
        else:
            shares = self._shares(steps) if part is None else ()
        unknown, invented = (
            np.concatenate([[0], np.cumsum(~np.isfinite(numbers).all(1))]) for numbers in (filled, self.timeline.truth)
        )
        ids = self._words()
        found = False
        for start, split in cut(
            steps, shares, window=a.window, horizon=a.horizon, lead=a.lead, every=a.every, only=part
        ):
            stop = start + a.window
            first = stop + a.lead - 1
            until = first + a.horizon
            span = Span(self.timeline, start, stop, until)
            if not span.whole or unknown[until] > unknown[first]:
                continue
            if split != "train" and (not span.measured or invented[until] > invented[first]):
                continue
            found = True
            yield Sample(f"{self.name}:{ids[stop - 1]}", span, filled[first:until], split=split)
        if not found:
            given = f"has no {a.window + a.lead + a.horizon - 1} steps in a row without a long gap, within one part"
            do = "Shorten task.window or task.horizon, raise task.fill, or change task.shares."
            raise DataError(given, expected="a window at least", do=do, file=self.file)

    def last(self) -> Sample:
        """The window that ends with the last row."""
        a, table = self.ahead, self.timeline.table
        span = Span(self.timeline, len(table) - a.window, len(table), len(table))
        bad = ~np.isfinite(span.x)
        if bad[:, : len(self.timeline.names) - self.timeline.shifted].any():
            given = f"has a gap of more than {a.fill} steps in its last {a.window}"
            do = "Fill it, or raise task.fill."
            raise DataError(given, expected="rows without a gap", do=do, file=self.file)
        if bad.any():
            name = self.timeline.names[int(np.flatnonzero(bad.any(0))[0])]
            given = f"does not say what {name!r} will be in the next {a.lead + a.horizon - 1} steps"
            do = f"Add rows with {name!r} filled in and the others left empty."
            raise DataError(given, expected="columns that are known beforehand", do=do, file=self.file)
        return Sample(f"{self.name}:{self._words()[-1]}", span)

    def _words(self) -> list[str]:
        """What each step is called: its stamp, or its number from 1."""
        steps = np.arange(len(self.timeline.table))
        if self.grid.clock is None or self.grid.first is None:
            return [str(i + 1) for i in steps.tolist()]
        return self.grid.clock.words(self.grid.clock.after(self.grid.first, steps))

    def _shares(self, steps: int) -> Sequence[float]:
        """Shares or counts; dates as numbers of steps."""
        shares = self.ahead.shares
        if not any(isinstance(share, str) for share in shares):
            numbers = [float(share) for share in shares]
            (_, (begin, end), _) = parts(steps, numbers)
            if begin == end:  # windows of train that were held out would share most of what they see with the rest
                given = f"task.shares is {list(shares)}, which leaves nothing to choose by"
                raise SettingsError(given, expected="a validation part", do="Write: shares = [0.6, 0.2, 0.2]")
            return numbers
        expected = "two dates, with which valid and test begin"
        try:
            valid, test = (np.datetime64(str(share), "ms") for share in shares)
        except ValueError as error:
            given, do = f"task.shares is {list(shares)}", 'Write: shares = ["2017-07-01", "2017-11-01"]'
            raise SettingsError(given, expected=expected, do=do) from error
        if self.grid.clock is None or self.grid.first is None:
            do = "Give shares, such as [0.6, 0.2, 0.2]."
            raise SettingsError("task.shares are dates", expected="a column of dates", do=do, file=self.file)
        stamps = self.grid.clock.after(self.grid.first, np.arange(steps))
        begins = np.searchsorted(stamps, [valid, test]).tolist()
        if not 0 < begins[0] < begins[1] < steps:
            words = self.grid.clock.words(stamps[[0, -1]])
            given, do = f"runs from {words[0]} to {words[1]}", "Choose dates within, one after the other."
            raise SettingsError(given, expected=f"{expected}, in it", do=do, file=self.file)
        return [begins[0], begins[1] - begins[0], steps - begins[1]]


def _last(table: np.ndarray) -> int:
    """The last row that is whole."""
    rows = np.flatnonzero(np.isfinite(table).all(1))
    return int(rows[-1]) if len(rows) else -1


def _of_columns(table: np.ndarray, names: Sequence[str], sheet: Sheet, name: str, shifted: int) -> Iterator[Finding]:
    """Columns that say nothing."""
    for i, column in enumerate(table.T[: len(names) - shifted]):
        if not np.isfinite(column).any():
            continue
        if np.nanmin(column) == np.nanmax(column):
            said = f"has the same number in all rows of the column {names[i]}"
            yield Finding("warning", "nothing moves", name, said, "Leave it out: it foretells nothing.")
    if sheet.words:
        said = f"has columns that hold no numbers: {', '.join(sheet.words[:10])}"
        yield Finding("note", "columns left out", name, said, "Nothing needs to be done; they are not read.")
