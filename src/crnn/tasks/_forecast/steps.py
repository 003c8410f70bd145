"""How a network's answers fill the horizon: all at once, or a few steps at a time from its own answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from crnn.late import torch
from crnn.tasks._arrays import array
from crnn.types import Seq

Relative = Literal["last", "mean", "none"]
"""What answers are relative to."""
Pool = Literal["both", "last", "mean", "max", "attention"]
"""How the steps of a window become one."""


@dataclass(frozen=True, slots=True)
class Steps:
    """``steps`` at a time of ``horizon``. Of the input's ``channels``, ``targets`` are foretold and the last
    ``shifted`` run ahead: they say what will be at the end of the horizon."""

    horizon: int
    steps: int
    channels: int
    shifted: int
    targets: tuple[int, ...]

    def seen(self, inputs: Seq, advance: int = 0) -> Seq:
        """What the network sees when it has foretold ``advance`` steps. One that goes a few at a time is to see the
        channels that run ahead so many steps late that they say what will be at the end of its own steps, and nothing
        where that is not known."""
        late, own = self.horizon - self.steps, self.channels - self.shifted
        if not late or not self.shifted:
            return inputs
        x, steps = inputs.x, inputs.x.shape[1]
        zeros, join = (np.zeros_like, np.concatenate) if isinstance(x, np.ndarray) else (torch.zeros_like, torch.cat)
        moved: Any = zeros(x[..., own:])
        if steps > late:
            moved[:, late:] = x[:, advance : advance + steps - late, own:]
        return Seq(join([x[..., :own], moved], 2), inputs.lengths)

    def answers(self, net: Any, inputs: Seq) -> np.ndarray:
        """float32 ``(batch, horizon, targets, answers)``; what goes on from answers goes on from the first of each."""
        if self.steps == self.horizon:
            return array(net(inputs))
        found: dict[int, np.ndarray] = {}
        x, lengths = array(inputs.x), array(inputs.lengths)
        like = (lambda seq: seq) if x is inputs.x else partial(_as_tensors, device=inputs.x.device)
        for length in np.unique(lengths).tolist():  # windows that end in one place
            rows = np.flatnonzero(lengths == length)
            whole = self._one_by_one(lambda seq: array(net(like(seq))), x[rows, :length], lengths[rows])
            found |= dict(zip(rows.tolist(), whole, strict=True))
        return np.stack([found[i] for i in range(len(x))])

    def _one_by_one(self, net: Any, x: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        own, ahead = x[..., : self.channels - self.shifted], x[..., self.channels - self.shifted :]
        order = np.argsort(self.targets)
        parts: list[np.ndarray] = []
        for advance in range(0, self.horizon, self.steps):
            whole = Seq(np.concatenate([own, ahead], 2), lengths)  # type: ignore[arg-type]
            parts.append(net(self.seen(whole, advance)))
            own = np.concatenate([own, parts[-1][..., 0][:, :, order]], 1)[:, self.steps :]
        return np.concatenate(parts, 1)


def _as_tensors(seq: Seq, device: Any) -> Seq:
    return Seq(*(torch.from_numpy(part).to(device) for part in seq))
