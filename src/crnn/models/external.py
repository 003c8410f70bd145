"""external: any torch module that makes maps of features of a picture, as an encoder: a network trained elsewhere.

It has no line in the table of models, since a bundle never runs code: who uses it names it, in training and again
before the bundle is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from crnn.errors import SettingsError, ShapeError
from crnn.models._folded import Folded
from crnn.types import Features, InputSpec, Level, Seq


def external(make: Callable[[], nn.Module], *, channels: int = 3) -> type[nn.Module]:
    """A model of what ``make()`` gives: a module that takes pictures ``(batch, channels, height, width)`` and gives
    maps ``(batch, features, height', width')``, or a list of such, of which the last is taken (timm's
    ``features_only``), or features ``(batch, features)``.

    ``MODELS["mine"] = external(make)`` makes ``mine`` a model like any other, for pictures and for the frames of films.
    Their channels come with mean 0 and deviation 1 over the training part, which is about what networks that were
    trained on ImageNet expect. The weights go into the bundle.
    """

    class External(nn.Module):
        """Picture ``(batch, columns, channels, height)`` to ``(batch, columns', features, height')``; film ``(batch,
        frames, channels, height, width)`` to ``(batch, frames, features, height', width')``."""

        accepts = ("picture", "film")

        @dataclass(frozen=True, slots=True, kw_only=True)
        class Settings:
            frozen: bool = True
            """Whether the weights stay as they are, and the norms' statistics."""

        def __init__(self, spec: InputSpec, settings: Any = None) -> None:
            super().__init__()
            if spec.channels != channels:
                raise SettingsError(
                    f"the pictures have {spec.channels} channels",
                    expected=f"{channels}, as the network takes",
                    do="Set input.colour to colour (3) or grey (1).",
                )
            self.frozen = settings is None or settings.frozen
            self.network = make()
            if self.frozen:
                self.network.requires_grad_(False).eval()
            self.channels = spec.channels
            self.still = len(spec.space) == 1
            self.height = spec.space[0]
            self.widths: dict[int, int] = {}
            maps = self._tried(spec.space[-1])
            stride = 1
            if self.still:
                step = 8 * self.height
                stride = max(1, round(step / max(1, self._columns(2 * step) - self._columns(step))))
            self.levels = (Level(maps.shape[1], tuple(maps.shape[2 : 3 if self.still else 4]), stride),)

        def train(self, mode: bool = True) -> External:
            """As for any module, but what is frozen stays as in ``eval()``."""
            super().train(mode)
            if self.frozen:
                self.network.eval()
            return self

        def out_lengths(self, lengths: Tensor) -> Tensor:
            """Columns, or frames, that come out of so many."""
            if not self.still:
                return lengths
            return torch.tensor([self._columns(n) for n in lengths.tolist()], device=lengths.device)

        def forward(self, seq: Seq, state: Any = None) -> Features:
            x, lengths = seq
            if not self.still:
                frames = Folded(seq)
                return Features((frames.seq(self._look(frames.pictures)),))
            if bool((lengths != x.shape[1]).any()):
                raise ShapeError(
                    f"pictures have {sorted(set(lengths.tolist()))} columns",
                    expected="one width, since this network knows no padding",
                    do="Set input.width.",
                )
            # (batch, columns, channels, height) -> (batch, channels, height, columns), and back
            y = self._look(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            return Features((Seq(y, lengths.new_full(lengths.shape, y.shape[1])),))

        def _columns(self, width: int) -> int:
            """Columns that come out of ``width`` columns: found by trying, once."""
            if width not in self.widths:
                self.widths[width] = self._tried(width).shape[3]
            return self.widths[width]

        def _tried(self, width: int) -> Tensor:
            """Maps of a blank picture, from which norms are not to learn."""
            device = next((p.device for p in self.network.parameters()), None)
            training = [m for m in self.network.modules() if m.training]
            self.network.eval()
            with torch.no_grad():
                maps = self._look(torch.zeros(1, self.channels, self.height, width, device=device))
            for module in training:
                module.training = True
            return maps

        def _look(self, x: Tensor) -> Tensor:
            """Maps ``(batch, features, height, width)``."""
            y = self.network(x)
            y = y[-1] if isinstance(y, (list, tuple)) else y
            y = y[..., None, None] if y.dim() == 2 else y
            if y.dim() != 4:
                raise ShapeError(
                    f"the network gives {tuple(y.shape)} for {tuple(x.shape)}",
                    expected="maps (batch, features, height, width)",
                    do="Take the part of it before its last layers.",
                )
            return y

    return External
