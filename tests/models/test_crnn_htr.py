"""The reader of handwriting of Puigcerver: the published sizes, and the same answer alone and in any batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from crnn import create
from crnn.bundle import Net
from crnn.errors import SettingsError
from crnn.models.crnn_htr import CRNNHTR
from crnn.types import InputSpec, Seq

LINE = InputSpec("line", 1, (16,))
WIDTHS = [37, 1, 64, 7, 8, 18, 9]


def small_net(height: int = 16, **values: Any) -> Net:
    torch.manual_seed(3)
    small = {"channels": [3, 4, 5, 6, 7], "hidden": 5, "layers": 2, **values}
    return create("crnn_htr", learned={"letters": "abc"}, input={"height": height}, encoder=small)


def trained(net: Net, lines: Seq) -> Net:
    """With statistics and biases that matter."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
        net.train()(lines)
    return net.eval()


def test_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        net = create("crnn_htr", learned={"letters": "".join(chr(300 + i) for i in range(79))}, input={"height": 128})
    assert sum(p.numel() for p in net.parameters()) == 9_591_728


def test_is_wired_as_published() -> None:
    with torch.device("meta"):
        encoder = CRNNHTR(InputSpec("line", 1, (128,)))
    stages = [type(stage).__name__ for stage in encoder.stages]
    first, later = ["ConvBlock", "MaxPool"], ["Dropout", "ConvBlock"]
    assert stages == [*first, *first, "Dropout", *first, *later, *later]
    assert [stage.p for stage in encoder.stages if isinstance(stage, nn.Dropout)] == [0.2] * 3
    assert [layer.layers[0].input_size for layer in encoder.recurrent] == [1280, 512, 512, 512, 512]
    assert encoder.dropout.p == 0.5 and encoder.levels[-1].stride == 8


@pytest.mark.parametrize("pools", [3, 1, 0])
def test_alone_equals_in_a_batch(pools: int, drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]) -> None:
    check_alone(small_net(pools=pools).encoder, drawn(LINE, WIDTHS))


@pytest.mark.parametrize("pools", [3, 2, 0])
def test_lengths_are_foretold_for_every_width(pools: int, check_lengths: Callable[..., list[int]]) -> None:
    found = check_lengths(small_net(pools=pools).encoder, LINE, range(1, 34))
    assert found == [max(1, width // 2**pools) for width in range(1, 34)]


def test_dropout_works_in_training_alone(drawn: Callable[..., Seq]) -> None:
    net, inputs = trained(small_net(), drawn(LINE, [40, 50])), drawn(LINE, [40])
    torch.testing.assert_close(net(inputs)[0], net(inputs)[0], rtol=0, atol=0)
    net.train()
    assert not torch.equal(net(inputs)[0], net(inputs)[0])


@pytest.mark.parametrize(("height", "pools", "near"), [(4, 3, 8), (100, 3, 96), (15, 1, 14)])
def test_heights_that_do_not_fit_are_answered_with_one_that_does(height: int, pools: int, near: int) -> None:
    settings = CRNNHTR.Settings(channels=(2, 2, 2), pools=pools, hidden=2)
    with pytest.raises(SettingsError, match=f"line height is {height}.*multiple of {2**pools}.*height to {near}"):
        CRNNHTR(InputSpec("line", 1, (height,)), settings)
    CRNNHTR(InputSpec("line", 1, (near,)), settings)


@pytest.mark.parametrize("pools", [-1, 3])
def test_more_pools_than_blocks_are_refused(pools: int) -> None:
    with pytest.raises(SettingsError, match=f"pools is {pools} for 2 blocks.*0 to 2"):
        CRNNHTR(InputSpec("line", 1, (128,)), CRNNHTR.Settings(channels=(2, 2), pools=pools))
