"""Compare models: trained on the same data under the same budget, on every fold if there are folds, tested alike."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console

from crnn.bundle import NAME
from crnn.config import as_dict
from crnn.deploy.predict import Predictor
from crnn.errors import CrnnError, DataError, SettingsError, TrainingError
from crnn.files import folder_for, make_folder, write_aside
from crnn.recipe import Recipe
from crnn.train.evaluate import Tested, evaluate, figures_of_others, report_of
from crnn.train.fit import EPOCHS, RECIPE, STATE, device_of, fit
from crnn.train.prepare import prepare, read_parts
from crnn.types import Sample

LOG, PACE, FINISHED = "log.txt", "pace.json", "finished"
ALONE = 20  # samples that are answered one by one to measure how long one takes


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of one model. ``tested`` holds the samples of all folds; ``seconds`` of training are the mean of the
    folds, ``latency`` are seconds for one sample alone on one thread, from its file to its answer."""

    name: str
    tested: Tested
    predictor: Predictor
    """Of the last fold."""
    folds: tuple[float, ...]
    """The leading figure on each fold."""
    curve: tuple[tuple[float, float], ...]
    """Seconds and leading figure of the validation part after each epoch of the first fold."""
    seconds: float
    latency: float
    parameters: int
    epochs: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The models in the order given, the errors of those that failed, and the part of the data they were tested on."""

    models: tuple[Compared, ...]
    failed: Mapping[str, CrnnError]
    part: str


def compare(
    recipes: Mapping[str, Recipe],
    out: str | Path,
    *,
    minutes: float | None = None,
    others: Mapping[str, Mapping[str, Any]] | None = None,
    said: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Train and test what each of ``recipes`` (by name) says, in folders of ``out``; what is finished there stays.

    The budget is the recipes' epochs, or with ``minutes`` as many epochs, at least one, as each model gets done in so
    long, measured on one epoch before. Where data are dealt into folds, every fold is the test part once, and figures
    are of the samples of all folds together. Without folds and without a test part the validation part is tested,
    which flatters all models alike. ``others`` are other programs' answers, as of ``evaluate``. ``said`` is told after
    each run how it went. A model that fails does not stop the others. Raises ``SettingsError`` where ``out`` holds
    another comparison, the first model's error if all fail.
    """
    out = Path(out)
    with folder_for(out):
        judged = {name: _try(name if len(recipes) > 1 else "", recipe) for name, recipe in recipes.items()}
        if len(set(judged.values())) > 1:
            given = "the models are judged by different figures: " + ", ".join(f"{n} by {j}" for n, j in judged.items())
            raise SettingsError(given, expected="one", do="Compare what has the same task and scale.")
    numbers = range(1, max(1, next(iter(recipes.values())).data.folds) + 1)
    runs: dict[str, list[_Run]] = {name: [] for name in recipes}
    failed: dict[str, CrnnError] = {}
    part = ""
    for number in numbers:
        for name, recipe in recipes.items():
            if name in failed:
                continue
            folder = out / name.replace("/", "-")
            recipe = replace(recipe, data=replace(recipe.data, fold=number))
            try:
                if minutes is not None:
                    epochs = _epochs(recipe, folder, minutes)
                    recipe = replace(recipe, train=replace(recipe.train, epochs=epochs))
                run = _Run(recipe, folder / (f"fold-{number}" if recipe.data.folds else "run"))
                runs[name].append(run)
                said(
                    f"{name}{f', fold {number} of {len(numbers)}' if recipe.data.folds else ''}: {run.train_and_test()}"
                )
                part = f"{len(numbers)} folds" if recipe.data.folds else run.part
            except SettingsError:
                raise
            except CrnnError as error:
                failed[name] = error
                said(f"{name}: failed, {error}")
    models = tuple(_together(name, runs[name], others or {}) for name in recipes if name not in failed)
    if not models:
        raise next(iter(failed.values()))
    return Comparison(models, failed, part)


def _try(name: str, recipe: Recipe) -> str:
    """The figure by which a model is judged. What cannot be trained or tested, on these data or this machine, is told
    by its ``name`` before the others have trained for hours."""
    try:
        device_of(recipe.train)
        prepared = prepare(recipe)
        if not (prepared.valid.samples or recipe.data.folds or read_parts(recipe, [])["test"]):
            given = "holds neither a test nor a validation part to test on"
            do = "Name the part test, or leave data.valid_share out."
            raise DataError(given, expected="one of them", do=do, file=recipe.data.train)
        return prepared.bundle.task.best[0]
    except (SettingsError, DataError) as error:
        if not name:
            raise
        given, do = f"{name} cannot be trained: {error.given}", f"{error.do} Or leave {name} out."
        raise type(error)(given, expected=error.expected, do=do, file=error.file) from error


