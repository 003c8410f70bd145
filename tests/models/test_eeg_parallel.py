"""The two branches over the scalp: the paper's count; its sum over frames and its last state are the last step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from crnn.layers import mask
from crnn.models.eeg_parallel import EEGParallel
from crnn.types import InputSpec, Seq


def small(**values: Any) -> EEGParallel:
    given = {"channels": (3, 4), "features": 6, "hidden": 5, **values}
    return EEGParallel(InputSpec("series", 5), EEGParallel.Settings(**given)).eval()


def whole(x: torch.Tensor) -> Seq:
    return Seq(x, torch.full((len(x),), x.shape[1]))


@pytest.mark.parametrize(("cell", "parameters"), [("lstm_one_bias", 14_672_453), ("lstm", 14_672_453 + 64)])
def test_parameters_of_the_paper(cell: Any, parameters: int) -> None:
    with torch.device("meta"):
        encoder = EEGParallel(InputSpec("series", 64), EEGParallel.Settings(cell=cell))
    assert sum(p.numel() for p in encoder.parameters()) + 2048 * 5 + 5 == parameters


@torch.no_grad()
def test_the_last_step_is_the_sum_of_the_frames_beside_the_last_state() -> None:
    encoder, x = small(), torch.rand(2, 10, 5)
    y = encoder(whole(x)).last.x[:, -1]
    states, _ = encoder.recurrent(F.elu(encoder.into(x)))
    torch.testing.assert_close(y[:, :6], encoder.frames(x).sum(1))
    torch.testing.assert_close(y[:, 6:], F.elu(encoder.dense(states[:, -1])))


@pytest.mark.parametrize(("fusion", "width"), [("concat", 12), ("sum", 6), ("dense", 12)])
@torch.no_grad()
def test_each_fusion_is_causal_and_knows_lengths(fusion: str, width: int) -> None:
    encoder, lengths = small(fusion=fusion, layers=2), torch.tensor([10, 1, 6])
    x = torch.rand(3, 10, 5)
    y, _ = encoder(Seq(torch.where(mask(lengths, 10)[:, :, None], x, 0.0), lengths)).last
    assert y.shape == (3, 10, width) and encoder.levels[0].channels == width
    assert not y[~mask(lengths, 10)].any()
    for row, part, length in zip(y, x, lengths.tolist(), strict=True):
        alone = encoder(whole(part[None, :length])).last.x
        torch.testing.assert_close(row[None, :length], alone, rtol=1e-5, atol=1e-6)
    first = encoder(whole(x[:, :3]))
    second = encoder(whole(x[:, 3:]), first.state)
    torch.testing.assert_close(torch.cat([first.last.x, second.last.x], 1), encoder(whole(x)).last.x)


def test_both_branches_are_trained() -> None:
    encoder = small(fusion="sum")
    encoder(whole(torch.rand(2, 10, 5))).last.x[:, -1].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 1e-7 for p in encoder.parameters())
