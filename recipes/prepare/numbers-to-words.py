"""Tables from text to text: numbers and how French says them, dates as people write them and as ISO 8601 does.

    python recipes/prepare/numbers-to-words.py texts

Written are ``texts/numbers.csv`` (4217: "quatre mille deux cent dix-sept") and ``texts/dates.csv`` ("Wed, 3 Jan 2024":
"2024-01-03") with the columns text, answer, split. No number, and no date, is in two splits.
"""

from __future__ import annotations

import argparse
import csv
from datetime import date, timedelta
from pathlib import Path

import numpy as np

COUNTS = {"train": 9000, "valid": 500, "test": 1000}
FIRST, DAYS = date(1900, 1, 1), 73049  # to the end of 2099
UNITS = (
    *("zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze"),
    *("treize", "quatorze", "quinze", "seize", "dix-sept", "dix-huit", "dix-neuf"),
)
TENS = {2: "vingt", 3: "trente", 4: "quarante", 5: "cinquante", 6: "soixante", 8: "quatre-vingt"}
MONTHS = {
    "en": (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    "fr": (
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ),
    "de": (
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ),
}
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def french(number: int, *, last: bool = True) -> str:
    """A number below a million in words (spelling before 1990); ``last`` says that no word follows it, since vingt and
    cent then take an s.

    >>> [french(n) for n in (21, 80, 81, 91, 200, 80000, 1971)]  # doctest: +NORMALIZE_WHITESPACE
    ['vingt et un', 'quatre-vingts', 'quatre-vingt-un', 'quatre-vingt-onze', 'deux cents', 'quatre-vingt mille',
     'mille neuf cent soixante et onze']
    """
    if number >= 1000:
        thousands, rest = divmod(number, 1000)
        said = "mille" if thousands == 1 else f"{french(thousands, last=False)} mille"
        return f"{said} {french(rest)}" if rest else said
    if number >= 100:
        hundreds, rest = divmod(number, 100)
        said = "cent" if hundreds == 1 else f"{UNITS[hundreds]} cent"
        if rest:
            return f"{said} {french(rest, last=last)}"
        return f"{said}s" if hundreds > 1 and last else said
    if number < 20:
        return UNITS[number]
    tens, unit = divmod(number, 10)
    if tens in (7, 9):  # sixty and ten, four twenties and ten
        tens, unit = tens - 1, unit + 10
    if not unit:
        return "quatre-vingts" if tens == 8 and last else TENS[tens]
    return f"{TENS[tens]} et {UNITS[unit]}" if unit in (1, 11) and tens != 8 else f"{TENS[tens]}-{UNITS[unit]}"


def written(day: date, rng: np.random.Generator) -> str:
    """A date in one of ten writings."""
    d, m, y, name = day.day, day.month, day.year, MONTHS["en"][day.month - 1]
    ending = {1: "st", 2: "nd", 3: "rd"}.get(d % 10 if d not in (11, 12, 13) else 0, "th")
    ways = (
        *(f"{d} {name} {y}", f"{name} {d}, {y}", f"{d:02}.{m:02}.{y}", f"{d}/{m}/{y}", f"{y} {name[:3]} {d}"),
        *(f"{WEEKDAYS[day.weekday()]}, {d} {name[:3]} {y}", f"{d}{ending} of {name}, {y}", f"{y}{m:02}{d:02}"),
        *(f"{d} {MONTHS['fr'][m - 1]} {y}", f"{d}. {MONTHS['de'][m - 1]} {y}"),
    )
    return ways[int(rng.integers(len(ways)))]


def prepare(target: Path) -> None:
    """Write both tables."""
    target.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    splits = [split for split, count in COUNTS.items() for _ in range(count)]
    # as many numbers of each length as there are, at most an equal share
    numbers = [int(n) for n in range(1000)]
    numbers += [int(n) for low in (1000, 10_000, 100_000) for n in rng.choice(np.arange(low, 10 * low), 3500, False)]
    rng.shuffle(numbers)
    days = rng.choice(DAYS, len(splits), replace=False)
    dates = [FIRST + timedelta(days=int(day)) for day in days]
    rows = {
        "numbers": [(str(n), french(n)) for n in numbers[: len(splits)]],
        "dates": [(written(day, rng), day.isoformat()) for day in dates],
    }
    for name, pairs in rows.items():
        with (target / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(("text", "answer", "split"))
            table.writerows((*pair, split) for pair, split in zip(pairs, splits, strict=True))
        print(f"{name}: {len(pairs)} rows")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("target", type=Path, help="folder to write")
    prepare(parser.parse_args().target)
