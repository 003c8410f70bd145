"""From a recipe to a network and the samples it will learn from: read, split, learn, check, build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from crnn.bundle import Bundle, build, default_model, readable, refusal, tables_of
from crnn.config import as_dict, fill, split_name
from crnn.data.formats import open_data
from crnn.data.inputs import INPUTS, Kind, choose, learn_several, restore, restore_several
from crnn.data.inputs import learn as learn_kind
from crnn.data.packed import together
from crnn.data.split import fold, hold_out
from crnn.data.spoil import spoilt
from crnn.deploy.answering import Answering
from crnn.deploy.asked import asked, asked_of, task_of
from crnn.errors import CrnnError, DataError, SettingsError, Unreachable
from crnn.models import MODELS
from crnn.recipe import DataSettings, Recipe
from crnn.registry import pick
from crnn.types import Sample

__all__ = [
    "Part",
    "Prepared",
    "adapt",
    "answerable",
    "asked",
    "asked_of",
    "begin",
    "continued",
    "held_back",
    "is_chosen",
    "learnable",
    "measured",
    "prepare",
    "read_parts",
    "task_of",
]


AT_ONCE = 64
"""Samples whose headers are read at once where they are far away."""


@dataclass(frozen=True, slots=True)
class Part:
    """Samples to learn from or to choose by, and the input steps of each."""

    samples: list[Sample]
    widths: list[int]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What training starts from; ``left_out`` says what is not used."""

    bundle: Bundle
    train: Part
    valid: Part
    left_out: list[CrnnError]


def prepare(recipe: Recipe, *, start: Bundle | None = None, samples: Sequence[Sample] | None = None) -> Prepared:
    """Read the data of ``recipe`` and build its network, with fresh weights or, for fine-tuning, those of ``start``.

    ``samples`` are data in memory, instead of those that the recipe names. Samples that cannot be learned from are left
    out, each with its reason. Raises ``DataError`` if none remains.
    """
    left_out: list[CrnnError] = []
    if start is not None:
        recipe = continued(recipe, start)
    splits = read_parts(recipe, left_out, samples=samples)
    bundle = begin(recipe, splits["train"]) if start is None else adapt(start, splits["train"], recipe)
    parts = learnable(bundle, splits["train"], left_out), answerable(bundle, splits["valid"], left_out)
    for name, part in zip(("training", "validation"), parts, strict=True):
        if not part.samples and (name == "training" or is_chosen(recipe, splits["valid"])):
            reasons = "; ".join(dict.fromkeys(str(e) for e in left_out[:3]))
            raise DataError(
                f"the {name} part holds no sample that can be used ({reasons or 'it is empty'})",
                expected="at least one",
                do="Run crnn check on the data.",
                file=recipe.data.train,
            )
    return Prepared(bundle, *parts, left_out)


def is_chosen(recipe: Recipe, valid: Sequence[Sample]) -> bool:
    """Whether a validation part is to choose the best epoch, which must then hold something; else the last is kept."""
    return recipe.data.valid is not None or recipe.data.valid_share > 0 or bool(valid)


def begin(recipe: Recipe, train: Sequence[Sample]) -> Bundle:
    """A network with fresh weights, its task and its input kind learned from the training part ``train``."""
    task_class, values = task_of(recipe)
    task = task_class.learn(fill(task_class.Settings, values, "task"), train)
    if recipe.inputs and recipe.input:
        given = "the recipe has [input] and [inputs]"
        raise SettingsError(given, expected="one of them", do="Use [inputs.NAME] where there are several.")
    torch.manual_seed(recipe.train.seed)
    return build(task, _kind(recipe, task, train), recipe.encoder)


