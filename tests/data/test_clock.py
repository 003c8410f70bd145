"""Equal steps of time: how stamps are read, where they lie, and what comes after them."""

from __future__ import annotations

import numpy as np
import pytest

from crnn.data.clock import DAY, HOUR, Clock, parse
from crnn.errors import SettingsError


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["2020-03-01 05:00", "2020-03-01 06:00"], "2020-03-01T05:00"),
        (["2020-03-01T05:00:00", "2020-03-01T06:00:00"], "2020-03-01T05:00"),
        (["2020-03-01T05:00:00+02:00", "2020-03-01T06:00:00+02:00"], "2020-03-01T03:00"),
        (["2020-03-01T05:00:00Z", "2020-03-01T06:00:00Z"], "2020-03-01T05:00"),
        (["01.03.2020 05:00", "01.03.2020 06:00"], "2020-03-01T05:00"),
        (["12/31/2020 1:00 PM", "12/31/2020 2:00 PM"], "2020-12-31T13:00"),
        (["31/12/2020", "01/01/2021"], "2020-12-31"),
        (["2020-03", "2020-04"], "2020-03-01"),
        (["20200301", "20200302"], "2020-03-01"),
        (["2020-3-1", "2020-3-12", ""], "2020-03-01"),
    ],
)
def test_dates_as_people_write_them(cells: list[str], first: str) -> None:
    stamps = parse(cells)
    assert stamps is not None and stamps[0] == np.datetime64(first, "ms")


@pytest.mark.parametrize("cells", [["one", "two"], ["2020-03-01", "later"], ["31/12/2020", "12/31/2020"], ["", ""]])
def test_what_is_no_date_in_one_way_of_writing(cells: list[str]) -> None:
    found = parse(cells)
    assert found is None or np.isnat(found).all()


@pytest.mark.parametrize(
    ("cells", "name", "season", "after"),
    [
        (["2020-01-01 00:00", "2020-01-01 01:00", "2020-01-01 02:00"], "1 hour", 24, "2020-01-01 03:00"),
        (["2020-01-01 00:00", "2020-01-01 00:15"], "15 minutes", 96, "2020-01-01 00:30"),
        (["2020-01-01", "2020-01-02", "2020-01-03"], "1 day", 7, "2020-01-04"),
        (["2020-01-01", "2020-01-08", "2020-01-15"], "7 days", 52, "2020-01-22"),
        (["2019-12-31", "2020-01-31", "2020-02-29"], "1 month", 12, "2020-03-31"),
        (["2021-02-28", "2021-03-31"], "1 month", 12, "2021-04-30"),
        (["2020-12-28", "2021-01-28", "2021-02-28"], "1 month", 12, "2021-03-28"),
        (["2019-12-15", "2020-03-15"], "3 months", 4, "2020-06-15"),
        (["2019-01-01", "2020-01-01", "2021-01-01"], "12 months", 1, "2022-01-01"),
    ],
)
def test_the_step_its_season_and_what_comes_next(cells: list[str], name: str, season: int, after: str) -> None:
    stamps = parse(cells)
    assert stamps is not None
    clock = Clock.of(stamps)
    places, fits = clock.places(stamps)
    assert fits.all() and places.tolist() == list(range(len(cells)))
    assert (clock.name, clock.season) == (name, season) and Clock.named(clock.name) == clock
    assert clock.words(clock.after(stamps[-1], np.array([1]))) == [after]


def test_days_without_weekends_are_steps_of_their_own() -> None:
    days = np.array([d for d in np.arange("2020-01-01", "2020-02-01", dtype="datetime64[D]") if np.is_busday(d)])
    clock = Clock.of(days.astype("datetime64[ms]"))
    places, fits = clock.places(days.astype("datetime64[ms]"))
    assert clock.unit == "weekday" and clock.season == 5 and fits.all()
    assert places.tolist() == list(range(len(days)))
    assert clock.words(clock.after(np.datetime64("2020-01-31", "ms"), np.array([1, 5]))) == ["2020-02-03", "2020-02-07"]


def test_the_calendar_has_the_cycles_that_are_longer_than_a_step() -> None:
    stamps = np.arange("2019-01-01", "2021-01-01", dtype="datetime64[h]").astype("datetime64[ms]")
    waves = Clock("ms", HOUR).calendar(stamps)
    assert waves.shape == (len(stamps), 6)
    for channel, period in ((0, 24), (2, 168)):
        assert np.allclose(waves[:-period, channel : channel + 2], waves[period:, channel : channel + 2], atol=1e-4)
    assert np.allclose((waves[:, 0::2] ** 2 + waves[:, 1::2] ** 2), 1, atol=1e-5)
    coarse = (Clock("ms", DAY), Clock("ms", 7 * DAY), Clock("month", 1))
    assert [clock.calendar(stamps[::24]).shape[1] for clock in coarse] == [4, 2, 2]


def test_a_step_that_is_none() -> None:
    with pytest.raises(SettingsError, match="the step 'an hour'; expected a number and one of"):
        Clock.named("an hour")
