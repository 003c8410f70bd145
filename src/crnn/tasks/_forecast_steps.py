"""How a network's answers fill the horizon: all at once, or a few steps at a time from its own answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from crnn.types import Seq


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
        moved = torch.zeros_like(x[..., own:])
        if steps > late:
            moved[:, late:] = x[:, advance : advance + steps - late, own:]
        return Seq(torch.cat([x[..., :own], moved], 2), inputs.lengths)

    def answers(self, net: Any, inputs: Seq) -> Tensor:
        """``(batch, horizon, targets, answers)``; what goes on from answers goes on from the first of each."""
        if self.steps == self.horizon:
            return net(inputs)
        found: dict[int, Tensor] = {}
        for length in inputs.lengths.unique().tolist():  # windows that end in one place
            rows = (inputs.lengths == length).nonzero()[:, 0]
            whole = self._one_by_one(net, Seq(inputs.x[rows, :length], inputs.lengths[rows]))
            found |= dict(zip(rows.tolist(), whole, strict=True))
        return torch.stack([found[i] for i in range(len(inputs.x))])

    def _one_by_one(self, net: Any, inputs: Seq) -> Tensor:
        x, lengths = inputs
        own, ahead = x[..., : self.channels - self.shifted], x[..., self.channels - self.shifted :]
        order = torch.tensor(self.targets, device=x.device).argsort()
        parts: list[Tensor] = []
        for advance in range(0, self.horizon, self.steps):
            seen = self.seen(Seq(torch.cat([own, ahead], 2), lengths), advance)
            parts.append(net(seen))
            own = torch.cat([own, parts[-1][..., 0][:, :, order].to(own)], 1)[:, self.steps :]
        return torch.cat(parts, 1)
