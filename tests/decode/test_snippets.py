"""Words and their regions: the best of all assignments."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from crnn.decode.snippets import Snippet, assign, snippets


def worth(scores: np.ndarray, chosen: tuple[int, ...], stay: float) -> float:
    return sum(scores[j, a] for j, a in enumerate(chosen)) + stay * sum(a == b for a, b in pairwise(chosen))


@pytest.mark.parametrize("stay", [0.0, 0.3, 1.0, 5.0])
def test_no_assignment_is_better(stay: float) -> None:
    random = np.random.default_rng(0)
    for words, regions in ((1, 3), (5, 1), (6, 4), (4, 5)):
        scores = random.normal(0, 1, (words, regions))
        found = assign(scores[None], stay)[0]
        best = max(worth(scores, chosen, stay) for chosen in product(range(regions), repeat=words))
        assert worth(scores, tuple(found.tolist()), stay) == pytest.approx(best)


def test_without_a_reward_each_word_has_its_best_region_and_with_a_large_one_all_have_one() -> None:
    scores = np.random.default_rng(1).normal(0, 1, (3, 8, 5))
    assert np.array_equal(assign(scores, 0.0), scores.argmax(2))
    for row, chosen in zip(scores, assign(scores, 1e6), strict=True):
        assert set(chosen.tolist()) == {int(row.sum(0).argmax())}


def test_padding_changes_no_assignment() -> None:
    random = np.random.default_rng(2)
    scores, lengths = random.normal(0, 1, (3, 7, 5)), [7, 4, 1]
    scores[1, 4:], scores[2, 1:] = 99, 99
    scores[1, :, 3:] = -np.inf  # a picture of three regions
    together = assign(scores, 0.4, lengths)
    for i, length in enumerate(lengths):
        alone = assign(scores[i : i + 1, :length, : 3 if i == 1 else 5], 0.4)[0]
        assert together[i, :length].tolist() == alone.tolist()
    assert assign(np.zeros((2, 0, 3)), 1.0).shape == (2, 0)


def test_snippets_are_runs() -> None:
    assert snippets([]) == []
    assert snippets([2, 2, 0, 2]) == [Snippet(0, 2, 2), Snippet(2, 3, 0), Snippet(3, 4, 2)]
