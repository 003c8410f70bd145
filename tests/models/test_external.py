"""A network from elsewhere as an encoder: trained on, saved, and loaded where it is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import crnn
from crnn.errors import BundleError, SettingsError, ShapeError
from crnn.models import MODELS
from crnn.models.external import external
from crnn.types import InputSpec, Seq


def small() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=2, padding=1)
    )


@pytest.fixture
def known() -> Iterator[str]:
    MODELS["from_elsewhere"] = external(small)
    yield "from_elsewhere"
    del MODELS["from_elsewhere"]


def test_its_maps_are_a_level_with_space() -> None:
    model: Any = external(small)(InputSpec("picture", 3, (20,)))
    assert [(level.channels, level.space, level.stride) for level in model.levels] == [(12, (5,), 4)]
    x = torch.rand(2, 30, 3, 20)
    y, lengths = model(Seq(x, torch.tensor([30, 30]))).last
    assert y.shape == (2, 8, 12, 5) and lengths.tolist() == [8, 8] == model.out_lengths(torch.tensor([30, 30])).tolist()
    torch.testing.assert_close(y, model.network(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
    with pytest.raises(ShapeError, match="one width"):
        model(Seq(x, torch.tensor([30, 12])))


def test_frames_of_a_film_are_pictures_each() -> None:
    model: Any = external(small)(InputSpec("film", 3, (12, 16)))
    assert model.levels[0].space == (3, 4)
    x = torch.rand(2, 5, 3, 12, 16)
    y, lengths = model(Seq(x, torch.tensor([5, 2]))).last
    assert y.shape == (2, 5, 12, 3, 4) and lengths.tolist() == [5, 2] and not y[1, 2:].any()
    torch.testing.assert_close(y[0, 3], model.network(x[0, 3:4])[0])


def test_norms_that_learn_see_true_frames_alone() -> None:
    settings = external(small).Settings(frozen=False)  # type: ignore[attr-defined]
    model: Any = external(small)(InputSpec("film", 3, (12, 16)), settings)
    before = {name: value.clone() for name, value in model.network[1].state_dict().items()}
    assert before["num_batches_tracked"] == 0, "nothing is learned from a blank picture"
    assert all(m.training for m in model.network.modules())
    x = torch.rand(2, 4, 3, 12, 16)
    alone = model(Seq(x[:1], torch.tensor([4]))).last.x
    statistics = {name: value.clone() for name, value in model.network[1].state_dict().items()}
    model.network[1].load_state_dict(before)
    padded = torch.cat([x[:1], torch.full((1, 3, 3, 12, 16), 9.0)], 1)
    y = model(Seq(padded, torch.tensor([4]))).last.x
    torch.testing.assert_close(y[:, :4], alone)
    assert not y[:, 4:].any()
    torch.testing.assert_close(dict(model.network[1].state_dict()), statistics)


def test_lists_of_maps_and_summed_up_features() -> None:
    class Several(nn.Module):
        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [x, x[:, :, ::2, ::2]]

    class Summed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3))

    spec = InputSpec("picture", 3, (8,))
    assert external(Several)(spec).levels[0].space == (4,)  # type: ignore[union-attr, index]
    assert external(Summed)(spec).levels[0].space == (1,)  # type: ignore[union-attr, index]


def test_pictures_of_other_channels_are_refused() -> None:
    with pytest.raises(SettingsError, match="3, as the network takes"):
        external(small)(InputSpec("picture", 1, (8,)))


@pytest.mark.parametrize("frozen", [True, False])
def test_it_learns_to_caption_and_is_loaded_where_it_is_known(known: str, frozen: bool, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    x[::2, :, :, 0] //= 4
    y = ["a dark one" if i % 2 == 0 else "a red one here" for i in range(24)]
    recipe = {
        "task": {"name": "caption", "least": 1, "hidden": 16, "embedding": 8, "dropout": 0.0},
        "input": {"name": "picture"},
        "encoder": {"name": known, "frozen": frozen},
        "train": {"epochs": 30, "batch_size": 12, "learning_rate": 0.02, "warmup": 3, "workers": 0, "augment": False},
    }
    say = crnn.fit(recipe, (x, y), out=tmp_path / "run")
    assert [say(picture).value for picture in x[:4]] == y[:4]
    before, after = small().state_dict(), say.net.encoder.network.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before) == frozen
    again = crnn.load(tmp_path / "run")
    assert again(x[0]).value == y[0]
    del MODELS[known]
    with pytest.raises(BundleError, match="from_elsewhere"):
        crnn.load(tmp_path / "run")
    MODELS[known] = external(small)
