"""Self-attention is torch's own with lengths, and positions are the formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from crnn.errors import SettingsError, ShapeError
from crnn.layers import SelfAttention, mask, sinusoids

LENGTHS = torch.tensor([7, 1, 4])


def twin(layer: SelfAttention) -> nn.MultiheadAttention:
    """torch's layer with the same weights."""
    other = nn.MultiheadAttention(layer.channels, layer.heads, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        assert other.in_proj_bias is not None
        other.in_proj_weight.copy_(layer.into.weight)
        other.in_proj_bias.zero_()
        other.out_proj.weight.copy_(layer.out.weight)
        other.out_proj.bias.copy_(layer.out.bias)
    return other


@pytest.mark.parametrize("heads", [1, 2, 3, 6])
def test_parity_with_torch_in_value_and_gradient(heads: int) -> None:
    layer = SelfAttention(6, heads).double()
    other = twin(layer)
    x = torch.randn(3, 7, 6, dtype=torch.float64, requires_grad=True)
    inside = mask(LENGTHS, 7)
    y = layer(x, LENGTHS)
    expected = other(x, x, x, key_padding_mask=~inside, need_weights=False)[0] * inside[:, :, None]
    torch.testing.assert_close(y, expected)
    here, there = (torch.autograd.grad(z.square().sum(), x, retain_graph=True)[0] for z in (y, expected))
    torch.testing.assert_close(here, there)
    assert not here[~inside].any()
    torch.testing.assert_close(layer(x), other(x, x, x, need_weights=False)[0])


def test_formula_of_one_head() -> None:
    layer = SelfAttention(4, 1).double()
    x = torch.randn(1, 5, 4, dtype=torch.float64)
    q, k, v = layer.into(x[0]).split(4, dim=1)
    weights = torch.stack([torch.exp(q[t] @ k.T / math.sqrt(4)) for t in range(5)])
    expected = layer.out((weights / weights.sum(1, keepdim=True)) @ v)
    torch.testing.assert_close(layer(x)[0], expected)


@pytest.mark.parametrize("filling", [99.0, math.inf, math.nan])
def test_padding_says_nothing_whatever_it_is(filling: float) -> None:
    layer = SelfAttention(6, 2)
    x = torch.randn(3, 7, 6)
    padded = torch.where(mask(LENGTHS, 7)[:, :, None], x, filling)
    y = layer(padded, LENGTHS)
    assert not y[~mask(LENGTHS, 7)].any()
    for row, part, length in zip(y, x, LENGTHS.tolist(), strict=True):
        torch.testing.assert_close(row[None, :length], layer(part[None, :length]), rtol=1e-5, atol=1e-6)


def test_a_sample_without_a_step_is_zero_and_has_finite_gradients() -> None:
    layer, x = SelfAttention(4, 2), torch.randn(2, 3, 4, requires_grad=True)
    y = layer(x, torch.tensor([0, 3]))
    y.sum().backward()
    assert not y[0].any() and y[1].all() and x.grad is not None
    assert torch.isfinite(x.grad).all() and not x.grad[0].any()


def test_dropout_is_for_training_alone() -> None:
    layer, x = SelfAttention(8, 2, dropout=0.5), torch.randn(1, 30, 8)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


def test_every_parameter_counts() -> None:
    layer = SelfAttention(6, 3)
    layer(torch.randn(2, 5, 6)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 1e-6 for p in layer.parameters())
    assert sum(p.numel() for p in layer.parameters()) == 4 * 36 + 6


@pytest.mark.parametrize("heads", [0, 4])
def test_heads_that_do_not_fit_are_refused(heads: int) -> None:
    with pytest.raises(SettingsError, match=f"6 channels are shared by {heads} heads"):
        SelfAttention(6, heads)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError):
        SelfAttention(6, 2)(torch.zeros(1, 3, 5))


@pytest.mark.parametrize("channels", [1, 4, 7])
def test_sinusoids_are_the_formula(channels: int) -> None:
    table = sinusoids(40, channels)
    assert table.shape == (40, channels)
    half = (channels + 1) // 2
    for i in range(channels):
        rate = 10_000 ** (-(i % half) / half)
        function = math.sin if i < half else math.cos
        expected = torch.tensor([function(rate * t) for t in range(40)])
        torch.testing.assert_close(table[:, i], expected, rtol=1e-4, atol=1e-5)
    assert len({tuple(row.tolist()) for row in sinusoids(500, 8)}) == 500, "each place has a mark of its own"
