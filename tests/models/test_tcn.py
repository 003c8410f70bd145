"""The dilated causal network: its count, what a step sees, and streams of any pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from crnn import create
from crnn.layers import WeightNormConv1d
from crnn.models.tcn import TCN
from crnn.types import InputSpec, Seq


def small(kind: str = "series", *, channels: int = 3, widths: tuple[int, ...] = (5, 5, 7), **values: Any) -> TCN:
    settings = TCN.Settings(**{"channels": widths, "kernel": 3, "embedding": 4, **values})
    spec = {
        "series": InputSpec("series", channels),
        "sound": InputSpec("sound", 2, (6,)),
        "sentence": InputSpec("sentence", 1, vocabulary=20),
    }[kind]
    return TCN(spec, settings).eval()


def whole(x: Tensor) -> Seq:
    return Seq(x, torch.full((len(x),), x.shape[1]))


def test_parameters_of_the_papers_network_for_rows_of_pixels() -> None:
    encoder = {"channels": [25] * 8, "kernel": 7}
    net = create("tcn", task="classify", classes=10, input={"name": "series"}, encoder=encoder)
    assert sum(p.numel() for p in net.parameters()) == 66_910  # the paper's table says 70 thousand


@pytest.mark.parametrize(("kernel", "blocks"), [(2, 1), (3, 3), (5, 2)])
def test_a_step_sees_as_far_back_as_the_formula_and_not_a_step_further(kernel: int, blocks: int) -> None:
    encoder = small(channels=1, kernel=kernel, widths=(4,) * blocks)
    for parameter in encoder.parameters():
        parameter.data.abs_()  # nothing is cut off or cancels
    sees = 1 + 2 * (kernel - 1) * (2**blocks - 1)
    x = torch.ones(1, sees + 10, 1, requires_grad=True)
    (gradient,) = torch.autograd.grad(encoder(whole(x)).last.x[0, sees + 7].sum(), x)
    (places,) = gradient[0, :, 0].nonzero(as_tuple=True)
    assert (int(places[0]), int(places[-1]), len(places)) == (8, sees + 7, sees)


@pytest.mark.parametrize("kind", ["series", "sound", "sentence"])
@torch.no_grad()
def test_pieces_of_any_lengths_are_the_whole(kind: str) -> None:
    encoder = small(kind)
    x = {"series": torch.rand(2, 31, 3), "sound": torch.rand(2, 31, 2, 6), "sentence": torch.randint(20, (2, 31, 1))}
    state, found = None, []
    for piece in x[kind].split([1, 1, 2, 13, 3, 11], dim=1):
        features = encoder(whole(piece), state)
        state = features.state
        found.append(features.last.x)
    torch.testing.assert_close(torch.cat(found, dim=1), encoder(whole(x[kind])).last.x, rtol=1e-5, atol=1e-6)


def test_alone_equals_in_a_batch(drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]) -> None:
    assert check_alone(small(), drawn(InputSpec("series", 3), [4, 20, 1, 11])) == [4, 20, 1, 11]


@torch.no_grad()
def test_filters_are_a_length_and_a_direction_or_plain() -> None:
    normed, plain, x = small(), small(weight_norm=False), whole(torch.rand(2, 20, 3))
    assert sum(p.numel() for p in normed.parameters()) - sum(p.numel() for p in plain.parameters()) == 2 * (5 + 5 + 7)
    before = plain(x).last.x
    for block in plain.blocks:  # both begin as the same function
        for layer in (block.first, block.second):
            layer.conv = WeightNormConv1d.of(layer.conv)
    torch.testing.assert_close(plain(x).last.x, before)
    plain.load_state_dict(normed.state_dict())
    torch.testing.assert_close(plain(x).last.x, normed(x).last.x)


def test_dropout_takes_whole_channels() -> None:
    encoder = small(channels=1, widths=(32,), dropout=0.5).train()
    silent = (encoder(whole(torch.rand(1, 50, 1))).last.x[0] == 0).all(0)
    assert 0 < silent.sum() < 32
