"""What happens beside the training: keep the best bundle, tell a person how it goes, name the cause if it does not."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from crnn.errors import CrnnError
from crnn.files import write_aside
from crnn.train.averaging import averaged
from crnn.train.ranks import ToldByAll
from crnn.types import Prediction, Sample

if TYPE_CHECKING:
    from crnn.bundle import Bundle
    from crnn.train.prepare import Prepared

SAID = 3  # files that are named while training, of those that could not be read


class KeepBest(Callback):
    """Scores the validation part after each look at it, writes the bundle when it is the best yet, and stops the run
    after ``patience`` epochs without a better one. Without a validation part, the last epoch's bundle is kept."""

    def __init__(
        self, path: Path, truth: dict[str, Any], groups: dict[str, Any], card: dict[str, Any], patience: int
    ) -> None:
        self.path, self.truth, self.groups, self.card, self.patience = path, truth, groups, card, patience
        self.best: float | None = None
        self.best_epoch = -1
        self.figures: dict[str, float] = {}
        self.predictions: list[Prediction] = []
        self.seconds = 0.0
        self._start = time.perf_counter()

    def on_train_start(self, trainer: Any, module: Any) -> None:
        self._start = time.perf_counter() - self.seconds

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        self.figures, self.predictions = {}, []

    def on_validation_epoch_start(self, trainer: Any, module: Any) -> None:
        module.predictions.clear()

    def on_validation_epoch_end(self, trainer: Any, module: Any) -> None:
        task = module.bundle.task
        module.share(self.truth)
        self.predictions = list(module.predictions)
        self.figures = task.score(
            [(self.truth[p.id], p) for p in self.predictions], [self.groups[p.id] for p in self.predictions]
        )
        name, better = task.best
        value = self.figures[name]
        self.seconds = time.perf_counter() - self._start
        if self.best is None or (value != self.best and better(value, self.best) == value):
            self.best = value
            settled = task.settle([(self.truth[p.id], p) for p in self.predictions])
            self._write(replace(module.bundle, task=settled), trainer)
        elif trainer.current_epoch - self.best_epoch >= self.patience:
            trainer.should_stop = True
        for key in task.figures:
            module.log(f"valid/{key}", self.figures[key])

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        if not self.truth:
            self.seconds = time.perf_counter() - self._start
            with averaged(trainer, module):
                self._write(module.bundle, trainer)

    def _write(self, bundle: Bundle, trainer: Any) -> None:
        self.best_epoch = epoch = trainer.current_epoch
        if not trainer.is_global_zero:
            return
        bundle.card = {
            **self.card,
            "epoch": epoch + 1,
            "valid": {k: v for k, v in self.figures.items() if v == v},
            "train_seconds": round(self.seconds, 1),
        }
        bundle.save(self.path)

    def state_dict(self) -> dict[str, Any]:
        seconds = time.perf_counter() - self._start
        return {"best": self.best, "best_epoch": self.best_epoch, "seconds": seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.best_epoch, self.seconds = state["best"], state["best_epoch"], state["seconds"]


class Watchdog(Callback):
    """Says why nothing is learned, once it is plain that nothing is."""

    PATIENCE = 5
    LOOKS = 64  # samples that are looked at for a cause

    def __init__(self, truth: dict[str, Any], samples: Sequence[Sample]) -> None:
        self.truth, self.samples, self.said = truth, samples, ""

    def on_validation_epoch_end(self, trainer: Any, module: Any) -> None:
        self.said = ""
        if trainer.current_epoch < self.PATIENCE - 1:
            return
        pairs = [(self.truth[p.id], p) for p in module.predictions]
        self.said = module.bundle.task.diagnose(pairs) or ""
        if self.said:
            self.said += self._suspicion(module.bundle.kind)
        if self.said and trainer.current_epoch >= 3 * self.PATIENCE:
            raise ToldByAll(
                f"after {trainer.current_epoch + 1} epochs {self.said}",
                expected="a falling error",
                do="Run crnn check on the data, look at a few samples and their answers, and try a smaller "
                "train.learning_rate or more data.",
            )

    def _suspicion(self, kind: Any) -> str:
        """What is odd about most of the training samples, if anything is."""
        seen: Counter[str] = Counter()
        looked = self.samples[:: max(1, len(self.samples) // self.LOOKS)]
        for sample in looked:
            try:
                seen.update({f"{f.kind}; {f.do}" for f in kind.look(sample.x).findings})
            except CrnnError as error:
                seen[error.given] += 1
        said, count = next(iter(seen.most_common(1)), ("", 0))
        return f". Of {len(looked)} training samples {count} are odd: {said}" if 2 * count > len(looked) else ""


class Progress(Callback):
    """A bar within the epoch and one line after it; every epoch's figures also go to ``epochs.jsonl``."""

    def __init__(self, console: Console, keep: KeepBest, figures: Path) -> None:
        self.console, self.keep, self.figures = console, keep, figures
        self.bar = Bar(
            *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()),
            TextColumn("{task.fields[said]}"),
            console=console,
            transient=True,
        )
        self.row: Any = None
        self.waited = self.steps_seconds = self.mark = 0.0
        self.samples = self.steps = self.told = 0

    def forget(self, count: int) -> None:
        """Keep the figures of the first ``count`` epochs: a run that was killed may have written more than its state
        knows of."""
        rows = self.figures.read_text(encoding="utf-8").splitlines(keepends=True) if self.figures.exists() else []
        with write_aside(self.figures) as file:
            file.writelines(row for row in rows if row.endswith("\n") and json.loads(row)["epoch"] <= count)

    def introduce(self, prepared: Prepared, precision: str) -> None:
        """Say what will be trained on what, and what is left out."""
        p = prepared
        parameters = sum(w.numel() for w in p.bundle.net.parameters())
        self.console.print(
            f"{p.bundle.task.name}: {p.bundle.encoder['name']} with {parameters:,} parameters, "
            f"{len(p.train.samples):,} samples to learn from, {len(p.valid.samples):,} to choose by, {precision}"
        )
        if p.left_out:
            self.console.print(f"left out: {len(p.left_out):,} samples, the first:", style="yellow")
            for error in p.left_out[:3]:
                self.console.print(f"  {error}", style="yellow", markup=False, highlight=False)

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        module.epoch_loss.zero_()
        self.waited = self.steps_seconds = 0.0
        self.samples = self.steps = 0
        self.mark = 0.0

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        now = time.perf_counter()
        if self.row is None:
            if self.console.is_terminal:
                self.bar.start()
            name = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
            self.row = self.bar.add_task(name, total=trainer.num_training_batches, completed=self.steps, said="")
        self.waited += now - self.mark if self.mark else 0.0  # the first batch also starts the readers
        self.mark = now

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        now = time.perf_counter()
        self.steps_seconds += now - self.mark
        self.mark = now
        self.samples += module.samples
        self.steps += 1
        loss = float(module.epoch_loss) / self.steps
        self.bar.update(self.row, advance=1, said=f"loss {loss:.3f}")

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        if self.row is not None:
            self.bar.remove_task(self.row)
        self.row = None
        self.bar.stop()
        if not trainer.is_global_zero:
            return
        keep, task = self.keep, module.bundle.task
        busy = max(1e-9, self.waited + self.steps_seconds)
        row: dict[str, Any] = {
            "epoch": trainer.current_epoch + 1,
            "loss": float(module.epoch_loss) / max(1, self.steps),
            "samples_per_second": self.samples / busy,
            "waiting": self.waited / busy,
            "seconds": round(keep.seconds, 3),
            **{key: keep.figures[key] for key in task.figures if key in keep.figures},
        }
        module.log("train/loss", row["loss"])
        module.log("train/learning_rate", trainer.optimizers[0].param_groups[0]["lr"])
        with self.figures.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        best = " *" if keep.best_epoch == trainer.current_epoch else f" (best {keep.best_epoch + 1})"
        said = task.say(keep.figures) + best if keep.figures else "not looked at"
        self.console.print(
            f"epoch {row['epoch']:>3}/{trainer.max_epochs}  loss {row['loss']:.3f}  {said}  "
            f"{row['samples_per_second']:.0f} samples/s, {100 * row['waiting']:.0f} % waiting  {_clock(keep.seconds)}",
            highlight=False,
        )
        for p in keep.predictions[len(keep.predictions) // 2 :][:1]:
            said = f"     truth {task.word(keep.truth[p.id])}\n    answer {task.word(p.value)}"
            self.console.print(said, markup=False, highlight=False)
        if module.left_out:
            self.console.print(f"     {len(module.left_out)} samples could not be read", style="yellow")
            for said in list(module.left_out)[self.told : SAID]:
                self.console.print(f"     {said}", style="yellow", markup=False, highlight=False, soft_wrap=True)
            self.told = len(module.left_out)
        watchdog = next(c for c in trainer.callbacks if isinstance(c, Watchdog))
        if watchdog.said:
            self.console.print(f"     {watchdog.said}", style="yellow", markup=False)

    def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
        self.bar.stop()

    def state_dict(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in ("waited", "steps_seconds", "samples", "steps")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for key, value in state.items():
            setattr(self, key, value)


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d} min"
