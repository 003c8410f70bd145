"""The general cascade: what each kind of input becomes, strides, words, and what is left of space."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from crnn.errors import SettingsError
from crnn.models.cascade import Cascade
from crnn.types import InputSpec, Seq

SPECS = {
    "line": InputSpec("line", 1, (20,)),
    "picture": InputSpec("picture", 3, (13,)),
    "series": InputSpec("series", 6),
    "sound": InputSpec("sound", 1, (40,)),
    "film": InputSpec("film", 3, (17, 9)),
    "sentence": InputSpec("sentence", 1, vocabulary=50),
}
STRIDES = {"line": 4, "picture": 8, "series": 8, "sound": 8, "film": 1, "sentence": 1}


def inputs(spec: InputSpec, steps: int = 24) -> Seq:
    shape = (2, steps, spec.channels, *spec.space)
    x = torch.randint(50, shape) if spec.vocabulary else torch.rand(shape)
    return Seq(x, torch.tensor([steps, steps // 2]))


def small(spec: InputSpec, **settings: Any) -> Cascade:
    return Cascade(spec, Cascade.Settings(**{"channels": (4, 6, 8), "hidden": 5, "embedding": 7, **settings})).eval()


@pytest.mark.parametrize("kind", SPECS)
def test_any_kind_of_input(kind: str) -> None:
    net = small(SPECS[kind])
    y, lengths = net(inputs(SPECS[kind])).last
    assert net.levels[-1].stride == STRIDES[kind] and net.levels[-1].channels == y.shape[2] == 10
    assert lengths.tolist() == [24 // STRIDES[kind], 12 // STRIDES[kind]]
    assert not y[1, lengths[1] :].any()


def test_time_is_joined_as_is_asked() -> None:
    for pool, stride in (((1,), 1), ((3, 2), 12), ((2, 1, 5), 10)):
        assert small(SPECS["series"], pool=pool).levels[-1].stride == stride


def test_what_is_left_of_space_becomes_features_or_its_mean() -> None:
    spec = InputSpec("picture", 1, (16,))
    assert small(spec, layers=0).levels[-1].channels == 8 * 2
    assert small(spec, layers=0, join="mean").levels[-1].channels == 8
    film = InputSpec("film", 3, (128, 128))
    assert small(film, layers=0, channels=(4, 6, 100)).levels[-1].channels == 100, "25,600 would be too many"
    x = inputs(spec)
    flat, mean = small(spec, layers=0), small(spec, layers=0, join="mean")
    mean.load_state_dict(flat.state_dict())
    torch.testing.assert_close(flat(x).last.x.unflatten(2, (2, 8)).mean(2), mean(x).last.x)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_cells_layers_and_directions(cell: str) -> None:
    net = small(SPECS["series"], cell=cell, layers=2, bidirectional=False)
    assert net(inputs(SPECS["series"])).last.x.shape == (2, 3, 5)


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(SettingsError, match="kernel is 4; expected an odd number"):
        small(SPECS["series"], kernel=4)
