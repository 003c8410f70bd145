"""rcnn_96, rcnn_128, rcnn_160: the paper's counts, its formula written out, its sizes; and no picture sees another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn import create
from crnn.bundle import Net
from crnn.layers import RCL, SkiplessRCL, WideConv
from crnn.models.rcnn import RCNN96, RCNN128, RCNN160
from crnn.types import InputSpec, Seq

PICTURE = InputSpec("picture", 3, (24,))
WIDTHS = [37, 1, 50, 6]


def encoder(**values: Any) -> RCNN96:
    return RCNN96(InputSpec("picture", 3, (24,)), RCNN96.Settings(**{"size": 8, "dropout": 0.0, **values}))


@pytest.mark.parametrize(
    ("model", "size", "published"),
    [("rcnn_96", 96, 672_202), ("rcnn_128", 128, 1_191_178), ("rcnn_160", 160, 1_857_610)],
)
def test_parameters_are_those_of_the_paper(model: str, size: int, published: int) -> None:
    with torch.device("meta"):
        net = create(
            model, task="classify", classes=10, input={"name": "picture", "height": 32}, encoder={"norm": "lrn"}
        )
    assert sum(p.numel() for p in net.parameters()) == published
    assert published == 75 * size + size + 4 * (18 * size**2 + size) + 10 * size + 10
    assert net.head.largest, "the global maximum goes to the last layer"


def test_the_ablations_are_as_large() -> None:
    def count(**values: Any) -> int:
        with torch.device("meta"):
            return sum(p.numel() for p in encoder(size=96, norm="lrn", **values).parameters())

    assert count(variant="skipless") == count()
    assert count(variant="wide") == count() + 4 * 96, "each second convolution has a bias, too"
    assert count(steps=0) < count(steps=1) == count(steps=3)


@pytest.mark.parametrize(("variant", "layer"), [("rcl", RCL), ("skipless", SkiplessRCL), ("wide", WideConv)])
def test_variants_are_the_layers_of_that_name(variant: str, layer: type) -> None:
    net = encoder(variant=variant, norm="none")
    assert [type(net.stages[i]) for i in (2, 3, 5, 6)] == [layer] * 4
    assert type(net.stages[0]) is RCL and net.stages[0].steps == 0


def local_norm(x: Tensor) -> Tensor:
    """LRN as the paper writes it, over N = K / 8 + 1 = 2 maps: the one before, and itself."""
    square = x.square()
    around = square + F.pad(square, (0, 0, 0, 0, 1, 0))[:, :-1]
    return x / (1 + 0.001 / 2 * around) ** 0.75


def test_it_is_the_formula_of_the_paper() -> None:
    net = encoder(norm="lrn").double()
    x = torch.randn(2, 20, 3, 24, dtype=torch.float64)
    first, _, *layers = (net.stages[i] for i in (0, 1, 2, 3, 5, 6))

    def pool(u: Tensor) -> Tensor:
        return F.max_pool2d(u, 3, 2, 1)

    u = x.transpose(1, 2)
    u = pool(local_norm(F.conv2d(u, first.of_input.weight, first.of_input.bias, padding=2).relu()))
    for i, layer in enumerate([net.stages[2], *layers[1:]]):
        driven = F.conv2d(u, layer.of_input.weight, layer.of_input.bias, padding=1)
        state = local_norm(driven.relu())
        for _ in range(3):
            state = local_norm((driven + F.conv2d(state, layer.of_state.weight, padding=1)).relu())
        u = pool(state) if i == 1 else state
    found = net(Seq(x, torch.tensor([20, 20]))).last.x
    torch.testing.assert_close(found.transpose(1, 2), u, rtol=1e-9, atol=1e-9)
    assert found.shape == (2, 5, 8, 6)


@pytest.mark.parametrize(("side", "left"), [(24, 6), (32, 8), (27, 7)])
def test_sizes_are_halved_twice(side: int, left: int, drawn: Callable[..., Seq]) -> None:
    spec = InputSpec("picture", 3, (side,))
    net = RCNN96(spec, RCNN96.Settings(size=8))
    x, lengths = net.eval()(drawn(spec, [side])).last
    assert x.shape == (1, left, 8, left) and lengths.item() == left
    assert (net.levels[0].space, net.levels[0].stride) == ((left,), 4)


@pytest.mark.parametrize("values", [{}, {"norm": "lrn"}, {"norm": "bn_shared", "variant": "wide"}, {"norm": "none"}])
def test_alone_equals_in_a_batch(
    values: dict[str, Any], drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]
) -> None:
    check_alone(encoder(**values), drawn(PICTURE, WIDTHS))


@torch.no_grad()
def test_a_norm_of_all_steps_learns_nothing_from_padding(drawn: Callable[..., Seq]) -> None:
    one, other = (Net(encoder(norm="bn_shared"), nn.Identity()).double().train() for _ in range(2))
    other.load_state_dict(one.state_dict())
    x, lengths = drawn(PICTURE, WIDTHS)
    x = x.double()
    y = one(Seq(x, lengths)).last.x
    z = other(Seq(F.pad(x, (0, 0, 0, 0, 0, 23), value=7.0), lengths)).last.x
    torch.testing.assert_close(y, z[:, : y.shape[1]], rtol=1e-9, atol=1e-9)
    assert not z[:, y.shape[1] :].any()
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9, msg=name)


def test_values_below_zero_lose_against_no_padding() -> None:
    net = encoder()
    pool = net.stages[1]
    y, lengths = pool(torch.full((2, 1, 6, 4), -1.0), torch.tensor([6, 3]))
    assert lengths.tolist() == [3, 2]
    assert y[0].eq(-1).all() and y[1, :, :2].eq(-1).all() and not y[1, :, 2:].any()


def test_dropout_stands_behind_all_layers_but_the_last(drawn: Callable[..., Seq]) -> None:
    net = encoder(dropout=0.9)
    inputs = drawn(PICTURE, [24])
    share = (net.train()(inputs).last.x == 0).float().mean()
    assert share < 0.5, "after the last layer nothing is dropped"
    assert not torch.equal(net(inputs).last.x, net(inputs).last.x)
    net.eval()
    assert torch.equal(net(inputs).last.x, net(inputs).last.x)


def test_names_say_the_size() -> None:
    for model, size in ((RCNN96, 96), (RCNN128, 128), (RCNN160, 160)):
        with torch.device("meta"):
            net = model(InputSpec("picture", 3, (24,)))
        assert net.levels[0].channels == size
