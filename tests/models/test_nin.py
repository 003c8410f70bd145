"""nin: the size by which others are measured, its mean over maps, and no picture sees another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from crnn import create
from crnn.models.nin import NIN
from crnn.types import InputSpec, Seq

PICTURE = InputSpec("picture", 3, (24,))
WIDTHS = [37, 1, 50, 6]


def encoder(**values: Any) -> NIN:
    return NIN(PICTURE, NIN.Settings(**{**NIN.tiny, "dropout": 0.0, **values}))


@pytest.mark.parametrize(("norm", "count"), [(False, 966_986), (True, 968_394)])
def test_parameters(norm: bool, count: int) -> None:
    with torch.device("meta"):
        net = create(
            "nin", task="classify", classes=10, input={"name": "picture", "height": 32}, encoder={"norm": norm}
        )
    assert sum(p.numel() for p in net.parameters()) == count


def test_it_is_three_convolutions_with_perceptrons_behind() -> None:
    net = encoder(norm=False).double()
    x = torch.randn(2, 20, 3, 24, dtype=torch.float64)
    u = x.transpose(1, 2)
    blocks = [stage.conv for stage in net.stages if hasattr(stage, "conv")]
    assert [c.kernel_size[0] for c in blocks] == [5, 1, 1, 5, 1, 1, 3, 1]
    for i, conv in enumerate(blocks):
        u = F.conv2d(u, conv.weight, conv.bias, padding=conv.kernel_size[0] // 2).relu()
        u = {2: nn.MaxPool2d(3, 2, 1), 5: nn.AvgPool2d(3, 2, 1)}.get(i, nn.Identity())(u)
    found = net(Seq(x, torch.tensor([20, 20]))).last.x
    torch.testing.assert_close(found.transpose(1, 2), u, rtol=1e-9, atol=1e-9)


def test_a_layer_behind_the_mean_is_the_mean_of_a_layer_of_one_place(drawn: Callable[..., Seq]) -> None:
    input = {"name": "picture", "height": 24}
    net = create("nin", task="classify", classes=4, input=input, encoder={**NIN.tiny, "dropout": 0.0}).eval()
    inputs = drawn(PICTURE, [24, 24])
    maps = net.encoder(inputs).last.x.movedim(2, -1)
    torch.testing.assert_close(net(inputs), net.head.linear(maps).mean((1, 2)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", [True, False])
def test_alone_equals_in_a_batch(norm: bool, drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]) -> None:
    assert check_alone(encoder(norm=norm), drawn(PICTURE, WIDTHS)) == [-(-width // 4) for width in WIDTHS]
