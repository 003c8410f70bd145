"""Parts of data: groups stay whole, classes are shared, folds cover all once."""

from __future__ import annotations

from collections import Counter

import pytest

from crnn.data.split import fold, hold_out
from crnn.errors import SettingsError
from crnn.types import Sample


def label(sample: Sample) -> str:
    return sample.y


def made(count: int = 60, groups: int = 0, classes: int = 3) -> list[Sample]:
    return [Sample(f"{i:03}", None, f"c{i % classes}", f"g{i % groups}" if groups else None) for i in range(count)]


@pytest.mark.parametrize("groups", [0, 7])
def test_folds_cover_all_once_and_keep_groups_whole(groups: int) -> None:
    samples = made(groups=groups)
    parts = [fold(samples, 4, k, 0, label=label) for k in range(1, 5)]
    assert sorted(s.id for _, test in parts for s in test) == [s.id for s in samples]
    for rest, test in parts:
        assert len(rest) + len(test) == 60 and 8 <= len(test) <= 24
        if groups:
            assert not {s.group for s in rest} & {s.group for s in test}
        else:
            assert max(Counter(map(label, test)).values()) - min(Counter(map(label, test)).values()) <= 1


def test_as_many_groups_as_folds_are_the_folds_in_their_order() -> None:
    samples = [Sample(str(i), None, "a", str(i % 12 + 1)) for i in range(40)]
    for k in (1, 2, 10, 12):
        assert {s.group for s in fold(samples, 12, k, 0)[1]} == {str(k)}


def test_folds_that_are_not_there() -> None:
    for folds, number in ((4, 5), (4, 0), (8, 1)):
        with pytest.raises(SettingsError, match=f"fold {number} of {folds} is asked of 7 groups"):
            fold(made(groups=7), folds, number, 0)


def test_each_class_gives_its_share_where_there_are_no_groups() -> None:
    samples = [*made(90), Sample("rare", None, "rare")]
    train, valid = hold_out(samples, 0.1, 3, label=label)
    assert Counter(map(label, valid)) == {"c0": 3, "c1": 3, "c2": 3} and len(train) == 82
    assert hold_out(samples, 0.1, 3, label=label) == (train, valid)
    assert hold_out(samples, 0.1, 4, label=label)[1] != valid


def test_groups_come_before_classes() -> None:
    train, valid = hold_out(made(groups=7), 0.2, 0, label=label)
    assert valid and not {s.group for s in train} & {s.group for s in valid}
