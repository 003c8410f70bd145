"""From a recipe to a network and the samples it will learn from: read, split, learn the alphabet, check, build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import torch

from crnn.bundle import Bundle, build
from crnn.config import Recipe, as_dict, fill, split_name
from crnn.data.formats import open_data
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.registry import pick
from crnn.tasks import TASKS
from crnn.types import Sample


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


def prepare(recipe: Recipe, *, start: Bundle | None = None) -> Prepared:
    """Read the data of ``recipe`` and build its network, with fresh weights or, for fine-tuning, those of ``start``.

    Samples that cannot be learned from are left out, each with its reason. Raises ``DataError`` if none remains.
    """
    left_out: list[CrnnError] = []
    train, valid = read_parts(recipe, left_out)
    name, values = split_name(recipe.task, "transcribe")
    task_class = pick(name, TASKS, "task")
    if start is None:
        task = task_class.learn(fill(task_class.Settings, values, "task"), train)
        torch.manual_seed(recipe.train.seed)
        bundle = build(task, recipe.input, recipe.encoder)
    else:
        bundle = adapt(start, train, recipe)
    parts = learnable(bundle, train, left_out), answerable(bundle, valid, left_out)
    for name, part in zip(("training", "validation"), parts, strict=True):
        if not part.samples:
            reasons = "; ".join(dict.fromkeys(str(e) for e in left_out[:3]))
            raise DataError(
                f"the {name} part holds no sample that can be used ({reasons or 'it is empty'})",
                expected="at least one",
                do="Run crnn check on the data.",
                file=recipe.data.train,
            )
    return Prepared(bundle, *parts, left_out)


def read_parts(recipe: Recipe, left_out: list[CrnnError]) -> tuple[list[Sample], list[Sample]]:
    """Training and validation samples; where no validation part is given, whole groups of train are held out."""
    data = recipe.data
    if data.train is None:
        raise SettingsError("no data are given", expected="a folder or table", do="Add --data PATH.")
    samples = open_data(data.train, data.format, left_out)
    train = [s for s in samples if s.split in (None, "train")]
    if not train:
        found = sorted({str(s.split) for s in samples})
        do = "Name the training part train, or give its folder."
        raise DataError(f"has the splits {', '.join(found)}", expected="a split train", do=do, file=data.train)
    if data.valid is not None:
        valid = open_data(data.valid, data.format, left_out)
        valid = [s for s in valid if s.split == "valid"] or [s for s in valid if s.split in (None, "test")]
    else:
        valid = [s for s in samples if s.split == "valid"]
        if not valid:
            train, valid = hold_out(train, data.valid_share, recipe.train.seed)
    return train, valid


def hold_out(samples: Sequence[Sample], share: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """``samples`` in two parts, about ``share`` of them in the second; a group is never in both."""
    if len(samples) < 2:
        return list(samples), []

    def group(sample: Sample) -> str:
        return sample.group or sample.id

    sizes: dict[str, int] = {}
    for sample in samples:
        sizes[group(sample)] = sizes.get(group(sample), 0) + 1
    if len(sizes) == 1:  # one writer: then by lines, as there is no other way
        sizes = dict.fromkeys((s.id for s in samples), 1)

        def group(sample: Sample) -> str:
            return sample.id

    order = sorted(sizes, key=lambda name: blake2b(f"{seed}/{name}".encode(), digest_size=8).digest())
    held: set[str] = set()
    count = 0
    for name in order[:-1]:
        if count >= max(1, share * len(samples)):
            break
        held.add(name)
        count += sizes[name]
    return [s for s in samples if group(s) not in held], [s for s in samples if group(s) in held]


def measured(bundle: Bundle, samples: Sequence[Sample], left_out: list[CrnnError]) -> Part:
    """The samples whose source has a readable header, with their input steps."""
    part = Part([], [])
    for sample in samples:
        try:
            part.widths.append(bundle.kind.steps(sample.x))
            part.samples.append(sample)
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
        if bundle.task.truth(sample):
            asked.append(sample)
        else:
            left_out.append(DataError("has no answer", expected="one to compare with", do="Add it.", file=sample.id))
    return measured(bundle, asked, left_out)


def adapt(start: Bundle, samples: Sequence[Sample], recipe: Recipe) -> Bundle:
    """``start`` for new data: its alphabet with the new letters behind the known ones, its weights for all it knew.

    What the recipe says of task, input and encoder is added to what ``start`` says. Raises ``SettingsError`` where the
    weights do not fit that, so that no setting is lost in silence.
    """
    settings = {**as_dict(start.task.settings), **recipe.task}
    settings.pop("name", None)
    task_class = type(start.task)
    task = task_class.restore(fill(task_class.Settings, settings, "task"), start.task.learned()).extend(samples)
    torch.manual_seed(recipe.train.seed)
    kind = {"name": start.kind.spec.kind, **as_dict(start.kind.settings), **recipe.input}
    bundle = build(task, kind, {**start.encoder, **recipe.encoder})
    try:
        bundle.net.encoder.load_state_dict(start.net.encoder.state_dict())
    except RuntimeError as error:
        raise SettingsError(
            f"the recipe asks for {dict(recipe.encoder)} on {dict(recipe.input)}",
            expected=f"the network of the bundle: {dict(start.encoder)} on {as_dict(start.kind.settings)}",
            do="Leave out what differs, or train anew without --start.",
        ) from error
    bundle.net.head.load_state_dict(task.grow_head(bundle.net.head, start.task, start.net.head.state_dict()))
    return bundle
