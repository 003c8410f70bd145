"""Best-path decoding: against all paths, on hand-made frames, and the order of places."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.decode.ctc_greedy import Decoded, greedy


def frames(*rows: list[float]) -> np.ndarray:
    """Log-probabilities of hand-made probabilities, one row for each frame."""
    return np.log(np.array(rows, dtype=np.float64))


def written(path: str, outputs: int = 3, sure: float = 0.9) -> np.ndarray:
    """Frames whose most likely outputs spell ``path``: ``-`` the blank, ``a`` 1, ``b`` 2."""
    probabilities = np.full((len(path), outputs), (1 - sure) / (outputs - 1))
    probabilities[range(len(path)), ["-ab".index(letter) for letter in path]] = sure
    return np.log(probabilities)


def random_frames(seed: int, time: int, outputs: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 3, (time, outputs))
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(2, 4))
def test_is_the_collapse_of_the_best_of_all_paths(seed: int, time: int, outputs: int) -> None:
    log_probs = random_frames(seed, time, outputs)
    paths = product(range(outputs), repeat=time)
    best = max(paths, key=lambda path: log_probs[range(time), path].sum())
    assert greedy(log_probs, stride=4, width=4 * time).numbers == tuple(n for n, _ in groupby(best) if n)


@pytest.mark.parametrize(
    ("path", "numbers"),
    [
        ("---", ()),
        ("a", (1,)),
        ("aaa", (1,)),
        ("a-a", (1, 1)),
        ("-aa--ab-", (1, 1, 2)),
        ("abab", (1, 2, 1, 2)),
        ("bb-b-bb", (2, 2, 2)),
    ],
)
def test_repeats_collapse_and_blanks_part_equal_letters(path: str, numbers: tuple[int, ...]) -> None:
    assert greedy(written(path), stride=2, width=100).numbers == numbers


def test_nothing_seen_is_nothing_read() -> None:
    assert greedy(np.zeros((0, 5), np.float32), stride=4, width=0) == Decoded((), (), (), 1.0)


def test_a_sure_empty_line_has_a_high_score_and_a_doubtful_one_a_low() -> None:
    sure = greedy(written("-" * 50, sure=0.999), stride=4, width=200)
    assert sure.numbers == () and sure.score == pytest.approx(0.999)
    log_probs = written("-" * 50, sure=0.999)
    log_probs[20] = np.log([0.5, 0.45, 0.05])  # here a letter may have been passed over
    assert greedy(log_probs, stride=4, width=200).score == pytest.approx(0.5)


def test_scores_are_the_highest_of_each_run() -> None:
    log_probs = frames([0.98, 0.01, 0.01], [0.3, 0.6, 0.1], [0.05, 0.9, 0.05], [0.4, 0.55, 0.05], [0.2, 0.1, 0.7])
    decoded = greedy(log_probs, stride=4, width=20)
    assert decoded.numbers == (1, 2)
    assert decoded.scores == pytest.approx((0.9, 0.7))
    # the gap before: the blank, and the letter beside it
    assert decoded.score == pytest.approx((0.9 * 0.7 * 0.99) ** (1 / 2))


def test_a_gap_that_may_hide_a_letter_lowers_the_score() -> None:
    edge = frames([0.1, 0.9, 0.0001], [0.55, 0.45, 0.0001], [0.1, 0.0001, 0.9])
    hidden = frames([0.1, 0.9, 0.0001, 0.0001], [0.55, 0.0001, 0.0001, 0.45], [0.1, 0.0001, 0.9, 0.0001])
    assert greedy(edge, stride=1, width=3).score == pytest.approx(0.9, abs=0.01), "only the edge of a letter"
    assert greedy(hidden, stride=1, width=3).score == pytest.approx((0.9 * 0.9 * 0.55) ** 0.5, abs=0.01)


def test_doubt_whether_one_letter_or_two_lowers_the_score() -> None:
    log_probs = frames([0.05, 0.95], [0.52, 0.48], [0.05, 0.95])
    decoded = greedy(log_probs, stride=1, width=3)
    assert decoded.numbers == (1, 1)
    assert decoded.score == pytest.approx((0.95 * 0.95 * 0.52) ** 0.5)


def test_borders_are_half_way_between_runs() -> None:
    # frames of 4 pixels: a in frames 1 and 2 (pixels 4 to 12), b in frame 5 (20 to 24), a in frame 6 (24 to 28)
    decoded = greedy(written("-aa--ba---"), stride=4, width=40)
    assert decoded.numbers == (1, 2, 1)
    assert decoded.spans == ((0.0, 16.0), (16.0, 24.0), (24.0, 28.0))


def test_outer_letters_reach_outward_as_far_as_inward() -> None:
    decoded = greedy(written("-----a----b-------"), stride=2, width=36)
    # runs 10 to 12 and 20 to 22, border 16: four pixels inward, four outward
    assert decoded.spans == ((6.0, 16.0), (16.0, 26.0))
    assert greedy(written("--a---"), stride=2, width=12).spans == ((4.0, 6.0),), "alone: its own frames"


def test_places_end_with_the_input() -> None:
    decoded = greedy(written("a--b"), stride=4, width=13.5)
    assert decoded.spans == ((0.0, 8.0), (8.0, 13.5))


def test_certainty_and_impossibility_stay_within_bounds() -> None:
    with np.errstate(divide="ignore"):
        log_probs = np.log(np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], np.float32))
    log_probs += np.float32(1e-6)  # a rounding error above certainty
    decoded = greedy(log_probs, stride=1, width=3)
    assert decoded == Decoded((1, 1), (1.0, 1.0), ((0.0, 1.5), (1.5, 3.0)), 1.0)


def test_what_is_not_a_number_is_refused() -> None:
    with pytest.raises(AssertionError, match="not numbers"):
        greedy(np.full((3, 2), np.nan), stride=1, width=3)


@given(
    st.text(alphabet="-ab", max_size=30),
    st.floats(0.5, 8),
    st.floats(0, 200),
    st.integers(0, 2**32),
    st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_places_are_ordered_and_scores_are_probabilities(
    path: str, stride: float, width: float, seed: int, kind: type
) -> None:
    noise = np.random.default_rng(seed).uniform(-1, 1, (len(path), 3))
    log_probs: np.ndarray = (written(path, sure=0.95) + noise).astype(kind)
    decoded = greedy(log_probs, stride=stride, width=width)
    assert len(decoded.numbers) == len(decoded.scores) == len(decoded.spans)
    assert all(0 < score <= 1 for score in (*decoded.scores, decoded.score))
    edges = [edge for span in decoded.spans for edge in span]
    assert edges == sorted(edges)
    assert all(0 <= edge <= width for edge in edges)
    assert all(a[1] == b[0] for a, b in zip(decoded.spans, decoded.spans[1:], strict=False))


@given(st.text(alphabet="-ab", min_size=1, max_size=30))
def test_each_place_holds_the_frames_of_its_letter(path: str) -> None:
    decoded = greedy(written(path), stride=3, width=3 * len(path))
    position = 0
    centres = []
    for letter, run in groupby(path):
        length = len(list(run))
        if letter != "-":
            centres.append([(t + 0.5) * 3 for t in range(position, position + length)])
        position += length
    for (start, stop), inside in zip(decoded.spans, centres, strict=True):
        assert all(start < centre < stop for centre in inside)


def test_blank_frames_at_the_ends_change_nothing_but_places() -> None:
    line = written("-a-bb-", sure=0.99)
    blank = written("----", sure=0.99)
    short = greedy(line, stride=1, width=6)
    long = greedy(np.concatenate([line, blank]), stride=1, width=10)
    assert (short.numbers, short.scores) == (long.numbers, long.scores)
    assert short.score == pytest.approx(long.score)
