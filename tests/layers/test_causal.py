"""Causal convolution and pooling: by their formulas, looking back only, whole and in pieces."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from crnn.errors import SettingsError, ShapeError
from crnn.layers import ConvBlock
from crnn.layers.causal import CausalConv, CausalMaxPool, _Causal

LENGTHS = torch.tensor([5, 9, 1, 0])
CASES: list[tuple[int, dict[str, Any]]] = [
    (0, {"kernel_size": 3}),
    (0, {"kernel_size": 1}),
    (0, {"kernel_size": 4, "stride": 2}),
    (0, {"kernel_size": 2, "stride": 5}),
    (0, {"kernel_size": 3, "dilation": 2, "bias": False}),
    (0, {"kernel_size": 2, "dilation": 3, "stride": 3}),
    (1, {"kernel_size": 3}),
    (1, {"kernel_size": 2}),
    (1, {"kernel_size": (3, 4), "stride": (2, 2), "dilation": (1, 1)}),
    (2, {"kernel_size": (2, 2, 3), "stride": (2, 1, 2)}),
    (2, {"kernel_size": 2, "dilation": 2}),
]
POOLS: list[tuple[int, dict[str, Any]]] = [
    (0, {"kernel_size": 2}),
    (0, {"kernel_size": 3, "stride": 1}),
    (0, {"kernel_size": 1, "stride": 3}),
    (1, {"kernel_size": 2}),
    (1, {"kernel_size": (3, 2), "stride": (2, 1)}),
    (2, {"kernel_size": (1, 2, 2)}),
]
LAYERS = [(space, CausalConv, options) for space, options in CASES] + [
    (space, CausalMaxPool, options) for space, options in POOLS
]
every_layer = pytest.mark.parametrize(("space", "cls", "options"), LAYERS)


def made(space: int, cls: type, options: dict[str, Any]) -> _Causal:
    return cls(2, 3, space=space, **options) if cls is CausalConv else cls(space=space, **options)


def inputs(space: int, steps: int = 9, kind: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(4, 2, steps, *(6, 5)[:space], dtype=kind)


def brute_conv(layer: CausalConv, x: Tensor) -> Tensor:
    """``(outputs, time, *space)`` of one sample, by loops."""
    weight, c = layer.conv.weight, layer.conv
    sizes = [-(-n // s) for n, s in zip(x.shape[1:], c.stride, strict=True)]
    reach = [d * (k - 1) for k, d in zip(c.kernel_size, c.dilation, strict=True)]
    before = [reach[0], *(r // 2 for r in reach[1:])]  # what a window sees before its own place
    y = torch.zeros(len(weight), *sizes, dtype=x.dtype)
    for place in product(*map(range, sizes)):
        for tap in product(*map(range, c.kernel_size)):
            seen = [s * p - b + d * j for s, p, b, d, j in zip(c.stride, place, before, c.dilation, tap, strict=True)]
            if all(0 <= i < n for i, n in zip(seen, x.shape[1:], strict=True)):
                y[(slice(None), *place)] += weight[(slice(None), slice(None), *tap)] @ x[(slice(None), *seen)]
    return y if c.bias is None else y + c.bias.view(-1, *[1] * len(sizes))


def brute_pool(layer: CausalMaxPool, x: Tensor) -> Tensor:
    (k, *rest), (s, *steps) = layer.kernel, layer.pool.stride
    sizes = [-(-x.shape[1] // s), *((n - a) // b + 1 for n, a, b in zip(x.shape[2:], rest, steps, strict=True))]
    y = torch.zeros(len(x), *sizes, dtype=x.dtype)
    for t, *place in product(*map(range, sizes)):
        there = [slice(b * p, b * p + a) for p, a, b in zip(place, rest, steps, strict=True)]
        y[(slice(None), t, *place)] = (
            x[(slice(None), slice(max(0, s * t - k + 1), s * t + 1), *there)].flatten(1).amax(1)
        )
    return y


@every_layer
def test_equals_the_formula_alone_and_in_a_batch(space: int, cls: type, options: dict[str, Any]) -> None:
    layer = made(space, cls, options).double()
    x = inputs(space, kind=torch.float64)
    filled = torch.where((torch.arange(9) < LENGTHS[:, None]).view(4, 1, 9, *[1] * space), x, 99.0)
    y, _ = layer(filled, None, LENGTHS)
    after = layer.out_lengths(LENGTHS)
    for row, own, length, out in zip(y, x, LENGTHS.tolist(), after.tolist(), strict=True):
        expected = brute_conv(layer, own[:, :length]) if cls is CausalConv else brute_pool(layer, own[:, :length])
        assert expected.shape[1] == out == -(-length // layer.step), "a step for each stride begun"
        torch.testing.assert_close(row[:, :out], expected)
        assert not row[:, out:].any(), "padding comes out zero"


@every_layer
def test_pieces_equal_the_whole(space: int, cls: type, options: dict[str, Any]) -> None:
    layer = made(space, cls, options)
    x = inputs(space, 19)
    whole, last = layer(x)
    state, found = None, []
    for piece in x.split([1, 1, 0, 3, 2, 8, 4], dim=2):
        y, state = layer(piece, state)
        found.append(y)
    torch.testing.assert_close(torch.cat(found, dim=2), whole)
    torch.testing.assert_close(state, last)


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.integers(1, 4),
    stride=st.integers(1, 5),
    dilation=st.integers(1, 3),
    pieces=st.lists(st.integers(0, 6), min_size=1, max_size=6),
    pool=st.booleans(),
)
def test_any_pieces_equal_the_whole(kernel: int, stride: int, dilation: int, pieces: list[int], pool: bool) -> None:
    layer: _Causal = (
        CausalMaxPool(kernel, stride=stride) if pool else CausalConv(2, 2, kernel, stride=stride, dilation=dilation)
    )
    x = torch.randn(2, 2, sum(pieces))
    whole, _ = layer(x)
    state, found = None, []
    for piece in x.split(pieces, dim=2):
        lengths = torch.full((2,), piece.shape[2])
        expected = layer.out_lengths(lengths, state)
        y, state = layer(piece, state)
        assert expected.tolist() == [y.shape[2]] * 2
        found.append(y)
    torch.testing.assert_close(torch.cat(found, dim=2), whole)


@every_layer
def test_samples_may_end_in_any_piece(space: int, cls: type, options: dict[str, Any]) -> None:
    layer = made(space, cls, options)
    x = inputs(space)
    whole, _ = layer(x, None, LENGTHS)
    state, found, start = None, [], 0
    for piece in x.split([3, 1, 5], dim=2):
        y, state = layer(piece, state, (LENGTHS - start).clamp(0, piece.shape[2]))
        found.append(y)
        start += piece.shape[2]
    torch.testing.assert_close(torch.cat(found, dim=2), whole)


@every_layer
def test_an_output_sees_nothing_after_its_step(space: int, cls: type, options: dict[str, Any]) -> None:
    layer = made(space, cls, options)
    x = inputs(space).requires_grad_()
    y, _ = layer(x)
    for t in range(y.shape[2]):
        (gradient,) = torch.autograd.grad(y[:, :, t].sum(), x, retain_graph=True)
        seen = gradient.movedim(2, 0).flatten(1).abs().sum(1).nonzero().flatten()
        assert seen.max() <= t * layer.step


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize(("space", "options"), [(space, o) for space, o in CASES if space and "stride" not in o])
def test_space_is_padded_as_in_torch_even_kernels_too(space: int, options: dict[str, Any]) -> None:
    layer = CausalConv(2, 3, space=space, **options)
    x, c = inputs(space), layer.conv
    past = F.pad(x, (*(0, 0) * space, layer.reach, 0))
    theirs = {1: F.conv2d, 2: F.conv3d}[space](past, c.weight, c.bias, padding="same", dilation=c.dilation)
    before = layer.reach // 2  # torch pads time on both sides as well
    torch.testing.assert_close(layer(x)[0], theirs[:, :, before : before + x.shape[2]])


def test_without_space_it_is_torchs_convolution_of_a_padded_past() -> None:
    layer, theirs = CausalConv(2, 3, 3, dilation=2), nn.Conv1d(2, 3, 3, dilation=2)
    layer.conv.load_state_dict(theirs.state_dict())
    x = torch.randn(4, 2, 9)
    torch.testing.assert_close(layer(x)[0], theirs(F.pad(x, (4, 0))))


def test_lengths_are_those_of_a_padded_convolution() -> None:
    lengths = torch.arange(12)
    for kernel, stride in ((3, 1), (3, 2), (5, 3), (1, 2)):
        block = ConvBlock(2, 3, (kernel,), stride=(stride,))
        assert torch.equal(CausalConv(2, 3, kernel, stride=stride).out_lengths(lengths), block.out_lengths(lengths))


def test_a_state_holds_the_left_context_alone() -> None:
    assert CausalConv(2, 3, 3, dilation=4)(torch.randn(1, 2, 30))[1][0].shape == (1, 2, 8)
    assert CausalConv(2, 3, 1)(torch.randn(1, 2, 30))[1][0].shape == (1, 2, 0)


@pytest.mark.parametrize(("space", "options"), [(space, options) for space, options in CASES if space])
def test_keeps_channels_last(space: int, options: dict[str, Any]) -> None:
    layout = {1: torch.channels_last, 2: torch.channels_last_3d}[space]
    layer = CausalConv(2, 3, space=space, **options).to(memory_format=layout)
    x = inputs(space)
    y, _ = layer(x.contiguous(memory_format=layout))
    assert y.is_contiguous(memory_format=layout)
    torch.testing.assert_close(y, layer(x)[0])


def test_a_pool_before_its_first_step_sees_nothing_not_a_zero() -> None:
    y, _ = CausalMaxPool(3, stride=1)(-torch.ones(1, 1, 4))
    assert y.flatten().tolist() == [-1] * 4


@every_layer
def test_gradients_and_nothing_is_dead(space: int, cls: type, options: dict[str, Any]) -> None:
    layer = made(space, cls, options).double()
    x = torch.randn(2, 2, 4, *(3, 2)[:space], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer(x, None, torch.tensor([4, 2]))[0], x)
    layer(x)[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())


@every_layer
def test_one_step_of_one_sample(space: int, cls: type, options: dict[str, Any]) -> None:
    layer = made(space, cls, options)
    x = inputs(space, 1)[:1]
    y, _ = layer(x)
    expected = brute_conv(layer, x[0]) if cls is CausalConv else brute_pool(layer, x[0])
    torch.testing.assert_close(y[0], expected)


@every_layer
@pytest.mark.parametrize("autocast", [True, False])
def test_bfloat16_is_near(space: int, cls: type, options: dict[str, Any], autocast: bool) -> None:
    layer, x = made(space, cls, options), inputs(space)
    expected, _ = layer(x, None, LENGTHS)
    if autocast:
        with torch.autocast("cpu", torch.bfloat16):
            y, _ = layer(x, None, LENGTHS)
    else:
        y, _ = layer.bfloat16()(x.bfloat16(), None, LENGTHS)
        assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, rtol=5e-2, atol=5e-2)


@pytest.mark.parametrize(("space", "cls", "options"), [LAYERS[2], LAYERS[7], LAYERS[-2]])
def test_compiles_and_exports_whole_and_in_pieces(space: int, cls: type, options: dict[str, Any]) -> None:
    torch.compiler.reset()  # else what was compiled for others counts against this one
    layer, x = made(space, cls, options).eval().requires_grad_(False), inputs(space)
    expected, state = layer(x, None, LENGTHS)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, None, LENGTHS), (expected, state))
    program = torch.export.export(layer, (x, None, LENGTHS), dynamic_shapes=({2: torch.export.Dim.AUTO}, None, None))
    longer = torch.cat([x, torch.full_like(x[:, :, :4], 99.0)], dim=2)
    torch.testing.assert_close(program.module()(longer, None, LENGTHS)[0][:, :, : expected.shape[2]], expected)

    after = layer(x, state)
    torch.testing.assert_close(compiled(x, state), after)
    torch.testing.assert_close(torch.export.export(layer, (x, state)).module()(x, state), after)


def test_says_which_argument_does_not_fit() -> None:
    layer, x = CausalConv(2, 3, 3, space=1), torch.randn(2, 2, 5, 6)
    with pytest.raises(ShapeError, match="x has 4 channels"):
        layer(torch.randn(2, 4, 5, 6))
    with pytest.raises(ShapeError, match=r"x has 3 axes.*\(batch, channels, time, height\)"):
        layer(x[..., 0])
    with pytest.raises(ShapeError, match="lengths holds 6"):
        layer(x, None, torch.tensor([6, 1]))
    with pytest.raises(ShapeError, match=r"state has the shapes \(2, 2, 2, 4\); expected \(2, 2, 2, 6\)"):
        layer(x, (torch.zeros(2, 2, 2, 4),))
    with pytest.raises(ShapeError, match=r"state has the shapes \(2, 2, 3, 6\); expected \(2, 2, 2, 6\)"):
        layer(x, (torch.zeros(2, 2, 3, 6),))
    with pytest.raises(ShapeError, match="state is a Tensor"):
        layer(x, torch.zeros(2, 2, 2, 6))
    with pytest.raises(SettingsError, match=r"stride \(2, 2\) speaks of 2 axes; expected one number, or 3"):
        CausalConv(2, 3, 3, space=2, stride=(2, 2))
    with pytest.raises(ShapeError, match=r"the kernel covers 7 places of height.*expected at most the 6"):
        CausalMaxPool((2, 7), space=1)(x)
