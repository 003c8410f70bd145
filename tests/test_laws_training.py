"""The laws of training: each task learns, and a run that was stopped and resumed is the run that was never stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from safetensors import safe_open

import crnn
from crnn.bundle import combinations
from crnn.config import fill
from crnn.deploy.predict import Predictor
from crnn.recipe import Recipe
from crnn.tasks import TASKS
from crnn.train.callbacks import Progress
from crnn.train.evaluate import evaluate
from crnn.train.fit import fit
from crnn.train.state import reached
from crnn.types import Sample

Made = Callable[[str], Path]
CASCADE = {"name": "cascade", "channels": [8, 16], "blocks": 1, "hidden": 24, "layers": 1, "pool": [1]}
SMALL = {"name": "crnn", "channels": [8, 12, 16, 24], "blocks": [0, 0, 0, 0], "hidden": 32, "layers": 1, "stride": 4}
STACK = {"name": "convlstm", "hidden": [16, 12], "input_kernel": 3, "kernel": 3}
PYRAMID = {"name": "pyramid", "hidden": 24, "sizes": [12], "strides": [2], "steps": 3}
SCENE = {"name": "rcnn_scene", "stem": [8, 8], "sizes": [12], "steps": 1, "dropout": 0.0}
QUICK = {"batch_size": 9, "learning_rate": 1e-2, "warmup": 5, "threads": 1, "precision": "float32", "device": "cpu"}
TIMES = ("seconds", "samples_per_second", "waiting")


@pytest.mark.parametrize(("kind", "task"), sorted({(kind, task) for _, kind, task in combinations()}))
def test_each_task_learns_a_made_set_of_each_kind_to_perfection(
    kind: str,
    task: str,
    made: Callable[..., Path],
    samples: Callable[..., list[Sample]],
    what_is_asked: Mapping[str, Mapping[str, Any]],
    tmp_path: Path,
) -> None:
    data = str(made(task, kind))
    small = SMALL if TASKS[task].model == "crnn" and kind == "line" else CASCADE
    small = {"convlstm": STACK, "rcnn_scene": SCENE, "pyramid": PYRAMID}.get(
        TASKS[task].model, small | {"dropout": 0.0}
    )
    if kind == "sound":
        small = small | {"pool": [2]}  # its frames overlap
    recipe = {
        "task": {"name": task, **what_is_asked.get(task, {})},
        "input": {"name": kind} | ({"height": 16} if kind == "line" else {}),
        "encoder": small,
        "data": {"train": data, "valid": data},
        "train": QUICK | {"epochs": 40, "validate_every": 8, "augment": False, "workers": 0},
    }
    path = fit(fill(Recipe, recipe), tmp_path / "run", console=Console(quiet=True))
    predictor = Predictor(path, precision="float32")
    report = evaluate(predictor, samples(task, kind)).report
    name, better = predictor.task.best
    value = report.metrics[name]
    near = 0.05 if task == "match" else 0.02  # ranks of samples that look alike are the last to be learned
    assert value == pytest.approx(0 if better is min else 1, abs=near)
    assert all(better(value, row[name]) == value != row[name] for row in report.baselines.values())


def test_epochs_without_a_look_have_no_figures(made: Made, tmp_path: Path) -> None:
    recipe = stoppable(made("transcribe"))
    recipe["train"] |= {"validate_every": 2, "workers": 0, "epochs": 4}
    crnn.fit(recipe, tmp_path / "run")
    assert ["cer" in row for row in figures(tmp_path / "run")] == [False, True, False, True]


# resume


def stoppable(data: Path) -> dict[str, Any]:
    """A recipe with all that is random: variations, dropout, a process that reads beside the training."""
    return {
        "input": {"height": 16},
        "encoder": SMALL | {"hidden": 8, "layers": 2, "dropout": 0.3},
        "data": {"train": str(data), "valid_share": 0.2},
        "train": QUICK | {"epochs": 8, "augment": True, "workers": 1, "seed": 5},
    }


@pytest.fixture(scope="module")
def never_stopped(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    crnn.fit(stoppable(made("transcribe")), run)
    return run


def started(recipe: Mapping[str, Any], run: Path, before: str = "") -> subprocess.Popen[str]:
    """The same training in a process of its own, which leads a process group as a terminal's command does."""
    code = f"import json, sys, crnn\n{before}\ncrnn.fit(json.loads(sys.argv[1]), sys.argv[2])"
    return subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(recipe), str(run)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(crnn.__file__).parents[1])},
    )


