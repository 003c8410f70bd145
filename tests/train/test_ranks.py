"""Several processes that train together learn what one learns with their batches together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import crnn
from crnn.errors import SettingsError, TrainingError
from crnn.layers import BatchNorm
from crnn.train.ranks import check_started
from crnn.train.state import reached

TINY = {"name": "crnn", "channels": [8, 12, 16, 24], "blocks": [0, 0, 0, 0], "hidden": 8, "layers": 1, "stride": 4}
STEP = {"learning_rate": 3e-3, "warmup": 2, "precision": "float32", "device": "cpu", "workers": 0, "threads": 1}
SCRIPT = """
import json, os, sys
import crnn
from crnn.errors import CrnnError, TrainingError
from crnn.train.run import Run

recipe, run, resume = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3] == "resume"
find = Run._problem

def problem(self, loss, batches):
    if self.global_rank == 1 and self.current_epoch == 1 and self.trainer.fit_loop.epoch_loop.batch_idx == 3:
        return TrainingError("the second process has had enough", expected="patience", do="Wait.")
    return find(self, loss, batches)

if not resume:
    Run._problem = problem
try:
    crnn.fit(recipe, run, resume=resume)
except CrnnError as error:
    sys.exit(str(error))
"""


def started(folder: Path, recipe: dict[str, Any], how: str) -> subprocess.CompletedProcess[str]:
    """Two processes, of which the first starts the second."""
    script = folder / "two.py"
    script.write_text(SCRIPT)
    return subprocess.run(
        [sys.executable, str(script), json.dumps(recipe), str(folder / "two"), how],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": str(Path(crnn.__file__).parents[1]), "OMP_NUM_THREADS": "1"},
    )


def figures(run: Path, name: str) -> list[float]:
    return [json.loads(line)[name] for line in (run / "epochs.jsonl").read_text().splitlines()]


def test_two_processes_learn_what_one_does_and_go_on_after_a_mistake_of_one(
    made: Callable[..., Path], tmp_path: Path
) -> None:
    recipe: dict[str, Any] = {
        "input": {"height": 16},
        "encoder": TINY | {"dropout": 0.0},
        "data": {"train": str(made("transcribe")), "valid_share": 0.3},
        "train": STEP | {"epochs": 3, "batch_size": 4, "save_minutes": 1e-6},
    }
    crnn.fit(recipe, tmp_path / "one")
    assert len(json.loads((tmp_path / "one" / "recipe.json").read_text())) == 2
    recipe["train"] |= {"batch_size": 2, "devices": 2}  # shares of one batch are uneven, and one has a single sample
    stopped = started(tmp_path, recipe, "")
    assert stopped.returncode != 0 and stopped.stderr.count("has had enough") == 1, stopped.stderr
    assert "Traceback" not in stopped.stderr and "gloo" not in stopped.stderr
    assert reached(tmp_path / "two" / "last.ckpt") == (1, 3, False), "written by one"
    as_two = (tmp_path / "two" / "recipe.json").read_text()
    (tmp_path / "two" / "recipe.json").write_text(as_two.replace('"devices": 2', '"devices": 1'))
    with pytest.raises(TrainingError, match="an epoch of 2 processes"):
        crnn.fit({}, tmp_path / "two", resume=True)
    (tmp_path / "two" / "recipe.json").write_text(as_two)
    resumed = started(tmp_path, recipe, "resume")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stderr.count("epoch   3/3") == 1, "one speaks"
    assert figures(tmp_path / "two", "loss") == pytest.approx(figures(tmp_path / "one", "loss"), rel=1e-3)
    assert figures(tmp_path / "two", "cer") == pytest.approx(figures(tmp_path / "one", "cer"), abs=0.05)
    assert crnn.load(tmp_path / "two").bundle.card["samples"] == crnn.load(tmp_path / "one").bundle.card["samples"]


class Two:
    """Two processes in one: what is gathered of the first is put beside what the second will say."""

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.said: list[torch.Tensor] = []
        self.other: list[torch.Tensor] = []

    def gather(self, x: torch.Tensor) -> torch.Tensor:
        self.said.append(x)
        return torch.stack([x, self.other[len(self.said) - 1]]) if self.other else torch.stack([x, x])

    def sum(self, x: torch.Tensor) -> torch.Tensor:
        return self.gather(x).sum(0)


@pytest.mark.parametrize("weight", [1.0, 0.0])
def test_batch_norm_pools_the_statistics_of_uneven_parts(weight: float) -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(5, 3, 7, generator=random) * 2 + 1
    lengths = torch.tensor([7, 4, 2, 7, 3])
    for row, length in zip(x, lengths, strict=True):
        row[:, length:] = 0
    parts = (x[:2], lengths[:2]), (x[2:], lengths[2:])
    whole = BatchNorm(3)
    expected = whole(x, lengths)[:2] if weight else whole(*parts[0])
    other, own = Two(weight), Two(1.0)
    norm = BatchNorm(3)
    norm.ranks = other
    norm(*parts[1])
    own.other = other.said
    norm = BatchNorm(3)
    norm.ranks = own
    torch.testing.assert_close(norm(*parts[0]), expected)
    torch.testing.assert_close(norm.running_mean, whole.running_mean)
    torch.testing.assert_close(norm.running_var, whole.running_var)


def test_processes_that_are_not_there_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(SettingsError, match="torchrun started 4 processes"):
        check_started(2, 1)
    check_started(2, 2)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(sys, "argv", ["-c"])
    with pytest.raises(SettingsError, match="a notebook or a line of code"):
        check_started(2, 1)
