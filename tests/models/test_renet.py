"""The reader of columns and rows: a line reads the same alone and in any batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from crnn import create
from crnn.bundle import Net
from crnn.errors import SettingsError
from crnn.models.renet import ReNetReader
from crnn.types import InputSpec, Seq

LINE = InputSpec("line", 1, (32,))
WIDTHS = [37, 1, 50, 6, 7]


def small_net(height: int = 32, **values: Any) -> Net:
    small = {"stem": [3, 4], "hidden": [2, 3], "dropout": 0.0, **values}
    return create("renet", learned={"letters": "abc"}, input={"height": height}, encoder=small)


@pytest.mark.parametrize("values", [{}, {"patches": [[2, 2], [2, 2]], "stem": [], "strides": []}, {"cell": "gru"}])
def test_alone_equals_in_a_batch(
    values: dict[str, Any], drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]
) -> None:
    check_alone(small_net(**values).encoder, drawn(LINE, WIDTHS))


@pytest.mark.parametrize("patches", [[[1, 2], [1, 2]], [[2, 1], [1, 2]], [[1, 1], [2, 2]]])
def test_lengths_are_foretold_for_every_width(
    patches: list[list[int]], check_lengths: Callable[..., list[int]]
) -> None:
    check_lengths(small_net(patches=patches).encoder, LINE, range(1, 40))


def test_dropout_works_in_training_alone_and_is_the_same_at_each_step(drawn: Callable[..., Seq]) -> None:
    encoder = small_net(dropout=0.5).encoder
    inputs = drawn(LINE, [60])
    torch.testing.assert_close(encoder.eval()(inputs).last.x, encoder(inputs).last.x, rtol=0, atol=0)
    dropped = encoder.train()(inputs).last.x[0] == 0
    assert 0 < dropped.sum() < dropped.numel() and torch.equal(dropped, dropped[:1].expand_as(dropped))


@pytest.mark.parametrize(("height", "near"), [(16, 32), (50, 48), (90, 96)])
def test_heights_that_do_not_fit_are_answered_with_one_that_does(height: int, near: int) -> None:
    with pytest.raises(SettingsError, match=f"line height is {height}.*multiple of 16.*height to {near}"):
        ReNetReader(InputSpec("line", 1, (height,)))
    ReNetReader(InputSpec("line", 1, (near,)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"stem": [8]}, "strides has 2 entries and encoder.stem 1; expected as many"),
        ({"patches": [[1, 2]]}, "patches has 1 entries and encoder.hidden 2; expected as many"),
        ({"patches": [], "hidden": []}, "encoder.hidden 0; expected as many, and one layer"),
        ({"cell": "lstn"}, "one of 'lstm', 'gru', 'rnn'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        small_net(**values)
