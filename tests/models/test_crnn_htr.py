"""The reader of handwriting of Puigcerver: the published sizes, and the same answer alone and in any batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from crnn import create
from crnn.bundle import Net
from crnn.errors import SettingsError
from crnn.layers import mask
from crnn.models.crnn_htr import CRNNHTR
from crnn.types import InputSpec, Seq

WIDTHS = [37, 1, 64, 7, 8, 18, 9]


def small_net(height: int = 16, **values: Any) -> Net:
    torch.manual_seed(3)
    small = {"channels": [3, 4, 5, 6, 7], "hidden": 5, "layers": 2, **values}
    return create("crnn_htr", learned={"letters": "abc"}, input={"height": height}, encoder=small)


def lines(widths: list[int], height: int, *, behind: float = 99.0, room: int = 0) -> Seq:
    lengths = torch.tensor(widths)
    x = torch.rand(len(widths), max(widths), 1, height, generator=torch.Generator().manual_seed(1))
    x = nn.functional.pad(x, (0, 0, 0, 0, 0, room))
    return Seq(torch.where(mask(lengths, x.shape[1])[:, :, None, None], x, behind), lengths)


def trained(net: Net, height: int) -> Net:
    """With statistics and biases that matter."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
        net.train()(lines([40, 50], height))
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
@torch.no_grad()
def test_alone_equals_in_a_batch(pools: int) -> None:
    net = trained(small_net(pools=pools), 16)
    inputs = lines(WIDTHS, 16)
    y, lengths = net(inputs)
    for row, count, x, width in zip(y, lengths.tolist(), inputs.x, WIDTHS, strict=True):
        alone, (found,) = net(Seq(x[None, :width], torch.tensor([width])))
        assert alone.shape[1] == count == found
        torch.testing.assert_close(row[None, :count], alone, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_training_learns_nothing_from_padding() -> None:
    one, other = (trained(small_net(dropout=0.0, conv_dropout=0.0), 16).train() for _ in range(2))
    other.load_state_dict(one.state_dict())
    y, lengths = one(lines(WIDTHS, 16, behind=0.0))
    z, _ = other(lines(WIDTHS, 16, behind=99.0, room=23))
    for a, b, count in zip(y, z, lengths.tolist(), strict=True):
        torch.testing.assert_close(a[:count], b[:count], rtol=1e-4, atol=2e-5)
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-5, msg=name)


@pytest.mark.parametrize("pools", [3, 2, 0])
@torch.no_grad()
def test_lengths_are_foretold_for_every_width(pools: int) -> None:
    encoder = small_net(pools=pools).encoder.eval()
    for width in range(1, 34):
        given = torch.tensor([width])
        x, lengths = encoder(Seq(torch.rand(1, width, 1, 16), given)).last
        assert x.shape[1] == lengths.item() == encoder.out_lengths(given).item() == max(1, width // 2**pools)
        assert x.shape[2] == encoder.levels[-1].channels


def test_dropout_works_in_training_alone() -> None:
    net = trained(small_net(), 16)
    inputs = lines([40], 16)
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
