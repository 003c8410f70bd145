"""What a task looks for in data: which answer, which files, which columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from crnn.data.formats._files import PICTURES
from crnn.errors import SettingsError
from crnn.types import Sample

Answer = Literal["text", "label", "numbers", "events"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Said by a task and its recipe; what stands here is what reading lines of text asks for."""

    answer: Answer = "text"
    """text: a line; label: a word; numbers: one or several; events: labels with start and stop."""
    suffixes: frozenset[str] = PICTURES
    """Endings of the files that are sources."""
    columns: tuple[str, ...] = ()
    """Columns of a table that hold the answer; none takes those of usual names."""
    inputs: tuple[str, ...] = ()
    """Columns of a table that hold the inputs, where a sample has several."""
    group: str | None = None
    """Column of a table that holds the group, or a pattern that finds it in a sample's id."""


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
                do="Correct --group.",
            )
        yield replace(sample, group=found.group(1 if compiled.groups else 0))
