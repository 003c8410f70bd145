"""What a check says of data before training: findings, and what inputs and tasks tell the check of each sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from crnn.errors import CrnnError
from crnn.types import Sample

Severity = Literal["error", "warning", "note"]
"""error: training cannot use it and leaves it out; warning: training uses it, and it is probably wrong; note: good to
know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. ``file`` is a sample's id or a file (``None``: the data as a whole), ``sentence`` goes
    on after it; ``do`` says what to do about it, ``expected`` what should have been there."""

    severity: Severity
    kind: str
    file: str | None
    sentence: str
    do: str = ""
    split: str | None = None
    expected: str = ""

    @classmethod
    def of(cls, error: CrnnError, kind: str, *, file: str | None = None, split: str | None = None) -> Finding:
        """An error as a finding.

        >>> from crnn.errors import DataError
        >>> found = Finding.of(DataError("holds 0 bytes", expected="a picture", do="Copy it.", file="a.png"), "bad")
        >>> found.file, found.sentence, found.do
        ('a.png', 'holds 0 bytes', 'Copy it.')
        """
        name = file if file is not None else None if error.file is None else str(error.file)
        return cls("error", kind, name, error.given, error.do, split, error.expected)


@dataclass(frozen=True, slots=True)
class Look:
    """What an input kind saw in one sample: its input steps, a digest of what was decoded (``None`` if there is
    nothing to tell it by), and what is odd about it (``file`` and ``split`` are filled in by the check)."""

    steps: int
    digest: bytes | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A sample as a check hands it to the task: ``inputs`` are input steps and ``steps`` those of the network's output
    (``None`` where it cannot be decoded), ``problem`` is what the task's own ``problem`` said."""

    sample: Sample
    split: str
    inputs: int | None
    steps: int | None
    problem: CrnnError | None

    @property
    def usable(self) -> bool:
        return self.inputs is not None and self.problem is None


@dataclass(frozen=True, slots=True)
class Doubts:
    """What a task found in samples: findings, figures of each split, and figures of the whole."""

    findings: tuple[Finding, ...] = ()
    figures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    whole: Mapping[str, Any] = field(default_factory=dict)
