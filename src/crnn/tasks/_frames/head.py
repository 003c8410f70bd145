"""A forecaster of frames: it begins with the states of an encoder's layers and goes on by itself (Shi et al. 2015,
arXiv 1506.04214)."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from crnn.layers import extrapolate, motion, scan
from crnn.layers._axes import CONVOLUTIONS
from crnn.types import Seq

Sees = Literal["empty", "fed", "moved"]
Relative = Literal["none", "last", "moved"]
EDGE = 0.01  # how near to 0 and 1 a frame is taken where change is added to its log odds
LOOKS = 3  # frames from which it is found where things move
SMALL = 0.1  # of its usual size is the last layer at first, where it says change


class Told(NamedTuple):
    """How many frames are wanted; in training the true ones on the network's scale ``(batch, steps, channels, height,
    width)``, NaN where nothing was measured, and the share of steps at which a forecaster that is fed sees these."""

    steps: int
    truth: Tensor | None = None
    share: float = 0.0


class Forecaster(nn.Module):
    """Layers like the encoder's, each with its state, and a 1 x 1 convolution over the hidden states of all layers, or
    of the ``top`` one, at each step; patches become pixels again. Gives a ``Seq`` of ``steps`` frames for each sample:
    their log odds where ``odds``, else the frames on the network's scale.

    The first layer ``sees`` nothing (empty), the frame before (fed): the last that was seen, then what the forecaster
    said itself; or the last frame as it would have moved by then (moved, see ``layers.advection``). What is said is
    ``relative`` to nothing, to the last frame, or to that frame moved.
    """

    def __init__(self, encoder: Any, *, steps: int, sees: Sees, top: bool, odds: bool, relative: Relative) -> None:
        super().__init__()
        self.steps, self.sees, self.top, self.odds, self.relative = steps, sees, top, odds, relative
        self.patches = encoder.patches
        self.recompute = encoder.recompute
        self.cells = encoder.mirror(0 if sees == "empty" else self.patches.channels)
        if sees == "fed":  # steps of training, by which true frames are seen less and less
            self.register_buffer("trained", torch.zeros((), dtype=torch.long))
        sizes = [cell.size for cell in self.cells]
        conv = CONVOLUTIONS[len(self.patches.places)]
        self.readout = conv(sizes[-1] if top else sum(sizes), self.patches.channels, 1)
        if relative != "none":
            with torch.no_grad():
                self.readout.weight.mul_(SMALL)
                self.readout.bias.zero_()

    def forward(self, features: Any, told: Told | None = None) -> Seq:
        told = told or Told(self.steps)
        x, lengths = features.levels[0]
        rows = torch.arange(x.shape[0], device=x.device)
        last = x[rows, (lengths - 1).clamp(min=0)]  # (batch, channels, *places)
        ahead = last[:, None].expand(-1, told.steps, *last.shape[1:])
        if "moved" in (self.sees, self.relative):
            moved = self._moved(x, lengths, told.steps)
        base = None if self.relative == "none" else ahead if self.relative == "last" else moved
        if base is not None and self.odds:
            base = torch.logit(base.float(), EDGE)
        if self.sees == "fed":
            y = self._fed(last, features.state, told, base)
        else:
            y = self._free(moved if self.sees == "moved" else ahead[:, :, :0], features.state)
            y = y if base is None else y + base
        return Seq(self.patches.join(y).float(), lengths.new_full((x.shape[0],), told.steps))

    def _moved(self, x: Tensor, lengths: Tensor, steps: int) -> Tensor:
        """The last frame as it would move on: ``(batch, steps, channels, *places)``."""
        places = (lengths[:, None] - LOOKS + torch.arange(LOOKS, device=x.device)).clamp(min=0)
        some = self.patches.join(x[torch.arange(x.shape[0], device=x.device)[:, None], places])
        return self.patches.split(extrapolate(some[:, -1], motion(some), steps))

    def _free(self, x: Tensor, states: Any) -> Tensor:
        """All steps of a layer, then all of the next, where nothing is fed back: ``(batch, steps, channels,
        *places)``."""
        hidden = []
        for cell, state in zip(self.cells, states, strict=True):
            x, _ = scan(cell, x, state, recompute=self.recompute)
            hidden.append(x)
        y = x if self.top else torch.cat(hidden, 2)
        z = self.readout(y.flatten(0, 1))
        return z.view(*y.shape[:2], *z.shape[1:])

    def _fed(self, x: Tensor, states: Any, told: Told, base: Tensor | None) -> Tensor:
        """Step by step, since each needs what the one before said."""
        states, said = list(states), []
        truth = None if told.truth is None else self.patches.split(told.truth.to(x.dtype))
        for step in range(told.steps):
            hidden = []
            for i, cell in enumerate(self.cells):
                x, states[i] = cell(x, states[i])
                hidden.append(x)
            y = self.readout(x if self.top else torch.cat(hidden, 1))
            y = y if base is None else y + base[:, step]
            said.append(y)
            x = y.sigmoid() if self.odds else y
            if truth is not None and told.share:
                seen = torch.rand(len(x), device=x.device) < told.share
                there = seen.view(-1, *[1] * (x.dim() - 1)) & ~truth[:, step].isnan()
                x = torch.where(there, truth[:, step], x)
        return torch.stack(said, 1)
