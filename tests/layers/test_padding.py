"""Lengths and masks: what is padding stays out, and steps keep their order."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from crnn.layers import at_least, mask, out_length, reverse, zero_padding
from crnn.layers.padding import keep

LENGTHS = torch.tensor([3, 5, 1, 0])


def test_mask_is_true_for_a_samples_own_steps() -> None:
    assert mask(LENGTHS, 5).int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize("axis", [1, 2])
def test_keep_multiplies_the_axis_that_is_time(axis: int) -> None:
    x = torch.ones(4, 5, 5, 2, dtype=torch.bfloat16)
    kept = keep(x, LENGTHS, axis=axis)
    assert kept.dtype == x.dtype
    other = 3 - axis
    assert torch.equal((x * kept).sum(dim=(other, 3)), 10 * mask(LENGTHS, 5).to(x.dtype))


@pytest.mark.parametrize("filling", [99.0, float("inf"), float("nan")])
@pytest.mark.parametrize("axis", [1, 2])
def test_padding_becomes_zero_whatever_stood_there(filling: float, axis: int) -> None:
    shape = [4, 2, 2]
    shape[axis] = 5
    inside = mask(LENGTHS, 5).view(4, *([1, 5] if axis == 2 else [5, 1])).expand(shape)
    x = torch.where(inside, torch.randn(shape), filling).requires_grad_()
    y = zero_padding(x, LENGTHS, axis=axis)
    assert torch.equal(y, torch.where(inside, x, 0.0))
    y.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, inside.float()), "no gradient reaches the padding"


def test_without_lengths_nothing_is_padding() -> None:
    x = torch.randn(2, 3, 4)
    assert zero_padding(x, None, axis=1) is x
    assert torch.equal(reverse(x, None), x.flip(1))


def test_reverse_turns_each_samples_own_steps() -> None:
    x = torch.arange(1, 21).view(4, 5, 1)
    assert reverse(x, LENGTHS)[..., 0].tolist() == [
        [3, 2, 1, 4, 5],
        [10, 9, 8, 7, 6],
        [11, 12, 13, 14, 15],
        [16, 17, 18, 19, 20],
    ]


@pytest.mark.parametrize("space", [(), (3,), (2, 3)])
def test_reverse_is_its_own_inverse_and_so_is_its_gradient(space: tuple[int, ...]) -> None:
    x = torch.randn(4, 5, *space, requires_grad=True)
    assert torch.equal(reverse(reverse(x, LENGTHS), LENGTHS), x)
    weight = torch.randn_like(x)
    (reverse(x, LENGTHS) * weight).sum().backward()
    assert x.grad is not None and torch.equal(x.grad, reverse(weight, LENGTHS))


def test_reverse_takes_what_is_not_contiguous() -> None:
    x = torch.randn(5, 4, 3).transpose(0, 1)
    assert torch.equal(reverse(x, LENGTHS), reverse(x.contiguous(), LENGTHS))


def test_out_length_is_what_torch_makes() -> None:
    steps = torch.arange(1, 30)
    for kernel, stride, padding, dilation in (
        *((1, 1, 0, 1), (2, 2, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (3, 3, 1, 1), (2, 1, 0, 1)),
        *((5, 2, 2, 1), (3, 2, 0, 2), (4, 3, 1, 2), (2, 2, 1, 1), (7, 4, 3, 1)),
    ):
        conv = nn.Conv1d(1, 1, kernel, stride, padding, dilation)
        expected = []
        for step in steps.tolist():
            reach = dilation * (kernel - 1) + 1
            expected.append(conv(torch.zeros(1, 1, step)).shape[-1] if step + 2 * padding >= reach else 0)
        assert out_length(steps, kernel, stride, padding, dilation).tolist() == expected


def test_out_length_of_nothing_is_nothing() -> None:
    assert out_length(torch.tensor([0, 1]), 3, 1, 0).tolist() == [0, 0]


def test_what_is_too_short_is_made_longer_by_zeros() -> None:
    x = zero_padding(torch.rand(4, 5, 2), LENGTHS, axis=1)
    y, lengths = at_least(x, LENGTHS, 7)
    assert lengths.tolist() == [7, 7, 7, 7] and y.shape == (4, 7, 2)
    assert torch.equal(y[:, :5], x) and not y[:, 5:].any()
    y, lengths = at_least(x, LENGTHS, 4)
    assert y is x and lengths.tolist() == [4, 5, 4, 4]


def test_too_short_alone_equals_too_short_in_a_batch() -> None:
    x = zero_padding(torch.rand(4, 5, 2), LENGTHS, axis=1)
    y, lengths = at_least(x, LENGTHS, 4)
    for row, given, own, after in zip(y, x, LENGTHS.tolist(), lengths.tolist(), strict=True):
        alone, length = at_least(given[None, :own], torch.tensor([own]), 4)
        assert length.item() == after and torch.equal(alone[0, :after], row[:after])
