"""What Python users call: the same jobs as the command line's verbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, overload

import numpy as np

from crnn.bundle import Net, build, default_model, readable
from crnn.config import Precision, fill
from crnn.data.formats.npz import samples_of
from crnn.deploy.answering import Answering
from crnn.deploy.index import Found
from crnn.deploy.index import search as search_in
from crnn.deploy.page import PageReader
from crnn.deploy.predict import Predictor
from crnn.deploy.ready import load as load
from crnn.deploy.ready import predictor
from crnn.deploy.stream import Stream
from crnn.errors import CrnnError, SettingsError
from crnn.models import MODELS
from crnn.recipe import Recipe, read_recipe
from crnn.registry import pick, suggest
from crnn.tasks import TASKS, Placing, words_of


def pages(
    finder: str | Path | Answering = "zoo:page",
    *,
    reader: str | Path | Answering | Sequence[str | Path | Answering] | None = None,
    precision: Precision = "auto",
) -> PageReader:
    """What finds and reads the lines of whole pages: ``crnn.pages()("page.jpg").text``.

    ``finder`` is a bundle that finds lines, ``reader`` one that reads them, or several, of which the surest reads a
    page; by default those that the finder names. See ``crnn.deploy.page``. Raises ``BundleError`` and
    ``SettingsError``.
    """
    readers = [reader] if isinstance(reader, (str, Path, Answering)) else reader
    return PageReader(finder, readers, precision=precision)


def align(reader: str | Path | Answering, sources: Any, texts: str | Sequence[str], *, words: bool = False) -> Any:
    """Where the letters of a known text lie: ``crnn.align("zoo:typewritten", "line.png", "Anders Celsius").parts``.

    ``reader`` is a bundle, or what ``load`` gave. A ``Prediction`` of the text, its parts letters or ``words`` with
    start and stop in pixels, or seconds, of the source; a list of them for a list of ``sources`` and their ``texts``.
    Raises the error of the first source that cannot be read, ``DataError`` for letters that the reader does not know
    and for a source too short for its text, ``SettingsError`` for a bundle that reads no text.
    """
    given = reader if isinstance(reader, Answering) else predictor(reader)
    if len(given.voters) > 1:
        said, do = f"{len(given.voters)} bundles are to place a text", "Take the one that reads best."
        raise SettingsError(said, expected="one", do=do)
    many = isinstance(sources, (list, tuple))
    pairs = list(zip(sources, texts, strict=True)) if many else [(sources, texts)]
    samples = [given._sample(source) for source, _ in pairs]
    ids = [sample.id if len(pairs) == 1 else f"{sample.id} ({i})" for i, sample in enumerate(samples, 1)]
    task = Placing(given.task, {id: str(text) for id, (_, text) in zip(ids, pairs, strict=True)})
    own = copy(given)
    own.bundle = replace(given.bundle, task=task)
    own.task = task
    found = own([replace(sample, id=id) for id, sample in zip(ids, samples, strict=True)])
    direction = given.task.alphabet.direction
    placed = [
        replace(p, id=sample.id, parts=words_of(p.parts, direction) if words else p.parts)
        for p, sample in zip(found, samples, strict=True)
    ]
    return placed if many else placed[0]


def search(
    bundle: str | Path | Predictor,
    folder: str | Path,
    sentence: str,
    *,
    top: int = 10,
    index: str | Path | None = None,
    left_out: list[CrnnError] | None = None,
) -> list[Found]:
    """The ``top`` pictures of ``folder`` that ``sentence`` fits best: ``crnn.search("runs/match", "photos", "a dog")``.

    ``bundle`` is one of the task match, or what ``load`` gave. Each ``Found`` has ``path``, ``score`` and ``places``:
    words of the sentence and their box (left, top, right, bottom as shares of the picture). What is known of the
    pictures is kept in the file ``index``, by default hidden in the folder; see ``crnn.deploy.index``. Files that
    cannot be read go to ``left_out``; without such a list the first of them is raised. Raises ``SettingsError`` for
    another task and for a sentence without a known word, ``DataError`` for a folder without a picture.
    """
    given: Any = bundle if isinstance(bundle, Predictor) else predictor(bundle)
    found, made, _ = search_in(given, folder, sentence, top=top, index=index)
    if left_out is not None:
        left_out += made.left_out
    elif made.left_out:
        raise made.left_out[0]
    return found


def stream(bundle: str | Path | Predictor, *, rate: int | None = None) -> Stream:
    """A trained network that listens: ``push(samples)`` gives the text so far, ``finish()`` the answer.

    ``bundle`` is as for ``load``, or what it gave: one network hears any number of sounds at once. ``rate`` is that of
    the samples, by default the network's own. Raises ``BundleError``, and ``SettingsError`` for a network that cannot
    listen: see ``crnn.deploy.stream``.
    """
    return Stream(bundle, rate=rate)


def create(
    model: str | None = None,
    *,
    task: str = "transcribe",
    classes: int | None = None,
    learned: Mapping[str, Any] | None = None,
    input: Mapping[str, Any] | None = None,
    encoder: Mapping[str, Any] | None = None,
) -> Net:
    """A network with fresh weights, a ``torch.nn.Module`` that maps a padded ``Seq`` to the output of the task's head.

    ``classes`` is how many outputs it has (classes, numbers, letters and the blank); or ``learned`` is what the task
    would learn from data (``{"letters": "abc"}`` for transcribe). ``input`` and ``encoder`` are tables as in a recipe;
    of the kinds of input that make sense, the first is taken. Raises ``SettingsError``.

    >>> net = create("crnn_vgg", learned={"letters": "0123456789abcdefghijklmnopqrstuvwxyz"}, input={"height": 32})
    >>> sum(p.numel() for p in net.parameters())
    8331301
    >>> net = create("cascade", task="classify", classes=10, input={"name": "picture", "height": 32, "width": 32})
    """
    kind = pick(task, TASKS, "task")
    if (learned is None) == (classes is None):
        given = "neither classes nor learned is given" if learned is None else "classes and learned are given"
        raise SettingsError(given, expected="one of them", do="Write: classes=10")
    if classes is not None and classes < 1:
        raise SettingsError(f"classes is {classes}", expected="1 or more", do="Say how many outputs there are.")
    values = kind.Settings()
    made = kind.restore(values, learned) if learned is not None else kind.blank(values, classes)
    name = model or default_model(kind, {"": (input or {}).get("name", "")})
    able = readable(pick(name, MODELS, "model"), kind)[""]
    table = {"name": able[0] if able else "line", **(input or {})}
    if classes is not None and kind.of_columns:
        table.setdefault("channels", classes)
    return build(made, table, {"name": name, **(encoder or {})}).net


@overload
def fit(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    run: str | Path,
    *,
    start: str | Path | None = None,
    resume: bool = False,
) -> Path:
    """Learn from the data that the recipe names."""


@overload
def fit(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    run: Sequence[Any] | Mapping[str, Any],
    *,
    model: str | None = None,
    out: str | Path | None = None,
    start: str | Path | None = None,
) -> Predictor:
    """Learn from data in memory."""


def fit(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    run: str | Path | Sequence[Any] | Mapping[str, Any],
    *,
    model: str | None = None,
    out: str | Path | None = None,
    start: str | Path | None = None,
    resume: bool = False,
) -> Path | Predictor:
    """Train as ``recipe`` says (a TOML file, its tables as a mapping, a ``Recipe``, or the name of a task).

    ``fit(recipe, folder)`` learns from the data that the recipe names and gives the path of the bundle; see
    ``crnn.train.fit.fit``. ``fit("classify", (x, y))`` learns from data in memory and gives the network ready to
    answer: ``x`` is an array, a tensor or a sequence of them, one a sample, ``y`` the answers; or a mapping of ``x``,
    ``y`` and what ``crnn.data.formats.npz`` knows (lengths, groups, split). ``out`` keeps the run in a folder.
    """
    made = _recipe(recipe, model)
    from crnn.train.fit import fit as run_fit

    in_memory = not isinstance(run, (str, Path))
    if resume if in_memory else out is not None:
        given = "resume is given with data in memory" if in_memory else f"out is given with the folder {run}"
        expected = "the folder of a run" if in_memory else "data in memory with it"
        raise SettingsError(given, expected=expected, do="Leave it out.")
    if resume and start is not None:
        raise SettingsError("start is given with resume", expected="one of them", do="Leave start out: a run goes on.")
    if isinstance(run, (str, Path)):
        return run_fit(made, run, start=start, resume=resume)
    samples = list(samples_of(_arrays(run)))
    if out is not None:
        return Predictor(run_fit(made, out, start=start, samples=samples))
    with TemporaryDirectory() as folder:
        return Predictor(run_fit(made, Path(folder) / "run", start=start, samples=samples))


def _arrays(data: Any) -> dict[str, Any]:
    """What is known of data in memory, by name, tensors and lists of numbers as arrays. Raises ``SettingsError``."""
    pair = isinstance(data, (tuple, list)) and len(data) == 2
    if not pair and not (isinstance(data, Mapping) and "x" in data):
        given = f"a {type(data).__name__}" + (f" of {len(data)}" if isinstance(data, (tuple, list)) else "")
        expected = "a pair (x, y), or a mapping with x and what else is known"
        raise SettingsError(f"the data are {given}", expected=expected, do='Write: crnn.fit("classify", (x, y))')
    found = dict(data) if isinstance(data, Mapping) else dict(zip(("x", "y"), data, strict=True))
    found = {name: _numpy(value) for name, value in found.items()}
    if isinstance(found["x"], (list, tuple)):
        entries = [_numpy(entry) for entry in found["x"]]
        lists = entries and all(isinstance(entry, (list, tuple)) for entry in entries)
        found["x"] = [np.asarray(entry) for entry in entries] if lists else entries
    return found


def _numpy(value: Any) -> Any:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _recipe(recipe: str | Path | Mapping[str, Any] | Recipe, model: str | None) -> Recipe:
    if isinstance(recipe, str) and recipe in TASKS:
        recipe = {"task": {"name": recipe}}
    if isinstance(recipe, Mapping):
        recipe = fill(Recipe, recipe)
    elif not isinstance(recipe, Recipe):
        path = Path(recipe)
        if not path.suffix and not path.exists():
            raise SettingsError(f"{recipe!r}", expected="a recipe (.toml) or a task", do=suggest(str(recipe), TASKS))
        recipe = read_recipe(recipe)
    return recipe if model is None else replace(recipe, encoder={**recipe.encoder, "name": model})
