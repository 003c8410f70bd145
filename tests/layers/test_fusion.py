"""Fusion of branches: each by its formula at every step and place."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import pytest
import torch
from torch import Tensor, nn

from crnn.errors import ShapeError
from crnn.layers.fusion import (
    FUSIONS,
    AttentionFusion,
    BilinearFusion,
    ConcatFusion,
    DenseFusion,
    Fusion,
    GatedFusion,
    PointwiseFusion,
    ProductFusion,
    SumFusion,
)

LENGTHS = torch.tensor([3, 5, 1, 0])
SHAPES = [None, (), (2,), (2, 3)]
FREE = {ConcatFusion, DenseFusion, PointwiseFusion, BilinearFusion}
"""Those whose branches may differ in width."""
MADE: dict[str, Callable[[list[int]], Fusion]] = {
    "concat": ConcatFusion,
    "sum": SumFusion,
    "product": ProductFusion,
    "concat_dense": lambda widths: DenseFusion(widths, size=5, activation=nn.ELU()),
    "concat_pointwise": lambda widths: PointwiseFusion(widths, size=5, activation=nn.ELU()),
    "gated": GatedFusion,
    "attention": lambda widths: AttentionFusion(widths, size=6),
    "bilinear": lambda widths: BilinearFusion(widths, size=5, rank=6),
}
every_fusion = pytest.mark.parametrize("name", list(MADE))


def made(name: str, count: int = 2, places: int = 1) -> tuple[Fusion, list[int]]:
    """A fusion and the channels of its branches; ``places``: of space, for the one that sees them as a whole."""
    channels = [3, 4, 2][:count] if FUSIONS[name] in FREE else [3] * count
    return MADE[name]([places * c for c in channels] if name == "concat_dense" else channels), channels


def branches(channels: list[int], space: tuple[int, ...] | None, kind: torch.dtype = torch.float32) -> list[Tensor]:
    return [torch.randn(4, *([c] if space is None else [5, c, *space]), dtype=kind) for c in channels]


def brute(fusion: Fusion, z: list[Tensor]) -> Tensor:
    """Of the branches' vectors ``(channels,)`` at one step and place."""
    match fusion:
        case ConcatFusion():
            return torch.cat(z)
        case SumFusion():
            return reduce(torch.add, z)
        case ProductFusion():
            return reduce(torch.mul, z)
        case DenseFusion(dense=layer) | PointwiseFusion(pointwise=layer):
            return torch.nn.functional.elu(layer.weight @ torch.cat(z) + layer.bias)
        case GatedFusion():
            scores = (fusion.gate.weight @ torch.cat(z) + fusion.gate.bias).chunk(len(z) - 1)
            if len(z) == 2:
                g = 1 / (1 + torch.exp(-scores[0]))
                return g * z[0] + (1 - g) * z[1]
            total = 1 + sum(map(torch.exp, scores))
            return sum(s.exp() / total * a for s, a in zip(scores, z[:-1], strict=True)) + z[-1] / total
        case AttentionFusion():
            hidden = [torch.tanh(fusion.hidden.weight @ a + fusion.hidden.bias) for a in z]
            scores = [torch.exp(fusion.score.weight[0] @ h) for h in hidden]
            return sum(s / sum(scores) * a for s, a in zip(scores, z, strict=True))
        case BilinearFusion():
            product = reduce(torch.mul, [torch.tanh(u.weight @ a) for u, a in zip(fusion.into, z, strict=True)])
            return fusion.out.weight @ product + fusion.out.bias
    raise AssertionError(fusion)


def test_every_fusion_is_in_the_table_and_tested() -> None:
    assert list(FUSIONS) == list(MADE)
    for name, cls in FUSIONS.items():
        assert type(made(name)[0]) is cls


@every_fusion
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("space", SHAPES)
def test_equals_the_formula(name: str, count: int, space: tuple[int, ...] | None) -> None:
    if name == "concat_dense" and space:  # sees space as a whole, see below
        space = ()
    fusion, channels = made(name, count)
    given = branches(channels, space, torch.float64)
    y = fusion.double()(given)
    assert y.shape == ((4, fusion.outputs) if space is None else (4, 5, fusion.outputs, *space))
    last = [z if space is None else z.movedim(2, -1) for z in given]
    places = zip(*(z.flatten(0, -2) for z in last), strict=True)
    expected = torch.stack([brute(fusion, list(z)) for z in places])
    torch.testing.assert_close((y if space is None else y.movedim(2, -1)).flatten(0, -2), expected)


def test_dense_sees_space_as_a_whole_and_spaces_may_differ() -> None:
    fusion = DenseFusion([3 * 6, 4], size=5)
    film, sensor = torch.randn(2, 7, 3, 2, 3), torch.randn(2, 7, 4)
    y = fusion([film, sensor])
    assert y.shape == (2, 7, 5)
    flat = film[1, 6].movedim(0, -1).flatten()
    expected = fusion.dense.weight @ torch.cat([flat, sensor[1, 6]]) + fusion.dense.bias
    torch.testing.assert_close(y[1, 6], expected)


