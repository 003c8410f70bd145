"""Figures of labels, numbers and events: against counts by hand and formulas, and what they are for nothing at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.errors import DataError
from crnn.metrics import events, labels, numbers
from crnn.metrics.labels import Guess
from crnn.types import Part


def guess(truth: str, answer: str, sure: float = 1.0) -> Guess:
    rest = [label for label in "abcd" if label != answer]
    return Guess(truth, (answer, *rest), (sure, *[(1 - sure) / 3] * 3))


# labels


def test_figures_by_hand() -> None:
    found = labels.score([guess("a", "a"), guess("a", "a"), guess("a", "b"), guess("b", "b"), guess("c", "a")])
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    f_a, f_b = 2 * 2 / (3 + 3), 2 * 1 / (1 + 2)
    assert found["macro_f1"] == pytest.approx((f_a + f_b + 0) / 3)
    assert found["top_3"] == pytest.approx(5 / 5), "a b c d: only d is never among them"
    assert found["accuracy_low"] <= 3 / 5 <= found["accuracy_high"]


def test_a_constant_answer_has_no_better_f1_by_swapping_truth_and_answer() -> None:
    always = labels.score([guess("a", "a")] * 5 + [guess("b", "a")])
    assert always["accuracy"] == pytest.approx(5 / 6) and always["macro_f1"] == pytest.approx((10 / 11 + 0) / 2)


def test_whole_groups_are_drawn() -> None:
    guesses = [guess("a", "a" if i < 50 else "b") for i in range(100)]
    alone, together = (labels.score(guesses, groups) for groups in (None, [str(i // 25) for i in range(100)]))
    width = [f["accuracy_high"] - f["accuracy_low"] for f in (alone, together)]
    assert width[1] > 2 * width[0], "four speakers say less than a hundred"


def test_confusions_and_classes() -> None:
    guesses = [guess("a", "b")] * 3 + [guess("b", "b")] * 2 + [guess("c", "b")]
    assert labels.confusions(guesses) == [("a", "b", 3), ("c", "b", 1)]
    assert labels.confusion(guesses, ["a", "b", "c"]).tolist() == [[0, 3, 0], [0, 2, 0], [0, 1, 0]]
    row = labels.per_class(guesses)[1]
    assert (row["label"], row["count"], row["recall"]) == ("b", 2, 1.0) and row["precision"] == pytest.approx(1 / 3)


def test_calibration() -> None:
    honest = [guess("a", "a", 0.8)] * 8 + [guess("b", "a", 0.8)] * 2
    assert labels.calibration_error(honest) == pytest.approx(0, abs=1e-9)
    assert labels.calibration_error([guess("b", "a", 0.95)] * 4) == pytest.approx(0.95)
    assert labels.reliability(honest) == [(pytest.approx(0.8), pytest.approx(0.8), 10)]
    assert labels.score(honest)["log_loss"] == pytest.approx(-0.8 * np.log(0.8) - 0.2 * np.log(0.2 / 3))


def test_labels_are_ordered_as_numbers_before_words() -> None:
    assert labels.ordered(["b", 10, 9, "a", 2.5]) == [2.5, 9, 10, "a", "b"]


# numbers


def test_errors_by_hand() -> None:
    truths, answers = np.array([[0.0], [2.0], [4.0]]), np.array([[1.0], [2.0], [2.0]])
    found = numbers.score(truths, answers)
    assert found["mae"] == pytest.approx(1) and found["rmse"] == pytest.approx(np.sqrt(5 / 3))
    assert found["r2"] == pytest.approx(1 - 5 / 8)
    assert numbers.score(truths, np.full((3, 1), 2.0))["r2"] == pytest.approx(0), "the mean explains nothing"
    two = numbers.score(np.hstack([truths, truths]), np.hstack([answers, truths]))
    assert (two["mae_1"], two["mae_2"], two["mae"]) == (pytest.approx(1), 0, pytest.approx(0.5))
    assert numbers.score(np.ones((2, 1)), np.ones((2, 1)))["r2"] == 1
    assert numbers.score(np.ones((2, 1)), np.zeros((2, 1)))["r2"] == 0


# events


def event(label: str, start: float, stop: float) -> Part:
    return Part(label, start, stop, 1.0)


TRUTH = (event("dog", 0.0, 1.0), event("dog", 2.0, 3.5), event("cat", 2.0, 3.0))


def test_segments_by_hand() -> None:
    found = (event("dog", 0.5, 1.5), event("cat", 2.0, 3.0))
    # dog in segments 0, 2, 3 and cat in 2; found: dog in 0, 1 and cat in 2
    assert events.segment_counts(TRUTH, found, 1.0) == (2, 1, 2)
    assert events.f1((2, 1, 2)) == pytest.approx(4 / 7)
    assert events.segment_counts((event("a", 0.3, 0.6),), (event("a", 0.6, 0.9),), 1.0) == (1, 0, 0)


def test_events_are_matched_once_by_their_onsets() -> None:
    found = (event("dog", 0.1, 9.0), event("dog", 0.15, 1.0), event("dog", 2.3, 3.5), event("cat", 1.8, 3.0))
    assert events.event_counts(TRUTH, found, 0.2) == (2, 2, 1)
    assert events.event_counts(TRUTH, TRUTH, 0.0) == (3, 0, 0)


def test_time_by_hand() -> None:
    found = (event("dog", 0.5, 2.5), event("cow", 0.0, 1.0))
    both, surplus, missed = events.time_counts(TRUTH, found)
    assert (both, surplus, missed) == (pytest.approx(1.0), pytest.approx(2.0), pytest.approx(2.5))
    doubled = (event("dog", 0.0, 1.0), event("dog", 0.5, 1.0))
    assert events.time_counts(doubled, doubled) == (1.0, 0.0, 0.0), "what overlaps itself counts once"


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20), st.integers(1, 5)), max_size=6))
def test_the_truth_is_perfect_and_nothing_is_found_in_nothing(raw: list[tuple[str, int, int]]) -> None:
    truth = tuple(event(label, start, start + length) for label, start, length in raw)
    found = events.score([(truth, truth), ((), ())])
    assert found["segment_f1"] == found["event_f1"] == found["time_f1"] == 1
    assert found["events_missed"] == found["events_too_many"] == 0
    missed = events.score([(truth, ())])
    assert missed["segment_f1"] == (0 if truth else 1)


@given(st.data())
def test_onsets_are_matched_as_well_as_can_be(data: st.DataObject) -> None:
    onsets = st.lists(st.integers(0, 12), max_size=5)
    true, said = data.draw(onsets), data.draw(onsets)
    collar = data.draw(st.integers(0, 4))
    found = events.event_counts(
        [event("a", t, t + 1) for t in true], [event("a", s, s + 1) for s in said], float(collar)
    )[0]

    def best(i: int, used: frozenset[int]) -> int:
        if i == len(true):
            return 0
        fitting = [j for j in range(len(said)) if j not in used and abs(said[j] - true[i]) <= collar]
        return max([best(i + 1, used), *(1 + best(i + 1, used | {j}) for j in fitting)])

    assert found == best(0, frozenset())


def test_nothing_to_score_is_said() -> None:
    for call in (
        lambda: labels.score([]),
        lambda: events.score([]),
        lambda: numbers.score(np.empty((0, 1)), np.empty((0, 1))),
    ):
        with pytest.raises(DataError, match="there is nothing to score"):
            call()
