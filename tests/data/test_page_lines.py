"""Lines on a page: drawn as label maps and found again, put in reading order, cut out straight."""

from __future__ import annotations

import numpy as np
import pytest

from crnn.data.page_cut import along, cut
from crnn.data.page_lines import NAMES, TextLine, draw, lines_in
from crnn.data.reading_order import in_order


def line(left: float, right: float, level: float, *, height: float = 30.0, slope: float = 0.0, wave: float = 0.0):
    xs = np.linspace(left, right, max(2, int(right - left) // 10))
    ys = level + slope * (xs - left) + wave * np.sin(xs / 80)
    points = tuple(zip(xs.tolist(), ys.tolist(), strict=True))
    return TextLine(points, 0.7 * height, 0.3 * height, f"{left:.0f} {level:.0f}")


def level_at(found: TextLine, x: float) -> float:
    return float(np.interp(x, *np.array(found.baseline).T))


def same(found: list[TextLine], drawn: list[TextLine], off: float = 1.0) -> None:
    """The same lines, whose ends and levels are at most ``off`` pixels from where they were drawn."""
    assert len(found) == len(drawn)
    left = list(found)
    for want in drawn:
        middle = (want.baseline[0][0] + want.baseline[-1][0]) / 2
        got = min(
            left,
            key=lambda f: (
                abs(level_at(f, middle) - level_at(want, middle)) + abs(f.baseline[0][0] - want.baseline[0][0])
            ),
        )
        left.remove(got)
        assert abs(got.baseline[0][0] - want.baseline[0][0]) <= 1.5
        assert abs(got.baseline[-1][0] - want.baseline[-1][0]) <= 1.5
        for x, y in want.baseline:
            assert abs(level_at(got, x) - y) <= off
        assert got.above == pytest.approx(want.above, abs=1.5)
        assert got.below == pytest.approx(want.below, abs=1.5)


@pytest.mark.parametrize("slope", [0.0, 0.06, -0.12])
@pytest.mark.parametrize("wave", [0.0, 5.0])
@pytest.mark.parametrize("pitch", [20, 34, 60])
def test_lines_are_found_where_they_were_drawn(slope, wave, pitch):
    """Lines whose heights overlap by a third, and such with room between."""
    drawn = [line(20 + 7 * i, 420 - 11 * i, 90 + pitch * i, slope=slope, wave=wave) for i in range(6)]
    same(lines_in(draw(drawn, (560, 480))), drawn)


def test_columns_whose_lines_nearly_touch_stay_apart():
    left = [line(10, 200, 40 + 30 * i) for i in range(5)]
    right = [line(204, 390, 51 + 30 * i) for i in range(5)]
    same(lines_in(draw([*left, *right], (220, 400))), [*left, *right])


def test_a_gap_in_a_line_is_bridged_and_a_wide_one_is_not():
    drawn = line(20, 380, 60, slope=0.03)
    numbers = draw([drawn], (120, 400))
    numbers[:, 150:162] = 0
    same(lines_in(numbers), [drawn])
    numbers[:, 150:195] = 0
    assert len(lines_in(numbers)) == 2


def test_noise_is_no_line_and_an_empty_page_has_none():
    assert lines_in(np.zeros((50, 60), np.uint8)) == []
    random = np.random.default_rng(0)
    drawn = [line(20, 380, 60 + 40 * i) for i in range(3)]
    numbers = draw(drawn, (200, 400))
    for y, x in zip(random.integers(0, 198, 60), random.integers(0, 398, 60), strict=True):
        numbers[y : y + 2, x : x + 2] = random.integers(0, 4)
    found = [f for f in lines_in(numbers) if f.baseline[-1][0] - f.baseline[0][0] > 60]
    same(found, drawn, off=1.5)
    assert len(lines_in(numbers)) <= len(drawn) + 2
    assert lines_in(np.full((40, 40), NAMES.index("baseline"), np.uint8)) == []


def test_a_stroke_in_the_midst_of_a_line_is_no_line():
    drawn = [line(20, 380, 60), line(20, 380, 82)]
    numbers = draw(drawn, (140, 400))
    numbers[48:50, 100:130], numbers[46:48, 100:130] = NAMES.index("baseline"), NAMES.index("above")
    same(lines_in(numbers), drawn)


def test_small_pictures_do_not_matter():
    for size in ((1, 1), (1, 30), (30, 1), (3, 3)):
        for number in range(4):
            lines_in(np.full(size, number, np.uint8))


def test_an_outline_runs_along_the_baseline():
    drawn = line(10, 110, 50, slope=0.5)
    (left, top), *_ = drawn.polygon
    assert np.hypot(left - 10, top - 50) == pytest.approx(21)
    assert (left - 10) / (50 - top) == pytest.approx(0.5)
    scaled = drawn.scaled(2, 2)
    assert scaled.height == pytest.approx(2 * drawn.height)
    assert scaled.baseline[0] == (20, 100)


def test_reading_order_is_down_a_column_and_then_the_next():
    head = line(20, 580, 40)
    left = [line(20, 280, 100 + 36 * i) for i in range(4)] + [line(20, 200, 290 + 36 * i) for i in range(3)]
    right = [line(320, 580, 95 + 36 * i) for i in range(5)] + [line(330, 500, 330 + 36 * i) for i in range(2)]
    foot = line(20, 570, 470)
    want = [head, *left, *right, foot]
    random = np.random.default_rng(1)
    for _ in range(5):
        mixed = [want[i] for i in random.permutation(len(want))]
        assert [one for block in in_order(mixed) for one in block] == want


def test_a_date_on_the_right_comes_before_the_letter_below_it():
    date, dear = line(400, 560, 40), line(20, 130, 110)
    body = [line(20, 560, 150 + 36 * i) for i in range(3)]
    assert [one for block in in_order([*body, dear, date]) for one in block] == [date, dear, *body]


def test_skewed_lines_keep_their_order():
    drawn = [line(20, 600, 60 + 34 * i, slope=0.1) for i in range(8)]
    assert [one for block in in_order(drawn[::-1]) for one in block] == drawn
    assert in_order([]) == []


def test_a_cut_is_straight_and_has_the_line_in_it():
    page = np.full((300, 500), 220, np.uint8)
    drawn = line(40, 460, 120, slope=0.15, wave=6)
    for x in np.arange(40, 460, 0.25):  # a stroke on the baseline
        y = 120 + 0.15 * (x - 40) + 6 * np.sin(x / 80)
        page[int(y) - 1 : int(y) + 1, int(x)] = 20
    strip, begin = cut(page, drawn)
    assert strip.shape[0] == 30
    assert begin == pytest.approx(7.5)
    dark = strip[:, 12:-12].argmin(0)
    assert np.ptp(dark) <= 3
    assert abs(np.median(dark) - 20.5) <= 1.5
    x, y = along(drawn, 100.0)
    assert np.hypot(x - 40, y - 120) == pytest.approx(100, abs=1)


def test_what_lies_outside_of_the_page_is_paper():
    page = np.full((40, 100), 200, np.uint8)
    strip, _ = cut(page, line(1, 99, 5))
    assert strip.min() == strip.max() == 200
