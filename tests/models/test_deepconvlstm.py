"""DeepConvLSTM: the paper's count, and the mistakes of its ports as tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from crnn.errors import SettingsError
from crnn.models.deepconvlstm import DeepConvLSTM
from crnn.types import InputSpec, Seq


def small(sensors: int = 3, **values: Any) -> DeepConvLSTM:
    settings = DeepConvLSTM.Settings(**{"channels": (4, 4), "hidden": 6, **values})
    return DeepConvLSTM(InputSpec("series", sensors), settings).eval()


def whole(x: torch.Tensor) -> Seq:
    return Seq(x, torch.full((len(x),), x.shape[1]))


@pytest.mark.parametrize(
    ("cell", "parameters"),
    [("lstm_one_bias", 3_964_754), ("lstm_peepholes", 3_964_754 + 768), ("lstm", 3_964_754 + 2 * 4 * 128)],
)
def test_parameters_in_the_setting_of_opportunity(cell: Any, parameters: int) -> None:
    with torch.device("meta"):
        encoder = DeepConvLSTM(InputSpec("series", 113), DeepConvLSTM.Settings(cell=cell))
    head = 128 * 18 + 18
    assert sum(p.numel() for p in encoder.parameters()) + head == parameters


def test_a_window_of_24_steps_leaves_8() -> None:
    encoder = small(channels=(4, 4, 4, 4))
    y, lengths = encoder(whole(torch.rand(2, 24, 3))).last
    assert y.shape == (2, 8, 6) and lengths.tolist() == [8, 8]


def test_time_and_sensors_are_not_mixed_up() -> None:
    """A port reshaped where it had to transpose, so that steps of one sensor became sensors of one step."""
    encoder, seen = small(), []
    for parameter in encoder.convolutions.parameters():
        parameter.data.abs_()
    encoder.recurrent.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    x = torch.rand(1, 20, 3, requires_grad=True)
    encoder(whole(x))
    features = seen[0].unflatten(2, (3, 4))  # (batch, time, sensors, channels)
    assert features.shape[1] == 20 - 2 * 4
    for sensor in range(3):
        (gradient,) = torch.autograd.grad(features[0, 5, sensor].sum(), x, retain_graph=True)
        steps, sensors = gradient[0].nonzero(as_tuple=True)
        assert set(sensors.tolist()) == {sensor}, "each sensor is seen by itself"
        assert sorted(set(steps.tolist())) == list(range(5, 14)), "two convolutions of 5 see 9 steps"


@torch.no_grad()
def test_samples_are_not_mixed_up_and_no_state_stays_in_the_network() -> None:
    """A port carried the state from batch to batch, though batches were shuffled."""
    encoder, x = small(), torch.rand(3, 20, 3)
    first = encoder(whole(x)).last.x
    encoder(whole(torch.rand(3, 20, 3)))
    again = encoder(whole(x.flip(0))).last.x.flip(0)
    torch.testing.assert_close(again, first)


@pytest.mark.parametrize(("padding", "steps"), [("valid", [22, 1, 4]), ("same", [30, 3, 12])])
def test_alone_equals_in_a_batch(
    padding: str, steps: list[int], drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]
) -> None:
    assert check_alone(small(padding=padding), drawn(InputSpec("series", 3), [30, 3, 12])) == steps


def test_an_even_kernel_cannot_keep_the_steps() -> None:
    with pytest.raises(SettingsError, match=r"kernel is 4.*'same'.*kernel to 5"):
        small(kernel=4, padding="same")
    assert small(kernel=4)(whole(torch.rand(1, 20, 3))).last.x.shape[1] == 14
