"""Encoders, one paper a file: sizes and wiring, no mathematics. The table below is all there is."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from crnn.models.crnn import CRNN
from crnn.types import Features, Level, Seq

MODELS = {"crnn": CRNN}


class Encoder(Protocol):
    """Built as ``Model(spec: InputSpec, settings: Model.Settings)``."""

    accepts: tuple[str, ...]
    """Kinds of input that it can read."""
    levels: tuple[Level, ...]
    """What comes out, fine to coarse."""

    def out_lengths(self, lengths: Tensor) -> Tensor:
        """Steps of the last level for inputs of ``lengths`` steps."""

    def forward(self, seq: Seq, state: Any = None) -> Features: ...
