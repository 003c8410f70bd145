"""LSTM-FCN: the paper's count, with and without the dimension shuffle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from crnn import create
from crnn.errors import ShapeError
from crnn.layers import BatchNorm, TimeMean, mask
from crnn.models.lstm_fcn import LSTMFCN
from crnn.types import InputSpec, Seq


def small(channels: int = 2, **values: Any) -> LSTMFCN:
    settings = LSTMFCN.Settings(**{"channels": (4, 6, 5), "hidden": 3, **values})
    return LSTMFCN(InputSpec("series", channels), settings).eval()


def whole(x: torch.Tensor) -> Seq:
    return Seq(x, torch.full((len(x),), x.shape[1]))


def test_parameters_of_the_paper_for_100_steps_8_units_and_2_classes() -> None:
    encoder = LSTMFCN(InputSpec("series", 1), LSTMFCN.Settings(hidden=8, shuffle=100, cell="lstm_one_bias"))
    trained = sum(p.numel() for p in encoder.parameters()) + (128 + 8) * 2 + 2
    statistics = sum(m.running_mean.numel() + m.running_var.numel() for m in encoder.modules() if type(m) is BatchNorm)
    assert (trained, trained + statistics) == (268_466, 269_490)  # 269 thousand in all


def test_shuffled_the_lstm_sees_a_step_for_each_channel_and_else_one_for_each_moment() -> None:
    for shuffle, shape in ((20, (1, 2, 20)), (0, (1, 15, 2))):
        encoder, seen = small(shuffle=shuffle), []
        encoder.recurrent.register_forward_pre_hook(lambda module, given, seen=seen: seen.append(given[0].shape))
        encoder(whole(torch.rand(1, 15, 2)))
        assert seen == [torch.Size(shape)]


def test_shuffled_nothing_recurs_in_a_series_of_one_channel() -> None:
    """Then the LSTM is a dense layer with gates: its recurrent weights receive no gradient. Unshuffled they do."""
    for shuffle in (20, 0):
        encoder = small(1, shuffle=shuffle)
        encoder(whole(torch.rand(2, 15, 1))).last.x.square().sum().backward()
        weights = [p for name, p in encoder.recurrent.named_parameters() if "weight_hh" in name]
        assert len(weights) == 1 and weights[0].grad is not None
        assert weights[0].grad.any().item() == (shuffle == 0)


@torch.no_grad()
def test_the_mean_over_time_is_the_papers_average_beside_the_last_state() -> None:
    encoder, lengths = small(), torch.tensor([12, 7])
    x = torch.where(mask(lengths, 12)[:, :, None], torch.rand(2, 12, 2), 0.0)
    y = TimeMean()(*encoder(Seq(x, lengths)).last)
    states, _ = encoder.recurrent(x, None, lengths)
    torch.testing.assert_close(y[:, 5:], torch.stack([states[0, 11], states[1, 6]]))
    maps, _ = encoder(Seq(x[1:, :7], lengths[1:])).last
    torch.testing.assert_close(y[1, :5], maps[0, :, :5].mean(0))
    net = create("lstm_fcn", task="classify", classes=2, input={"name": "series"})
    assert isinstance(net.head.pool, TimeMean)


@pytest.mark.parametrize("kernels", [(8, 5, 3), (2, 1, 4), (7, 5, 3)])
@pytest.mark.parametrize("shuffle", [0, 30])
def test_all_steps_stay_and_alone_equals_in_a_batch(
    kernels: tuple[int, int, int], shuffle: int, drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]
) -> None:
    encoder = small(kernels=kernels, shuffle=shuffle)
    assert check_alone(encoder, drawn(InputSpec("series", 2), [30, 1, 17])) == [30, 1, 17]
    assert encoder.levels[-1].channels == 8


def test_a_series_longer_than_the_shuffle_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"21 steps.*20 or fewer.*encoder.shuffle"):
        small(shuffle=20)(whole(torch.rand(1, 21, 2)))
