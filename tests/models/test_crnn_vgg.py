"""The CRNN of Shi, Bai & Yao: the published table, and the same answer alone and in any batch."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from crnn import create
from crnn.bundle import Net, fold
from crnn.errors import SettingsError
from crnn.models.crnn_vgg import CRNNVGG
from crnn.types import InputSpec, Seq

LINE = InputSpec("line", 1, (32,))
WIDTHS = [37, 1, 64, 3, 4, 18, 5]
SMALL = CRNNVGG.Settings(channels=(3, 4, 5, 6, 7, 8, 9), hidden=5)


def small_net(height: int = 32) -> Net:
    torch.manual_seed(3)
    values = {"channels": list(SMALL.channels), "hidden": SMALL.hidden}
    return create("crnn_vgg", learned={"letters": "abc"}, input={"height": height}, encoder=values)


def trained(net: Net, lines: Seq) -> Net:
    """With statistics and biases that matter."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
        net.train()(lines)
    return net.eval()


def test_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        net = create("crnn_vgg", learned={"letters": "0123456789abcdefghijklmnopqrstuvwxyz"}, input={"height": 32})
    assert sum(p.numel() for p in net.parameters()) == 8_331_301


def test_sizes_are_those_of_the_published_table() -> None:
    encoder = small_net().encoder.eval()
    x, lengths = torch.rand(1, 1, 100, 32), torch.tensor([100])
    sizes = []
    for stage in encoder.stages:
        x, lengths = stage(x, lengths)
        sizes.append(tuple(x.shape[1:]))
        assert lengths.item() == x.shape[2]
    three, four, five, six, seven, eight, nine = SMALL.channels
    assert sizes == [
        *[(three, 100, 32), (three, 50, 16), (four, 50, 16), (four, 25, 8), (five, 25, 8), (six, 25, 8), (six, 26, 4)],
        *[(seven, 26, 4), (eight, 26, 4), (eight, 27, 2), (nine, 26, 1)],
    ]
    assert [bool(getattr(stage, "norm", None)) for stage in encoder.stages if hasattr(stage, "conv")] == [
        *[False, False, True, False, True, False, True]
    ]


@pytest.mark.parametrize("height", [32, 64])
def test_alone_equals_in_a_batch(height: int, drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]) -> None:
    check_alone(small_net(height).encoder, drawn(InputSpec("line", 1, (height,)), WIDTHS))


def test_lengths_are_foretold_for_every_width(check_lengths: Callable[..., list[int]]) -> None:
    found = check_lengths(small_net().encoder, LINE, range(1, 41))
    assert found == [max(4, width) // 4 + 1 for width in range(1, 41)]


@torch.no_grad()
def test_folded_norms_give_the_same(drawn: Callable[..., Seq]) -> None:
    net = trained(small_net(), drawn(LINE, [40, 50]))
    folded = fold(copy.deepcopy(net))
    inputs = drawn(LINE, WIDTHS)
    torch.testing.assert_close(folded(inputs)[0], net(inputs)[0], rtol=1e-5, atol=1e-5)
    assert not any("norm" in name for name, _ in folded.named_parameters())


def test_every_parameter_is_reached(drawn: Callable[..., Seq]) -> None:
    net = trained(small_net(), drawn(LINE, [40, 50]))
    y: Tensor = net(drawn(LINE, [70, 50]))[0]
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize(("height", "near"), [(16, 32), (8, 32), (33, 32), (60, 48)])
def test_heights_that_do_not_fit_are_answered_with_one_that_does(height: int, near: int) -> None:
    with pytest.raises(SettingsError, match=f"line height is {height}.*multiple of 16.*input.height to {near}"):
        CRNNVGG(InputSpec("line", 1, (height,)), SMALL)
    CRNNVGG(InputSpec("line", 1, (near,)), SMALL)
