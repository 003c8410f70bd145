"""What several networks ask of their settings; each raises ``SettingsError``."""

from __future__ import annotations

from typing import Any

from crnn.errors import SettingsError
from crnn.types import InputSpec


def check_odd(kernel: int) -> None:
    """A ``kernel`` has as much before as behind its middle."""
    if kernel % 2 == 0:
        raise SettingsError(
            f"encoder.kernel is {kernel}", expected="an odd number", do=f"Set encoder.kernel to {kernel + 1}."
        )


def check_counts(
    settings: Any, name: str, other: str, *, least: int = 0, fewer: int = 0, expected: str = "as many"
) -> None:
    """The setting ``name`` has as many entries as ``other`` (counted as ``least`` if it has not so many), or ``fewer``;
    ``expected`` says it."""
    found, wanted = len(getattr(settings, name)), len(getattr(settings, other))
    if found != max(least, wanted) - fewer:
        raise SettingsError(
            f"encoder.{name} has {found} entries and encoder.{other} {wanted}",
            expected=expected,
            do=f"Change encoder.{name} or encoder.{other}.",
        )


def height_of(spec: InputSpec, rows: int, *, least: int = 1, why: str = "") -> int:
    """The height of a line, a multiple of ``rows`` and at least ``least`` times that; ``why`` ends the sentence."""
    (height,) = spec.space
    if height < least * rows or height % rows:
        raise SettingsError(
            f"the line height is {height}",
            expected=f"a multiple of {rows}{why}",
            do=f"Set input.height to {max(least, round(height / rows)) * rows}.",
        )
    return height