def _kind(recipe: Recipe, task: Any, train: Sequence[Sample]) -> Kind:
    """The kind of each input that ``recipe`` names, or else the first that the model can read, learned from ``train``.
    Raises ``SettingsError`` for one that model or task cannot use, before any sample is read."""
    model, _ = split_name(recipe.encoder, "")
    can = {} if not model else readable(pick(model, MODELS, "model"), type(task), list(recipe.inputs))
    tables: dict[str, Mapping[str, Any]] = dict(recipe.inputs) or {"": recipe.input}
    named = {}
    for name, table in tables.items():
        first = train[0] if not name or not isinstance(train[0].x, Mapping) else replace(train[0], x=train[0].x[name])
        chosen = table.get("name") or choose(first, can.get(name) or task.kinds)
        pick(chosen, INPUTS, "kind of input")
        named[name] = {**table, "name": chosen}
    kinds = {name: table["name"] for name, table in named.items()}
    refused = refusal(model or default_model(task, kinds), type(task), kinds)
    if refused is not None:
        raise refused
    return learn_several(named, train) if recipe.inputs else learn_kind(named[""], train)


def read_parts(
    recipe: Recipe, left_out: list[CrnnError], *, samples: Sequence[Sample] | None = None
) -> dict[str, list[Sample]]:
    """The samples of ``train``, ``valid`` and ``test``. Where no validation part is given, whole groups of train are
    held out; where folds are, one of them is the test part; ``extra`` only adds to train. ``samples`` are data in
    memory."""
    data, seed = recipe.data, recipe.train.seed
    label = task_of(recipe)[0].stratum
    asked = asked_of(recipe)
    if samples is None and data.train is None:
        raise SettingsError("no data are given", expected="a folder or table", do="Add --data PATH.")
    if samples is None:
        samples = open_data(str(data.train), data.format, left_out, asked=asked)
    else:
        samples = spoilt(samples, asked.spoiling)
    train = [s for s in samples if s.split in (None, "train")]
    test = [s for s in samples if s.split == "test"]
    if data.folds and asked.ahead is not None:
        expected = "none, for a forecast: what comes later is no part of training"
        raise SettingsError("data.folds is given", expected=expected, do="Leave --folds out; see task.shares.")
    if data.folds:
        train, test = fold([*train, *test], data.folds, data.fold, seed, label=label)
    if not train:
        found = sorted({str(s.split) for s in samples})
        do = "Name the training part train, or give its folder."
        raise DataError(f"has the splits {', '.join(found)}", expected="a split train", do=do, file=data.train)
    if data.valid is not None:
        valid = open_data(data.valid, data.format, left_out, asked=asked)
        valid = [s for s in valid if s.split == "valid"] or [s for s in valid if s.split in (None, "test")]
    else:
        valid = [s for s in samples if s.split == "valid"]
        if not valid:
            train, valid = hold_out(train, data.valid_share, seed, label=label)
    if data.extra is not None:  # its groups are nobody's: they are never in two parts
        more = open_data(data.extra, "auto", left_out, asked=replace(asked, group=None))
        train = [*train, *(s for s in more if s.split in (None, "train"))]
    return {"train": train, "valid": valid, "test": test}


def held_back(
    predictor: Answering, data: DataSettings, left_out: list[CrnnError], *, split: str | None = None
) -> tuple[list[Sample], str | None]:
    """The samples of ``data.train`` to test ``predictor`` on, and the name of their part: ``split`` if it is given,
    else the fold that was held back in training on data of the same name, else the test part, else all."""
    card = predictor.bundle.card
    dealt = card.get("parts", {})
    wanted = asked(predictor, group=data.group, answer=data.answer, outside=data.outside)
    samples = open_data(str(data.train), data.format, left_out, asked=wanted)
    if dealt.get("folds") and split is None and _same_name(card.get("data"), data.train):
        whole = [s for s in samples if s.split in (None, "train", "test")]
        seed, number = card.get("train", {}).get("seed", 0), dealt["fold"]
        return fold(whole, dealt["folds"], number, seed, label=predictor.task.stratum)[1], f"fold {number}"
    splits = {s.split for s in samples}
    part = split or ("test" if "test" in splits else None)
    if part is not None:
        samples = [s for s in samples if s.split == part]
        if not samples:
            named = sorted(str(s) for s in splits if s is not None)
            given = f"has no split {part!r}" if named else f"names no splits, and {part!r} is asked for"
            expected = f"one of its splits: {', '.join(named)}" if named else "data with splits"
            raise DataError(given, expected=expected, do="Leave --split out to test all.", file=data.train)
    return samples, part


