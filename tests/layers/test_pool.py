"""Pooling over time: that of each sample's own steps, whatever stands behind them."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from crnn.errors import ShapeError
from crnn.layers.pool import TimeAttention, TimeLast, TimeMax, TimeMean

LENGTHS = torch.tensor([3, 5, 1, 0])
SPACES = [(), (2,), (2, 3)]
POOLS = {"mean": TimeMean, "max": TimeMax, "last": TimeLast, "attention": lambda: TimeAttention(4, size=3)}
every_pool = pytest.mark.parametrize("name", list(POOLS))


def brute(pool: nn.Module, steps: Tensor) -> Tensor:
    """``(channels, *space)`` of one sample's ``(time, channels, *space)``, by the plain formula."""
    if not len(steps):
        return torch.zeros_like(steps.sum(0))
    if isinstance(pool, TimeMean):
        return sum(steps[1:], steps[0]) / len(steps)
    if isinstance(pool, TimeMax):
        return torch.stack([s for s in steps]).max(0).values
    if isinstance(pool, TimeLast):
        return steps[-1]
    assert isinstance(pool, TimeAttention)
    y = torch.zeros_like(steps[0])
    for place in product(*map(range, steps.shape[2:])):
        own = (slice(None), *place)
        scores = [pool.score.weight[0] @ torch.tanh(pool.hidden.weight @ s[own] + pool.hidden.bias) for s in steps]
        total = sum(torch.exp(e) for e in scores)
        y[own] = sum(torch.exp(e) / total * s[own] for e, s in zip(scores, steps, strict=True))
    return y


@every_pool
@pytest.mark.parametrize("space", SPACES)
def test_equals_the_formula(name: str, space: tuple[int, ...]) -> None:
    pool = POOLS[name]().double()
    x = torch.randn(4, 5, 4, *space, dtype=torch.float64)
    y = pool(x, LENGTHS)
    assert y.shape == (4, 4, *space)
    for row, given, length in zip(y, x, LENGTHS.tolist(), strict=True):
        torch.testing.assert_close(row, brute(pool, given[:length]))
    torch.testing.assert_close(pool(x), torch.stack([brute(pool, given) for given in x]))


@every_pool
@pytest.mark.parametrize("filling", [99.0, float("inf"), float("nan")])
def test_padding_changes_nothing_and_pads_enter_no_maximum(name: str, filling: float) -> None:
    pool = POOLS[name]()
    x = torch.randn(4, 5, 4, 2) - 5  # below zero, so that a zero of the padding would be the largest
    inside = (torch.arange(5) < LENGTHS[:, None])[:, :, None, None]
    given = torch.where(inside, x, filling).requires_grad_()
    y = pool(given, LENGTHS)
    for row, own, length in zip(y, x, LENGTHS.tolist(), strict=True):
        if length:
            torch.testing.assert_close(row[None], pool(own[None, :length]))
    y.square().sum().backward()
    assert given.grad is not None and torch.isfinite(given.grad).all()
    assert not given.grad[~inside.expand_as(given)].any(), "no gradient reaches the padding"
    assert all(torch.isfinite(p.grad).all() for p in pool.parameters() if p.grad is not None)


@every_pool
@pytest.mark.parametrize("steps", [3, 0])
def test_a_sample_without_a_step_gives_zeros_and_finite_gradients(name: str, steps: int) -> None:
    pool = POOLS[name]()
    x = torch.randn(2, steps, 4, requires_grad=True)
    y = pool(x, torch.tensor([0, 0]))
    assert torch.equal(y, torch.zeros(2, 4))
    y.sum().backward()
    assert x.grad is not None and not x.grad.any()


@every_pool
def test_gradients(name: str) -> None:
    pool = POOLS[name]().double()
    x = torch.randn(3, 4, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: pool(x, torch.tensor([4, 2, 0])), x)
    pool(x, torch.tensor([4, 2, 0])).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in pool.parameters()), "nothing is dead"


@every_pool
def test_one_step_of_one_sample_is_itself_and_loses_no_axis(name: str) -> None:
    x = torch.randn(1, 1, 4, 3)
    torch.testing.assert_close(POOLS[name]()(x), x[:, 0])


@every_pool
@pytest.mark.parametrize("autocast", [True, False])
def test_bfloat16_is_near(name: str, autocast: bool) -> None:
    pool = POOLS[name]()
    x = torch.randn(4, 5, 4).bfloat16().float()
    expected = pool(x, LENGTHS)
    if autocast:
        with torch.autocast("cpu", torch.bfloat16):
            y = pool(x, LENGTHS)
    else:
        y = pool.bfloat16()(x.bfloat16(), LENGTHS)
        assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, rtol=3e-2, atol=3e-2)


def test_the_mean_of_many_bfloat16_steps_loses_nothing() -> None:
    x = torch.ones(1, 1001, 1, dtype=torch.bfloat16)
    assert TimeMean()(x, torch.tensor([1001])).item() == 1.0
    assert TimeMean()(x).item() == 1.0


@every_pool
def test_compiles_and_exports(name: str) -> None:
    torch.compiler.reset()  # else what was compiled for others counts against this one
    pool = POOLS[name]().eval()
    x = torch.randn(4, 5, 4, 2)
    expected = pool(x, LENGTHS)
    compiled = torch.compile(pool, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, LENGTHS), expected)
    time = torch.export.Dim("time")
    program = torch.export.export(pool, (x, LENGTHS), dynamic_shapes=({1: time}, None))
    longer = torch.cat([x, torch.full((4, 2, 4, 2), 99.0)], dim=1)
    torch.testing.assert_close(program.module()(longer, LENGTHS), expected)


def test_weights_of_attention_are_a_share_of_each_true_step() -> None:
    weights = TimeAttention(4, size=3).weights(torch.randn(4, 5, 4, 2), LENGTHS)
    assert weights.shape == (4, 5, 2)
    torch.testing.assert_close(weights.sum(1), (LENGTHS > 0).float()[:, None].expand(4, 2))
    assert not weights[0, 3:].any()


@every_pool
def test_says_which_argument_does_not_fit(name: str) -> None:
    pool = POOLS[name]()
    with pytest.raises(ShapeError, match=r"x has 2 axes.*\(batch, time, channels\)"):
        pool(torch.randn(5, 4))
    with pytest.raises(ShapeError, match="lengths holds 6"):
        pool(torch.randn(2, 5, 4), torch.tensor([6, 1]))
    with pytest.raises(ShapeError, match="lengths is float32"):
        pool(torch.randn(2, 5, 4), torch.tensor([2.0, 1.0]))


def test_attention_says_how_many_channels_it_wants() -> None:
    with pytest.raises(ShapeError, match="x has 6 channels"):
        TimeAttention(4, size=3)(torch.randn(2, 5, 6))
