"""The reader of columns and rows: a line reads the same alone and in any batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from crnn import create
from crnn.bundle import Net
from crnn.errors import SettingsError
from crnn.layers import mask
from crnn.models.renet import ReNetReader
from crnn.types import InputSpec, Seq

WIDTHS = [37, 1, 50, 6, 7]


def small_net(height: int = 32, **values: Any) -> Net:
    small = {"stem": [3, 4], "hidden": [2, 3], "dropout": 0.0, **values}
    return create("renet", learned={"letters": "abc"}, input={"height": height}, encoder=small)


def lines(widths: list[int], height: int, *, behind: float = 99.0, room: int = 0) -> Seq:
    lengths = torch.tensor(widths)
    x = torch.rand(len(widths), max(widths), 1, height, generator=torch.Generator().manual_seed(1))
    x = nn.functional.pad(x, (0, 0, 0, 0, 0, room))
    return Seq(torch.where(mask(lengths, x.shape[1])[:, :, None, None], x, behind), lengths)


@pytest.mark.parametrize("values", [{}, {"patches": [[2, 2], [2, 2]], "stem": [], "strides": []}, {"cell": "gru"}])
@torch.no_grad()
def test_alone_equals_in_a_batch(values: dict[str, Any]) -> None:
    net = small_net(**values)
    net.train()(lines([40, 50], 32))
    inputs = lines(WIDTHS, 32)
    y, lengths = net.eval()(inputs)
    for row, count, x, width in zip(y, lengths.tolist(), inputs.x, WIDTHS, strict=True):
        alone, (found,) = net(Seq(x[None, :width], torch.tensor([width])))
        assert alone.shape[1] == count == found
        torch.testing.assert_close(row[None, :count], alone, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_training_learns_nothing_from_padding() -> None:
    one, other = (small_net().train() for _ in range(2))
    other.load_state_dict(one.state_dict())
    y, lengths = one(lines(WIDTHS, 32, behind=0.0))
    z, _ = other(lines(WIDTHS, 32, behind=99.0, room=23))
    for a, b, count in zip(y, z, lengths.tolist(), strict=True):
        torch.testing.assert_close(a[:count], b[:count], rtol=1e-4, atol=2e-5)
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-5, msg=name)


@pytest.mark.parametrize("patches", [[[1, 2], [1, 2]], [[2, 1], [1, 2]], [[1, 1], [2, 2]]])
@torch.no_grad()
def test_lengths_are_foretold_for_every_width(patches: list[list[int]]) -> None:
    encoder = small_net(patches=patches).encoder.eval()
    for width in range(1, 40):
        given = torch.tensor([width])
        x, lengths = encoder(Seq(torch.rand(1, width, 1, 32), given)).last
        assert x.shape[1] == lengths.item() == encoder.out_lengths(given).item() >= 1
        assert x.shape[2] == encoder.levels[-1].channels


def test_dropout_works_in_training_alone_and_is_the_same_at_each_step() -> None:
    encoder = small_net(dropout=0.5).encoder
    inputs = lines([60], 32)
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
