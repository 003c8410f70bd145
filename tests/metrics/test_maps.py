"""Figures of label maps: by hand, by brute force, and what does not count."""

from __future__ import annotations

import numpy as np
import pytest

from crnn.errors import DataError
from crnn.metrics.maps import IGNORED, Counts, borders, count, pieces, table, things


def counted(*pairs: tuple[np.ndarray, np.ndarray], labels: int = 2) -> Counts:
    counts = Counts(labels)
    for truth, answer in pairs:
        counts.add(truth, answer)
    return counts


def test_figures_by_hand() -> None:
    truth = np.array([[0, 0, 1, 1], [0, 0, 1, IGNORED]], np.uint8)
    answer = np.array([[0, 0, 0, 1], [0, 1, 1, 1]], np.uint8)
    figures = counted((truth, answer)).figures()
    assert figures["pixel_accuracy"] == pytest.approx(5 / 7)
    assert figures["miou"] == pytest.approx((3 / 5 + 2 / 4) / 2)
    assert figures["dice"] == pytest.approx(4 / 6), "of two labels, the first is the ground"
    assert figures["class_accuracy"] == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert "miou_low" not in figures, "one picture has no interval"


def test_counts_of_several_pictures_are_those_of_one_large_picture() -> None:
    random = np.random.default_rng(0)
    truths, answers = (random.integers(0, 4, (3, 9, 7)).astype(np.uint8) for _ in range(2))
    truths[random.random(truths.shape) < 0.2] = IGNORED
    apart = counted(*zip(truths, answers, strict=True), labels=4)
    whole = table(np.concatenate(truths), np.concatenate(answers), 4)
    assert np.array_equal(apart.confusion, whole)
    t, a = truths.ravel(), answers.ravel()
    there = t != IGNORED
    ious = [(there & (t == n) & (a == n)).sum() / (there & ((t == n) | (a == n))).sum() for n in range(4)]
    figures = apart.figures()
    assert figures["miou"] == pytest.approx(np.mean(ious))
    assert figures["miou_low"] <= figures["miou"] <= figures["miou_high"]
    assert figures == apart.figures(), "the same draws"


def test_a_label_that_is_nowhere_does_not_count_and_one_that_is_only_said_does() -> None:
    truth = np.zeros((4, 4), np.uint8)
    assert counted((truth, truth), labels=3).figures()["miou"] == 1
    answer = truth.copy()
    answer[0, 0] = 2
    assert counted((truth, answer), labels=3).figures()["miou"] == pytest.approx((15 / 16 + 0) / 2)


def test_where_there_is_nothing_and_nothing_was_said_there_is_no_figure() -> None:
    nothing = np.zeros((9, 9), np.uint8)
    figures = counted((nothing, nothing), (nothing, nothing)).figures()
    assert figures["miou"] == figures["pixel_accuracy"] == 1 and not {"dice", "dice_low", "boundary_f1"} & set(figures)
    thing = nothing.copy()
    thing[2:5, 2:5] = 1
    figures = counted((thing, thing), *[(nothing, nothing)] * 4).figures()
    assert figures["dice"] == figures["dice_low"] == figures["dice_high"] == 1, "draws without a thing say nothing"


def test_things_where_nobody_looked_are_not_counted() -> None:
    truth = np.zeros((20, 20), np.uint8)
    truth[2:5, 2:5], truth[10:] = 1, IGNORED
    answer = truth % IGNORED
    answer[12:14, 2:4] = 1
    counts = Counts(2, things=(1,))
    counts.add(truth, answer)
    assert counts.figures()["count_error"] == 0


def test_nothing_to_score() -> None:
    empty = np.full((3, 3), IGNORED, np.uint8)
    with pytest.raises(DataError, match="no pixel has a label"):
        counted((empty, empty * 0)).figures()


@pytest.mark.parametrize(("shift", "found"), [(0, 1.0), (1, 1.0), (2, 1.0), (3, 0.0)])
def test_borders_may_be_off_by_the_tolerance(shift: int, found: float) -> None:
    truth, answer = np.zeros((2, 12, 20), np.uint8)
    truth[:, 6:] = 1
    answer[:, 6 + shift :] = 1
    near, said, reached, true = borders(truth, answer, 2, 2)
    assert said.tolist() == true.tolist() == [12, 12]
    assert (near / said).tolist() == (reached / true).tolist() == [found, found]


def flood(mask: np.ndarray) -> np.ndarray:
    """Pieces by filling, pixel after pixel."""
    found = np.zeros(mask.shape, int)
    for start in zip(*np.nonzero(mask), strict=True):
        if found[start]:
            continue
        number, stack = found.max() + 1, [start]
        while stack:
            y, x = stack.pop()
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and not found[y, x]:
                found[y, x] = number
                stack += [(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return found


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.8, 1.0])
def test_connected_pieces_are_those_of_brute_force(share: float) -> None:
    random = np.random.default_rng(round(100 * share))
    for height, width in ((1, 1), (1, 9), (9, 1), (17, 23)):
        mask = random.random((height, width)) < share
        assert np.array_equal(pieces(mask), flood(mask))


def test_things_have_area_and_centre_and_small_ones_are_none() -> None:
    x = np.zeros((8, 10), np.uint8)
    x[1:3, 1:4] = 1
    x[6, 8] = 1
    assert things(x, 1) == [(6, 2.0, 1.5), (1, 8.0, 6.0)]
    assert things(x, 1, smallest=2) == [(6, 2.0, 1.5)]
    assert (count(x, 1), count(x, 1, 2), count(x, 0)) == (2, 1, 1)
    counts = Counts(2, things=(1,), smallest=2)
    counts.add(x, np.zeros_like(x))
    assert counts.figures()["count_error"] == 1 and counts.figures()["count_share"] == 1
