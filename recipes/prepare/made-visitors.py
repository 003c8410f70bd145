"""Makes examples/visitors/visitors.csv: two years of an outdoor pool that does not exist, a row a day.

    python recipes/prepare/made-visitors.py examples/visitors/visitors.csv

Temperature goes with the year and from day to day, few people come when it is cold or on working days, and a day off
(known long before) is as good as a Sunday. Three days are lacking and one stands there twice, as real tables have it;
of the last two weeks only the days off are known.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

DAYS, COMING, SEED = 730, 14, 0
LACKING, DOUBLE = (200, 201, 455), 321


def main(path: str) -> None:
    rng = np.random.default_rng(SEED)
    dates = np.datetime64("2022-01-01", "D") + np.arange(DAYS)
    weather = np.zeros(DAYS)
    for i in range(1, DAYS):
        weather[i] = 0.8 * weather[i - 1] + rng.normal(0, 2)
    temperature = 11 - 11 * np.cos(2 * np.pi * (np.arange(DAYS) - 20) / 365.25) + weather
    weekday = (dates.astype(int) + 3) % 7  # Monday is 0
    day_off = (rng.random(DAYS) < 0.03) & (weekday < 5)
    leisure = np.where((weekday >= 5) | day_off, 2.0, 1.0)
    visitors = 900 / (1 + np.exp(-(temperature - 20) / 3)) * leisure * rng.normal(1, 0.08, DAYS)
    rows = [
        f"{date},{temperature[i]:.1f},{int(day_off[i])},{int(visitors[i])}"
        for i, date in enumerate(dates)
        if i not in LACKING
    ]
    rows.insert(DOUBLE, rows[DOUBLE])
    rows += [f"{dates[-1] + 1 + i},,{int(i == 3)}," for i in range(COMING)]
    Path(path).write_text("\n".join(["date,temperature,day_off,visitors", *rows]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
