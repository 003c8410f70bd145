"""Where the samples of a training come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from crnn.config import fill
from crnn.errors import CrnnError
from crnn.recipe import Recipe
from crnn.train.prepare import adapt, begin, continued, read_parts
from crnn.types import Sample


def written(folder: Path, groups: str) -> None:
    """Two recordings of each group, in folders of two classes."""
    for group in groups:
        for label in ("low", "high"):
            (folder / label).mkdir(parents=True, exist_ok=True)
            np.save(folder / label / f"{label}_{group}_0.npy", np.full((8, 2), 1.0 + (label == "low"), np.float32))


@pytest.mark.parametrize("fold", (1, 2, 3))
def test_extra_samples_are_only_learned_from(tmp_path: Path, fold: int) -> None:
    written(tmp_path / "real", "abc")
    written(tmp_path / "made", "xyz")
    values = {
        "task": {"name": "classify"},
        "input": {"name": "series"},
        "data": {"train": str(tmp_path / "real"), "extra": str(tmp_path / "made"), "group": "_([abc])_", "folds": 3},
    }
    values["data"] |= {"fold": fold, "valid_share": 0.5}
    left_out: list[CrnnError] = []
    parts = read_parts(fill(Recipe, values), left_out)
    groups = {name: {s.id.split("_")[1] for s in part} for name, part in parts.items()}
    assert not left_out
    assert groups["test"] == {"abc"[fold - 1]} and len(groups["valid"]) == 1
    assert groups["train"] == set("abcxyz") - groups["test"] - groups["valid"]


def some(*answers: object) -> list[Sample]:
    draw = np.random.default_rng(0)
    return [Sample(str(i), draw.random((12, 2), np.float32), answer) for i, answer in enumerate(answers)]


SMALL = {"name": "cascade", "channels": [4], "hidden": 4}


def test_another_task_begins_with_the_features_of_the_bundle_and_a_head_of_its_own() -> None:
    recipe = {"task": {"name": "classify"}, "input": {"name": "series"}, "encoder": SMALL}
    start = begin(fill(Recipe, recipe), some("a", "b", "a", "b"))
    made = adapt(start, some(1.0, 2.0, 4.0), fill(Recipe, {"task": {"name": "regress"}}))
    assert made.task.name == "regress" and made.encoder == start.encoder and made.kind.learned() == start.kind.learned()
    for name, value in made.net.encoder.state_dict().items():
        assert torch.equal(value, start.net.encoder.state_dict()[name])
    assert made.task.mean == pytest.approx([7 / 3])


def test_a_recipe_that_names_no_task_goes_on_with_that_of_the_bundle() -> None:
    recipe = {"task": {"name": "classify", "dropout": 0.125}, "input": {"name": "series"}, "encoder": SMALL}
    start = begin(fill(Recipe, recipe), some("a", "b", "a", "b"))
    whole = continued(fill(Recipe, {"task": {"smoothing": 0.25}, "encoder": {"dropout": 0.5}}), start)
    assert whole.task["name"] == "classify" and (whole.task["dropout"], whole.task["smoothing"]) == (0.125, 0.25)
    assert whole.encoder["hidden"] == 4 and whole.encoder["dropout"] == 0.5 and whole.input["name"] == "series"
    assert continued(whole, start) == whole


def test_what_a_forecaster_is_compared_with_outlives_fine_tuning(tmp_path: Path) -> None:
    rows = "".join(f"{i},{np.sin(i / 5):.4f}\n" for i in range(300))
    (tmp_path / "a.csv").write_text("step,height\n" + rows)
    task = {"name": "forecast", "horizon": 3, "window": 12}
    recipe = fill(Recipe, {"task": task, "encoder": SMALL, "data": {"train": str(tmp_path / "a.csv")}})
    train = read_parts(recipe, [])["train"]
    start = begin(recipe, train)
    assert {"last value", "linear map"} <= set(start.task.baselines(train))
    assert set(adapt(start, train, Recipe()).task.baselines(train)) == set(start.task.baselines(train))
