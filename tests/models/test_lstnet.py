"""LSTNet: its count, its skipping recurrence against a plain loop, padding and lengths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from crnn.bundle import build
from crnn.models.lstnet import LSTNet
from crnn.tasks import TASKS
from crnn.types import InputSpec, Seq

SPEC = InputSpec("series", 3)
SMALL = {"channels": 6, "kernel": 3, "hidden": 5, "skip": 4, "skip_hidden": 2, "dropout": 0.0}


def test_parameters_are_those_of_the_authors_program() -> None:
    # of their Model with m=8, hidCNN=50, hidRNN=50, hidSkip=5, CNN_kernel=6, skip=24, window=168, highway_window=24:
    # conv 50*(6*8)+50; GRU 3*(50*50+50*50+2*50); GRUskip 3*(5*50+5*5+2*5); linear 8*(50+24*5)+8; highway 24+1
    theirs = 50 * 48 + 50 + 3 * (5000 + 100) + 3 * (250 + 25 + 10) + 8 * 170 + 8 + 24 + 1
    kind = TASKS["forecast"]
    task = kind.blank(kind.Settings(horizon=1, quantiles=(), pool="last"), 8)
    net = build(
        task, {"name": "series", "channels": 8}, {"name": "lstnet", "channels": 50, "hidden": 50, "skip_hidden": 5}
    ).net
    bias_of_the_highway = 1  # which the linear layer has already
    assert sum(p.numel() for p in net.parameters()) == theirs - bias_of_the_highway


def test_the_skipping_state_comes_from_a_season_before() -> None:
    encoder = LSTNet(SPEC, LSTNet.Settings(**SMALL)).eval()
    gru: Any = encoder.skipping.layers[0]  # type: ignore[union-attr]
    cell = nn.GRUCell(6, 2)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in gru.state_dict().items()})
    x = torch.randn(2, 13, 6)
    with torch.no_grad():
        found = encoder._skipped(x)
        states: list[torch.Tensor] = []
        for t in range(13):
            states.append(cell(x[:, t], states[t - 4] if t >= 4 else torch.zeros(2, 2)))
        for t in range(3, 13):
            expected = torch.stack(states[t - 3 : t + 1], dim=2).flatten(1)
            torch.testing.assert_close(found[:, t], expected)


@pytest.mark.parametrize("skip", [0, 1, 4, 40])
def test_alone_and_in_a_batch(skip: int, drawn: Callable[..., Seq], check_alone: Any, check_lengths: Any) -> None:
    encoder = LSTNet(SPEC, LSTNet.Settings(**{**SMALL, "skip": skip}))
    assert check_alone(encoder, drawn(SPEC, [9, 2, 30, 1])) == [7, 1, 28, 1]
    assert check_lengths(encoder, SPEC, range(1, 12)) == [1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9]
