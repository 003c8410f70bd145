"""A recipe is read from a file and is what it says."""

from __future__ import annotations

from pathlib import Path

from crnn.config import as_dict, fill
from crnn.recipe import Recipe, TrainSettings, read_recipe


def test_a_recipe_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(
        '[task]\nname = "transcribe"\n[train]\nlearning_rate = 1\n[augment]\nslant = 0.1\n', encoding="utf-8"
    )
    recipe = read_recipe(path)
    assert recipe == Recipe(task={"name": "transcribe"}, train=TrainSettings(learning_rate=1.0), augment={"slant": 0.1})
    assert fill(Recipe, as_dict(recipe)) == recipe


def test_an_empty_recipe_is_all_defaults(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("")
    assert read_recipe(str(tmp_path / "r.toml")) == Recipe()
