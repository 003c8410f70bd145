"""Train a network and keep its best bundle; stopped and resumed equals never stopped, to the bit."""

from __future__ import annotations

import json
import logging
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from torch.utils.data import DataLoader

from crnn.bundle import NAME, Bundle, load
from crnn.config import Recipe, TrainSettings, as_dict, fill
from crnn.data.collate import Loaded, collate
from crnn.data.dataset import Samples
from crnn.data.inputs import Several
from crnn.data.sampler import Buckets
from crnn.errors import SettingsError, TrainingError
from crnn.files import write_aside
from crnn.precision import resolve
from crnn.registry import suggest
from crnn.train.averaging import Averaging
from crnn.train.callbacks import KeepBest, Progress, Watchdog
from crnn.train.prepare import Part, Prepared, prepare
from crnn.types import Prediction, Sample, in_source

RECIPE = "recipe.json"
STATE = "last.ckpt"
EPOCHS = "epochs.jsonl"
SHORTEST = 5  # of so many parts of a run at most one is warm-up, so that small data are learned at the full rate, too


class Run(lightning.LightningModule):
    """A bundle in training: the task's loss, its predictions on the validation part, AdamW under a cosine."""

    def __init__(self, bundle: Bundle, settings: TrainSettings, steps: int) -> None:
        super().__init__()
        self.bundle, self.settings, self.steps = bundle, settings, steps
        self.net = bundle.net
        self.predictions: list[Prediction] = []
        self.left_out: dict[str, None] = {}
        self.epoch_loss = torch.zeros(())

    def training_step(self, loaded: Loaded, _: int) -> torch.Tensor | None:
        self.left_out.update(dict.fromkeys(str(e) for e in loaded.left_out))
        if loaded.batch is None:
            return None
        losses = [self.bundle.task.loss(self.net, batch) for batch in loaded.batches]
        counts = [len(batch) for batch in loaded.batches]
        loss = (
            sum(loss * (n / sum(counts)) for loss, n in zip(losses, counts, strict=True)) if losses[1:] else losses[0]
        )
        if not torch.isfinite(loss):
            ids = [id for batch in loaded.batches for id in batch.ids]
            raise TrainingError(
                f"the loss is {loss.item()} in epoch {self.current_epoch} at {', '.join(ids[:16])}",
                expected="a finite number",
                do="Look at these files; if they are in order, halve train.learning_rate.",
            )
        self.epoch_loss += loss.detach().cpu()
        return loss

    def validation_step(self, loaded: Loaded, _: int) -> None:
        self.left_out.update(dict.fromkeys(str(e) for e in loaded.left_out))
        for batch in loaded.batches:
            predictions = self.bundle.task.predict(self.net, batch)
            self.predictions += map(in_source, predictions, batch.scales)

    def on_train_batch_start(self, *_: Any) -> None:
        torch.manual_seed(self.settings.seed * 1_000_003 + self.global_step)  # dropout depends on the step alone

    def configure_optimizers(self) -> Any:
        s = self.settings
        matrices = [p for p in self.net.parameters() if p.dim() > 1]
        vectors = [p for p in self.net.parameters() if p.dim() <= 1]
        groups = [{"params": matrices, "weight_decay": s.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=s.learning_rate)

        def factor(step: int) -> float:
            rise = min(1.0, (step + 1) / max(1, min(s.warmup, self.steps // SHORTEST)))
            return rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps))))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


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
    ``resume`` goes on with the run in that folder after its last whole epoch. Beside the bundle the folder holds
    ``recipe.json``, ``epochs.jsonl`` (figures of each epoch), ``log/`` (TensorBoard) and ``last.ckpt`` (the state to
    resume from).
    """
    run = Path(run)
    console = console or Console(stderr=True)
    if resume:
        recipe, start = _remembered(run)
    elif (run / STATE).exists():
        raise SettingsError(
            f"the folder {run} holds a run", expected="a new folder", do=f"Name another, or: crnn train --resume {run}"
        )
    s = recipe.train
    if s.threads:
        torch.set_num_threads(s.threads)
    prepared = prepare(recipe, start=None if start is None else load(start), samples=samples)
    run.mkdir(parents=True, exist_ok=True)
    if not resume:
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
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        module = Run(p.bundle, s, s.epochs * -(-len(p.train.samples) // s.batch_size))
        device = "cuda" if s.device != "cpu" and torch.cuda.is_available() else "cpu"
        precision = resolve(s.precision, device)
        truth = {sample.id: p.bundle.task.truth(sample) for sample in p.valid.samples}
        groups = {sample.id: sample.group for sample in p.valid.samples}
        keep = KeepBest(self.run / NAME, truth, groups, self._card(precision), s.patience)
        state = ModelCheckpoint(
            dirpath=self.run, filename=Path(STATE).stem, enable_version_counter=False, save_on_train_epoch_end=True
        )
        watch = Watchdog(truth, p.train.samples)
        progress = Progress(self.console, keep, self.run / EPOCHS)
        progress.introduce(p, precision)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
            trainer = lightning.Trainer(
                accelerator="gpu" if device == "cuda" else "cpu",
                devices=1,
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
            first = self._finished_epochs(path, progress)
            # workers are given their first batches before the trainer knows at which epoch it goes on
            train = self._loader(p.train, lambda: max(first, trainer.current_epoch))
            valid = self._loader(p.valid)
            try:
                trainer.fit(module, train, valid, ckpt_path=path, weights_only=True if path else None)
            except SystemExit:  # what Lightning makes of Ctrl-C
                raise KeyboardInterrupt from None

    def _finished_epochs(self, state: Path | None, progress: Progress) -> int:
        """Epochs that the state to resume from has behind it; figures of later ones are forgotten."""
        count = 0
        if state is not None:
            count = int(torch.load(state, weights_only=True, map_location="cpu", mmap=True)["epoch"]) + 1
        progress.forget(count)
        return count

    def _loader(self, part: Part, epoch: Callable[[], int] | None = None) -> DataLoader:
        s, train = self.recipe.train, epoch is not None
        kind = self.prepared.bundle.kind
        task = self.prepared.bundle.task
        if self.recipe.augment and not task.varies:
            given = f"the recipe varies its inputs: {', '.join(self.recipe.augment)}"
            raise SettingsError(given, expected=f"none, for {task.name}", do="Leave [augment] out.")
        augment = _variations(kind, self.recipe.augment) if train and s.augment and task.varies else None
        buckets = Buckets(part.widths, s.batch_size, shuffle=train, seed=s.seed, epoch=epoch or (lambda: 0))
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
    try:
        values = json.loads((run / RECIPE).read_text(encoding="utf-8"))
        if not (run / STATE).is_file():
            raise FileNotFoundError(2, "no epoch was finished", STATE)
        return fill(Recipe, values["recipe"], RECIPE), values["start"]
    except (OSError, ValueError, KeyError) as error:
        raise SettingsError(
            f"cannot be resumed ({error})",
            expected=f"a run folder with {RECIPE} and {STATE}",
            do="Train anew.",
            file=run,
        ) from error
