"""What a trained network says of itself in plain values, and the task and kind of input that are made of them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crnn.config import as_dict, fill, split_name
from crnn.data.inputs import Kind, Several, restore, restore_several
from crnn.errors import SettingsError
from crnn.registry import pick, suggest
from crnn.tasks import TASKS

FORMAT = 3
KEYS = frozenset({"format", "task", "learned", "input", "inputs", "seen", "encoder", "card", "graph"})
"""What the settings of a bundle, or of an exported network (``graph``), may hold."""
READ = (1, 2, 3)
"""Formats that are read; the first knew one input, which had learned nothing, the second no arrays of a task."""


def described(task: Any, kind: Kind, encoder: Mapping[str, Any], card: Mapping[str, Any]) -> dict[str, Any]:
    """Everything but weights and arrays, as plain values."""
    return {
        "format": FORMAT,
        "task": {"name": task.name, **as_dict(task.settings)},
        "learned": task.learned(),
        **tables_of(kind),
        "seen": kind.learned(),
        "encoder": dict(encoder),
        "card": dict(card),
    }


def restored(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> tuple[Any, Kind]:
    """The task, which does not know its input yet (``with_input``), and the kind of input. Values that are no
    ``described`` ones raise ``CrnnError``, or what Python raises of them."""
    if strange := sorted(set(values) - KEYS):
        raise SettingsError(f"they have the key {strange[0]!r}", expected="a known key", do=suggest(strange[0], KEYS))
    if type(values["format"]) is not int:
        raise SettingsError(f"their format is {values['format']!r}", expected="a number", do="Take the file again.")
    name, settings = split_name(values["task"])
    task_class = pick(name, TASKS, "task")
    task = task_class.restore(fill(task_class.Settings, settings, "task"), {**values["learned"], **arrays})
    seen = values["seen"] if values["format"] > 1 else {}  # the first knew no such thing
    kind = restore_several(values["inputs"], seen) if "inputs" in values else restore(values["input"], seen)
    if not seen and kind.learned():  # nor did the first know a kind that learns
        given = "they do not say what was seen of the inputs"
        raise SettingsError(given, expected="sizes and scales", do="Take the file from its source again.")
    return task, kind


def tables_of(kind: Kind) -> dict[str, Any]:
    """The tables of a recipe that name ``kind``: ``input``, or ``inputs`` where there are several."""
    if isinstance(kind, Several):
        return {"inputs": {name: tables_of(part)["input"] for name, part in kind.kinds.items()}}
    return {"input": {"name": kind.spec.kind, **as_dict(kind.settings)}}
