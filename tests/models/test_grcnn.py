"""grcnn: gates decide how much of its neighbourhood a place takes in; and no picture sees another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from crnn.layers import GatedRCL
from crnn.models.grcnn import GRCNN
from crnn.types import InputSpec, Seq

PICTURE = InputSpec("picture", 3, (24,))
WIDTHS = [37, 1, 50, 6]


def encoder(**values: Any) -> GRCNN:
    small = {"stem": 5, "sizes": (4, 6, 8), "dropout": 0.0}
    return GRCNN(PICTURE, GRCNN.Settings(**{**small, **values}))


def test_parameters() -> None:
    with torch.device("meta"):
        net = GRCNN(InputSpec("picture", 3, (32,)))
    wanted, width = 27 * 64 + 2 * 64, 64
    for size in (64, 96, 160):  # kernels of input and state, their gates; 2 norms of the input, 3 for each of 3 steps
        wanted += 9 * size * (width + size) + size * (width + size) + 2 * size * (2 + 9)
        width = size
    assert sum(p.numel() for p in net.parameters()) == wanted == 654_016


@pytest.mark.parametrize(("sizes", "stride"), [((8,), 1), ((8, 9), 2), ((4, 6, 8), 4)])
def test_sizes(sizes: tuple[int, ...], stride: int, drawn: Callable[..., Seq]) -> None:
    net = encoder(sizes=sizes)
    x, lengths = net(drawn(PICTURE, [24, 17])).last
    left = 24 // stride
    assert x.shape == (2, left, sizes[-1], left) and lengths.tolist() == [left, -(-17 // stride)]
    assert (net.levels[0].space, net.levels[0].stride) == ((left,), stride)


@torch.no_grad()
def test_a_closed_gate_leaves_a_plain_convolution_and_an_open_one_sees_further(drawn: Callable[..., Seq]) -> None:
    """How far along the picture a change of one column is felt."""

    def reach(bias: float) -> int:
        torch.manual_seed(0)
        net = encoder(sizes=(4,), steps=3).eval()
        for layer in net.modules():
            if isinstance(layer, GatedRCL):
                nn.init.constant_(layer.gate_input_norm.bias, bias)
        one, other = drawn(PICTURE, [41]), drawn(PICTURE, [41])
        other.x[:, 20] += 1
        changed = (net(one).last.x - net(other).last.x)[0].abs().amax((1, 2)) > 1e-7
        return int(changed.sum())

    assert reach(-100.0) == 5, "two convolutions of three columns"
    assert reach(100.0) == 11, "and one more of the state at each of three steps"


@pytest.mark.parametrize("tied", [True, False])
def test_alone_equals_in_a_batch(tied: bool, drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]) -> None:
    assert check_alone(encoder(tied=tied), drawn(PICTURE, WIDTHS)) == [-(-width // 4) for width in WIDTHS]
