"""Make docs/recipes.md of the settings classes and their docstrings: ``python docs/make_recipes.py``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from crnn.config import documented
from crnn.data.inputs import INPUTS
from crnn.models import MODELS
from crnn.recipe import DataSettings, TrainSettings
from crnn.tasks import TASKS

ROOT = Path(__file__).resolve().parent.parent


def default_of(field: dataclasses.Field[Any]) -> Any:
    """What a setting is when nobody sets it."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def section(title: str, cls: type) -> list[str]:
    """A table of a settings class: name, default, meaning."""
    texts = {name: " ".join(text.split()) for name, text in documented(cls).items()}  # a row is one line
    rows = [f"| `{f.name}` | `{default_of(f)!r}` | {texts[f.name]} |" for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    return ["", f"## {title}", "", "| setting | default | meaning |", "|---|---|---|", *rows]


def page() -> str:
    """All settings there are."""
    lines = [
        "# Recipes",
        "",
        "A recipe is a TOML file of values, a table for each noun; `name` picks an entry of a registry. Every value",
        "can be set from the command line: `--set encoder.hidden=128`.",
        "",
        "Made by `python docs/make_recipes.py`; do not edit.",
        "",
        "```toml",
        *(ROOT / "recipes" / "transcribe-handwriting.toml").read_text(encoding="utf-8").strip().split("\n"),
        "```",
    ]
    for kind, table in (("task", TASKS), ("input", INPUTS), ("encoder", MODELS)):
        for name, cls in table.items():
            lines += section(f'`[{kind}]` name = "{name}"', cls.Settings)
    for name, kind in INPUTS.items():
        lines += section(f"`[augment]` of {name}", kind.Augment)
    lines += section("`[data]`", DataSettings) + section("`[train]`", TrainSettings)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "recipes.md").write_text(page(), encoding="utf-8")