def _same_name(trained: str | None, given: str | None) -> bool:
    """Whether two paths may be the same data, which may have moved: what was learned from is not to be tested."""
    return trained is not None and given is not None and Path(trained).resolve().name == Path(given).resolve().name


def measured(bundle: Bundle, samples: Sequence[Sample], left_out: list[CrnnError]) -> Part:
    """The samples whose source has a readable header, with their input steps."""
    part = Part([], [])
    for start in range(0, len(samples), AT_ONCE):
        some = samples[start : start + AT_ONCE]
        with together((sample.x for sample in some), headers=True):
            for sample in some:
                try:
                    part.widths.append(bundle.kind.steps(sample.x))
                    part.samples.append(sample)
                except Unreachable:
                    raise
                except CrnnError as error:
                    left_out.append(error)
    return part


def learnable(bundle: Bundle, samples: Sequence[Sample], left_out: list[CrnnError]) -> Part:
    """The samples that the network can learn from."""
    seen, good = measured(bundle, samples, left_out), Part([], [])
    steps = bundle.net.encoder.out_lengths(torch.tensor(seen.widths, dtype=torch.long)).tolist()
    for sample, width, count in zip(seen.samples, seen.widths, steps, strict=True):
        if problem := bundle.task.problem(sample, count):
            left_out.append(problem)
        else:
            good.samples.append(sample)
            good.widths.append(width)
    return good


def answerable(bundle: Bundle, samples: Sequence[Sample], left_out: list[CrnnError]) -> Part:
    """The samples that have an answer to compare with, also one that the network cannot give: that is its error."""
    asked = []
    for sample in samples:
        if bundle.task.truth(sample) is not None:
            asked.append(sample)
        else:
            left_out.append(DataError("has no answer", expected="one to compare with", do="Add it.", file=sample.id))
    return measured(bundle, asked, left_out)


def continued(recipe: Recipe, start: Bundle) -> Recipe:
    """``recipe`` with what ``start`` says wherever it says nothing of input, encoder or, if it names no other, task."""
    tables, own = tables_of(start.kind), {"name": start.task.name, **as_dict(start.task.settings)}
    named = tables.get("inputs", {})
    return replace(
        recipe,
        task=dict(recipe.task) if recipe.task.get("name", own["name"]) != own["name"] else {**own, **recipe.task},
        input={**tables.get("input", {}), **recipe.input},
        inputs={name: {**table, **recipe.inputs.get(name, {})} for name, table in named.items()},
        encoder={**start.encoder, **recipe.encoder},
    )


def adapt(start: Bundle, samples: Sequence[Sample], recipe: Recipe) -> Bundle:
    """``start`` for new data, as the recipe, ``continued``, says: its alphabet with the new letters behind the known
    ones, its weights for all it knew. For another task than its own the encoder is kept, and the head is fresh.

    Raises ``SettingsError`` where the weights do not fit the recipe, so that no setting is lost in silence.
    """
    recipe = continued(recipe, start)
    task_class, values = task_of(recipe)
    settings = fill(task_class.Settings, values, "task")
    same = task_class is type(start.task)
    if same:
        task = task_class.restore(settings, {**start.task.learned(), **start.task.arrays()}).extend(samples)
    else:
        task = task_class.learn(settings, samples)
    kind = (restore_several if recipe.inputs else restore)(recipe.inputs or recipe.input, start.kind.learned())
    torch.manual_seed(recipe.train.seed)
    bundle = build(task, kind, recipe.encoder)
    try:
        bundle.net.encoder.load_state_dict(start.net.encoder.state_dict())
    except RuntimeError as error:
        raise SettingsError(
            f"the recipe asks for {dict(recipe.encoder)} on {dict(recipe.input)}",
            expected=f"the network of the bundle: {dict(start.encoder)} on {tables_of(start.kind)}",
            do="Leave out what differs, or train anew without --start.",
        ) from error
    if same:
        bundle.net.head.load_state_dict(task.grow_head(bundle.net.head, start.task, start.net.head.state_dict()))
    return bundle
