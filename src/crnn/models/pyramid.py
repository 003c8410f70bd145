"""pyramid: the Neural Abstraction Pyramid (Behnke 2001; Behnke 2003, LNCS 2766), which interprets a picture in steps.

Layers from fine to coarse see a picture together, up, down and sideways, again and again; what the finest says comes to
rest. For pictures of 28 x 28 the sizes are those of the book's chapter 9: layers of 28 x 28, 14 x 14, 7 x 7 with 8
features and 1 x 1 with 16; those of the two finest cannot be read off there, and follow its rule of doubling.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod, sqrt
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.config import Count, Whole
from crnn.errors import SettingsError
from crnn.layers import Pyramid, PyramidLayer
from crnn.models._folded import Folded
from crnn.types import Features, InputSpec, Level, Seq

GAIN = 2.0
"""How strong potentials are at the start. With small weights a sigmoid's slope of 1/4 lets nothing through, and where
pictures are mostly dark the network learns to say dark of all and no more."""
SMALL = 1e-6  # nearest that an activity comes to 0 or 1, so that its logit is finite


class AbstractionPyramid(nn.Module):
    """Scenes ``(batch, frames, channels, height, width)``, each frame by itself, to the logits of ``outputs`` features
    of the finest layer after each step: as many levels ``(batch, frames, outputs, height, width)``. ``state`` are the
    activities of all layers, to go on from."""

    accepts = ("scene",)
    answers = ("map", "picture")
    tiny = {"hidden": 4, "sizes": (12, 16), "strides": (2, 2), "steps": 5}

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        hidden: Whole = 2
        """Features of the finest layer beside those that are the answer."""
        sizes: tuple[Count, ...] = (4, 8, 16)
        """Features of the coarser layers."""
        strides: tuple[Count, ...] = (2, 2, 7)
        """How much coarser each of them is than the one before it; pictures whose sides are no multiple of their
        product are continued at the right and at the bottom."""
        steps: Count = 12
        """How often all layers are updated, each from the last state of all."""
        variant: Literal["pyramid", "once", "forward"] = "pyramid"
        """All links; or once up and once down, without any link in time; or upwards alone, so that no place learns of
        another."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings(), *, outputs: int = 1) -> None:
        super().__init__()
        s = settings
        if len(s.sizes) != len(s.strides):
            raise SettingsError(
                f"encoder.sizes has {len(s.sizes)} entries and encoder.strides {len(s.strides)}",
                expected="as many of both",
                do="Give a stride for each layer.",
            )
        recurs = s.variant == "pyramid"
        sizes, strides = (s.sizes, s.strides) if s.variant != "forward" else ((), ())
        self.outputs, self.steps, self.variant = outputs, s.steps if recurs else 1, s.variant
        self.multiple = prod(strides)
        self.pyramid = Pyramid(spec.channels, (outputs + s.hidden, *sizes), strides=strides)
        if not recurs:
            for layer in self.pyramid.layers:
                # the state before the only step is zero: what it would be weighed by is no part of the network
                layer.lateral.weight.requires_grad_(False).zero_()  # type: ignore[union-attr, operator]
        for layer in self.pyramid.layers:
            _begin(layer)  # type: ignore[arg-type]
        self.levels = (Level(outputs, spec.space, 1),) * self.steps

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def forward(self, seq: Seq, state: Any = None) -> Features:
        folded = Folded(seq)
        x = folded.pictures
        height, width = x.shape[2:]
        right, below = (-side % self.multiple for side in (width, height))
        if right or below:
            x = F.pad(x, (0, right, 0, below), mode="replicate")
        levels = []
        for _ in range(self.steps):
            state = self._once(x) if self.variant == "once" else self.pyramid(x[:, None], state)[1]
            said = state[0][:, : self.outputs, :height, :width].float().clamp(SMALL, 1 - SMALL)
            levels.append(folded.seq(torch.logit(said)))
        return Features(tuple(levels), state if self.variant == "pyramid" else None)

    def _once(self, x: Tensor) -> tuple[Tensor, ...]:
        """Up through all layers, and down again."""
        up = self.pyramid(x[:, None])[1]
        down = list(up)
        for i in reversed(range(len(up) - 1)):
            down[i] = self.pyramid.layers[i](torch.zeros_like(up[i]), up[i - 1] if i else None, down[i + 1], x)
        return tuple(down)


@torch.no_grad()
def _begin(layer: PyramidLayer) -> None:
    """Random weights such that potentials are as strong in each layer, around zero where activities are 1/2; each
    channel of the picture is seen by one of the first features."""
    lateral, up, down = layer.lateral, layer.forward_in, layer.backward_in
    seen = [conv.weight[0].numel() for conv in (lateral, up) if conv is not None and conv.weight.requires_grad]
    seen += [down.weight.shape[0]] if down is not None else []
    sums = torch.zeros_like(lateral.bias)  # type: ignore[arg-type]
    for conv in (lateral, up, down):
        if conv is not None and conv.weight.requires_grad:
            nn.init.normal_(conv.weight, std=GAIN / sqrt(sum(seen)))
            # of a transposed convolution each place sees one place of the kernel
            sums += conv.weight.sum((1, 2, 3)) if conv is not down else conv.weight.sum(0).mean((1, 2))
    assert lateral.bias is not None
    lateral.bias.copy_(-sums / 2)
    if layer.input is not None:
        seen_by = nn.init.normal_(layer.input.weight, std=layer.input.weight.shape[1] ** -0.5)
        nn.init.dirac_(seen_by[: layer.input.weight.shape[1]])
