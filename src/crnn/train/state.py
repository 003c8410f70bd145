"""The state that a run goes on from: written after each epoch and, where an epoch is long, in the middle of it."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint

from crnn.errors import TrainingError
from crnn.files import write_aside
from crnn.train.ranks import ToldByAll

SO_FAR = "epoch_so_far"
ENDED = "ended_early"


class Aside(TorchCheckpointIO):
    """Writes states aside and renames them, so that a stop at any moment leaves the old one or the new one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """``checkpoint`` at ``path``. Raises ``DataError`` where the system does not let it write."""
        buffer = io.BytesIO()  # torch would hide what the system says of a full disk
        torch.save(checkpoint, buffer)
        with write_aside(path, "wb") as file:
            file.write(buffer.getbuffer())


class KeepState(Checkpoint):
    """Writes the state at the end of each epoch, and within it whenever ``minutes`` have passed (0: never).

    A state in the middle says how many batches of its epoch are done, and what was seen of them.
    """

    def __init__(self, path: Path, minutes: float) -> None:
        self.path, self.minutes = path, minutes
        self.so_far: dict[str, Any] = {}
        self._last = time.monotonic()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if not self.minutes or trainer.is_last_batch:  # whose state is that of the epoch's end
            return
        due = time.monotonic() - self._last >= 60 * self.minutes
        if trainer.world_size > 1:
            due = trainer.strategy.reduce_boolean_decision(due, all=False)
        if due:
            self.so_far = {"batches": batch_idx + 1, "processes": trainer.world_size, **module.so_far()}
            self._write(trainer)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        self.so_far = {}
        self._write(trainer)

    def _write(self, trainer: Any) -> None:
        trainer.save_checkpoint(self.path)
        self._last = time.monotonic()

    def on_save_checkpoint(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint[SO_FAR] = self.so_far
        checkpoint[ENDED] = trainer.should_stop

    def on_load_checkpoint(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        so_far = checkpoint.get(SO_FAR)
        if not so_far:
            return
        if so_far["processes"] != trainer.world_size:
            raise ToldByAll(
                f"the run stopped in the middle of an epoch of {so_far['processes']} processes",
                expected="as many to go on",
                do="Start as many as before.",
                file=self.path,
            )
        module.go_on(so_far)


class Reached(NamedTuple):
    """What a run has behind it: ``epochs``, and ``batches`` of the next."""

    epochs: int
    batches: int
    early: bool
    """Whether it ended before its last epoch, since it got no better."""


def reached(path: Path) -> Reached:
    """How far the run came whose state is at ``path``. Raises ``TrainingError`` for what is no state."""
    try:
        state = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
        epoch, batches = int(state["epoch"]), int(dict(state.get(SO_FAR, {})).get("batches", 0))
        return Reached(epoch + (not batches), batches, bool(state.get(ENDED, False)))
    except Exception as error:  # what is no state makes torch raise nearly anything
        given, expected = "is no state of a training, or a damaged one", "what crnn train wrote"
        raise TrainingError(given, expected=expected, do="Train anew, into another folder.", file=path) from error
