"""Tables of numbers in time: windows, parts, gaps, columns known beforehand, and what is said of each flaw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crnn
from crnn.data.formats import Ahead, Asked, open_data
from crnn.data.formats._windows import cut, parts
from crnn.data.inputs.series import Series
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.types import Sample

SMALL = Ahead(window=6, horizon=2, calendar=False)


def written(path: Path, rows: list[str], header: str = "date,a,b") -> Path:
    path.write_text("\n".join([header, *rows] if header else rows) + "\n", encoding="utf-8")
    return path


def hours(count: int, start: str = "2020-01-01T00") -> list[str]:
    stamps = np.datetime64(start, "h") + np.arange(count)
    return [f"{str(t).replace('T', ' ')}:00,{i},{(7 * i) % 5}" for i, t in enumerate(stamps)]


def opened(path: Path, ahead: Ahead = SMALL, left_out: list[CrnnError] | None = None, **asked: Any) -> list[Sample]:
    wanted = Asked(answer="future", suffixes=frozenset({".csv"}), ahead=ahead, **asked)
    return open_data(path, left_out=left_out, asked=wanted)


def said(samples: list[Sample]) -> list[str]:
    return [finding.kind for finding in samples[0].x.timeline.findings]


# windows


@pytest.mark.parametrize(("lead", "horizon", "every"), [(1, 1, 1), (1, 4, 1), (3, 1, 1), (2, 3, 4)])
def test_no_target_leaves_its_part_and_every_test_window_is_there(lead: int, horizon: int, every: int) -> None:
    steps, window = 100, 10
    found = list(cut(steps, (0.6, 0.2, 0.2), window=window, horizon=horizon, lead=lead, every=every))
    bounds = dict(zip(("train", "valid", "test"), parts(steps, (0.6, 0.2, 0.2)), strict=True))
    for start, part in found:
        first = start + window - 1 + lead
        assert start >= 0 and bounds[part][0] <= first and first + horizon <= bounds[part][1]
    tested = [start for start, part in found if part == "test"]
    assert tested == list(range(80 - window - lead + 1, 100 - window - lead - horizon + 2))
    begun = [start for start, part in found if part == "train"]
    assert set(np.diff(begun)) <= {every}


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.2, 0.1), (0.0, 0.5, 0.5), (90, 20, 10), (-0.1, 0.5, 0.5)])
def test_parts_that_make_no_sense(shares: tuple[float, ...]) -> None:
    with pytest.raises(SettingsError, match=r"expected three shares"):
        parts(100, shares)


def test_samples_are_views_and_say_what_was_seen_and_what_came(tmp_path: Path) -> None:
    samples = opened(written(tmp_path / "x.csv", hours(60)))
    first = samples[0]
    assert first.id == "x.csv:2020-01-01 05:00" and first.split == "train"
    assert first.x.x.tolist() == [[i, (7 * i) % 5] for i in range(6)]
    assert first.y.tolist() == [[6, 42 % 5], [7, 49 % 5]]
    assert first.x.x.base is samples[1].x.x.base, "views of one array"
    assert [sum(s.split == part for s in samples) for part in ("train", "valid", "test")] == [29, 11, 11]


def test_numbers_of_rows_and_dates_are_parts_too(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", hours(60))
    by_rows = opened(path, replace(SMALL, shares=(30, 10, 10)))
    by_date = opened(path, replace(SMALL, shares=("2020-01-02 06:00", "2020-01-02 16:00")))
    assert [s.split for s in by_rows if s.split != "test"] == [s.split for s in by_date if s.split != "test"]
    assert by_rows[-1].y[-1, 0] == 49 and by_date[-1].y[-1, 0] == 59
    for shares in (("2020-01-02", "soon"), ("2021-01-01", "2021-02-01")):
        with pytest.raises(SettingsError, match="two dates"):
            opened(path, replace(SMALL, shares=shares))
    with pytest.raises(SettingsError, match="a column of dates"):
        bare = written(tmp_path / "y.csv", [str(i) for i in range(40)], "a")
        opened(bare, replace(SMALL, shares=("2020-01-02", "2020-02-01")))


def test_a_series_cannot_be_dealt_into_folds_nor_held_out_by_chance(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", hours(60))
    with pytest.raises(SettingsError, match="leaves nothing to choose by"):
        opened(path, replace(SMALL, shares=(0.8, 0.0, 0.2)))
    recipe = {"task": {"name": "forecast", "window": 6, "horizon": 2}, "data": {"train": str(path), "folds": 5}}
    with pytest.raises(SettingsError, match=r"data\.folds is given; expected none, for a forecast"):
        crnn.fit(recipe, tmp_path / "run")


def test_a_table_that_ends_with_unfinished_rows(tmp_path: Path) -> None:
    rows = [*hours(40), "2020-01-02 16:00,40,", "2020-01-02 17:00,,"]
    (last,) = opened(written(tmp_path / "x.csv", rows), truths=False)
    assert last.id.endswith("2020-01-02 15:00") and last.x.x[-1].tolist() == [39, 3]
    assert said([last]) == ["begins late or ends early"] * 2


def test_files_of_a_folder_are_parts_by_their_names(tmp_path: Path) -> None:
    written(tmp_path / "train.csv", hours(50))
    written(tmp_path / "test.csv", hours(20, "2020-02-01T00"))
    samples = opened(tmp_path)
    assert {s.split for s in samples if s.id.startswith("test")} == {"test"}
    assert {s.split for s in samples if s.id.startswith("train")} == {"train", "valid"}, "its end is held out"
    written(tmp_path / "valid.csv", hours(20, "2020-01-20T00"))
    assert {s.split for s in opened(tmp_path) if s.id.startswith("train")} == {"train"}


def test_a_table_without_dates_or_header(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", [f"{i}.5,{-i}" for i in range(40)], "")
    samples = opened(path)
    assert samples[0].id == "x.csv:6" and samples[0].x.timeline.names == ("1", "2")
    assert samples[0].x.x[0].tolist() == [0.5, 0]
    assert len(opened(written(tmp_path / "y.csv", [f"{i} {i}" for i in range(40)], ""))[0].x.timeline.names) == 2


@pytest.mark.parametrize("form", ["{i};{i},5", "{i}\t{i}.5"])
def test_commas_and_tabs(form: str, tmp_path: Path) -> None:
    rows = [form.format(i=i) for i in range(40)]
    samples = opened(written(tmp_path / "x.csv", rows, "a;b" if ";" in form else "a\tb"))
    assert samples[0].x.x[2].tolist() == [2, 2.5]


# order, doubles, gaps


def test_rows_out_of_order_and_double_ones(tmp_path: Path) -> None:
    rows = hours(60)
    rows[10], rows[11] = rows[11], rows[10]
    rows.insert(20, "2020-01-01 19:00,21,4")
    samples = opened(written(tmp_path / "x.csv", rows))
    assert said(samples) == ["dates out of order", "dates twice"]
    column = samples[0].x.timeline.table[:, 0]
    assert column[:19].tolist() == list(range(19)) and column[19] == 20, "19 and 21 are 20 on average"


@pytest.mark.parametrize("how", ["rows", "cells", "nan"])
def test_short_gaps_are_filled_and_long_ones_not_crossed(how: str, tmp_path: Path) -> None:
    rows = hours(120)
    for lost in ([30, 31], list(range(60, 70))):
        for i in lost:
            date = rows[i].split(",")[0]
            rows[i] = {"rows": "", "cells": f"{date},,", "nan": f"{date},NaN,nan"}[how]
    samples = opened(written(tmp_path / "x.csv", [row for row in rows if row]))
    table = samples[0].x.timeline.table
    assert table[29:33, 0].tolist() == [29, 30, 31, 32], "on a straight line"
    assert all(np.isfinite(s.x.x).all() and np.isfinite(s.y).all() for s in samples)
    starts = {s.x.start for s in samples}
    assert not starts & set(range(60 - 7, 70)) and {60 - 8, 70} <= starts
    assert {"gaps filled", "long gaps"} <= set(said(samples)) and ("missing dates" in said(samples)) == (how == "rows")
    assert len(opened(tmp_path / "x.csv", replace(SMALL, fill=10))) > len(samples)
    none = opened(tmp_path / "x.csv", replace(SMALL, fill=0))
    assert 24 not in {s.x.start for s in none} and "gaps filled" not in said(none)


def test_no_window_is_tested_that_ends_on_a_line_which_points_at_its_truth_or_foretells_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    walk, absent = np.cumsum(rng.normal(size=200)), rng.random(200) < 0.3
    absent[[0, -1]] = False
    rows = [row.split(",")[0] for row in hours(200)]
    rows = [f"{row},{'' if gap else value}" for row, gap, value in zip(rows, absent, walk.tolist(), strict=True)]
    samples = opened(written(tmp_path / "x.csv", rows, "date,a"), replace(SMALL, horizon=1))
    assert sum(s.split == "train" for s in samples) == 200 * 0.6 - 6, "all may be learned from"
    samples = [s for s in samples if s.split != "train"]
    ends = [s.x.stop - 1 for s in samples]
    assert ends and not absent[ends].any() and not absent[np.array(ends) + 1].any()
    line = np.array([2 * s.x.x[-1, 0] - s.x.x[-2, 0] - s.y[0, 0] for s in samples])
    assert abs(line).min() > 1e-4, "no truth lies on the line of what was seen"
    assert any(absent[s.x.start : s.x.stop].any() for s in samples), "gaps that are over are still bridged"


def test_columns_that_stand_still_or_hold_words_are_said(tmp_path: Path) -> None:
    rows = [f"{row.split(',')[0]},{i},7,fine" for i, row in enumerate(hours(40))]
    samples = opened(written(tmp_path / "x.csv", rows, "date,a,b,note"))
    assert said(samples) == ["nothing moves", "columns left out"] and samples[0].x.timeline.names == ("a", "b")


def test_a_broken_line_is_left_out_where_dates_say_what_is_lacking(tmp_path: Path) -> None:
    rows = hours(150)
    rows[-1] = rows[-1][:16]  # as where a copy was cut off
    assert said(opened(written(tmp_path / "x.csv", rows))) == ["broken lines"]
    with pytest.raises(DataError, match="line 41 has 1 cells; expected 2"):
        opened(written(tmp_path / "y.csv", [*[f"{i},1" for i in range(39)], "39"], "a,b"))


# columns


def test_columns_known_beforehand_run_ahead(tmp_path: Path) -> None:
    ahead = replace(SMALL, known=("b",), lead=2)
    samples = opened(written(tmp_path / "x.csv", hours(60)), ahead)
    assert samples[0].x.timeline.names == ("a", "b") and samples[0].y.shape == (2, 1)
    for sample in samples:
        last = int(sample.y[-1, 0])  # the step that the last target is of
        assert sample.x.x[-1].tolist() == [last - 3, (7 * last) % 5]


def test_the_future_of_known_columns_stands_in_rows_of_their_own(tmp_path: Path) -> None:
    ahead = replace(SMALL, known=("b",))
    rows = hours(40)
    path = written(tmp_path / "x.csv", rows)
    with pytest.raises(DataError, match="does not say what 'b' will be in the next 2 steps"):
        opened(path, ahead, truths=False)
    coming = [f"{row.split(',')[0]},,{row.split(',')[2]}" for row in hours(42)[40:]]
    (last,) = opened(written(path, rows + coming), ahead, truths=False)
    assert last.id.endswith("2020-01-02 15:00") and last.y is None
    assert last.x.x[-1].tolist() == [39, (7 * 41) % 5]
    assert all(np.isfinite(s.y).all() for s in opened(path, ahead))


def test_targets_by_name_and_names_that_are_not_there(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", hours(40))
    assert opened(path, replace(SMALL, targets=("b",)))[0].y.tolist() == [[42 % 5], [49 % 5]]
    assert opened(path, columns=("b",))[0].y.shape == (2, 1), "--answer b"
    assert opened(path, replace(SMALL, columns=("b",)))[0].x.timeline.names == ("b",)
    for wrong in (replace(SMALL, targets=("bb",)), replace(SMALL, known=("bb",)), replace(SMALL, columns=("bb",))):
        with pytest.raises(SettingsError, match=r"expected 'bb'. Did you mean 'b'\?"):
            opened(path, wrong)
    with pytest.raises(SettingsError, match="to be foretold"):
        opened(path, replace(SMALL, targets=("b",), known=("b",)))


def test_the_calendar_speaks_of_the_last_step_of_the_forecast(tmp_path: Path) -> None:
    samples = opened(written(tmp_path / "x.csv", hours(60)), replace(SMALL, calendar=True))
    (last,) = opened(tmp_path / "x.csv", replace(SMALL, calendar=True), truths=False)
    line = samples[0].x.timeline
    assert line.calendar == line.shifted == 6 and line.columns == ("a", "b")
    midnight = next(s for s in samples if s.id.endswith("22:00"))  # which foretells up to 00:00
    assert midnight.x.x[-1, 2:4].tolist() == pytest.approx([0, 1], abs=1e-6)
    assert np.isfinite(last.x.x).all()


# what is refused


REFUSED = {
    "irregular": (
        ["2020-01-01 00:00,1", "2020-01-01 01:00,1", "2020-01-01 02:00,1", "2020-01-01 02:30,2"],
        "not eq",
    ),
    "short": (["2020-01-01,1", "2020-01-02,2", "2020-01-03,1"], "expected at least 8, to see 6 and foretell 2"),
    "wide": (["2020-01-01,1", "2020-01-02,2,3"], "line 3 has 3 cells; expected 2"),
    "word": (["2020-01-01,1", "2020-01-02,x", "2020-01-03,1"], "line 3 says 'x' in the column a"),
    "words": (["2020-01-01,x", "2020-01-02,y"], "none of numbers"),
    "one day": (["2020-01-01,1", "2020-01-01,2"], "has 1 dates"),
    "typing error": ([f"2020-01-{i:02},1" for i in range(1, 20)] + ["2120-01-20,1"], "line 21 does not fit"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_named(name: str, tmp_path: Path) -> None:
    rows, words = REFUSED[name]
    with pytest.raises(DataError, match=words) as caught:
        opened(written(tmp_path / "x.csv", rows, "date,a"))
    assert caught.value.file is not None and caught.value.do


def test_another_step_than_was_learned(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has steps of 1 hour; expected 1 day"):
        opened(written(tmp_path / "x.csv", hours(40)), replace(SMALL, step="1 day"))


def test_one_bad_file_leaves_the_others(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", hours(40))
    written(tmp_path / "b.csv", hours(3))
    left_out: list[CrnnError] = []
    assert {s.x.timeline.file for s in opened(tmp_path, left_out=left_out)} == {"a.csv"}
    assert [Path(str(e.file)).name for e in left_out] == ["b.csv"]


# the scale


def test_the_scale_is_that_of_each_step_of_the_training_part_once(tmp_path: Path) -> None:
    samples = opened(written(tmp_path / "x.csv", hours(100)))
    kind = Series.learn(Series.Settings(), [s for s in samples if s.split == "train"])
    column = np.arange(60)
    assert kind.mean[0] == pytest.approx(column.mean()) and kind.deviation[0] == pytest.approx(column.std(), rel=1e-5)
    assert kind.steps(samples[0].x) == 6 and kind.look(samples[0].x).digest is None


def test_a_timeline_is_as_long_as_it_likes(tmp_path: Path) -> None:
    samples = [s for s in opened(written(tmp_path / "x.csv", hours(100))) if s.split == "train"]
    short = Series.learn(Series.Settings(longest=10), samples)
    assert short.learned() == Series.learn(Series.Settings(), samples).learned()


# cells and columns that are not what they seem


@pytest.mark.parametrize(
    ("head", "form", "words"),
    [
        ("date,v", '{day},"1,0{i:02}"', r"line 2 says '1,000' in the column v; expected a number"),
        ("date,v", '{day},"{i:,}"', None),
        ("date,v", "{odd},{i}", r"line 9 says 'soon' in the column date; expected a date"),
        ("date,v", "{lost},{i}", "line 9 has no date"),
        ("date,v,v", "{day},{i},1{i}", "has two columns 'v'"),
    ],
)
def test_what_would_be_read_wrong_is_refused(head: str, form: str, words: str | None, tmp_path: Path) -> None:
    days = [f"{i % 28 + 1:02}.{i // 28 + 1:02}.2020" for i in range(40)]
    odd, lost = ([*days[:7], cell, *days[8:]] for cell in ("soon", ""))
    rows = [form.format(day=days[i], i=i, odd=odd[i], lost=lost[i]) for i in range(40)]
    if words is None:
        assert opened(written(tmp_path / "x.csv", rows[:28], head))[0].x.timeline.names == ("v",)
        return
    with pytest.raises(DataError, match=words):
        opened(written(tmp_path / "x.csv", rows, head))


def test_columns_of_nothing_and_of_counting_are_no_channels(tmp_path: Path) -> None:
    samples = opened(written(tmp_path / "x.csv", [f"2020-1-{i + 1};{i % 5};;" for i in range(28)], "date;v;w;"))
    assert samples[0].x.timeline.names == ("v",) and samples[0].id == "x.csv:2020-01-06"
    assert "hold no numbers: w" in str(samples[0].x.timeline.findings[-1])
    for head, names in (("time,v", ("v",)), ("t,v", ("v",)), ("index,v", ("v",))):
        samples = opened(written(tmp_path / "x.csv", [f"{i},{i % 5}" for i in range(40)], head))
        assert samples[0].x.timeline.names == names
    samples = opened(written(tmp_path / "x.csv", [f"{i % 7},{i % 5}" for i in range(40)], "no,v"))
    assert samples[0].x.timeline.names == ("no", "v"), "nitric oxide"


def test_a_column_of_words_may_hold_a_cell_that_looks_like_a_number_with_a_comma(tmp_path: Path) -> None:
    rows = [f"{row.split(',')[0]},{i},fine" for i, row in enumerate(hours(60))]
    rows[7] = rows[7].replace("fine", '"3,4"')
    samples = opened(written(tmp_path / "x.csv", rows, "date,a,note"))
    assert samples[0].x.timeline.names == ("a",)
