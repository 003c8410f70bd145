"""The small spotter of words: the paper's count, and one window as in the paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from crnn.models.crnn_kws import CRNNKWS
from crnn.types import InputSpec, Seq

MEL = InputSpec("sound", 1, (40,))


def small(**values: Any) -> CRNNKWS:
    settings = CRNNKWS.Settings(**{"channels": 4, "hidden": 3, "dense": 5, "window": 4, **values})
    return CRNNKWS(InputSpec("sound", 1, (10,)), settings).eval()


@pytest.mark.parametrize(("cell", "parameters"), [("gru_one_bias", 229_090), ("gru", 229_090 + 384)])
def test_parameters_of_the_paper(cell: Any, parameters: int) -> None:
    encoder = CRNNKWS(MEL, CRNNKWS.Settings(cell=cell))
    assert sum(p.numel() for p in encoder.parameters()) + 64 * 2 + 2 == parameters


def test_a_second_and_a_half_gives_19_steps_of_20_bands_and_one_answer() -> None:
    """The border is padded: without it 17 steps of 18 bands would be left, and 208,610 parameters."""
    encoder, seen = CRNNKWS(MEL), []
    encoder.recurrent.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape))
    y, lengths = encoder(Seq(torch.rand(2, 151, 1, 40), torch.tensor([151, 151]))).last
    assert seen == [torch.Size((2, 19, 20 * 32))]
    assert y.shape == (2, 1, 64) and lengths.tolist() == [1, 1]


@torch.no_grad()
def test_the_window_is_a_dense_layer_over_all_its_steps() -> None:
    encoder, seen = small(), []
    encoder.dense.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    y, _ = encoder(Seq(torch.rand(1, 60, 1, 10), torch.tensor([60]))).last
    weight, bias = encoder.dense.conv.weight.flatten(1), encoder.dense.conv.bias
    steps = seen[0]  # (batch, features, time)
    for place in range(y.shape[1]):
        expected = torch.relu(weight @ steps[0, :, place : place + 4].flatten() + bias)
        torch.testing.assert_close(y[0, place], expected)
    assert y.shape[1] == steps.shape[2] - 3 == 60 // 8 + 1 - 3


@pytest.mark.parametrize("kernel", [(20, 5), (7, 3), (8, 2)])
def test_alone_equals_in_a_batch_and_short_recordings_give_one_answer(
    kernel: tuple[int, int], drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]
) -> None:
    assert check_alone(small(kernel=kernel), drawn(InputSpec("sound", 1, (10,)), [90, 3, 41]))[1] == 1
