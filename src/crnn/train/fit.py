"""Train a network and keep its best bundle; stopped and resumed equals never stopped, to the bit."""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from rich.console import Console
from torch.utils.data import DataLoader

from crnn.bundle import NAME, load
from crnn.config import as_dict, fill
from crnn.data.collate import collate
from crnn.data.dataset import Samples
from crnn.data.inputs import Several
from crnn.data.sampler import Buckets
from crnn.errors import CrnnError, SettingsError, TrainingError
from crnn.files import FULL, folder_for, tidy, write_aside
from crnn.precision import resolve
from crnn.recipe import Recipe, TrainSettings
from crnn.registry import suggest
from crnn.train.averaging import Averaging
from crnn.train.callbacks import KeepBest, Progress, Watchdog
from crnn.train.prepare import Part, Prepared, prepare
from crnn.train.ranks import ToldByAll, check_started, first, lost
from crnn.train.run import Run
from crnn.train.state import Aside, KeepState, Reached, reached
from crnn.types import Sample

RECIPE = "recipe.json"
STATE = "last.ckpt"
EPOCHS = "epochs.jsonl"


def fit(
    recipe: Recipe,
    run: str | Path,
    *,
    start: str | Path | None = None,
    resume: bool = False,
    samples: Sequence[Sample] | None = None,
    console: Console | None = None,
) -> Path:
    """Train as ``recipe`` says and give the path of the best bundle in the folder ``run``.

    ``start`` names a bundle to fine-tune; ``samples`` are data in memory, instead of those that the recipe names.
    ``resume`` goes on with the run in that folder where its state was last written. Beside the bundle the folder holds
    ``recipe.json``, ``epochs.jsonl`` (figures of each epoch), ``log/`` (TensorBoard) and ``last.ckpt`` (the state to
    resume from). Where ``train.devices`` and ``train.nodes`` ask for several processes, all of them call this; the
    first writes and speaks.
    """
    run = Path(run)
    console = console or Console(stderr=True)
    if resume:
        recipe, start = _remembered(run)
        tidy(run)
    elif (run / STATE).exists():
        raise SettingsError(
            f"the folder {run} holds a run", expected="a new folder", do=f"Name another, or: crnn train --resume {run}"
        )
    s = recipe.train
    device_of(s)
    check_started(s.devices, s.nodes)
    speaks = s.devices * s.nodes == 1 or first()
    if not speaks:
        console = Console(quiet=True)
    if s.threads:
        torch.set_num_threads(s.threads)
    with nullcontext() if resume or not speaks else folder_for(run):
        prepared = prepare(recipe, start=None if start is None else load(start), samples=samples)
    if not resume and speaks:
        values = {"recipe": as_dict(recipe), "start": None if start is None else str(start)}
        with write_aside(run / RECIPE) as file:
            json.dump(values, file, indent=1, ensure_ascii=False)
    _Loop(prepared, recipe, run, console).fit(resume)
    return run / NAME