SLOWLY = (
    "import time\nfrom crnn.train.callbacks import Progress\nwrite = Progress.on_train_epoch_end\n"
    "def then_wait(self, trainer, module):\n write(self, trainer, module)\n time.sleep(0.5)\n"
    "Progress.on_train_epoch_end = then_wait"
)
"""So that a machine with other work sees an epoch's end before the training's."""


def wait_for_epochs(run: Path, count: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not (run / "epochs.jsonl").exists() or len((run / "epochs.jsonl").read_text().splitlines()) < count:
        assert process.poll() is None and time.monotonic() < end, process.communicate()[1]
        time.sleep(0.002)


def figures(run: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run / "epochs.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def weights(path: Path) -> dict[str, bytes]:
    with safe_open(path, framework="np") as file:
        return {key: file.get_tensor(key).tobytes() for key in file.keys()}  # noqa: SIM118


def last_weights(run: Path) -> dict[str, Any]:
    import torch

    return torch.load(run / "last.ckpt", weights_only=True)["state_dict"]


def assert_same_run(run: Path, whole: Path) -> None:
    here, there = last_weights(run), last_weights(whole)
    assert here.keys() == there.keys()
    assert all(here[key].equal(there[key]) for key in here), "the weights"
    assert figures(run) == figures(whole), "the figures of the epochs"
    assert weights(run / "bundle.safetensors") == weights(whole / "bundle.safetensors"), "the best bundle"


def test_never_stopped_is_random_and_repeatable(never_stopped: Path, made: Made, tmp_path: Path) -> None:
    crnn.fit(stoppable(made("transcribe")), tmp_path / "again")
    assert_same_run(tmp_path / "again", never_stopped)
    assert len(figures(never_stopped)) == 8
    other = stoppable(made("transcribe"))
    other["train"] |= {"augment": False, "epochs": 1}
    crnn.fit(other, tmp_path / "other")
    assert figures(tmp_path / "other")[0]["loss"] != figures(never_stopped)[0]["loss"], "variations vary"


def test_killed_and_resumed_equals_never_stopped(never_stopped: Path, made: Made, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = started(stoppable(made("transcribe")), run, SLOWLY)
    wait_for_epochs(run, 2, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(figures(run)) < 8, "it was killed before its end"
    crnn.fit({}, run, resume=True)
    assert_same_run(run, never_stopped)


def test_killed_between_figures_and_state_and_resumed(never_stopped: Path, made: Made, tmp_path: Path) -> None:
    kill = (
        "import os\nfrom crnn.train.callbacks import Progress\nwrite = Progress.on_train_epoch_end\n"
        "def then_die(self, trainer, module):\n write(self, trainer, module)\n"
        " if trainer.current_epoch == 1: os.kill(os.getpid(), 9)\nProgress.on_train_epoch_end = then_die"
    )
    process = started(stoppable(made("transcribe")), tmp_path / "run", kill)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL and len(figures(tmp_path / "run")) == 2
    crnn.fit({}, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", never_stopped)


def test_interrupted_and_resumed_equals_never_stopped(never_stopped: Path, made: Made, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = started(stoppable(made("transcribe")), run, SLOWLY)
    wait_for_epochs(run, 2, process)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: the workers, too
    said = process.communicate(timeout=120)[1]
    assert process.returncode != 0
    crnn.fit({}, run, resume=True)
    assert_same_run(run, never_stopped)
    assert "KeyboardInterrupt" in said.splitlines()[-1], "so that whoever called can tell that it was stopped"


def test_who_interrupted_a_training_can_interrupt_again(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "on_train_batch_end", stop)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            crnn.fit(stoppable(made("transcribe")), tmp_path / "run")
        assert signal.getsignal(signal.SIGINT) == before
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, hook: str, *, epoch: int, batch: int = 0) -> Iterator[None]:
    """The power fails in this ``hook``, before the state is written there."""
    write = getattr(Progress, hook)

    def then_die(self: Any, trainer: Any, module: Any, *rest: Any) -> None:
        write(self, trainer, module, *rest)
        if trainer.current_epoch == epoch and (not rest or rest[-1] == batch):
            raise RuntimeError("the power fails")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="the power fails"):
        patch.setattr(Progress, hook, then_die)
        yield


@pytest.mark.parametrize("batch", [1, 2])
def test_stopped_in_the_middle_of_an_epoch_and_resumed(
    batch: int, never_stopped: Path, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = stoppable(made("transcribe"))
    recipe["train"] |= {"save_minutes": 1e-6}
    with dying(monkeypatch, "on_train_batch_end", epoch=3, batch=batch):
        crnn.fit(recipe, tmp_path / "run")
    assert reached(tmp_path / "run" / "last.ckpt") == (3, batch, False)
    crnn.fit({}, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", never_stopped)


STOPPED: dict[str, dict[str, Any]] = {
    "classify": {"mixup": 0.5, "dropout": 0.3, "smoothing": 0.1, "pool": "attention"},
    "regress": {"dropout": 0.3},
    "tag": {"dropout": 0.3},
    "caption": {"dropout": 0.3, "sampling": 0.5, "sampling_steps": 6, "forget": 0.3, "hidden": 24},
}


@pytest.mark.parametrize("task", STOPPED)
def test_each_task_stopped_and_resumed_equals_never_stopped(
    task: str, made: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = {
        "task": {"name": task, **STOPPED[task]},
        "input": {"name": "series"},
        "augment": {"shift": 0.2, "crop": 0.2, "jitter": 0.1},
        "encoder": CASCADE | {"dropout": 0.3},
        "data": {"train": str(made(task, "series"))},
        "train": QUICK
        | {"batch_size": 4, "epochs": 4, "workers": 0, "seed": 3, "averaging": 0.9 if task == "tag" else 0.0},
    }
    crnn.fit(recipe, tmp_path / "whole")
    recipe["train"] |= {"save_minutes": 1e-6}
    with dying(monkeypatch, "on_train_epoch_end", epoch=1):
        crnn.fit(recipe, tmp_path / "run")
    with dying(monkeypatch, "on_train_batch_end", epoch=2, batch=2):
        crnn.fit({}, tmp_path / "run", resume=True)
    assert reached(tmp_path / "run" / "last.ckpt") == (2, 2, False), "in the middle of an epoch"
    crnn.fit({}, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    recipe["train"] |= {"augment": False, "epochs": 1}
    crnn.fit(recipe, tmp_path / "other")
    assert figures(tmp_path / "other")[0]["loss"] != figures(tmp_path / "whole")[0]["loss"], "variations vary"


def test_a_run_that_left_no_state_can_be_trained_anew(made: Made, tmp_path: Path) -> None:
    (tmp_path / "epochs.jsonl").write_text('{"epoch": 1, "loss": 9.9, "cer": 1.0, "wer": 1.0}\n', encoding="utf-8")
    recipe = stoppable(made("transcribe"))
    recipe["train"] |= {"epochs": 1, "workers": 0}
    crnn.fit(recipe, tmp_path)
    assert [row["epoch"] for row in figures(tmp_path)] == [1]
