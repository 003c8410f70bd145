"""Samples as a data set: read once, varied by seed, epoch and id alone, errors handed on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.data import DataLoader

from crnn.data.collate import Loaded, collate
from crnn.data.dataset import Samples, random_of
from crnn.data.formats import open_data
from crnn.data.inputs.line import Line
from crnn.data.inputs.line_augment import LineAugment
from crnn.data.sampler import Buckets
from crnn.errors import CrnnError, DataError
from crnn.tasks.transcribe import Transcribe
from crnn.types import Sample


class Counting(Line):
    """Counts what it decodes."""

    decoded = 0

    def decode_scaled(self, source: Any) -> tuple[np.ndarray, float]:
        self.decoded += 1
        return super().decode_scaled(source)


@pytest.fixture
def samples(made: Callable[[str], Path]) -> list[Sample]:
    return open_data(made("transcribe"))[:8]


def seen(samples: list[Sample], *, seed: int = 0, **options: Any) -> Samples:
    kind = Counting(Line.Settings(height=16))
    task = Transcribe.learn(Transcribe.Settings(), samples)
    return Samples(samples, kind, task, augment=LineAugment(share=1.0), seed=seed, **options)


def same(one: Sample | CrnnError, other: Sample | CrnnError) -> bool:
    assert isinstance(one, Sample) and isinstance(other, Sample)
    return one.x.shape == other.x.shape and bool((one.x == other.x).all())


def test_randomness_is_of_seed_epoch_and_id_alone(samples: list[Sample]) -> None:
    data = seen(samples)
    first = data[0, 3]
    assert same(first, data[0, 3]), "whatever was read in between"
    assert same(first, seen(samples[::-1])[0, 4]), "wherever the sample stands"
    assert not same(first, data[1, 3])
    assert not same(first, seen(samples, seed=1)[0, 3])
    renamed = [replace(s, id=f"other/{s.id}") for s in samples]
    assert not same(first, seen(renamed)[0, 3])


def test_the_generator_of_a_sample() -> None:
    draws = {
        random_of(seed, epoch, name).integers(1 << 60) for seed in (0, 1) for epoch in (0, 1) for name in ("a", "b")
    }
    assert len(draws) == 8, "all differ"
    assert random_of(0, 0, "a").integers(1 << 60) == random_of(0, 0, "a").integers(1 << 60)


def test_the_same_in_no_and_in_two_processes(samples: list[Sample]) -> None:
    def epochs(workers: int) -> list[Loaded]:
        buckets = Buckets([len(s.y) for s in samples], 3, shuffle=True, seed=4, epoch=iter((0, 1)).__next__)
        loader = DataLoader(
            seen(samples, seed=4),
            batch_sampler=buckets,  # type: ignore[arg-type]
            collate_fn=collate,
            num_workers=workers,
            persistent_workers=workers > 0,
        )
        return [loaded for _ in range(2) for loaded in loader]

    here, there = epochs(0), epochs(2)
    assert len(here) == len(there) == 6
    for one, other in zip(here, there, strict=True):
        assert one.batch is not None and other.batch is not None
        assert one.batch.ids == other.batch.ids
        for a, b in zip((one.batch.inputs, one.batch.targets), (other.batch.inputs, other.batch.targets), strict=True):
            assert a.x.equal(b.x) and a.lengths.equal(b.lengths)


def test_without_variation_every_epoch_is_the_same(samples: list[Sample]) -> None:
    data = seen(samples)
    data.augment = None
    assert same(data[0, 3], data[5, 3])


def test_targets_are_numbers_and_the_rest_stays(samples: list[Sample]) -> None:
    data = seen(samples)
    found = data[0, 2]
    assert isinstance(found, Sample)
    assert (found.id, found.split, found.group) == (samples[2].id, None, None)
    assert data.task.alphabet.decode(found.y) == samples[2].y
    assert found.x.dtype == np.float32 and found.x.shape[1:] == (1, 16)
    assert len(data) == 8


def test_pictures_are_decoded_once_while_there_is_room(samples: list[Sample]) -> None:
    data = seen(samples)
    for epoch in range(3):
        for i in range(8):
            data[epoch, i]
    assert data.kind.decoded == 8
    data = seen(samples)
    data._room = sum(len(samples[i].y) * 10 + 8 for i in range(3)) * 16 + 100
    for _ in range(2):
        for i in range(8):
            data[0, i]
    assert data.kind.decoded == 8 + 5, "three fit"
    crowded = seen(samples, cache_mb=0)
    for _ in range(3):
        crowded[0, 1]
    assert crowded.kind.decoded == 3


def test_variations_leave_the_kept_picture_alone(samples: list[Sample]) -> None:
    data = seen(samples)
    plain = data.kind.decode(samples[0].x).copy()
    for epoch in range(20):
        data[epoch, 0]
    assert (data._decode(0)[0] == plain).all()


def test_what_cannot_be_read_is_handed_on(samples: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    data = seen([samples[0], Sample("bad", tmp_path / "bad.png", "ab")])
    error = data[0, 1]
    assert isinstance(error, DataError) and "bad.png: holds 0 bytes" in str(error)
    loaded = collate([data[0, 0], error])
    assert loaded.batch is not None and loaded.batch.ids == (samples[0].id,) and loaded.left_out == (error,)