class _Loop:
    """Lightning set up for one run."""

    def __init__(self, prepared: Prepared, recipe: Recipe, run: Path, console: Console) -> None:
        self.prepared, self.recipe, self.run, self.console = prepared, recipe, run, console

    def fit(self, resume: bool) -> None:
        p, s = self.prepared, self.recipe.train
        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.ERROR)
        ranks = s.devices * s.nodes
        module = Run(p.bundle, s, s.epochs * -(-len(p.train.samples) // (s.batch_size * ranks)))
        module.gone = min(module.gone, len(p.train.samples))
        device = device_of(s)
        # several processes that measure would not always agree
        auto = "float32" if ranks > 1 and device == "cpu" and s.precision == "auto" else s.precision
        precision = resolve(auto, device)
        truth = {sample.id: p.bundle.task.truth(sample) for sample in p.valid.samples}
        groups = {sample.id: sample.group for sample in p.valid.samples}
        keep = KeepBest(self.run / NAME, truth, groups, self._card(precision), s.patience)
        state = KeepState(self.run / STATE, s.save_minutes)
        watch = Watchdog(truth, p.train.samples)
        progress = Progress(self.console, keep, self.run / EPOCHS)
        progress.introduce(p, precision)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
            trainer = lightning.Trainer(
                accelerator="gpu" if device == "cuda" else "cpu",
                devices=s.devices,
                num_nodes=s.nodes,
                strategy=DDPStrategy(broadcast_buffers=False) if ranks > 1 else "auto",
                plugins=_plugins(),
                max_epochs=s.epochs,
                precision="bf16-mixed" if precision == "bfloat16" else "32-true",
                gradient_clip_val=s.clip,
                callbacks=[keep, watch, progress, *([Averaging(s.averaging)] if s.averaging else []), state],
                logger=self._logger(),
                check_val_every_n_epoch=min(s.validate_every, s.epochs),
                num_sanity_val_steps=0,
                enable_progress_bar=False,
                enable_model_summary=False,
                log_every_n_steps=1_000_000,
                default_root_dir=self.run,
                use_distributed_sampler=False,
            )
            path = self.run / STATE if resume else None
            epochs, batches, early = Reached(0, 0, False) if path is None else reached(path)
            if trainer.is_global_zero:
                progress.forget(epochs)
            if early or epochs >= s.epochs:
                done = f"it ended after {epochs} epochs, the last {s.patience} without a better one" if early else ""
                done = done or f"all its epochs ({s.epochs}) are done"
                said = f"{done}; to learn on: crnn train ... --start {self.run}"
                self.console.print(said, highlight=False, markup=False, soft_wrap=True)
                return
            # workers are given their first batches before the trainer knows at which epoch it goes on
            rank = trainer.global_rank
            train = self._loader(p.train, rank, lambda: max(epochs, trainer.current_epoch), (epochs, batches))
            valid = self._loader(p.valid, rank)
            try:
                trainer.fit(module, train, valid, ckpt_path=path, weights_only=True if path else None)
            except SystemExit:  # what Lightning makes of Ctrl-C
                raise KeyboardInterrupt from None
            except OSError as error:
                if error.errno not in FULL:
                    raise
                do = f"Make room; then go on: crnn train --resume {self.run}"
                given = f"cannot be written to ({error.strerror})"
                raise TrainingError(given, expected="a folder with room", do=do, file=self.run) from error
            except Exception as error:
                if ranks > 1:
                    _end_together(trainer, error)
                raise

    def _loader(
        self, part: Part, rank: int, epoch: Callable[[], int] | None = None, done: tuple[int, int] = (0, 0)
    ) -> DataLoader:
        s, train = self.recipe.train, epoch is not None
        kind = self.prepared.bundle.kind
        task = self.prepared.bundle.task
        if self.recipe.augment and not task.varies:
            given = f"the recipe varies its inputs: {', '.join(self.recipe.augment)}"
            raise SettingsError(given, expected=f"none, for {task.name}", do="Leave [augment] out.")
        augment = _variations(kind, self.recipe.augment) if train and s.augment and task.varies else None
        buckets = Buckets(
            part.widths,
            s.batch_size,
            shuffle=train,
            seed=s.seed,
            epoch=epoch or (lambda: 0),
            done=done,
            rank=rank,
            ranks=s.devices * s.nodes,
        )
        return DataLoader(
            Samples(part.samples, kind, task, augment=augment, seed=s.seed),
            batch_sampler=buckets,  # type: ignore[arg-type]
            collate_fn=collate,
            num_workers=s.workers,
            persistent_workers=s.workers > 0,
            worker_init_fn=_one_thread,
            prefetch_factor=8 if s.workers else None,
        )

    def _logger(self) -> Any:
        try:
            return TensorBoardLogger(self.run, name="", version="log", default_hp_metric=False)
        except ModuleNotFoundError:
            return False

    def _card(self, precision: str) -> dict[str, Any]:
        p, data = self.prepared, self.recipe.data
        return {
            "licence": data.licence,
            "source": data.source,
            "data": data.train,
            "parts": {k: getattr(data, k) for k in ("group", "answer", "folds", "fold")},
            "samples": {"train": len(p.train.samples), "valid": len(p.valid.samples)},
            "precision": precision,
            "train": as_dict(self.recipe.train),
            "started": time.strftime("%Y-%m-%d"),
        }


def device_of(settings: TrainSettings) -> str:
    """Where the arithmetic is done, as torch calls it. Raises ``SettingsError`` for a GPU that is not there."""
    there = torch.cuda.is_available()
    if settings.device == "gpu" and not there:
        given, do = "train.device is gpu", "Leave it out, which takes one if there is one; or install a torch for it."
        raise SettingsError(given, expected="a GPU that torch can use, and it finds none", do=do)
    return "cuda" if settings.device != "cpu" and there else "cpu"


def _plugins() -> list[Any]:
    """How states are written, and that a job of SLURM that was stopped is resumed by who started it, exactly."""
    slurm = [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []
    return [Aside(), *slurm]


def _end_together(trainer: lightning.Trainer, error: Exception) -> None:
    """Of several processes, one tells what went wrong: who found it alone, or the first if all know."""
    launcher: Any = trainer.strategy.launcher
    if trainer.is_global_zero and hasattr(launcher, "procs"):
        for process in launcher.procs:
            process.terminate()
    if isinstance(error, CrnnError) and not isinstance(error, ToldByAll):
        return
    if not trainer.is_global_zero and (isinstance(error, ToldByAll) or lost(error)):
        raise SystemExit(2) from None
    if lost(error):
        raise TrainingError(
            "another of the processes that train together has ended",
            expected="all of them to the end",
            do="See what it said; then go on with crnn train --resume.",
        ) from error


def _variations(kind: Any, table: Mapping[str, Any]) -> Any:
    """How samples are varied: the settings of ``kind``'s ``Augment``, or of each of several kinds'."""
    if not isinstance(kind, Several):
        return fill(kind.Augment, table, "augment")
    for name in table:
        if name not in kind.kinds:
            raise SettingsError(
                f"[augment] has the key {name!r}", expected="the name of an input", do=suggest(name, kind.kinds)
            )
    return {name: fill(part.Augment, table.get(name, {}), f"augment.{name}") for name, part in kind.kinds.items()}


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def _remembered(run: Path) -> tuple[Recipe, str | None]:
    """Recipe and start of a run that was stopped."""
    expected = f"a run folder with {RECIPE} and {STATE}"
    if not (run / RECIPE).is_file():
        given = f"cannot be resumed: it {'holds no run' if run.is_dir() else 'is not there'}"
        raise SettingsError(given, expected=expected, do="Check the path, or train anew.", file=run)
    if not (run / STATE).is_file():
        do = "Train anew, into another folder."
        raise SettingsError("cannot be resumed: no epoch was finished", expected=expected, do=do, file=run)
    try:
        values = json.loads((run / RECIPE).read_text(encoding="utf-8"))
        return fill(Recipe, values["recipe"]), values["start"]
    except (OSError, ValueError, KeyError) as error:
        raise SettingsError(
            f"cannot be resumed ({error})",
            expected=expected,
            do="Train anew.",
            file=run,
        ) from error