def test_pointwise_is_a_convolution_of_one_place() -> None:
    fusion = PointwiseFusion([3, 4], size=5)
    a, b = torch.randn(2, 7, 3, 4, 4), torch.randn(2, 7, 4, 4, 4)
    weight = fusion.pointwise.weight[:, :, None, None]
    expected = torch.nn.functional.conv2d(torch.cat([a, b], 2).flatten(0, 1), weight, fusion.pointwise.bias)
    torch.testing.assert_close(fusion([a, b]), expected.unflatten(0, (2, 7)))


@every_fusion
@pytest.mark.parametrize("space", [(), (2,)])
@pytest.mark.parametrize("filling", [99.0, float("nan")])
def test_padding_changes_nothing_and_comes_out_zero(name: str, space: tuple[int, ...], filling: float) -> None:
    fusion, channels = made(name, 3, places=2 if space else 1)
    inside = (torch.arange(5) < LENGTHS[:, None]).view(4, 5, 1, *[1] * len(space))
    given = [torch.where(inside, z, filling) for z in branches(channels, space)]
    y = fusion(given, LENGTHS)
    for b, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(y[b : b + 1, :length], fusion([z[b : b + 1, :length] for z in given]))
        assert not y[b, length:].any()


@every_fusion
@pytest.mark.parametrize("count", [2, 3])
def test_gradients_and_nothing_is_dead(name: str, count: int) -> None:
    fusion, channels = made(name, count, places=2)
    fusion = fusion.double()
    given = [z.requires_grad_() for z in branches(channels, (2,), torch.float64)]
    assert torch.autograd.gradcheck(lambda *z: fusion(z, LENGTHS), given)
    fusion(given).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in fusion.parameters())


@every_fusion
def test_a_not_finite_padding_leaves_the_weights_gradients_finite(name: str) -> None:
    fusion, channels = made(name)
    inside = (torch.arange(5) < LENGTHS[:, None])[..., None]
    given = [torch.where(inside, z, torch.nan).requires_grad_() for z in branches(channels, ())]
    fusion(given, LENGTHS).square().sum().backward()
    assert all(z.grad is not None and torch.isfinite(z.grad).all() for z in given)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in fusion.parameters())


@every_fusion
@pytest.mark.parametrize("autocast", [True, False])
def test_bfloat16_is_near(name: str, autocast: bool) -> None:
    fusion, channels = made(name)
    given = branches(channels, ())
    expected = fusion(given)
    if autocast:
        with torch.autocast("cpu", torch.bfloat16):
            y = fusion(given)
    else:
        y = fusion.bfloat16()([z.bfloat16() for z in given])
        assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, rtol=5e-2, atol=5e-2)


@every_fusion
@pytest.mark.parametrize("batch", [1, 2])
def test_compiles_and_exports(name: str, batch: int) -> None:
    fusion, channels = made(name, places=2)
    given = [z[:batch] for z in branches(channels, (2,))]
    lengths = LENGTHS[:batch]
    torch.compiler.reset()  # else what was compiled for others counts against this one
    expected = fusion.eval()(given, lengths)
    torch.testing.assert_close(torch.compile(fusion, backend="eager", fullgraph=True)(given, lengths), expected)
    program = torch.export.export(fusion, (given, lengths))
    torch.testing.assert_close(program.module()(given, lengths), expected)


@pytest.mark.parametrize("name", [name for name, cls in FUSIONS.items() if cls not in FREE])
def test_those_that_need_equal_widths_say_so_when_they_are_built(name: str) -> None:
    with pytest.raises(ShapeError, match=r"widths is \(3, 4\); expected equal widths"):
        MADE[name]([3, 4])


@every_fusion
def test_one_branch_is_none_to_fuse(name: str) -> None:
    with pytest.raises(ShapeError, match=r"widths is \(3,\); expected two branches"):
        MADE[name]([3])


def test_says_which_branch_does_not_fit() -> None:
    fusion = ConcatFusion([3, 4])
    a, b = torch.randn(2, 5, 3, 6), torch.randn(2, 5, 4, 6)
    with pytest.raises(ShapeError, match=r"there are 3 branches; expected 2, of 3, 4 channels"):
        fusion([a, b, b])
    with pytest.raises(ShapeError, match=r"branches\[1\] has 3 channels"):
        fusion([a, a])
    with pytest.raises(ShapeError, match=r"branches\[1\] has 3 axes"):
        fusion([a, b[..., 0]])
    with pytest.raises(ShapeError, match=r"branches\[1\] has 4 places of time.*expected 5"):
        fusion([a, b[:, :4]])
    with pytest.raises(ShapeError, match=r"branches\[1\] has 2 places of height.*expected 6"):
        fusion([a, b[..., :2]])
    with pytest.raises(ShapeError, match=r"lengths holds 7"):
        fusion([a, b], torch.tensor([7, 1]))
