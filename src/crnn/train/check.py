"""Look at data before training: what cannot be used, what is probably wrong, and whether training would work.

What is odd about a picture or a recording is the input kind's to say (``look``), what is odd about an answer the
task's (``doubts``). Here stands what holds for all: reading, doubles, leaks between splits, the sum.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import groupby
from statistics import median
from typing import Any

import numpy as np
import torch

from crnn.bundle import Bundle
from crnn.errors import CrnnError, DataError
from crnn.findings import Finding, Look, Seen
from crnn.recipe import Recipe
from crnn.train.prepare import adapt, begin, continued, is_chosen, read_parts
from crnn.types import Region, Sample

MOST_THREADS = 4  # each may hold a large picture
CHUNK = 32  # samples that a thread takes at a time
SEVERITIES = ("error", "warning", "note")
LEAK = "leak between splits"

Parts = Mapping[str, Sequence[Sample]]


@dataclass(frozen=True, slots=True)
class Checked:
    """Findings, errors first; figures; and why training would fail (nothing if it would not).

    ``summary`` has ``splits`` (figures of each) and the figures of the whole.
    """

    findings: tuple[Finding, ...]
    summary: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        return bool(self.reasons)


def check(
    recipe: Recipe, *, bundle: Bundle | None = None, progress: Callable[[int, int], None] = lambda done, of: None
) -> Checked:
    """Read all that ``recipe`` would learn from, decode each sample once and say what was found.

    ``bundle`` is the one to fine-tune, if any. ``progress`` is called with the samples done and their number. Raises
    ``SettingsError`` for a recipe that makes no sense; whatever is wrong with the data is a finding.
    """
    if bundle is not None:
        recipe = continued(recipe, bundle)
    left_out: list[CrnnError] = []
    try:
        parts = _read(recipe, left_out)
        net = _network(recipe, parts["train"], bundle)
    except DataError as error:
        findings = (Finding.of(error, "no data to learn from"), *_left_out(left_out))
        return Checked(findings, {"splits": {}}, (f"{error.file or 'the data'} {error.given}",))
    looks = _look(net.kind, [s for samples in parts.values() for s in samples], progress)
    seen = _see(net, parts, looks)
    doubts = net.task.doubts(seen)
    findings = (
        *_left_out(left_out),
        *_of_groups(recipe, parts),
        *_doubles(seen, looks, net.task.truth),
        *_of_looks(seen, looks),
        *doubts.findings,
    )
    splits = {split: {**_figures(seen, split, net), **doubts.figures.get(split, {})} for split in parts}
    return Checked(
        tuple(sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.file is not None))),
        {"splits": splits, **doubts.whole},
        tuple(_reasons(seen, len(left_out), net, chosen=is_chosen(recipe, parts["valid"]))),
    )


def _read(recipe: Recipe, left_out: list[CrnnError]) -> dict[str, list[Sample]]:
    """The samples of each split as training would take them, and those of the test part."""
    parts = read_parts(recipe, left_out)
    return {split: samples for split, samples in parts.items() if samples or split != "test"}


def _network(recipe: Recipe, train: Sequence[Sample], start: Bundle | None) -> Bundle:
    """The network that training would start from, for its kind of input, its task and its steps."""
    return begin(recipe, train) if start is None else adapt(start, train, recipe)


def _look(kind: Any, samples: Sequence[Sample], progress: Callable[[int, int], None]) -> list[Look | CrnnError]:
    """What the input kind says of each sample, in threads. The lines of a page stay in one, which keeps the page."""

    def work(places: list[int]) -> list[tuple[int, Look | CrnnError]]:
        return [(place, _look_at(kind, samples[place])) for place in places]

    looks: list[Any] = [None] * len(samples)
    chunks = list(_chunks(samples))
    pages = any(isinstance(s.x, Region) for s in samples)
    pool = ThreadPoolExecutor(min(2 if pages else MOST_THREADS, os.cpu_count() or 1))
    done = 0
    try:
        for answers in pool.map(work, chunks):
            for place, look in answers:
                looks[place] = look
            done += len(answers)
            progress(done, len(samples))
    finally:
        pool.shutdown(cancel_futures=True)
    return looks


def _look_at(kind: Any, sample: Sample) -> Look | CrnnError:
    try:
        return kind.look(sample.x)
    except CrnnError as error:
        return error


def _chunks(samples: Sequence[Sample]) -> Iterator[list[int]]:
    """Places of samples that are looked at together: those of a page, else ``CHUNK`` at a time."""

    def page(place: int) -> str:
        x = samples[place].x
        return str(x.page) if isinstance(x, Region) else ""

    for name, group in groupby(sorted(range(len(samples)), key=page), page):
        places = list(group)
        step = len(places) if name else CHUNK
        yield from (places[at : at + step] for at in range(0, len(places), step))


def _see(net: Bundle, parts: Parts, looks: Sequence[Look | CrnnError]) -> list[Seen]:
    """The samples with their steps, and what the task says of each."""
    inputs = [look.steps if isinstance(look, Look) else None for look in looks]
    steps = iter(net.net.encoder.out_lengths(torch.tensor([i for i in inputs if i], dtype=torch.long)).tolist())
    rows = [(split, sample) for split, samples in parts.items() for sample in samples]
    seen = []
    for (split, sample), count in zip(rows, inputs, strict=True):
        out = next(steps) if count else None
        seen.append(Seen(sample, split, count, out, net.task.problem(sample, out)))
    return seen


def _left_out(errors: Iterable[CrnnError]) -> Iterator[Finding]:
    return (Finding.of(error, "left out while reading") for error in errors)


def _of_looks(seen: Sequence[Seen], looks: Sequence[Look | CrnnError]) -> Iterator[Finding]:
    for s, look in zip(seen, looks, strict=True):
        if isinstance(look, Look):
            yield from (replace(finding, file=s.sample.id, split=s.split) for finding in look.findings)
        else:
            yield Finding.of(look, "unreadable", file=s.sample.id, split=s.split)


def _of_groups(recipe: Recipe, parts: Parts) -> Iterator[Finding]:
    """Groups that are in two splits, and what is held out where there is no validation part."""
    held = recipe.data.valid is None and parts["valid"] and parts["valid"][0].split != "valid"
    counts: dict[str, dict[str, list[Sample]]] = {}
    for split, samples in parts.items():
        for sample in samples:
            if sample.group is not None:
                counts.setdefault(sample.group, {}).setdefault(split, []).append(sample)
    if held:
        one = len(counts) == 1 and all(s.group for s in parts["train"])
        how = "; they are of one group with the rest, and figures will flatter" if one else ""
        said = f"have no validation part: {len(parts['valid'])} of {len(parts['train']) + len(parts['valid'])} "
        do = "Nothing needs to be done; name the splits (train, valid, test) for figures that can be compared."
        yield Finding("note", "no validation part", None, f"{said}samples of train are held out{how}", do)
        if one:
            return
    for group, where in counts.items():
        if len(where) > 1:
            split, samples = list(where.items())[-1]
            said = f"is of the group {group!r}, which is in {_and([f'{k} ({len(v)})' for k, v in where.items()])}"
            do = "Keep all of a group (a writer, a page, a speaker) in one split; figures flatter otherwise."
            yield Finding("warning", "group in two splits", samples[0].id, said, do, split)


def _doubles(
    seen: Sequence[Seen], looks: Sequence[Look | CrnnError], truth: Callable[[Sample], Any]
) -> Iterator[Finding]:
    """Samples whose input is the same to the last bit: in two splits, with two answers, or just twice."""
    first: dict[bytes, list[Seen]] = {}
    for s, look in zip(seen, looks, strict=True):
        if not isinstance(look, Look) or look.digest is None:
            continue
        earlier = first.setdefault(look.digest, [])
        elsewhere = next((e for e in earlier if e.split != s.split), None)
        if earlier:
            other = elsewhere or earlier[0]
            here, there = truth(s.sample), truth(other.sample)
            same = _alike(here, there)
            said = f"is the same as {other.sample.id} ({other.split})"
            if not same:
                plain = _is_plain(here) and _is_plain(there)
                answers = f"{here!r} stands there instead of {there!r}" if plain else "another answer stands there"
                said += f", but {answers}"
            kind, do = "the same twice", "Keep one of them."
            if elsewhere:
                kind, do = LEAK, "Take it out of one of the splits: a network that has learned it is no test of it."
            elif not same:
                kind, do = "the same with two answers", "Correct or drop the wrong one."
            yield Finding("warning", kind, s.sample.id, said, do, s.split)
        if not any(e.split == s.split for e in earlier):
            earlier.append(s)


def _alike(here: Any, there: Any) -> bool:
    """Whether two answers are the same, whatever holds the arrays in them."""
    if type(here) is not type(there):
        return bool(np.array_equal(here, there))
    if is_dataclass(here):
        return all(_alike(getattr(here, f.name), getattr(there, f.name)) for f in fields(here))
    if isinstance(here, Mapping):
        return here.keys() == there.keys() and all(_alike(here[key], there[key]) for key in here)
    if isinstance(here, (list, tuple)):
        return len(here) == len(there) and all(map(_alike, here, there))
    if isinstance(here, np.ndarray):
        return np.array_equal(here, there, equal_nan=here.dtype.kind == "f")
    return bool(here == there)


def _is_plain(answer: Any) -> bool:
    """Whether an answer can be told in a sentence."""
    if isinstance(answer, (list, tuple)):
        return all(map(_is_plain, answer))
    return answer is None or isinstance(answer, (str, int, float))


def _figures(seen: Sequence[Seen], split: str, net: Bundle) -> dict[str, Any]:
    """Figures of a split."""
    own = [s for s in seen if s.split == split]
    groups = {s.sample.group for s in own if s.sample.group is not None}
    usable = sum(_is_used(s, net) for s in own)
    figures: dict[str, Any] = {"samples": len(own), "usable": usable, "groups": len(groups)}
    if inputs := [s.inputs for s in own if s.inputs is not None]:
        figures[net.kind.unit] = (min(inputs), int(median(inputs)), max(inputs))
    return figures


def _is_used(s: Seen, net: Bundle) -> bool:
    """Outside of training, all that can be decoded and has an answer is used, though the network may not know it."""
    return s.usable or (s.split != "train" and s.inputs is not None and net.task.truth(s.sample) is not None)


def _reasons(seen: Sequence[Seen], left_out: int, net: Bundle, *, chosen: bool) -> Iterator[str]:
    """Why training would fail, or learn from a small rest; ``chosen``: a validation part is to choose the best."""
    learned = [s for s in seen if s.split in ("train", "valid")]
    for split, name in (("train", "training"), *([("valid", "validation")] if chosen else [])):
        if not any(_is_used(s, net) for s in learned if s.split == split):
            yield f"the {name} part holds no sample that can be used"
    bad = left_out + sum(not _is_used(s, net) for s in learned)
    if 2 * bad > left_out + len(learned):
        yield f"{bad} of {left_out + len(learned)} samples cannot be used, more than half"


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
