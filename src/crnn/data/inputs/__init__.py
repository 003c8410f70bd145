"""Kinds of input, one a file: decode a source to an array, vary it, normalise it, and say what it is.

A new kind is a file with a class of ``_kind.Kind``'s methods, and its line in ``INPUTS``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crnn.config import fill, split_name
from crnn.data.inputs._kind import Kind
from crnn.data.inputs._several import Several
from crnn.data.inputs.film import Film
from crnn.data.inputs.frames import Frames
from crnn.data.inputs.line import Line
from crnn.data.inputs.picture import Picture
from crnn.data.inputs.scene import Scene
from crnn.data.inputs.sentence import Sentence
from crnn.data.inputs.series import Series
from crnn.data.inputs.sound import Sound
from crnn.errors import DataError, SettingsError
from crnn.registry import pick
from crnn.types import Region, Sample

__all__ = ["INPUTS", "Kind", "Several", "choose", "learn", "learn_several", "restore", "restore_several", "suffixes_of"]

INPUTS: dict[str, Any] = {
    "line": Line,
    "picture": Picture,
    "series": Series,
    "sentence": Sentence,
    "sound": Sound,
    "film": Film,
    "frames": Frames,
    "scene": Scene,
}


def choose(sample: Sample, names: Iterable[str]) -> str:
    """The first of ``names`` that reads the source of ``sample``. Raises ``DataError`` where none does."""
    there = [name for name in names if name in INPUTS]
    found = next((name for name in there if INPUTS[name].reads(sample.x)), None)
    if found is None:
        given = f"is a {sample.x.suffix or 'plain'} file" if isinstance(sample.x, Path) else f"is {_say(sample.x)}"
        endings = sorted(suffixes_of(there))
        raise DataError(
            given,
            expected=f"something of the kind {' or '.join(there)} ({' '.join(endings)})",
            do="Convert the files, or name the kind of input in the recipe.",
            file=sample.id,
        )
    return found


def learn(table: Mapping[str, Any], samples: Sequence[Sample], *, where: str = "input") -> Kind:
    """The kind that ``table`` names, with what it learns of the training part ``samples``. Raises ``SettingsError`` and
    ``DataError``."""
    name, values = split_name(table)
    kind = pick(name, INPUTS, "kind of input")
    return kind.learn(fill(kind.Settings, values, where), samples)


def learn_several(tables: Mapping[str, Mapping[str, Any]], samples: Sequence[Sample]) -> Several:
    """The kinds that ``tables`` name, each with what it learns of its input of ``samples``."""
    kinds = {}
    for name, table in tables.items():
        own = [replace(s, x=s.x[name]) for s in samples if isinstance(s.x, Mapping) and name in s.x]
        if not own:
            raise DataError(
                f"no sample has an input {name!r}",
                expected=f"samples with the inputs {', '.join(tables)}",
                do="Give the table a column of that name.",
            )
        kinds[name] = learn(table, own, where=f"inputs.{name}")
    return Several(kinds)


def restore(table: Mapping[str, Any], learned: Mapping[str, Any] | None = None, *, where: str = "input") -> Kind:
    """The kind that ``table`` names, with what it once ``learned``."""
    name, values = split_name(table, "line")
    kind = pick(name, INPUTS, "kind of input")
    return kind.restore(fill(kind.Settings, values, where), learned or {})


def restore_several(tables: Mapping[str, Mapping[str, Any]], learned: Mapping[str, Any] | None = None) -> Several:
    """The kinds that ``tables`` name, with what each once ``learned``."""
    if not tables:
        raise SettingsError("[inputs] is empty", expected="a table for each input", do="Name them, or use [input].")
    learned = learned or {}
    return Several({n: restore(table, learned.get(n), where=f"inputs.{n}") for n, table in tables.items()})


def suffixes_of(names: Iterable[str]) -> frozenset[str]:
    """Endings of the files that these kinds read."""
    return frozenset(ending for name in names if name in INPUTS for ending in INPUTS[name].suffixes)


def _say(source: Any) -> str:
    if isinstance(source, Region):
        return "a part of a page"
    shape = getattr(source, "shape", None)
    return f"an array of shape {tuple(shape)}" if shape is not None else f"a {type(source).__name__}"
