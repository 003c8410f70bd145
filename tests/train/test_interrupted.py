"""A full disk, data that vanish, a state that is none: one sentence, nothing damaged, and it goes on to the bit."""

from __future__ import annotations

import io
import pickle
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from crnn.config import fill
from crnn.data.dataset import Samples
from crnn.errors import DataError, SettingsError, TrainingError
from crnn.recipe import Recipe
from crnn.train import fit as fitting
from crnn.train.fit import fit
from crnn.train.state import KeepState, reached

SMALL = {"name": "cascade", "channels": [4, 4], "blocks": 1, "hidden": 4, "embedding": 4}
QUIET = Console(quiet=True)


@pytest.fixture
def data(made: Callable[..., Path], tmp_path: Path) -> Path:
    (tmp_path / "data").symlink_to(made("classify", "series"))
    return tmp_path / "data"


def recipe_of(data: Path) -> Recipe:
    train = {"epochs": 3, "batch_size": 4, "threads": 1, "workers": 0, "precision": "float32", "device": "cpu"}
    values = {"task": {"name": "classify"}, "encoder": SMALL, "data": {"train": str(data)}, "train": train}
    return fill(Recipe, values)


@pytest.fixture
def whole(data: Path, tmp_path: Path) -> Path:
    """A run that nothing happens to."""
    fit(recipe_of(data), tmp_path / "whole", console=QUIET)
    return tmp_path / "whole"


def same(run: Path, other: Path) -> bool:
    one, two = (torch.load(r / "last.ckpt", weights_only=True)["state_dict"] for r in (run, other))
    best, better = (load_file(r / "bundle.safetensors") for r in (run, other))
    pairs = [(one, two), (best, better)]
    return all(a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a) for a, b in pairs)


@pytest.fixture
def after_an_epoch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Has something happen once the first state is written."""
    write = KeepState._write

    def plan(happens: Callable[[], Any]) -> None:
        def once(self: KeepState, trainer: Any) -> None:
            write(self, trainer)
            monkeypatch.setattr(KeepState, "_write", write)
            happens()

        monkeypatch.setattr(KeepState, "_write", once)

    return plan


@pytest.fixture
def room() -> Iterator[Callable[[int], None]]:
    """Lets files grow to so many bytes, as a disk that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk(
    data: Path, whole: Path, tmp_path: Path, after_an_epoch: Callable[..., None], room: Callable[[int], None]
) -> None:
    run = tmp_path / "run"
    after_an_epoch(lambda: room(5000))
    with pytest.raises(DataError, match=r"cannot be written \(File too large\).*Make room"):
        fit(recipe_of(data), run, console=QUIET)
    room(resource.RLIM_INFINITY)
    assert reached(run / "last.ckpt") == (1, 0, False)
    assert not list(run.glob(".*.part"))
    (run / ".last.ckpt.0.part").touch()  # as a process leaves it that is killed while it writes
    fit(Recipe(), run, resume=True, console=QUIET)
    assert same(run, whole)
    assert not list(run.glob(".*.part"))


def test_a_log_that_cannot_be_written(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lightning.pytorch.loggers.TensorBoardLogger.save", full)
    with pytest.raises(TrainingError, match=r"run: cannot be written to \(No space left on device\).*--resume"):
        fit(recipe_of(data), tmp_path / "run", console=QUIET)


def test_data_that_vanish(
    data: Path, whole: Path, tmp_path: Path, after_an_epoch: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    monkeypatch.setattr(fitting, "Samples", partial(Samples, cache_mb=0))
    after_an_epoch(lambda: data.rename(tmp_path / "elsewhere"))
    with pytest.raises(
        TrainingError, match=r"none of the last \d+ samples can be read any more.*is not there"
    ) as caught:
        fit(recipe_of(data), run, console=QUIET)
    assert "--resume" in str(caught.value)
    assert reached(run / "last.ckpt") == (1, 0, False)
    (tmp_path / "elsewhere").rename(data)
    fit(Recipe(), run, resume=True, console=QUIET)
    assert same(run, whole)


def test_a_state_that_is_none_runs_no_code(whole: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "sprung",)

    for data in (pickle.dumps(Trap()), b"", (whole / "last.ckpt").read_bytes()[:-1000]):
        (whole / "last.ckpt").write_bytes(data)
        with pytest.raises(TrainingError, match=r"last.ckpt: is no state of a training"):
            fit(Recipe(), whole, resume=True, console=QUIET)
    assert not (tmp_path / "sprung").exists()


def test_a_run_that_patience_ended_is_done(data: Path, tmp_path: Path) -> None:
    recipe = recipe_of(data)
    settings = replace(recipe.train, patience=1, learning_rate=0.0, epochs=9)
    fit(replace(recipe, train=settings), tmp_path / "run", console=QUIET)
    before = (tmp_path / "run" / "epochs.jsonl").read_text()
    assert before.count("\n") == 2
    said = Console(file=io.StringIO(), width=200)
    fit(Recipe(), tmp_path / "run", resume=True, console=said)
    assert "it ended after 2 epochs, the last 1 without a better one; to learn on: crnn" in said.file.getvalue()
    assert (tmp_path / "run" / "epochs.jsonl").read_text() == before


def test_a_gpu_that_is_asked_for_and_not_there(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    recipe = recipe_of(data)
    with pytest.raises(SettingsError, match=r"train\.device is gpu"):
        fit(replace(recipe, train=replace(recipe.train, device="gpu")), tmp_path / "run", console=QUIET)
    assert not (tmp_path / "run").exists()
