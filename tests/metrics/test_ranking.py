"""Ranks of pictures and sentences, and what a guess would do."""

from __future__ import annotations

import numpy as np
import pytest

from crnn.metrics import ranking
from crnn.metrics.ranking import chance, guessed, parts_of, ranks, score


def test_ranks_by_hand() -> None:
    fits = np.array([[9.0, 1.0, 5.0, 2.0], [3.0, 4.0, 8.0, 7.0], [1.0, 5.0, 1.0, 3.0]])
    owner = np.array([0, 1, 2, 2])
    search, annotation = ranks(fits, owner)
    assert search.tolist() == [1, 2, 3, 2]
    assert annotation.tolist() == [1, 3, 2]  # of two sentences the better one


def test_who_says_the_same_of_all_is_in_the_middle() -> None:
    search, annotation = ranks(np.zeros((5, 5)), np.arange(5))
    assert search.tolist() == [3.0] * 5 == annotation.tolist()
    figures = score([(np.zeros((41, 41)), np.arange(41))])
    assert figures["r10"] == 0 and figures["median_rank"] == 21


def test_a_picture_without_a_sentence_is_only_in_the_way() -> None:
    search, annotation = ranks(np.array([[1.0], [2.0]]), np.array([0]))
    assert search.tolist() == [2] and annotation[0] == 1 and np.isnan(annotation[1])


def test_figures_and_their_names() -> None:
    random = np.random.default_rng(0)
    owner = np.repeat(np.arange(30), 5)
    fits = random.normal(0, 1, (30, 150))
    fits[owner, np.arange(150)] += 2
    figures = score([(fits, owner)], [f"day {i % 10}" for i in range(30)])
    assert set(ranking.FIGURES) <= set(figures)
    search, annotation = ranks(fits, owner)
    assert figures["r5"] == (search <= 5).mean() and figures["annotation_r1"] == (annotation <= 1).mean()
    assert figures["annotation_median_rank"] == np.median(annotation)
    assert figures["r10_low"] < figures["r10"] < figures["r10_high"]
    guess = chance([(fits, owner)])
    expected = min(figures["r10"] / guess["r10"], figures["annotation_r10"] / guess["annotation_r10"])
    assert figures["r10_over_chance"] == pytest.approx(expected)
    names = [f"{p}r{k}" for p in ("", "annotation_") for k in (1, 5, 10)]
    assert figures["recall"] == pytest.approx(np.mean([figures[name] for name in names]))


def test_one_picture_has_no_interval() -> None:
    assert set(score([(np.zeros((1, 3)), np.zeros(3, int))])) == set(ranking.FIGURES)


def test_chance_is_what_guesses_come_to() -> None:
    random = np.random.default_rng(1)
    owner = np.repeat(np.arange(20), [1, 3] * 10)
    rows = [ranks(random.normal(0, 1, (20, 40)), owner) for _ in range(400)]
    search, annotation = (np.stack(each) for each in zip(*rows, strict=True))
    expected = guessed([(20, np.array([1, 3] * 10))])
    for k in (1, 5, 10):
        assert (search <= k).mean() == pytest.approx(expected[f"r{k}"], abs=0.02)
        assert (annotation <= k).mean() == pytest.approx(expected[f"annotation_r{k}"], abs=0.02)
    assert annotation.mean() == pytest.approx(expected["annotation_median_rank"], rel=0.03)
    assert expected["r10_over_chance"] == 1


def test_many_pictures_are_ranked_in_parts() -> None:
    assert [len(part) for part in parts_of(5000)] == [1000] * 5
    assert [len(part) for part in parts_of(1400)] == [1400] and len(list(parts_of(0))) == 1
    halves = [(np.eye(12), np.arange(12)), (np.zeros((12, 12)), np.arange(12))]
    assert score(halves)["r1"] == 0.5
    assert chance(halves)["r1"] == pytest.approx(1 / 12)
