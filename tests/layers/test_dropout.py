"""Dropout over whole samples: one mask for all time steps."""

from __future__ import annotations

import pytest
import torch

from crnn.layers import TimeDropout


@pytest.mark.parametrize("space", [(), (3,)])
def test_one_mask_for_all_steps_of_a_sample(space: tuple[int, ...]) -> None:
    x = torch.ones(8, 5, 16, *space)
    y = TimeDropout(0.5)(x)
    assert torch.equal(y, y[:, :1].expand_as(y)), "the same at each step"
    assert set(y.unique().tolist()) == {0.0, 2.0}, "what is kept is scaled up"
    assert not torch.equal(y[0], y[1]), "another mask for another sample"


def test_keeps_the_mean() -> None:
    torch.manual_seed(0)
    y = TimeDropout(0.3)(torch.ones(200, 2, 500))
    assert float(y.mean()) == pytest.approx(1, abs=0.01)
    assert float((y == 0).float().mean()) == pytest.approx(0.3, abs=0.01)


def test_gradient_takes_the_same_mask() -> None:
    x = torch.ones(4, 3, 16, requires_grad=True)
    y = TimeDropout(0.5)(x)
    y.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, y.detach())


def test_in_use_or_without_a_share_it_is_the_identity() -> None:
    x = torch.randn(2, 3, 4)
    assert TimeDropout(0.5).eval()(x) is x
    assert TimeDropout(0.0)(x) is x


def test_depends_on_the_generator_alone() -> None:
    x, drop = torch.ones(4, 3, 16), TimeDropout(0.5)
    torch.manual_seed(3)
    first = drop(x)
    torch.manual_seed(3)
    assert torch.equal(drop(x), first)


def test_all_dropped_is_zero_as_in_torch() -> None:
    x = torch.randn(2, 3, 4)
    assert torch.equal(TimeDropout(1.0)(x), torch.nn.Dropout(1.0)(x))
