"""Lookahead convolution: by its formula, with lengths, and in pieces that come late but whole."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crnn.errors import ShapeError
from crnn.layers.lookahead import Lookahead

LENGTHS = torch.tensor([3, 7, 1, 0])


def brute(layer: Lookahead, steps: Tensor) -> Tensor:
    """``(time, channels)`` of one sample."""
    weight = layer.conv.weight[:, 0]
    y = torch.zeros_like(steps)
    for t in range(len(steps)):
        for i in range(layer.channels):
            for j in range(layer.context + 1):
                if t + j < len(steps):
                    y[t, i] += weight[i, j] * steps[t + j, i]
    return y


@pytest.mark.parametrize("context", [0, 1, 4, 20])
def test_equals_the_formula(context: int) -> None:
    layer = Lookahead(3, context=context).double()
    x = torch.randn(4, 7, 3, dtype=torch.float64)
    y, state = layer(x, None, LENGTHS)
    assert state is None, "nothing is owed"
    for row, own, length in zip(y, x, LENGTHS.tolist(), strict=True):
        torch.testing.assert_close(row[:length], brute(layer, own[:length]))
        assert not row[length:].any()
    torch.testing.assert_close(layer(x)[0], torch.stack([brute(layer, own) for own in x]))
    assert sum(p.numel() for p in layer.parameters()) == 3 * (context + 1), "no bias"


@pytest.mark.parametrize("filling", [99.0, float("nan")])
def test_padding_changes_nothing(filling: float) -> None:
    layer = Lookahead(3, context=2)
    x = torch.randn(4, 7, 3)
    filled = torch.where((torch.arange(7) < LENGTHS[:, None])[..., None], x, filling).requires_grad_()
    y, _ = layer(filled, None, LENGTHS)
    torch.testing.assert_close(y, layer(x, None, LENGTHS)[0])
    y.sum().backward()
    assert filled.grad is not None and torch.isfinite(filled.grad).all()
    assert layer.conv.weight.grad is not None and torch.isfinite(layer.conv.weight.grad).all()


@settings(max_examples=40, deadline=None)
@given(context=st.integers(0, 5), pieces=st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_pieces_and_what_is_owed_equal_the_whole(context: int, pieces: list[int]) -> None:
    layer = Lookahead(2, context=context)
    x = torch.randn(3, sum(pieces), 2)
    state = layer.begin(x)
    found, seen, came = [], 0, 0
    for piece in x.split(pieces, dim=1):
        y, state = layer(piece, state)
        found.append(y)
        seen, came = seen + piece.shape[1], came + y.shape[1]
        assert came == max(0, seen - context), "each step comes as soon as it is certain"
        assert state[0].shape[1] == min(seen, context)
    whole, _ = layer(x)
    torch.testing.assert_close(torch.cat([*found, layer.finish(state)], dim=1), whole)


def test_samples_may_end_in_any_piece() -> None:
    layer = Lookahead(2, context=2)
    x = torch.randn(4, 7, 2)
    whole, _ = layer(x, None, LENGTHS)
    state, found = layer.begin(x), []
    for start in (0, 2, 5):
        piece = x[:, start : start + 3 if start else 2]
        y, state = layer(piece, state, (LENGTHS - start).clamp(0, piece.shape[1]))
        found.append(y)
    torch.testing.assert_close(torch.cat([*found, layer.finish(state)], dim=1), whole)


def test_sees_context_steps_ahead_and_nothing_behind() -> None:
    x = torch.randn(1, 9, 2, requires_grad=True)
    Lookahead(2, context=3)(x)[0][0, 4].sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum((0, 2)).nonzero().flatten().tolist() == [4, 5, 6, 7]


def test_gradients() -> None:
    layer = Lookahead(2, context=2).double()
    x = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer(x, None, torch.tensor([4, 2, 0]))[0], x)
    layer(x)[0].square().sum().backward()
    assert layer.conv.weight.grad is not None and layer.conv.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("autocast", [True, False])
def test_bfloat16_is_near(autocast: bool) -> None:
    layer, x = Lookahead(3, context=2), torch.randn(4, 7, 3)
    expected, _ = layer(x, None, LENGTHS)
    if autocast:
        with torch.autocast("cpu", torch.bfloat16):
            y, _ = layer(x, None, LENGTHS)
    else:
        y, _ = layer.bfloat16()(x.bfloat16(), None, LENGTHS)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, rtol=3e-2, atol=3e-2)


def test_one_step_of_one_sample() -> None:
    layer, x = Lookahead(3, context=4), torch.randn(1, 1, 3)
    torch.testing.assert_close(layer(x)[0], x * layer.conv.weight[:, 0, 0])


def test_compiles_and_exports_whole_and_in_pieces() -> None:
    torch.compiler.reset()  # else what was compiled for others counts against this one
    layer, x = Lookahead(3, context=2).eval(), torch.randn(4, 7, 3)
    expected, _ = layer(x, None, LENGTHS)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, None, LENGTHS)[0], expected)
    time = torch.export.Dim("time", min=3)
    program = torch.export.export(layer, (x, None, LENGTHS), dynamic_shapes=({1: time}, None, None))
    longer = torch.cat([x, torch.full((4, 2, 3), 99.0)], dim=1)
    torch.testing.assert_close(program.module()(longer, None, LENGTHS)[0][:, :7], expected)

    state = (torch.randn(4, 2, 3),)
    expected, after = layer(x, state)
    torch.testing.assert_close(compiled(x, state)[0], expected)
    program = torch.export.export(layer, (x, state))
    torch.testing.assert_close(program.module()(x, state), (expected, after))


def test_says_which_argument_does_not_fit() -> None:
    layer, x = Lookahead(3, context=2), torch.randn(2, 5, 3)
    with pytest.raises(ShapeError, match="x has 4 channels"):
        layer(torch.randn(2, 5, 4))
    with pytest.raises(ShapeError, match=r"x has 2 axes.*\(batch, time, channels\)"):
        layer(x[0])
    with pytest.raises(ShapeError, match="lengths holds 6"):
        layer(x, None, torch.tensor([6, 1]))
    with pytest.raises(ShapeError, match=r"state has the shapes \(2, 3, 3\); expected \(2, 2, 3\)"):
        layer(x, (torch.zeros(2, 3, 3),))
    with pytest.raises(ShapeError, match=r"state has the shapes \(1, 1, 3\); expected \(2, 1, 3\)"):
        layer(x, (torch.zeros(1, 1, 3),))
    with pytest.raises(ShapeError, match="state is a Tensor"):
        layer(x, torch.zeros(2, 2, 3))
