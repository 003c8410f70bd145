"""The ConvLSTM of Shi et al. with its forecaster: sizes of the paper, patches, states."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from crnn.bundle import Bundle, build
from crnn.data.inputs import restore
from crnn.errors import SettingsError
from crnn.models import MODELS
from crnn.models._patches import Patches
from crnn.tasks import TASKS
from crnn.types import InputSpec, Seq

Model = MODELS["convlstm"]
DIGITS = restore({"name": "frames", "scale": "unit"}, {"scale": "unit", "shape": [1, 64, 64]})
NINE = {"input_kernel": 9, "kernel": 1}


@pytest.mark.parametrize(
    ("settings", "readout", "published"),
    [
        ({"patch": 0, "hidden": [2048, 2048], "input_kernel": 1, "kernel": 1}, "top", 142_667_776),
        ({"hidden": [256]}, "all", 13_524_496),
        ({"hidden": [128, 128]}, "all", 10_042_896),
        ({}, "all", 7_585_296),
        ({"hidden": [128, 128], **NINE}, "all", 11_550_224),
        ({"hidden": [128, 64, 64], **NINE}, "all", 8_830_480),
    ],
)
def test_parameters_are_those_of_the_paper(settings: dict, readout: str, published: int) -> None:
    task = TASKS["nowcast"](TASKS["nowcast"].Settings(readout=readout, loss="cross_entropy"))
    with torch.device("meta"):
        net = build(task, DIGITS, {"name": "convlstm", **settings}).net
    assert sum(p.numel() for p in net.parameters()) == published


@pytest.mark.parametrize(("space", "side"), [((8, 12), 4), ((7, 9), 4), ((6, 5), 0), ((5, 3), 1), ((7,), 4)])
def test_patches_are_joined_as_they_were_split(space: tuple[int, ...], side: int) -> None:
    x = torch.rand(2, 3, 2, *space)
    patches = Patches(2, space, side)
    y = patches.split(x)
    assert y.shape == (2, 3, patches.channels, *patches.places)
    assert torch.equal(patches.join(y), x)


def test_a_patch_is_a_square_of_neighbours() -> None:
    x = torch.arange(64.0).view(1, 1, 1, 8, 8)
    y = Patches(1, (8, 8), 4).split(x)
    assert y[0, 0, :, 0, 1].tolist() == x[0, 0, 0, :4, 4:].flatten().tolist()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "trajectory"])
def test_every_cell_gives_the_state_of_each_layer(cell: str) -> None:
    net = Model(InputSpec("frames", 1, (8, 8)), Model.Settings(hidden=(3, 2), kernel=3, cell=cell))
    features = net(Seq(torch.rand(2, 5, 1, 8, 8), torch.tensor([5, 3])))
    assert [s[0].shape for s in features.state] == [(2, 3, 2, 2), (2, 2, 2, 2)]
    assert features.last.x.shape == (2, 5, 2, 2, 2)
    torch.testing.assert_close(features.state[-1][0][1], features.last.x[1, 2], msg="at its own end")


def test_channels_of_a_recording_are_space() -> None:
    net = Model(InputSpec("series", 7), Model.Settings(hidden=(4,), kernel=3, input_kernel=3))
    features = net(Seq(torch.rand(2, 5, 7), torch.tensor([5, 3])))
    assert features.last.x.shape == (2, 5, 4, 7) and net.levels[-1].space == (7,)
    with pytest.raises(SettingsError, match=r"height and width"):
        Model(InputSpec("series", 7), Model.Settings(cell="trajectory"))


def test_recompute_changes_no_number(tiny: Callable[..., Bundle]) -> None:
    x = Seq(torch.rand(2, 6, 1, 16, 16), torch.tensor([6, 4]))
    answers = []
    for recompute in (False, True):
        torch.manual_seed(3)
        net = Model(InputSpec("frames", 1, (16, 16)), Model.Settings(hidden=(3, 2), kernel=3, recompute=recompute))
        y = net(x).last.x
        y.square().sum().backward()
        answers.append([y, *(p.grad for p in net.parameters())])
    torch.testing.assert_close(*answers)
