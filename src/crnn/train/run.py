"""A network in training, as Lightning drives it: the loss of each batch, what is said of the validation part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as lightning
import torch

from crnn.bundle import Bundle
from crnn.data.collate import Loaded
from crnn.errors import TrainingError, Unreachable
from crnn.recipe import TrainSettings
from crnn.train.ranks import Ranks
from crnn.types import Batch, Prediction, in_source

GONE = 16
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
        self.samples = 0
        """Of the last step, in all processes."""
        self.ranks: Ranks | None = None
        self.gone = GONE
        """Samples in a row of which none can be read, after which there is nothing to learn from any more."""
        self._unread: list[str] = []

    def on_fit_start(self) -> None:
        if self.trainer.world_size > 1:
            self.ranks = Ranks(self.device)
            self.ranks.connect(self.net)

    def training_step(self, loaded: Loaded, _: int) -> torch.Tensor | None:
        self._note(loaded)
        weights = [self.bundle.task.weight(batch) for batch in loaded.batches]
        if self.ranks is not None:
            return self._step_of_many(self.ranks, loaded, weights)
        self.samples = sum(map(len, loaded.batches))
        if loaded.batch is None:
            return None
        losses = [self.bundle.task.loss(self.net, batch) for batch in loaded.batches]
        loss = (
            sum(loss * (w / sum(weights)) for loss, w in zip(losses, weights, strict=True)) if losses[1:] else losses[0]
        )
        if problem := self._problem(loss, loaded.batches):
            raise problem
        self.epoch_loss += loss.detach().cpu()
        return loss

    def _step_of_many(self, ranks: Ranks, loaded: Loaded, weights: list[float]) -> torch.Tensor:
        """The loss of this process's part, so that the mean over the processes is that of the whole batch."""
        batches, shares, self.samples = ranks.level(loaded.batches, weights)
        loss = sum((p * 0).sum() for p in self.net.parameters())  # whatever has no part in this step is waited for, too
        for i, (batch, share) in enumerate(zip(batches, shares, strict=True)):
            ranks.weight = float(i < len(loaded.batches))
            part = self.bundle.task.loss(self.net, batch)
            loss = loss + share * part
        problem = self._problem(loss, batches)
        self.epoch_loss += ranks.agree(loss, problem).float().cpu()
        return loss * ranks.count

    def _problem(self, loss: torch.Tensor, batches: Sequence[Batch]) -> TrainingError | None:
        if torch.isfinite(loss):
            return None
        ids = [id for batch in batches for id in batch.ids]
        return TrainingError(
            f"the loss is {loss.item()} in epoch {self.current_epoch} at {', '.join(ids[:16])}",
            expected="a finite number",
            do="Look at these files; if they are in order, halve train.learning_rate.",
        )

    def _note(self, loaded: Loaded) -> None:
        """Remember what could not be read. Raises ``TrainingError`` where nothing can be any more, or
        what is far away cannot."""
        lost = next((error for error in loaded.left_out if isinstance(error, Unreachable)), None)
        if lost is not None:  # to go on without them would be another training
            given, do = f"the data are lost: {lost.file}: {lost.given}", f"{lost.do} Then: crnn train --resume."
            raise TrainingError(given, expected=lost.expected, do=do)
        said = [str(error) for error in loaded.left_out]
        self.left_out.update(dict.fromkeys(said))
        self._unread = [] if loaded.batches else [*self._unread, *said]
        if len(self._unread) >= self.gone:
            raise TrainingError(
                f"none of the last {len(self._unread)} samples can be read any more, the first of them: "
                f"{self._unread[0]}",
                expected="the data that training began with",
                do="Bring them back; then go on with crnn train --resume.",
            )

    def so_far(self) -> dict[str, Any]:
        """What is known of an epoch in its middle, as plain values."""
        return {"loss": float(self.epoch_loss), "left_out": list(self.left_out)}

    def go_on(self, so_far: Mapping[str, Any]) -> None:
        """Go on in the middle of an epoch of which ``so_far`` is known."""
        self.epoch_loss.fill_(so_far["loss"])
        self.left_out.update(dict.fromkeys(so_far["left_out"]))

    def share(self, truth: Mapping[str, Any]) -> None:
        """Give all processes what each says of its part of the validation part, in the order of ``truth``."""
        if self.ranks is not None:
            found = {p.id: p for part in self.ranks.objects(self.predictions) for p in part}
            self.predictions = [found[id] for id in truth if id in found]
            self.left_out.update(dict.fromkeys(e for part in self.ranks.objects(list(self.left_out)) for e in part))

    def validation_step(self, loaded: Loaded, _: int) -> None:
        self._note(loaded)
        for batch in loaded.batches:
            predictions = self.bundle.task.predict(self.net, batch)
            self.predictions += map(in_source, predictions, batch.scales)

    def on_train_batch_start(self, *_: Any) -> None:
        # dropout depends on the step alone, and on who of several processes it is
        torch.manual_seed(self.settings.seed * 1_000_003 + self.global_step + 7_919 * self.global_rank)

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
