"""Samples in parts: a share held out, or folds; a group (a writer, a speaker, a patient) is never in two of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

from crnn.errors import SettingsError
from crnn.types import Sample


def hold_out(
    samples: Sequence[Sample], share: float, seed: int, *, label: Callable[[Sample], Any] | None = None
) -> tuple[list[Sample], list[Sample]]:
    """``samples`` in two parts, about ``share`` of them in the second; a group is never in both.

    Where ``label`` tells the class of a sample and there are no groups, each class gives its share. A ``share`` of 0
    holds none out.
    """
    if len(samples) < 2 or not share:
        return list(samples), []
    if label is not None and not any(s.group for s in samples):
        held = _of_each_class(samples, share, seed, label)
        if 0 < len(held) < len(samples):
            return [s for s in samples if s.id not in held], [s for s in samples if s.id in held]
    sizes = _sizes(samples)
    by_id = len(sizes) == 1  # one writer: then by lines, as there is no other way
    if by_id:
        sizes = dict.fromkeys((s.id for s in samples), 1)
    held = set()
    count = 0
    for name in sorted(sizes, key=lambda name: _draw(seed, name))[:-1]:
        if count >= max(1, share * len(samples)):
            break
        held.add(name)
        count += sizes[name]

    def out(sample: Sample) -> bool:
        return (sample.id if by_id else _group(sample)) in held

    return [s for s in samples if not out(s)], [s for s in samples if out(s)]


def fold(
    samples: Sequence[Sample], folds: int, number: int, seed: int, *, label: Callable[[Sample], Any] | None = None
) -> tuple[list[Sample], list[Sample]]:
    """``samples`` without those of fold ``number`` (from 1) of ``folds``, and those of it.

    Where there are as many groups as folds, each is one, in the order of their names. Otherwise groups are dealt to the
    folds, large ones first, each to the smallest; without groups samples are, each class by itself where ``label``
    tells it. Raises ``SettingsError`` for a fold that is not there or would be empty.
    """
    sizes = _sizes(samples)
    if not 1 <= number <= folds or len(sizes) < folds:
        raise SettingsError(
            f"fold {number} of {folds} is asked of {len(sizes)} groups",
            expected="a fold from 1 to the number of folds, and a group for each fold",
            do="Correct data.folds and data.fold, or say what the groups are: --group.",
        )
    groups = any(s.group for s in samples)
    if groups and len(sizes) == folds:
        place = {name: i for i, name in enumerate(sorted(sizes, key=_natural))}
    elif groups:
        place, load = {}, [0] * folds
        for name in sorted(sizes, key=lambda name: (-sizes[name], _draw(seed, name))):
            place[name] = min(range(folds), key=lambda i: (load[i], i))
            load[place[name]] += sizes[name]
    else:
        order = sorted(samples, key=lambda s: ("" if label is None else str(label(s)), _draw(seed, s.id)))
        place = {sample.id: i % folds for i, sample in enumerate(order)}
    rest = [s for s in samples if place[_group(s)] != number - 1]
    return rest, [s for s in samples if place[_group(s)] == number - 1]


def _of_each_class(samples: Sequence[Sample], share: float, seed: int, label: Callable[[Sample], Any]) -> set[str]:
    """Ids of a share of each class; of a class with one sample, none."""
    classes: dict[Any, list[str]] = {}
    for sample in samples:
        classes.setdefault(label(sample), []).append(sample.id)
    held: set[str] = set()
    for ids in classes.values():
        count = min(len(ids) - 1, max(1, round(share * len(ids))))
        held.update(sorted(ids, key=lambda name: _draw(seed, name))[:count])
    return held


def _sizes(samples: Sequence[Sample]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for sample in samples:
        sizes[_group(sample)] = sizes.get(_group(sample), 0) + 1
    return sizes


def _group(sample: Sample) -> str:
    return sample.group or sample.id


def _draw(seed: int, name: str) -> bytes:
    return blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()


def _natural(name: str) -> tuple[int, int, str]:
    """Numbers in their order, before words."""
    return (0, int(name), "") if name.isascii() and name.isdigit() else (1, 0, name)
