"""Samples brought together: padded with zeros, errors apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crnn.data.collate import Loaded, collate, pad
from crnn.errors import DataError
from crnn.types import Sample

ERROR = DataError("is bad", expected="better", do="Mend it.", file="b.png")


@pytest.mark.parametrize(("space", "kind"), [((), np.int64), ((1, 4), np.float32), ((3, 2, 2), np.uint8)])
def test_padding_is_zero_and_lengths_are_true(space: tuple[int, ...], kind: type) -> None:
    arrays = [np.ones((n, *space), kind) * (n + 1) for n in (3, 1, 0, 5)]
    x, lengths = pad(arrays)
    assert lengths.tolist() == [3, 1, 0, 5]
    assert x.shape == (4, 5, *space) and x.numpy().dtype == kind
    for row, array in zip(x, arrays, strict=True):
        assert np.array_equal(row[: len(array)], array) and not row[len(array) :].any()


def test_arrays_need_not_lie_row_by_row() -> None:
    turned, sliced = (
        np.arange(12, dtype=np.float32).reshape(3, 4).T,
        np.arange(12, dtype=np.float32).reshape(2, 6)[:, ::2],
    )
    x, lengths = pad([turned, sliced])
    assert np.array_equal(x[0], turned) and np.array_equal(x[1, :2], sliced) and lengths.tolist() == [4, 2]


def test_a_batch_of_good_samples() -> None:
    samples = [Sample(f"{n}", np.ones((n, 1, 2), np.float32), np.arange(n)) for n in (2, 3)]
    loaded = collate(samples)
    assert loaded.batch is not None and loaded.left_out == ()
    assert loaded.batch.ids == ("2", "3") and len(loaded.batch) == 2
    assert loaded.batch.inputs.x.shape == (2, 3, 1, 2)
    assert loaded.batch.targets.x.tolist() == [[0, 1, 0], [0, 1, 2]]
    assert loaded.batch.targets.lengths.tolist() == [2, 3]


def test_errors_stand_beside_the_batch() -> None:
    good = Sample("a", np.ones((2, 1), np.float32), np.arange(1))
    loaded = collate([ERROR, good, ERROR])
    assert loaded.batch is not None and loaded.batch.ids == ("a",) and loaded.left_out == (ERROR, ERROR)


def test_nothing_but_errors() -> None:
    loaded = collate([ERROR])
    assert loaded == Loaded(None, (ERROR,)) and loaded.to("cpu") is loaded


def test_without_all_targets_there_are_none() -> None:
    x = np.ones((2, 1), np.float32)
    loaded = collate([Sample("a", x, np.arange(1)), Sample("b", x)])
    assert loaded.batch is not None and loaded.batch.targets is None


def test_goes_to_another_device_and_type() -> None:
    loaded = collate([ERROR, Sample("a", np.ones((2, 1), np.float32), np.arange(1))]).to("meta")
    assert loaded.batch is not None and loaded.left_out == (ERROR,)
    assert {part.device.type for seq in (loaded.batch.inputs, loaded.batch.targets) for part in seq} == {"meta"}
    assert isinstance(loaded.batch.inputs.x, torch.Tensor)
