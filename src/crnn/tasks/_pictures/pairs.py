"""Spoilt pictures and clean ones, read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from crnn.data.inputs._pictures import Mode, opened
from crnn.data.randomness import random_of
from crnn.data.spoil import spoil
from crnn.errors import DataError
from crnn.types import Sample, Spoilt


def source_of(x: Any) -> Any:
    """What is to be spoilt, of what was made to be so."""
    return x.source if isinstance(x, Spoilt) else x


def read(source: Any, mode: Mode) -> np.ndarray:
    """uint8 ``(height, width, channels)``. Raises ``DataError``."""
    x = np.asarray(opened(source, (0, 0), mode)[0])
    return x if x.ndim == 3 else x[..., None]


def spoilt(sample: Sample, mode: Mode) -> np.ndarray:
    """What a network is given of ``sample`` in testing, likewise."""
    x = read(source_of(sample.x), mode)
    if not isinstance(sample.x, Spoilt):
        return x
    return spoil(x[None], sample.x.how, random_of(0, 0, sample.x.id))[0]


def other_size(own: tuple[int, int], size: tuple[int, int], y: Any) -> DataError:
    """A clean picture ``y`` of its ``own`` size (width, height) and not that of the one to be restored."""
    return DataError(
        f"is a clean picture of {own[0]} x {own[1]} pixels",
        expected=f"{size[0]} x {size[1]}, as the one to be restored",
        do="Scale or cut both alike.",
        file=y if isinstance(y, Path) else None,
    )
