"""Trainings killed at random moments and resumed: they end with the weights of one that was left alone, to the bit.

    python benchmarks/kills.py --kills 50 --seed 0 --json results/reliability.json

Small trainings of several tasks, of made data, are begun with ``crnn train`` and killed with SIGKILL, they and all
processes that they began, at a moment drawn at random: while they read, learn, write the state, the bundle or the
figures. After each kill what lies in the folder must be whole; then ``crnn train --resume`` goes on, or, where no epoch
was finished, the training is begun anew, as its message says. What is compared at the end are the weights of the
bundle and of the state, and the figures of all epochs. All trainings are forks of one process that has everything
imported, so that few seconds pass before there is something to kill.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning.pytorch  # noqa: F401 (imported once, before all trainings)
import torch
from reliability import note
from safetensors import safe_open

import crnn.train.fit  # noqa: F401
from crnn.cli import main as command
from crnn.models import MODELS

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from conftest import MADE, shrink

TASKS = {
    "transcribe": ("line", "crnn", ["--set", "train.workers=1", "--set", "train.save_minutes=0.005"]),
    "forecast": ("series", "lstnet", ["--set", "task.window=32", "--horizon", "1", "--set", "train.workers=0"]),
}
"""What is trained: kind of input, model, and arguments; one reads beside the training and also writes its state in the
middle of epochs."""
TIME = ("seconds", "samples_per_second", "waiting")
"""Figures that no two runs share."""


def begun(arguments: list[str], log: Path) -> int:
    """A process, and leader of its group, that runs ``crnn`` with these arguments."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    code = 1
    try:
        command(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        os._exit(code)


def ended(child: int, seconds: float) -> int | None:
    """How ``child`` ended within ``seconds``, or ``None`` if it is still at work."""
    until = time.monotonic() + seconds
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            return None
        time.sleep(0.005)


def killed(child: int) -> None:
    """``child`` and all that it began, at once."""
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)


def arguments_of(task: str, data: Path, run: Path, epochs: int) -> list[str]:
    """What begins a training."""
    values = ["--epochs", str(epochs), "--threads", "1", "--set", "train.patience=1000"]
    _, model, more = TASKS[task]
    small = [part for k, v in shrink(MODELS[model]).items() for part in ("--set", f"encoder.{k}={json.dumps(v)}")]
    return ["train", task, "--data", str(data), "--out", str(run), "--model", model, *small, *values, *more]


def left(run: Path) -> dict[str, Any]:
    """What a run left, without what no two runs share. Raises where a file is not whole."""
    found: dict[str, Any] = {}
    if (run / "bundle.safetensors").exists():
        with safe_open(run / "bundle.safetensors", framework="pt") as file:
            found |= {f"bundle {key}": file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    if (run / "last.ckpt").exists():
        state = torch.load(run / "last.ckpt", weights_only=True)
        found |= {f"state {key}": tensor for key, tensor in state["state_dict"].items()}
        found["epoch"] = state["epoch"]
    if (run / "epochs.jsonl").exists():
        rows = [json.loads(line) for line in (run / "epochs.jsonl").read_text(encoding="utf-8").splitlines()]
        found["figures"] = [{k: v for k, v in row.items() if k not in TIME} for row in rows]
    return found


def differs(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What is not the same in both, to the bit."""
    return [
        key
        for key in sorted(one.keys() | other.keys())
        if key not in one
        or key not in other
        or not (torch.equal(one[key], other[key]) if isinstance(one[key], torch.Tensor) else one[key] == other[key])
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the runs lie, and stay")
    parser.add_argument("--json", type=Path, help="file to write the figures into, beside what stands in it")
    given = parser.parse_args()
    rng = random.Random(given.seed)
    folder = given.folder or Path(tempfile.mkdtemp())
    rows = []
    plain: dict[str, tuple[dict[str, Any], float]] = {}
    for task, (kind, *_) in TASKS.items():
        (folder / task).mkdir(parents=True)
        MADE[task](folder / task, kind)
        began = time.monotonic()
        arguments = arguments_of(task, folder / task, folder / f"{task}-plain", given.epochs)
        if ended(begun(arguments, folder / "log"), 600) != 0:
            raise SystemExit(f"{task} could not be trained: see {folder / 'log'}")
        plain[task] = left(folder / f"{task}-plain"), time.monotonic() - began
        print(f"{task}: {plain[task][1]:.1f} s undisturbed", flush=True)
    kills, broken = 0, 0
    while kills < given.kills:
        task = list(TASKS)[len(rows) % len(TASKS)]
        run, own = folder / f"{task}-{len(rows)}", 0
        arguments = arguments_of(task, folder / task, run, given.epochs)
        whole, seconds = plain[task]
        while True:
            child = begun(arguments, folder / "log")
            # moments from the first to beyond an epoch, most of them while something is done
            moment = rng.uniform(0, 0.5 * seconds) if kills < given.kills else 600
            code = ended(child, moment)
            if code is not None:
                break
            killed(child)
            kills, own = kills + 1, own + 1
            try:
                left(run)
            except Exception as error:
                broken += 1
                print(f"{run} is damaged: {error}", flush=True)
            if (run / "last.ckpt").exists():
                arguments = ["train", "--resume", str(run)]
            else:
                shutil.rmtree(run, ignore_errors=True)
        wrong = [f"ended with {code}"] if code else differs(left(run), whole)
        parts = sorted(file.name for file in run.rglob("*.part"))
        rows.append({"task": task, "kills": own, "equal": not wrong})
        print(f"{task}: {own} kills, {'differs: ' + ', '.join(wrong[:4]) if wrong else 'equal to the bit'}", flush=True)
        if parts:
            print(f"  left behind: {', '.join(parts[:3])}", flush=True)
    equal = sum(row["kills"] for row in rows if row["equal"])
    print(f"{kills} kills in {len(rows)} trainings, {equal} in trainings that ended equal to the bit, {broken} damaged")
    if given.json:
        figures = {"kills": kills, "kills_bit_equal": equal, "kills_damaged": broken, "kills_trainings": len(rows)}
        command = f"python benchmarks/kills.py --kills {given.kills} --seed {given.seed} --json {given.json}"
        note(given.json, figures, command, given.seed)
    if not given.folder:
        shutil.rmtree(folder)
    return 0 if equal == kills and not broken else 1


if __name__ == "__main__":
    sys.exit(main())
