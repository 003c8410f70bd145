"""Without a validation part everything is learned from and the last epoch's bundle is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crnn.bundle import load
from crnn.cli.check import _verdict
from crnn.config import fill
from crnn.data.split import hold_out
from crnn.errors import DataError
from crnn.recipe import Recipe
from crnn.train.check import check
from crnn.train.compare import compare
from crnn.train.fit import EPOCHS, fit
from crnn.types import Sample


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    random = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", x=random.normal(size=(20, 8, 1)).astype(np.float32), y=np.arange(20) % 2)
    tables = {
        "task": {"name": "classify"},
        "input": {"name": "series"},
        "encoder": {"name": "cascade", "channels": [4], "hidden": 4},
        "data": {"train": str(tmp_path / "x.npz"), "valid_share": 0.0},
        "train": {"epochs": 3, "workers": 0, "threads": 1},
    }
    return fill(Recipe, tables)


def test_the_last_epoch_is_kept(recipe: Recipe, tmp_path: Path) -> None:
    bundle = load(fit(recipe, tmp_path / "run"))
    assert bundle.card["samples"] == {"train": 20, "valid": 0}
    assert bundle.card["epoch"] == 3 and bundle.card["valid"] == {} and bundle.card["train_seconds"] > 0
    assert bundle.task.temperature == 1
    rows = [json.loads(row) for row in (tmp_path / "run" / EPOCHS).read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3] and rows[-1]["seconds"] > 0


def test_a_validation_part_that_was_asked_for_and_is_empty_is_an_error(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("file,label\n")
    asked = replace(recipe, data=replace(recipe.data, valid=str(tmp_path / "empty.csv")))
    with pytest.raises(DataError):
        fit(asked, tmp_path / "run")


def test_a_share_of_nothing_holds_nothing_out() -> None:
    samples = [Sample(str(i), None, i % 2, group=f"g{i % 3}") for i in range(9)]
    for label in (None, lambda sample: sample.y):
        assert hold_out(samples, 0.0, 0, label=label) == (samples, [])


def test_a_check_and_a_comparison_say_what_training_would(recipe: Recipe, tmp_path: Path) -> None:
    assert check(recipe).reasons == ()
    assert "none to choose by" in _verdict(check(recipe))
    with pytest.raises(DataError, match="neither a test nor a validation part"):
        compare({"one": recipe}, tmp_path / "out")
    assert not list(tmp_path.glob("out/*/*")), "before anything is trained"
