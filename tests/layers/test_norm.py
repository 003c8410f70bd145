"""Batch normalisation with lengths: that of ``torch.nn`` over the true steps, forward, backward and running."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from crnn.layers import BatchNorm, mask, zero_padding

SPACES = [(), (4,), (3, 2)]
LENGTHS = [7, 2, 5, 1]


def padded(
    space: tuple[int, ...], lengths: list[int], *, channels: int = 3, kind: torch.dtype = torch.float32
) -> Tensor:
    """Random ``(batch, channels, time, *space)``, zero behind ``lengths``."""
    x = 2 * torch.randn(len(lengths), channels, max(lengths), *space, dtype=kind) + 1
    return zero_padding(x, torch.tensor(lengths), axis=2)


def true_steps(x: Tensor, lengths: list[int]) -> Tensor:
    """``(places, channels)`` of the true steps alone, for ``nn.BatchNorm1d``."""
    inside = mask(torch.tensor(lengths), x.shape[2])
    return x.movedim(1, -1)[inside].flatten(0, -2)  # (batch, channels, time, *space) -> (batch, time, *space, channels)


def pair(channels: int = 3) -> tuple[BatchNorm, nn.BatchNorm1d]:
    """Ours and torch's with the same weights, not the initial ones."""
    ours, theirs = BatchNorm(channels), nn.BatchNorm1d(channels)
    with torch.no_grad():
        for norm in (ours, theirs):
            norm.weight.copy_(torch.linspace(0.5, 2, channels))
            norm.bias.copy_(torch.linspace(-1, 1, channels))
    return ours, theirs


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("lengths", [LENGTHS, [1, 1, 1], [5, 5], [4, 0, 3], [6]])
def test_equals_torch_over_the_true_steps(space: tuple[int, ...], lengths: list[int]) -> None:
    ours, theirs = pair()
    for _ in range(2):  # the second pass starts from statistics that are not the initial ones
        x = padded(space, lengths).requires_grad_()
        there = true_steps(x.detach(), lengths).requires_grad_()
        y, expected = ours(x, torch.tensor(lengths)), theirs(there)
        torch.testing.assert_close(true_steps(y, lengths), expected, rtol=1e-5, atol=1e-5)
        assert torch.equal(y, zero_padding(y, torch.tensor(lengths), axis=2)), "padding stays zero"
        torch.testing.assert_close(ours.running_mean, theirs.running_mean)
        torch.testing.assert_close(ours.running_var, theirs.running_var, rtol=1e-5, atol=1e-5)

        slope = padded(space, lengths)
        ours.zero_grad()
        theirs.zero_grad()
        (y * slope).sum().backward()
        (expected * true_steps(slope, lengths)).sum().backward()
        assert x.grad is not None and there.grad is not None
        torch.testing.assert_close(true_steps(x.grad, lengths), there.grad, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(ours.bias.grad, theirs.bias.grad, rtol=1e-4, atol=1e-4)


def test_gradient_into_padding_is_zero_whatever_comes_from_above() -> None:
    lengths = torch.tensor(LENGTHS)
    x = padded((4,), LENGTHS).requires_grad_()
    BatchNorm(3)(x, lengths).backward(torch.randn(4, 3, 7, 4))
    assert x.grad is not None and torch.equal(x.grad, zero_padding(x.grad, lengths, axis=2))
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("space", SPACES)
def test_gradients_are_those_of_the_function(space: tuple[int, ...]) -> None:
    lengths = torch.tensor([3, 1, 2])
    norm = BatchNorm(2).double()
    x = padded(space, lengths.tolist(), channels=2, kind=torch.float64).requires_grad_()

    def run(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.func.functional_call(
            norm, {"weight": weight, "bias": bias}, (zero_padding(x, lengths, axis=2), lengths)
        )

    weight, bias = (torch.randn(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(run, (x, weight, bias))


@pytest.mark.parametrize("train", [True, False])
def test_without_lengths_it_is_torchs(train: bool) -> None:
    ours, theirs = BatchNorm(3).train(train), nn.BatchNorm2d(3).train(train)
    x = torch.randn(2, 3, 5, 4)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_in_use_the_running_statistics_serve_and_stay() -> None:
    ours, theirs = pair()
    for norm in (ours, theirs):
        norm.running_mean.copy_(torch.tensor([1.0, -1.0, 0.5]))
        norm.running_var.copy_(torch.tensor([4.0, 0.5, 2.0]))
        norm.eval()
    x = padded((4,), LENGTHS)
    y = ours(x, torch.tensor(LENGTHS))
    torch.testing.assert_close(true_steps(y, LENGTHS), theirs(true_steps(x, LENGTHS)))
    assert torch.equal(y, zero_padding(y, torch.tensor(LENGTHS), axis=2))
    assert ours.running_mean.tolist() == [1.0, -1.0, 0.5]


def test_values_far_from_zero_keep_their_variance() -> None:
    ours, theirs = pair()
    lengths = torch.tensor(LENGTHS)
    x = zero_padding(torch.randn(4, 3, 7, 16) + 30, lengths, axis=2)
    torch.testing.assert_close(
        true_steps(ours(x, lengths), LENGTHS), theirs(true_steps(x, LENGTHS)), rtol=1e-3, atol=1e-3
    )


def test_bfloat16_is_near() -> None:
    ours, theirs = pair()
    x = padded((8,), LENGTHS)
    y = ours(x.bfloat16().requires_grad_(), torch.tensor(LENGTHS))
    assert y.dtype == torch.bfloat16
    expected = theirs(true_steps(x, LENGTHS))
    torch.testing.assert_close(true_steps(y.float(), LENGTHS), expected, rtol=2e-2, atol=3e-2)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(ours.running_var, theirs.running_var, rtol=1e-2, atol=1e-2)
    y.float().square().sum().backward()
    assert ours.weight.grad is not None and torch.isfinite(ours.weight.grad).all()


def test_one_value_gives_the_bias() -> None:
    norm = BatchNorm(2)
    with torch.no_grad():
        norm.bias.copy_(torch.tensor([3.0, -2.0]))
    y = norm(torch.tensor([[[5.0], [7.0]]]), torch.tensor([1]))
    torch.testing.assert_close(y, torch.tensor([[[3.0], [-2.0]]]))
    assert torch.isfinite(norm.running_var).all()
