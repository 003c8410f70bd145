"""Convolution and pooling with lengths: a sample alone, in a batch, folded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crnn.errors import SettingsError
from crnn.layers import ConvBlock, MaxPool, zero_padding

SHAPES: list[tuple[int, dict[str, Any]]] = [
    (1, {"kernel_size": 3}),
    (1, {"kernel_size": 2, "padding": 0}),
    (2, {"kernel_size": 3}),
    (2, {"kernel_size": (3, 5), "stride": (2, 1)}),
    (2, {"kernel_size": 3, "stride": (3, 2)}),
    (2, {"kernel_size": 2, "padding": 0}),
    (2, {"kernel_size": 3, "bias": True}),
    (2, {"kernel_size": (5, 3), "padding": (1, 0), "stride": (2, 2)}),
    (3, {"kernel_size": 3, "stride": (2, 1, 1)}),
]
LENGTHS = [9, 4, 12, 7]


def batch(axes: int, lengths: Sequence[int] = LENGTHS, *, positive: bool = False) -> tuple[Tensor, Tensor]:
    """Random ``(batch, 2, time, *space)``, zero behind the lengths."""
    x = torch.randn(len(lengths), 2, max(lengths), *(6, 5)[: axes - 1])
    return zero_padding(x.abs() if positive else x, torch.tensor(lengths), axis=2), torch.tensor(lengths)


def sized(axes: int, options: dict[str, Any]) -> dict[str, Any]:
    """``options`` with a kernel of as many numbers as there are axes."""
    kernel = options["kernel_size"]
    return {**options, "kernel_size": (kernel,) * axes if isinstance(kernel, int) else kernel}


def trained(block: ConvBlock) -> ConvBlock:
    """In ``eval()`` with statistics and weights of its own, as after training."""
    with torch.no_grad():
        if block.norm is not None:
            block.norm.running_mean.normal_()
            block.norm.running_var.uniform_(0.5, 2)
            block.norm.weight.uniform_(0.5, 2)
            block.norm.bias.normal_()
    return block.eval()


@pytest.mark.parametrize(("axes", "options"), SHAPES)
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("activation", [None, nn.ReLU(), nn.SiLU()])
def test_alone_equals_in_a_batch(axes: int, options: dict[str, Any], norm: bool, activation: nn.Module | None) -> None:
    block = trained(ConvBlock(2, 3, norm=norm, activation=activation, **sized(axes, options)))
    x, lengths = batch(axes)
    y, found = block(x, lengths)
    assert found is not None
    assert torch.equal(y, zero_padding(y, found, axis=2)), "padding comes out zero"
    for row, given, after, length in zip(y, x, found.tolist(), LENGTHS, strict=True):
        alone, none = block(given[None, :, :length])
        assert none is None
        assert alone.shape[2] == after
        torch.testing.assert_close(row[None, :, :after], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("axes", "options"), SHAPES)
def test_folded_equals_unfolded(axes: int, options: dict[str, Any]) -> None:
    block = trained(ConvBlock(2, 3, activation=nn.SiLU(), **sized(axes, options)))
    x, lengths = batch(axes)
    before, alone = block(x, lengths)[0], block(x)[0]
    block.fold()
    assert block.norm is None
    torch.testing.assert_close(block(x, lengths)[0], before, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(block(x)[0], alone, rtol=1e-4, atol=1e-5)
    weight = block.conv.weight.clone()
    block.fold()
    assert torch.equal(block.conv.weight, weight), "folding again changes nothing"


def test_padding_defaults_to_half_the_kernel() -> None:
    assert ConvBlock(1, 1, 5).conv.padding == (2, 2)
    assert ConvBlock(1, 1, (3, 1)).conv.padding == (1, 0)
    assert ConvBlock(1, 1, 3, padding=0).conv.padding == (0, 0)


def test_only_what_is_not_normalised_has_a_bias() -> None:
    assert ConvBlock(1, 2).conv.bias is None
    assert ConvBlock(1, 2, norm=False).conv.bias is not None
    assert ConvBlock(1, 2, bias=True).conv.bias is not None, "where a paper has it"


def test_in_training_statistics_leave_padding_out() -> None:
    x, lengths = batch(2)
    wider = torch.nn.functional.pad(x, (0, 0, 0, 20))
    blocks = [ConvBlock(2, 3), ConvBlock(2, 3)]
    blocks[1].load_state_dict(blocks[0].state_dict())
    narrow, wide = (block(given, lengths)[0] for block, given in zip(blocks, (x, wider), strict=True))
    torch.testing.assert_close(wide[:, :, : narrow.shape[2]], narrow, rtol=1e-5, atol=1e-5)
    for name, value in blocks[0].state_dict().items():
        torch.testing.assert_close(value, blocks[1].state_dict()[name], rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    ("axes", "options"),
    [
        (1, {"kernel_size": 2}),
        (2, {"kernel_size": 2}),
        (2, {"kernel_size": (1, 2)}),
        (2, {"kernel_size": 2, "stride": (1, 2), "padding": (1, 0)}),
        (2, {"kernel_size": 3, "stride": 2, "padding": 1}),
        (3, {"kernel_size": (2, 2, 1)}),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_pool_alone_equals_in_a_batch(axes: int, options: dict[str, Any], sign: int) -> None:
    pool = MaxPool(**sized(axes, options))
    x, lengths = batch(axes, positive=True)
    x = sign * x  # a border of zeros would be larger than what is negative
    y, found = pool(x, lengths)
    assert found is not None and torch.equal(y, zero_padding(y, found, axis=2))
    assert sign * y.sum() > 0
    for row, given, after, length in zip(y, x, found.tolist(), LENGTHS, strict=True):
        alone, _ = pool(given[None, :, :length])
        assert alone.shape[2] == after
        assert torch.equal(row[None, :, :after], alone)


def test_a_pool_of_a_sample_without_steps_is_finite() -> None:
    x = torch.zeros(2, 3, 4, 6, requires_grad=True)
    y, found = MaxPool(2, stride=(1, 2), padding=(1, 0))(x, torch.tensor([0, 4]))
    assert found is not None and found.tolist() == [1, 5]
    assert torch.equal(y, torch.zeros_like(y))
    y.sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()


def test_says_which_size_speaks_of_other_axes() -> None:
    with pytest.raises(SettingsError, match=r"stride \(2, 1\) speaks of 2 axes; expected one number, or 1"):
        ConvBlock(2, 3, (3,), stride=(2, 1))
    with pytest.raises(SettingsError, match=r"kernel_size \(3, 3, 3, 3\) is for 4 axes.*one to three"):
        ConvBlock(2, 3, (3, 3, 3, 3))
    with pytest.raises(SettingsError, match=r"padding \(1,\) speaks of 1 axes"):
        MaxPool(2, padding=(1,))
