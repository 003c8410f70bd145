"""Batches of like length: everything once, little padding, an order that seed and epoch alone decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.data.sampler import Buckets

LENGTHS = np.random.default_rng(0).integers(50, 2000, 203).tolist()


def order(buckets: Buckets) -> list[int]:
    return [i for batch in buckets for _, i in batch]


@given(st.lists(st.integers(1, 500), min_size=1, max_size=40), st.integers(1, 12), st.booleans(), st.integers(0, 99))
def test_every_sample_comes_once(lengths: list[int], batch_size: int, shuffle: bool, seed: int) -> None:
    buckets = Buckets(lengths, batch_size, shuffle=shuffle, seed=seed)
    batches = list(buckets)
    assert len(batches) == len(buckets)
    assert sorted(i for batch in batches for _, i in batch) == list(range(len(lengths)))
    assert sorted(map(len, batches))[1:] == [batch_size] * (len(batches) - 1), "one batch may be smaller"


def test_unshuffled_goes_from_short_to_long() -> None:
    buckets = Buckets(LENGTHS, 16)
    assert [LENGTHS[i] for i in order(buckets)] == sorted(LENGTHS)
    assert order(buckets) == order(buckets)


def test_the_order_is_of_seed_and_epoch_alone() -> None:
    epoch = [0]
    buckets = Buckets(LENGTHS, 16, shuffle=True, seed=3, epoch=lambda: epoch[0])
    first = list(buckets)
    assert list(buckets) == first
    assert {e for batch in first for e, _ in batch} == {0}
    epoch[0] = 1
    second = list(buckets)
    assert {e for batch in second for e, _ in batch} == {1}, "the epoch is asked anew"
    assert order(buckets) != [i for batch in first for _, i in batch]
    assert list(Buckets(LENGTHS, 16, shuffle=True, seed=3, epoch=lambda: 1)) == second
    assert list(Buckets(LENGTHS, 16, shuffle=True, seed=4, epoch=lambda: 1)) != second


def test_little_of_a_shuffled_batch_is_padding() -> None:
    buckets = Buckets(LENGTHS, 16, shuffle=True)
    area = sum(len(batch) * max(LENGTHS[i] for _, i in batch) for batch in buckets)
    assert sum(LENGTHS) / area > 0.85


def test_batches_are_shuffled_and_neighbours_change() -> None:
    buckets = [list(Buckets(LENGTHS, 16, shuffle=True, epoch=lambda e=e: e)) for e in (0, 1)]
    means = [np.mean([LENGTHS[i] for _, i in batch]) for batch in buckets[0]]
    assert means != sorted(means)
    sets = [{frozenset(i for _, i in batch) for batch in batches} for batches in buckets]
    assert not sets[0] & sets[1]


@pytest.mark.parametrize("shuffle", [True, False])
def test_equal_lengths_are_no_trouble(shuffle: bool) -> None:
    assert sorted(order(Buckets([5] * 7, 3, shuffle=shuffle))) == list(range(7))
