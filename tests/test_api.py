"""From Python: networks of any task, training on arrays in a notebook, folds, and bundles of the first format."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import crnn
from crnn.cli import main
from crnn.errors import CrnnError, SettingsError
from crnn.recipe import DataSettings
from crnn.train.prepare import held_back
from crnn.types import Seq

QUICK = {"epochs": 12, "batch_size": 8, "warmup": 2, "learning_rate": 1e-2, "workers": 0, "threads": 1}
QUICK |= {"precision": "float32", "device": "cpu"}
SMALL = {"name": "cascade", "channels": [6, 8], "blocks": 1, "hidden": 8, "pool": [1]}


def pictures(count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(count) % 3
    x = np.random.default_rng(0).integers(0, 60, (count, 6, 8, 3)).astype(np.uint8)
    x[np.arange(count), :, :, y] += 150
    return x, y


def test_create_makes_a_network_of_any_task() -> None:
    net = crnn.create("cascade", task="classify", classes=10, input={"height": 16, "width": 16})
    seq = Seq(torch.rand(2, 16, 3, 16), torch.tensor([16, 9]))
    assert net(seq).shape == (2, 10)
    assert crnn.create(task="regress", classes=2, input={"name": "series", "channels": 4})(
        Seq(torch.rand(1, 20, 4), torch.tensor([20]))
    ).shape == (1, 2)
    foretold = crnn.create("tcn", task="forecast", classes=3, encoder={"channels": [4]})
    assert len(foretold(Seq(torch.zeros(1, 20, 3), torch.tensor([20])))) > 0
    tagged = crnn.create(task="tag", classes=3, input={"name": "series"}, encoder={"pool": [1]})
    assert tagged(Seq(torch.rand(1, 20, 1), torch.tensor([20]))).x.shape == (1, 20, 3)
    for given in ({}, {"classes": 3, "learned": {"letters": "ab"}}):
        with pytest.raises(SettingsError, match=r"expected one of them. Write: classes=10"):
            crnn.create("crnn", **given)


def test_arrays_in_a_notebook(tmp_path: Path) -> None:
    recipe = {"task": {"name": "classify"}, "encoder": SMALL, "train": QUICK}
    x, y = pictures()
    fitted = crnn.fit(recipe, (x, y), out=tmp_path / "run")
    assert [p.value for p in fitted(list(x[:6]))] == y[:6].tolist(), "labels come back as they were given"
    assert crnn.load(tmp_path / "run", precision="float32")(x[4]).value == 1
    words = crnn.fit(recipe, {"x": x, "y": np.array(["r", "g", "b"])[y], "groups": np.arange(24) // 3})
    assert words(x[1]).value == "g"


def test_tensors_and_lists_of_numbers_are_arrays() -> None:
    recipe = {"task": {"name": "classify"}, "encoder": SMALL, "train": QUICK | {"epochs": 1}}
    x, y = np.random.default_rng(0).random((8, 9, 2)), [0, 1] * 4
    for given in ((torch.tensor(x), torch.tensor(y)), ([torch.tensor(one) for one in x], y), (x.tolist(), y)):
        fitted = crnn.fit(recipe, given)
        assert fitted.kind.spec.channels == 2 and fitted(x[0]).value in (0, 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda x, y: crnn.fit("classify", x), "the data are a ndarray; expected a pair"),
        (lambda x, y: crnn.fit("classify", (x, y, y)), "the data are a tuple of 3; expected a pair"),
        (lambda x, y: crnn.fit("classify", {"y": y}), "the data are a dict; expected a pair"),
        (lambda x, y: crnn.fit("clasify", (x, y)), "'clasify'; expected a recipe (.toml) or a task. Did you mean"),
        (lambda x, y: crnn.fit("classify", (x, y), resume=True), "resume is given with data in memory"),
        (lambda x, y: crnn.fit("classify", "run", out="out"), "out is given with the folder run"),
        (
            lambda x, y: crnn.fit("classify", "run", start="old", resume=True),
            "start is given with resume; expected one",
        ),
        (lambda x, y: crnn.align(["zoo:typewritten"] * 2, [], []), "2 bundles are to place a text; expected one"),
        (lambda x, y: crnn.create("crnn", classes=0), "classes is 0; expected 1 or more"),
        (lambda x, y: crnn.load("zoo:typewritten")(torch.zeros(9, 9)), "a Tensor; expected a path, or uint8"),
    ],
)
def test_mistakes_in_a_notebook(make: Any, words: str) -> None:
    with pytest.raises(CrnnError, match=re.escape(words)):
        make(np.zeros((4, 9, 2)), [0, 1, 0, 1])


def test_numbers_from_recordings_of_any_length() -> None:
    rng = np.random.default_rng(0)
    y = rng.uniform(-1, 1, 30)
    x = [np.full((int(n), 2), level) for n, level in zip(rng.integers(5, 12, 30), y, strict=True)]
    recipe = {"task": {"name": "regress"}, "encoder": SMALL | {"dropout": 0.0}, "train": QUICK | {"epochs": 60}}
    fitted = crnn.fit(recipe, (x, y))
    assert np.abs(np.array([p.value for p in fitted(x)]) - y).mean() < 0.15


def test_the_model_can_be_named_and_tasks_are_recipes() -> None:
    with pytest.raises(SettingsError, match="model 'cascad' is not known"):
        crnn.fit("classify", pictures(), model="cascad")


def test_folds_hold_one_part_back_and_test_finds_it_again(tmp_path: Path) -> None:
    x, y = pictures()
    data = tmp_path / "a.npz"
    np.savez(data, x=x, y=y, groups=np.arange(24) // 6 + 1)
    values: dict[str, Any] = {"train": str(data), "folds": 4, "fold": 3}
    crnn.fit({"task": {"name": "classify"}, "encoder": SMALL, "train": QUICK, "data": values}, tmp_path / "run")
    card = crnn.load(tmp_path / "run").bundle.card
    assert card["samples"] == {"train": 12, "valid": 6}, "a group of 6 is held back, one held out"
    with pytest.raises(SystemExit) as stop:
        main(
            [
                "test",
                str(tmp_path / "run"),
                str(data),
                "--json",
                str(tmp_path / "r.json"),
                "--predictions",
                str(tmp_path / "p.csv"),
            ]
        )
    assert not stop.value.code
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["split"] == "fold 3" and result["task"] == "classify" and "most frequent class" in result["baselines"]
    ids = [line.split(",")[0] for line in (tmp_path / "p.csv").read_text().splitlines()[1:]]
    assert ids == [str(i) for i in range(12, 18)], "the third group"
    (tmp_path / "moved").mkdir()
    data.rename(tmp_path / "moved" / "a.npz")
    samples, part = held_back(crnn.load(tmp_path / "run"), DataSettings(train=str(tmp_path / "moved" / "a.npz")), [])
    assert part == "fold 3" and len(samples) == 6, "nor does the network see its own samples where the data have moved"


def test_bundles_of_the_first_format_are_read(tiny: Any, tmp_path: Path) -> None:
    before = tiny("crnn")
    before.save(tmp_path / "new.safetensors")
    with safe_open(tmp_path / "new.safetensors", framework="pt") as file:
        values = json.loads(file.metadata()["crnn"])
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    assert values["format"] == 3 and values.pop("seen") == {}
    values["format"] = 1
    save_file(state, tmp_path / "old.safetensors", metadata={"crnn": json.dumps(values)})
    old = crnn.load(tmp_path / "old.safetensors", precision="float32")
    assert old.bundle.description() == before.description()
    assert crnn.load("zoo:typewritten").task.name == "transcribe"


@pytest.mark.parametrize("file", sorted(p.name for p in (Path(crnn.__file__).parent / "zoo").glob("*.safetensors")))
def test_every_bundle_of_the_zoo_is_read(file):
    assert crnn.load(f"zoo:{file.removesuffix('.safetensors')}").bundle.card["licence"]
