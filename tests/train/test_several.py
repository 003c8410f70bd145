"""A network that sees two things of each sample: from a recipe to a bundle, an answer, a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import crnn
from crnn import bundle as bundles
from crnn.bundle import readable
from crnn.cli import main
from crnn.config import fill
from crnn.describe import describe
from crnn.errors import DataError, SettingsError
from crnn.layers import Recurrent
from crnn.models import MODELS
from crnn.recipe import Recipe
from crnn.tasks import TASKS
from crnn.train.check import check
from crnn.types import Features, Level, Seq


class Pair(nn.Module):
    """Two inputs, each flattened and seen by a recurrence of its own, their last states side by side on the steps of
    the first."""

    accepts = ()
    branches: Any = (("picture",), ("series",))

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        hidden: int = 16
        """Units."""

    def __init__(self, spec: Any, settings: Settings = Settings()) -> None:
        super().__init__()
        self.names = list(spec)
        widths = [int(np.prod([s.channels, *s.space])) for s in spec.values()]
        self.recurrent = nn.ModuleList(Recurrent(w, settings.hidden, bidirectional=True) for w in widths)
        self.levels = (Level(4 * settings.hidden, (), 1),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def forward(self, inputs: Any, state: None = None) -> Features:
        seqs = [inputs[name] for name in self.names]
        first, second = (
            layer(s.x.flatten(2), None, s.lengths)[0] for layer, s in zip(self.recurrent, seqs, strict=True)
        )
        beside = (second.sum(1) / seqs[1].lengths[:, None])[:, None].expand(-1, first.shape[1], -1)
        return Features((Seq(torch.cat([first, beside], 2), seqs[0].lengths),))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The label is the colour, in the picture, and whether it rises or falls, in the recording."""
    rows = ["image,sensor,label"]
    rng = np.random.default_rng(0)
    for i in range(16):
        red, rising = i % 2, i // 2 % 2
        x = np.full((6, 8, 3), (200, 20, 20) if red else (20, 20, 200), np.uint8)
        Image.fromarray(x + rng.integers(0, 20, x.shape).astype(np.uint8)).save(tmp_path / f"{i:02}.png")
        y = np.linspace(0, 1 if rising else -1, 5 + i)[:, None] + rng.normal(0, 0.02, (5 + i, 1))
        np.savetxt(tmp_path / f"{i:02}.csv", y)
        rows.append(f"{i:02}.png,{i:02}.csv,{'red' if red else 'blue'} {'up' if rising else 'down'}")
    (tmp_path / "table.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "table.csv"


@pytest.fixture
def recipe(data: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setitem(MODELS, "pair", Pair)
    quick = {"epochs": 30, "batch_size": 8, "warmup": 2, "learning_rate": 1e-2, "workers": 0, "threads": 1}
    return {
        "task": {"name": "classify"},
        "inputs": {"image": {"height": 6, "width": 8}, "sensor": {"name": "series"}},
        "augment": {"image": {"border": 0.2}, "sensor": {"jitter": 0.01}},
        "encoder": {"name": "pair"},
        "data": {"train": str(data), "valid": str(data)},
        "train": quick | {"precision": "float32", "device": "cpu"},
    }


def test_from_a_recipe_to_answers(recipe: dict[str, Any], data: Path, tmp_path: Path) -> None:
    crnn.fit(recipe, tmp_path / "run")
    loaded = crnn.load(tmp_path / "run", precision="float32")
    assert {name: spec.kind for name, spec in loaded.kind.spec.items()} == {"image": "picture", "sensor": "series"}
    one = loaded({"image": str(data.parent / "00.png"), "sensor": data.parent / "00.csv"})
    assert one.value == "blue down"
    mixed = loaded({"image": data.parent / "00.png", "sensor": np.linspace(0, 1, 9)})
    assert mixed.value == "blue up", "both inputs are seen"
    for command in (["test", str(tmp_path / "run"), str(data), "--html", str(tmp_path / "r.html")],):
        with pytest.raises(SystemExit) as stop:
            main(command)
        assert not stop.value.code
    assert "blue down" in (tmp_path / "r.html").read_text() and "data:image/png" in (tmp_path / "r.html").read_text()
    description = describe(loaded.bundle, loaded.kind.spec, 8)
    assert description.totals.parameters == sum(p.numel() for p in loaded.net.parameters())
    assert not check(fill(Recipe, recipe)).fails


def test_padding_of_each_input_changes_nothing(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["train"]["epochs"] = 1
    crnn.fit(recipe, tmp_path / "run")
    net = bundles.load(tmp_path / "run").net
    inputs = {"image": (torch.rand(2, 8, 3, 6), [8, 5]), "sensor": (torch.rand(2, 9, 1), [4, 9])}
    with torch.no_grad():
        together = net({n: Seq(x, torch.tensor(lengths)) for n, (x, lengths) in inputs.items()})
        for i in range(2):
            alone = {n: Seq(x[i : i + 1, : ls[i]], torch.tensor([ls[i]])) for n, (x, ls) in inputs.items()}
            torch.testing.assert_close(net(alone), together[i : i + 1], rtol=1e-5, atol=1e-5)


def test_a_saved_bundle_is_the_same(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["train"]["epochs"] = 1
    path = crnn.fit(recipe, tmp_path / "run")
    bundles.load(path).save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": {"image": {}, "sound": {"name": "series"}}}, "expected one named 'sound'"),
        ({"inputs": {"image": {"name": "series"}, "sensor": {}}}, "an input 'image' of the kind 'series'"),
        ({"input": {"name": "picture"}}, r"has \[input\] and \[inputs\]"),
        ({"encoder": {"name": "cascade"}}, "model 'cascade' is asked to read an input 'image' of the kind 'picture'"),
        ({"augment": {"imag": {}}}, "Did you mean 'image'"),
    ],
)
def test_what_does_not_fit_is_said(change: dict[str, Any], words: str, recipe: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises((SettingsError, DataError), match=words):
        crnn.fit(recipe | change, tmp_path / "run")


def test_a_missing_input_is_said(recipe: dict[str, Any], data: Path, tmp_path: Path) -> None:
    recipe["train"]["epochs"] = 1
    crnn.fit(recipe, tmp_path / "run")
    with pytest.raises(DataError, match="has the inputs image; expected the inputs image, sensor"):
        crnn.load(tmp_path / "run", precision="float32")({"image": data.parent / "00.png"})


def test_branches_by_order_or_by_name() -> None:
    classify = TASKS["classify"]
    assert readable(Pair, classify, ["x", "y"]) == {"x": ["picture"], "y": ["series"]}
    named = type("Named", (), {"accepts": (), "branches": {"y": ("line",)}})
    assert readable(named, classify, ["x", "y"]) == {"x": [], "y": ["line"]}
