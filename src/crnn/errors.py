"""Mistakes that users can make. Each says what was given, what was expected and what to do, with the file's name."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any


class CrnnError(Exception):
    """Base of all errors that a user can cause; the command line prints it as one sentence and exits with 2.

    >>> print(DataError("holds 0 bytes", expected="a picture", do="Copy it again.", file="a.png"))
    a.png: holds 0 bytes; expected a picture. Copy it again.
    """

    def __init__(self, given: str, *, expected: str, do: str, file: str | Path | None = None) -> None:
        where = f"{file}: " if file is not None else ""
        super().__init__(f"{where}{given}; expected {expected}. {do}")
        self.given, self.expected, self.do, self.file = given, expected, do, file

    def __reduce__(self) -> Any:
        """What processes hand each other; without it an unreadable file in a reader's process would end a training."""
        return _again, (type(self), self.args, self.__dict__)


def _again(cls: type[CrnnError], args: tuple[Any, ...], values: dict[str, Any]) -> CrnnError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(values)
    return error


class DataError(CrnnError):
    """A file, table or sample that cannot be used."""


class Unreachable(DataError):
    """Data that lie far away, and cannot be read now: to leave them out would be to learn from others."""


class SettingsError(CrnnError):
    """A recipe, option or combination that makes no sense."""


class ShapeError(CrnnError, ValueError):
    """A tensor, state or length that does not fit the layer which was given it."""


class BundleError(CrnnError):
    """A bundle that is damaged, foreign or does not fit."""


class TrainingError(CrnnError):
    """A training run that cannot go on."""


def named(error: CrnnError, name: str) -> CrnnError:
    """``error``, or where it names no file the same error of the sample ``name``."""
    if error.file is not None or isinstance(error, MissingExtra):
        return error
    again = copy(error)
    again.file, again.args = name, (f"{name}: {error}",)
    return again


class MissingExtra(CrnnError):
    """An optional library that is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(
            f"the library {library!r} is not installed",
            expected=f"the extra {extra!r} of crnn",
            do=f"Install it: pip install 'crnn[{extra}]'",
        )
