"""A forecaster of frames: it begins with the states of an encoder's layers and goes on by itself (Shi et al. 2015,
arXiv 1506.04214)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from crnn.layers import scan
from crnn.layers._axes import CONVOLUTIONS
from crnn.types import Seq

EDGE = 0.01  # how near to 0 and 1 a frame is taken where change is added to its log odds


class Told(NamedTuple):
    """How many frames are wanted; in training the true ones on the network's scale ``(batch, steps, channels, height,
    width)``, and the share of steps at which a forecaster that is fed sees these."""

    steps: int
    truth: Tensor | None = None
    share: float = 0.0


class Forecaster(nn.Module):
    """Layers like the encoder's, each with its state, and a 1 x 1 convolution over the hidden states of all layers, or
    of the top one, at each step; patches become pixels again. Gives a ``Seq`` of ``steps`` frames for each sample:
    their log odds where ``odds``, else the frames on the network's scale.

    The first layer has no input, or, if ``fed``, the frame before: the last that was seen, then what the forecaster
    said itself. With ``relative`` what it says is the change against the last frame that was seen.
    """

    def __init__(self, encoder: Any, *, steps: int, fed: bool, top: bool, odds: bool, relative: bool) -> None:
        super().__init__()
        self.steps, self.fed, self.top, self.odds, self.relative = steps, fed, top, odds, relative
        self.patches = encoder.patches
        self.recompute = encoder.recompute
        self.cells = encoder.mirror(self.patches.channels if fed else 0)
        sizes = [cell.size for cell in self.cells]
        conv = CONVOLUTIONS[len(self.patches.places)]
        if fed:  # steps of training, by which true frames are seen less and less
            self.register_buffer("trained", torch.zeros((), dtype=torch.long))
        self.readout = conv(sizes[-1] if top else sum(sizes), self.patches.channels, 1)

    def forward(self, features: Any, told: Told | None = None) -> Seq:
        told = told or Told(self.steps)
        x, lengths = features.levels[0]
        rows = torch.arange(len(x), device=x.device)
        last = x[rows, (lengths - 1).clamp(min=0)]  # (batch, channels, *places): the last frame of each sample
        y = self._fed(last, features.state, told) if self.fed else self._free(last, features.state, told.steps)
        if self.relative:
            y = y + self._base(last)[:, None]
        return Seq(self.patches.join(y).float(), lengths.new_full((len(x),), told.steps))

    def _free(self, last: Tensor, states: Any, steps: int) -> Tensor:
        """All steps of a layer, then all of the next: ``(batch, steps, channels, *places)``."""
        x = last.new_empty(len(last), steps, 0, *last.shape[2:])
        hidden = []
        for cell, state in zip(self.cells, states, strict=True):
            x, _ = scan(cell, x, state, recompute=self.recompute)
            hidden.append(x)
        y = x if self.top else torch.cat(hidden, 2)
        return self.readout(y.flatten(0, 1)).unflatten(0, (len(last), steps))

    def _fed(self, last: Tensor, states: Any, told: Told) -> Tensor:
        """Step by step, since each needs what the one before said."""
        states, x, said = list(states), last, []
        truth = None if told.truth is None else self.patches.split(told.truth.to(last.dtype))
        for step in range(told.steps):
            hidden = []
            for i, cell in enumerate(self.cells):
                x, states[i] = cell(x, states[i])
                hidden.append(x)
            y = self.readout(x if self.top else torch.cat(hidden, 1))
            said.append(y)
            x = y + self._base(last) if self.relative else y
            x = x.sigmoid() if self.odds else x
            if truth is not None:
                seen = torch.rand(len(x), device=x.device) < told.share
                x = torch.where(seen.view(-1, *[1] * (x.dim() - 1)), truth[:, step], x)
        return torch.stack(said, 1)

    def _base(self, last: Tensor) -> Tensor:
        """What change is added to."""
        return torch.logit(last.float(), EDGE) if self.odds else last
