"""What a task looks for in data: which answer, which files, which columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from crnn.data.formats._files import PICTURES
from crnn.errors import SettingsError
from crnn.types import Sample

Answer = Literal[
    "text", "label", "numbers", "events", "future", "frames", "map", "boxes", "sentences", "picture"
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """How a timeline is cut into windows, and which of its columns count."""

    window: int = 168
    """Steps that are seen."""
    lead: int = 1
    """Steps from the last that is seen to the first that is foretold."""
    horizon: int = 24
    """Steps that are foretold."""
    every: int = 1
    """Steps between the beginnings of two windows of train or valid."""
    shares: tuple[float, ...] | tuple[str, ...] = (0.6, 0.2, 0.2)
    """Train, valid and test as shares or numbers of steps; or two dates, with which valid and test begin."""
    targets: tuple[str, ...] = ()
    """Columns to foretell; none takes all that are not known beforehand."""
    known: tuple[str, ...] = ()
    """Columns that are known beforehand."""
    calendar: bool = True
    """Whether hour, weekday and day of the year are channels, where there are dates."""
    fill: int = 6
    """The longest gap, in steps, that is filled by a straight line."""
    columns: tuple[str, ...] = ()
    """All columns that are read; none takes those that hold numbers."""
    step: str = ""
    """The step that is expected, such as 1 hour; without it, the most frequent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutting:
    """How a film is cut into samples: ``past`` frames are seen, ``future`` are to be foretold."""

    past: int
    future: int
    every: int = 1
    """Frames from the beginning of a sample of training to that of the next."""
    shares: tuple[float, ...] = (0.7, 0.15, 0.15)
    """Of train, valid and test, one after the other, or their numbers of frames."""
    valid_from: str = ""
    """Time at which valid begins, where frames have times: an hour of the first day, or a date and hour."""
    test_from: str = ""
    """Likewise of test."""
    until: str = ""
    """Likewise of what is not used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Said by a task and its recipe; what stands here is what reading lines of text asks for."""

    answer: Answer = "text"
    """text: a line; label: a word; numbers: one or several; events: labels with start and stop; future: what comes;
    frames: the next of a film; map: a label for each pixel; boxes: things and where they are; sentences: one or several
    that say what is there; picture: how it should look."""
    suffixes: frozenset[str] = PICTURES
    """Endings of the files that are sources."""
    columns: tuple[str, ...] = ()
    """Columns of a table that hold the answer; none takes those of usual names."""
    inputs: tuple[str, ...] = ()
    """Columns of a table that hold the inputs, where a sample has several."""
    group: str | None = None
    """Column of a table that holds the group, or a pattern that finds it in a sample's id."""
    cutting: Cutting | None = None
    """How films are cut, where frames are the answer."""
    ahead: Ahead | None = None
    """How far to look, for tasks that ask for the future."""
    frames: int = 1
    """How many frames of a film are seen for an answer to the last of them, where maps are the answer."""
    regions: bool = False
    """Whether boxes in a picture, and which words speak of which, are wanted beside its sentences."""
    spoiling: str = "none"
    """How clean pictures are made worse, where pictures are the answer and none is given: noise, occlusion, both."""
    outside: bool = False
    """Whether files may be named that lie outside of the folder of what names them."""
    truths: bool = True
    """Whether answers are wanted, to learn from or compare with; else what is yet to be answered."""


def grouped(samples: Iterable[Sample], pattern: str) -> Iterator[Sample]:
    """The samples with the group that the regular expression ``pattern`` finds in their ids: its first bracket, or all.

    Raises ``SettingsError`` for what is no pattern, or finds nothing in an id.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise SettingsError(
            f"the group {pattern!r} is neither a column nor a pattern ({error})",
            expected=r"a column's name, or a regular expression such as 'speaker(\d+)'",
            do="Correct --group.",
        ) from error
    for sample in samples:
        found = compiled.search(sample.id)
        if found is None:
            raise SettingsError(
                f"the group {pattern!r} is no column, and as a pattern finds nothing in {sample.id!r}",
                expected=r"a column's name, or a pattern found in each id, such as 'speaker(\d+)'",
                do="Correct --group; with --group '.+' each sample is a group of its own.",
            )
        yield replace(sample, group=found.group(1 if compiled.groups else 0))
