"""What a recipe or a trained network looks for in data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from crnn.config import as_dict, fill, split_name
from crnn.data.formats import Asked
from crnn.data.inputs import INPUTS, suffixes_of
from crnn.deploy.answering import Answering
from crnn.manifest import tables_of
from crnn.recipe import DataSettings, Recipe
from crnn.registry import pick
from crnn.tasks import TASKS


def task_of(recipe: Recipe) -> tuple[Any, dict[str, Any]]:
    """The class of the task that ``recipe`` names, and the values of its settings."""
    name, values = split_name(recipe.task, "transcribe")
    return pick(name, TASKS, "task"), values


def kinds_of(recipe: Recipe) -> Sequence[str]:
    """The kinds of input that ``recipe`` names, or else all that its task reads."""
    tables = list(recipe.inputs.values()) or [recipe.input]
    named = [table["name"] for table in tables if isinstance(table.get("name"), str)]
    for name in named:
        pick(name, INPUTS, "kind of input")
    return named if len(named) == len(tables) else task_of(recipe)[0].kinds


def asked_of(recipe: Recipe) -> Asked:
    """What the task of ``recipe`` looks for in data."""
    task_class, values = task_of(recipe)
    answer = recipe.data.answer
    return Asked(
        answer=task_class.answer,
        suffixes=suffixes_of(kinds_of(recipe)),
        columns=tuple(name.strip() for name in answer.split(",")) if answer else (),
        inputs=tuple(recipe.inputs),
        group=recipe.data.group,
        outside=recipe.data.outside,
        **task_class.asks(fill(task_class.Settings, values, "task")),
    )


def asked(
    predictor: Answering,
    *,
    group: str | None = None,
    answer: str | None = None,
    outside: bool = False,
    truths: bool = True,
) -> Asked:
    """What ``predictor`` looks for in data that it is to be tested on: as in training, unless given here. Without
    ``truths`` it is to answer, which needs no groups. Files ``outside`` of the data's folder are never as in
    training."""
    parts = predictor.bundle.card.get("parts", {})
    tables = tables_of(predictor.kind)
    group = group or (parts.get("group") if truths else None)
    data = DataSettings(group=group, answer=answer or parts.get("answer"), outside=outside)
    task = {"name": predictor.task.name, **as_dict(predictor.task.settings)}
    recipe = Recipe(task=task, input=tables.get("input", {}), inputs=tables.get("inputs", {}), data=data)
    return replace(asked_of(recipe), truths=truths)
