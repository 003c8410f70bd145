"""The reader over both axes: the paper's network is reached, and a line reads the same alone and in any batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from crnn import create
from crnn.bundle import Net
from crnn.errors import SettingsError
from crnn.models.mdlstm_htr import MDLSTMHTR
from crnn.types import InputSpec, Seq

LINE = InputSpec("line", 1, (16,))
WIDTHS = [37, 1, 50, 6, 7]
PAPER: dict[str, Any] = {
    "stem": [],
    "strides": [],
    "windows": [[3, 4], [3, 4], [2, 4]],
    "hidden": [2, 10, 50],
    "features": [6, 20],
    "peepholes": True,
}


def small_net(height: int = 16, **values: Any) -> Net:
    small = {"stem": [3, 4], "hidden": [2, 3], "features": [5], "dropout": 0.0, **values}
    return create("mdlstm_htr", learned={"letters": "abc"}, input={"height": height}, encoder=small)


def test_the_network_of_the_paper_is_reached(drawn: Callable[..., Seq]) -> None:
    net = create("mdlstm_htr", learned={"letters": "ab"}, input={"height": 64}, encoder=PAPER)
    encoder = net.encoder
    assert [layer.in_features for layer in encoder.mixed] == [4 * 2 * 12, 4 * 10 * 8]
    assert [layer.out_features for layer in encoder.mixed] == [6, 20]
    assert [(scan.inputs, scan.size) for scan in encoder.scans] == [(12, 2), (6, 10), (20, 50)]
    assert [scan.peepholes.shape for scan in encoder.scans] == [(4, 5, size) for size in (2, 10, 50)]
    y, lengths = net.eval()(drawn(InputSpec("line", 1, (64,)), [90, 40]))
    assert encoder.levels[-1].stride == 18 and lengths.tolist() == [5, 2] and y.shape == (2, 5, 3)


@pytest.mark.parametrize("values", [{}, {"windows": [[2, 2], [2, 2]], "stem": [], "strides": []}])
def test_alone_equals_in_a_batch(
    values: dict[str, Any], drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]
) -> None:
    check_alone(small_net(**values).encoder, drawn(LINE, WIDTHS))


@pytest.mark.parametrize("windows", [[[1, 1], [1, 2]], [[2, 1], [1, 2]], [[1, 1], [2, 2]]])
def test_lengths_are_foretold_for_every_width(
    windows: list[list[int]], check_lengths: Callable[..., list[int]]
) -> None:
    encoder = small_net(windows=windows).encoder
    check_lengths(encoder, LINE, range(1, 40))
    assert encoder.levels[-1].channels == 12


def test_the_first_step_sees_the_whole_picture() -> None:
    net = small_net(stem=[], strides=[], windows=[[2, 2], [2, 2]]).double().eval()
    x = torch.rand(1, 40, 1, 16, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(Seq(x, torch.tensor([40])))[0][0, 0].sum(), x)
    assert (gradient != 0).all()


def test_dropout_works_in_training_alone_and_is_the_same_at_each_step(drawn: Callable[..., Seq]) -> None:
    encoder = small_net(dropout=0.5).encoder
    inputs = drawn(LINE, [60])
    torch.testing.assert_close(encoder.eval()(inputs).last.x, encoder(inputs).last.x, rtol=0, atol=0)
    dropped = encoder.train()(inputs).last.x[0] == 0
    assert 0 < dropped.sum() < dropped.numel() and torch.equal(dropped, dropped[:1].expand_as(dropped))


@pytest.mark.parametrize(("height", "near"), [(4, 8), (50, 48), (15, 16)])
def test_heights_that_do_not_fit_are_answered_with_one_that_does(height: int, near: int) -> None:
    with pytest.raises(SettingsError, match=f"line height is {height}.*multiple of 8.*height to {near}"):
        MDLSTMHTR(InputSpec("line", 1, (height,)))
    MDLSTMHTR(InputSpec("line", 1, (near,)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"stem": [8]}, "strides has 2 entries and encoder.stem 1; expected as many"),
        ({"windows": [[1, 1]]}, "windows has 1 entries and encoder.hidden 2; expected as many"),
        ({"features": []}, "features has 0 entries and encoder.hidden 2; expected one fewer"),
        ({"windows": [], "hidden": [], "features": []}, "encoder.hidden 0"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        small_net(**values)
