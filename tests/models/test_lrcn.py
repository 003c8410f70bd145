"""lrcn: each frame by itself, then an LSTM that sees the past; frames that are padding enter nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from crnn.bundle import Net
from crnn.errors import SettingsError
from crnn.models.lrcn import LRCN
from crnn.types import InputSpec, Seq

SPEC = InputSpec("film", 3, (18, 14))
LENGTHS = [6, 1, 9, 4]


def net(**values: Any) -> Net:
    small = {"channels": (4, 5, 6, 7), "features": 8, "hidden": 6, "dropout": 0.0}
    return Net(LRCN(SPEC, LRCN.Settings(**{**small, **values})), nn.Identity())


def test_parameters_of_the_recurrence_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        encoder = LRCN(SPEC, LRCN.Settings(features=4096, hidden=256))
        small = LRCN(InputSpec("film", 3, (64, 64)))
    published = 4 * 256 * (4096 + 256 + 1)  # 4.46 million
    assert sum(p.numel() for p in encoder.recurrent.parameters()) == published + 4 * 256, "torch has a second bias"
    wanted = sum(a * b * k * k + 2 * b for a, b, k in ((3, 32, 5), (32, 64, 3), (64, 96, 3), (96, 128, 3)))
    wanted += 128 * 4 * 4 * 256 + 256 + 4 * 256 * (2 * 256 + 2)
    assert sum(p.numel() for p in small.parameters()) == wanted == 1_238_240


@torch.no_grad()
def test_frames_are_seen_one_by_one(drawn: Callable[..., Seq]) -> None:
    encoder = net(layers=0).encoder.double()
    nn.init.uniform_(encoder.stages[0].norm.running_mean)
    encoder.eval()
    x = drawn(SPEC, [5, 5]).x.double()
    found = encoder(Seq(x, torch.tensor([5, 5]))).last.x
    frames = x.flatten(0, 1)
    for stage in encoder.stages:
        if hasattr(stage, "conv"):
            conv, norm = stage.conv, stage.norm
            frames = F.conv2d(frames, conv.weight[:, :, 0], None, conv.stride[1:], conv.padding[1:])
            frames = F.batch_norm(frames, norm.running_mean, norm.running_var, norm.weight, norm.bias).relu()
        else:
            frames = F.max_pool2d(frames, stage.kernel_size[1:])
    linear = encoder.dense[0]
    frames = F.linear(frames.movedim(1, -1).flatten(1), linear.weight, linear.bias).relu()
    torch.testing.assert_close(found, frames.unflatten(0, (2, 5)), rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_a_film_in_pieces_is_the_film(drawn: Callable[..., Seq]) -> None:
    encoder = net().encoder.eval()
    x = drawn(SPEC, [9]).x
    state, found = None, []
    for piece in x.split([4, 1, 4], dim=1):
        features = encoder(Seq(piece, torch.tensor([piece.shape[1]])), state)
        state = features.state
        found.append(features.last.x)
    torch.testing.assert_close(torch.cat(found, 1), encoder(Seq(x, torch.tensor([9]))).last.x)


@pytest.mark.parametrize("values", [{}, {"layers": 0, "norm": False}, {"cell": "gru", "layers": 2}])
def test_alone_equals_in_a_batch(
    values: dict[str, Any], drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]
) -> None:
    encoder = net(**values).encoder
    assert check_alone(encoder, drawn(SPEC, LENGTHS)) == LENGTHS and encoder.levels[-1].stride == 1


@pytest.mark.parametrize("side", [1, 2, 7, 30])
def test_frames_of_any_size(side: int) -> None:
    encoder = LRCN(InputSpec("film", 1, (side, 33)), LRCN.Settings(channels=(3,) * 4, features=4, hidden=5))
    y, _ = encoder(Seq(torch.rand(2, 3, 1, side, 33), torch.tensor([3, 2]))).last
    assert y.shape == (2, 3, 5)


def test_sizes_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"pools has 1 entries and encoder\.channels 4; expected"):
        net(pools=(2,))