class _Run:
    """One model on one fold."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe, self.folder, self.part = recipe, folder, "test"
        self.tested: Any = None
        self.predictor: Any = None

    def train_and_test(self) -> str:
        """Train what is not trained yet, test it, and say how it went."""
        self._same()
        if not (self.folder / FINISHED).exists():
            _train(self.recipe, self.folder)
            (self.folder / FINISHED).touch()
        parts = read_parts(self.recipe, [])
        self.part = "test" if parts["test"] else "valid"
        self.predictor = Predictor(self.folder / NAME, precision=self.recipe.train.precision)
        self.tested = evaluate(self.predictor, parts[self.part])
        return f"{self.predictor.task.say(self.tested.report.metrics)}, {self.seconds / 60:.1f} minutes"

    @property
    def seconds(self) -> float:
        return float(self.rows[-1]["seconds"])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The figures of each epoch."""
        return [json.loads(row) for row in (self.folder / EPOCHS).read_text(encoding="utf-8").splitlines()]

    def _same(self) -> None:
        """Raises ``SettingsError`` if the folder holds a run of another recipe."""
        path = self.folder / RECIPE
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))["recipe"]
            if found != json.loads(json.dumps(as_dict(self.recipe))):
                raise SettingsError(
                    "holds a run with other settings",
                    expected="a run of the same comparison, or a new folder",
                    do="Name another folder with --out.",
                    file=self.folder,
                )


def _train(recipe: Recipe, folder: Path) -> None:
    """Train, or go on with training; what it says goes into the folder's log."""
    make_folder(folder)
    threads = torch.get_num_threads()
    with (folder / LOG).open("a", encoding="utf-8") as log:
        try:
            fit(recipe, folder, resume=(folder / STATE).exists(), console=Console(file=log, width=110))
        except CrnnError:
            raise
        except RuntimeError as error:  # such as a network that the memory does not hold
            raise TrainingError(str(error), expected="a run to its end", do="Look into it.", file=log.name) from error
        finally:
            torch.set_num_threads(threads)


def _epochs(recipe: Recipe, folder: Path, minutes: float) -> int:
    """Epochs that fit into ``minutes``, by the time of one; remembered, so that a stopped comparison can go on."""
    path = folder / PACE
    if not path.exists():
        make_folder(folder)
        with TemporaryDirectory(dir=folder) as aside:
            one = replace(recipe, train=replace(recipe.train, epochs=1))
            _train(one, Path(aside))
            seconds = _Run(one, Path(aside)).seconds
        with write_aside(path) as file:
            json.dump({"seconds of an epoch": seconds}, file)
    seconds = json.loads(path.read_text(encoding="utf-8"))["seconds of an epoch"]
    return max(1, int(60 * minutes / max(seconds, 1e-3)))


def _together(name: str, runs: Sequence[_Run], others: Mapping[str, Mapping[str, Any]]) -> Compared:
    """The runs of all folds as one."""
    last, first = runs[-1].predictor, runs[0]
    leading = last.task.best[0]
    samples = [s for run in runs for s in run.tested.samples]
    predictions = [p for run in runs for p in run.tested.predictions]
    baselines = _mean_baselines([run.tested for run in runs]) | figures_of_others(last.task, samples, others)
    tested = Tested(
        report_of(last.task, samples, predictions, baselines),
        tuple(samples),
        tuple(predictions),
        tuple(error for run in runs for error in run.tested.left_out),
    )
    return Compared(
        name,
        tested,
        last,
        tuple(run.tested.report.metrics[leading] for run in runs),
        tuple((row["seconds"], row[leading]) for row in first.rows if leading in row),
        statistics.mean(run.seconds for run in runs),
        _latency(first.predictor, first.tested.samples),
        sum(p.numel() for p in last.net.parameters()),
        max(row["epoch"] for run in runs for row in run.rows),
    )


def _mean_baselines(tests: Sequence[Tested]) -> dict[str, dict[str, float]]:
    """Each figure of a baseline as the mean of the folds, by their samples."""
    weights = [len(t.samples) for t in tests]
    return {
        name: {
            key: sum(w * t.report.baselines[name][key] for w, t in zip(weights, tests, strict=True)) / sum(weights)
            for key in figures
        }
        for name, figures in tests[0].report.baselines.items()
        if all(name in t.report.baselines for t in tests)
    }


def _latency(predictor: Predictor, samples: Sequence[Sample]) -> float:
    """Median seconds for one sample alone, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = []
    try:
        for sample in [samples[0], *samples[:ALONE]]:  # the first warms up
            start = time.perf_counter()
            predictor(sample)
            times.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return statistics.median(times[1:])
