"""Sizes for each axis that a window covers, and torch's layers for so many axes."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from torch import nn

from crnn.errors import SettingsError

CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
MAX_POOLS: dict[int, Any] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}

Size = int | Sequence[int]
"""One number for all axes, or one for each."""


def each(name: str, value: Size, axes: int, *, least: int = 1) -> tuple[int, ...]:
    """The setting ``name``, ``value``, for each of ``axes`` axes. Raises ``SettingsError``."""
    sizes = _whole(name, (value,) * axes if isinstance(value, (int, float)) else tuple(value), least)
    if len(sizes) != axes:
        raise SettingsError(
            f"{name} {value} speaks of {len(sizes)} axes",
            expected=f"one number, or {axes}",
            do="Give one for each axis that the layer covers.",
        )
    return sizes


def kernel_of(kernel_size: Size) -> tuple[int, ...]:
    """A kernel that says how many axes there are: one to three numbers for time, height and width, or one number for
    time and height. Raises ``SettingsError``."""
    several = (kernel_size,) * 2 if isinstance(kernel_size, (int, float)) else tuple(kernel_size)
    kernel = _whole("kernel_size", several, 1)
    if len(kernel) not in CONVOLUTIONS:
        raise SettingsError(
            f"kernel_size {kernel} is for {len(kernel)} axes",
            expected="one to three numbers: time, height, width",
            do="Give one for each axis; one number alone is for two axes.",
        )
    return kernel


def positive(name: str, value: int, *, least: int = 1) -> int:
    """The setting ``name``, a whole number. Raises ``SettingsError``."""
    return _whole(name, (value,), least)[0]


def _whole(name: str, sizes: tuple[int, ...], least: int) -> tuple[int, ...]:
    wrong = [size for size in sizes if not isinstance(size, Integral) or size < least]
    if wrong:
        do = "Give a whole number for each axis, or one for all." if len(sizes) > 1 else "Give a whole number."
        raise SettingsError(f"{name} is {wrong[0]!r}", expected=f"{least} or more", do=do)
    return sizes


def far_side(borders: Sequence[int]) -> list[int] | None:
    """What a convolution that keeps the size misses behind each axis, in the order that ``F.pad`` wants it, where half
    of each of ``borders`` stands on both sides already: one place where a border is odd. None if none is."""
    odd = [border % 2 for border in borders]
    return [places for one in reversed(odd) for places in (0, one)] if any(odd) else None
