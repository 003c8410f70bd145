"""Where the samples of a training come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crnn.config import fill
from crnn.errors import CrnnError
from crnn.recipe import Recipe
from crnn.train.prepare import read_parts


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
