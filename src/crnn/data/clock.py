"""Time in equal steps: stamps read from text, their places on a grid, and the stamps of steps still to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from crnn.errors import SettingsError

HOUR, DAY = 3_600_000, 86_400_000  # milliseconds
YEAR = 365.2425  # days
SIZES = {"days": DAY, "hours": HOUR, "minutes": 60_000, "seconds": 1000, "milliseconds": 1}
FORMATS = tuple(
    f"{day}{time}"
    for day in (
        "%d.%m.%Y",
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%d-%m-%Y",
        "%m-%d-%Y",
        "%Y/%m/%d",
        "%Y-%m-%d",
        "%d.%m.%y",
        "%m/%d/%y",
        "%Y%m%d",
    )
    for time in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
)
"""How people write dates, beside ISO 8601. Where day and month can be told apart by no row, the day comes first."""
LOOKED_AT = 100  # cells that say in which way most of them are written


def parse(cells: Sequence[str]) -> np.ndarray | None:
    """Stamps ``datetime64[ms]`` of texts, in whichever way all of them are written; ``None`` if there is none. Those
    with an offset from UTC become UTC, empty ones NaT."""
    filled = [i for i, cell in enumerate(cells) if cell]
    found = _parsed([cells[i] for i in filled]) if filled else None
    if found is None or len(filled) == len(cells):
        return found
    stamps = np.full(len(cells), "NaT", "datetime64[ms]")
    stamps[filled] = found
    return stamps


def stray(cells: Sequence[str]) -> int | None:
    """The place of the first text that is no date in the way in which most of ``cells`` are; ``None`` where most are
    not."""
    some = [cell for cell in cells if cell][:LOOKED_AT]
    count, form = max(((sum(_fits(cell, form) for cell in some), form) for form in ("", *FORMATS)), key=lambda c: c[0])
    if 2 * count <= len(some):
        return None
    return next((i for i, cell in enumerate(cells) if cell and not _fits(cell, form)), None)


def _fits(cell: str, form: str) -> bool:
    """Whether ``cell`` is a date in this form, of ISO 8601 without one."""
    try:
        datetime.strptime(cell, form) if form else datetime.fromisoformat(cell)
    except ValueError:
        return False
    return True


def _parsed(cells: Sequence[str]) -> np.ndarray | None:
    """The same of texts that are not empty."""
    try:
        plain = all(cell[4:5] == "-" or len(cell) == 4 for cell in cells)
        if plain and not any("-" in cell[10:] or "+" in cell or cell.endswith("Z") for cell in cells):
            return np.array(cells, "datetime64[ms]")
    except ValueError:
        pass
    try:
        read = [datetime.fromisoformat(cell) for cell in cells]
        return np.array([t.astimezone(UTC).replace(tzinfo=None) if t.tzinfo else t for t in read], "datetime64[ms]")
    except ValueError:
        pass
    for form in FORMATS:
        try:
            return np.array([datetime.strptime(cell, form) for cell in cells], "datetime64[ms]")
        except ValueError:
            continue
    return None


@dataclass(frozen=True, slots=True)
class Clock:
    """Equal steps of time: ``count`` milliseconds, months or weekdays (Monday to Friday) each."""

    unit: Literal["ms", "month", "weekday"]
    count: int
    same_day: bool = field(default=False, compare=False)
    """Whether months are counted from a day to the same, though the first be the last of its month (28 February)."""

    @classmethod
    def named(cls, name: str) -> Clock:
        """The clock that has this name. Raises ``SettingsError``.

        >>> Clock.named("15 minutes").count
        900000
        """
        count, _, unit = name.partition(" ")
        sizes = {**SIZES, "months": 1, "weekdays": 1}
        many = unit if unit.endswith("s") else f"{unit}s"
        if not count.isdigit() or int(count) < 1 or many not in sizes:
            expected = f"a number and one of {', '.join(sizes)}"
            raise SettingsError(f"the step {name!r}", expected=expected, do='Write: step = "1 hour"')
        if many in SIZES:
            return cls("ms", int(count) * SIZES[many])
        return cls("month" if many == "months" else "weekday", int(count))

    @classmethod
    def of(cls, stamps: np.ndarray) -> Clock:
        """The step that is most frequent among rising ``stamps``, two at least."""
        days = stamps.astype("datetime64[D]")
        if (stamps == days).all():
            months = days.astype("datetime64[M]")
            if len(np.unique(days - months)) == 1 or (days + 1 == (days + 1).astype("datetime64[M]")).all():
                rises = np.diff(months.astype(int))
                if (rises > 0).all():
                    ends = days + 1 == (months + 1).astype("datetime64[D]")
                    return cls("month", _usual(rises), same_day=not ends.all())
            if _usual(np.diff(days.astype(int))) == 1 and len(days) > 10 and np.is_busday(days).all():
                return cls("weekday", 1)
        return cls("ms", _usual(np.diff(stamps.astype(np.int64))))

    def places(self, stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The number of steps from the first of ``stamps`` to each, and whether it lies on the grid."""
        if self.unit == "weekday":
            days = stamps.astype("datetime64[D]")
            return np.busday_count(days[0], days), np.is_busday(days)
        months = stamps.astype("datetime64[M]").astype(int)
        passed = months - months[0] if self.unit == "month" else (stamps - stamps[0]).astype(np.int64)
        return passed // self.count, passed % self.count == 0

    def after(self, stamp: np.datetime64, steps: np.ndarray) -> np.ndarray:
        """The stamps so many ``steps`` after ``stamp``."""
        day = stamp.astype("datetime64[D]")
        if self.unit == "weekday":
            return np.busday_offset(day, steps, roll="forward").astype("datetime64[ms]")
        if self.unit == "ms":
            return stamp + np.asarray(steps, np.int64) * np.timedelta64(self.count, "ms")
        month = stamp.astype("datetime64[M]")
        later = month + np.asarray(steps, np.int64) * self.count
        if not self.same_day and day + 1 == (month + 1).astype("datetime64[D]"):  # the last of a month, and so of all
            return ((later + 1).astype("datetime64[D]") - 1).astype("datetime64[ms]")
        return (later.astype("datetime64[D]") + (day - month.astype("datetime64[D]"))).astype("datetime64[ms]")

    def words(self, stamps: np.ndarray) -> list[str]:
        """Stamps as people write them, no finer than the step.

        >>> Clock("ms", HOUR).words(np.array(["2016-07-02T03:00"], "datetime64[ms]"))
        ['2016-07-02 03:00']
        """
        coarse = self.unit != "ms" or self.count % DAY == 0
        whole = np.asarray(stamps).astype(np.int64)
        unit: Literal["D", "m", "s", "ms"] = (
            "D" if coarse and not (whole % DAY).any() else "m" if not (whole % 60_000).any() else "s"
        )
        unit = "ms" if (whole % 1000).any() else unit
        return [str(text).replace("T", " ") for text in np.datetime_as_string(stamps, unit=unit)]

    @property
    def name(self) -> str:
        """The step in words.

        >>> Clock("ms", HOUR).name, Clock("ms", 900_000).name, Clock("month", 1).name
        ('1 hour', '15 minutes', '1 month')
        """
        count, many = self.count, f"{self.unit}s"
        if self.unit == "ms":
            many, size = next((many, size) for many, size in SIZES.items() if self.count % size == 0)
            count //= size
        return f"{count} {many if count != 1 else many[:-1]}"

    @property
    def season(self) -> int:
        """Steps after which such series are wont to repeat: a day, a week of days, a year of months or weeks; 1 where
        there is none."""
        if self.unit == "month":
            return max(1, 12 // self.count)
        if self.unit == "weekday":
            return 5
        for length in (DAY, 7 * DAY, 364 * DAY):
            if self.count < length:
                return max(1, round(length / self.count))
        return 1

    def calendar(self, stamps: np.ndarray) -> np.ndarray:
        """Sine and cosine of hour, weekday and day of the year, float32 ``(steps, channels)``: of each cycle that is
        longer than a step."""
        days = np.asarray(stamps).astype(np.int64) / DAY
        step = {"month": 30 * DAY, "weekday": DAY}.get(self.unit, 1) * self.count
        year = np.asarray(stamps).astype("datetime64[Y]").astype("datetime64[ms]").astype(np.int64) / DAY
        cycles = [(days, 1.0, DAY), (days + 3, 7.0, 7 * DAY), (days - year, YEAR, 365 * DAY)]  # day 0 was a Thursday
        angles = [2 * np.pi * (passed % length) / length for passed, length, least in cycles if step < least]
        waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
        return np.stack(waves, 1).astype(np.float32) if waves else np.zeros((len(days), 0), np.float32)


def _usual(rises: np.ndarray) -> int:
    found, counts = np.unique(rises[rises > 0], return_counts=True)
    return int(found[counts.argmax()]) if len(found) else 1
