"""What other programs answered, as a line of JSON holds it, in the values of this package.

Each function raises ``DataError`` with the sample's id for what is no answer of its kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from crnn.data.boxes import boxes_of
from crnn.errors import DataError, named
from crnn.tasks._events.runs import NOTHING, known_events
from crnn.types import Boxes, Part

EDGES = ("left", "top", "right", "bottom")


def strange(id: str, value: Any, expected: str) -> DataError:
    """That ``value`` is no answer to the sample ``id``."""
    return DataError(f"the answer is {repr(value)[:60]}", expected=expected, do="Correct the file of answers.", file=id)


def text_of(id: str, value: Any) -> str:
    """A text, as it is."""
    if not isinstance(value, str):
        raise strange(id, value, "a text in quotes")
    return value


def label_of(id: str, value: Any, names: Iterable[Any]) -> Any:
    """The label of ``names`` that is written as ``value``, which is one of its own if there is none."""
    if not isinstance(value, (str, int, float)):
        raise strange(id, value, "a label, such as a word or a number")
    return {str(name): name for name in names}.get(str(value), value)


def numbers_of(id: str, value: Any, shape: Sequence[int]) -> np.ndarray:
    """Finite numbers, float64 of ``shape``; they may stand in one row, or without axes of one."""
    try:
        table = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        table = np.full(0, np.nan)
    same = [n for n in table.shape if n != 1] == [n for n in shape if n != 1]
    if table.size != np.prod(shape) or not (same or table.ndim == 1) or not np.isfinite(table).all():
        wanted = f"{' x '.join(map(str, shape))} finite numbers" if np.prod(shape) > 1 else "a finite number"
        raise strange(id, value, wanted)
    return table.reshape(shape)


def events_of(id: str, value: Any, names: Iterable[Any], rate: float) -> tuple[Part, ...]:
    """Events, each with ``onset``, ``offset`` and ``label`` (or label, onset, offset in a list), or a label for each
    step, ``rate`` of them to the unit."""
    names, expected = tuple(names), "a list of events with onset, offset and label, or of labels of steps"
    if not isinstance(value, list):
        raise strange(id, value, expected)
    if not any(isinstance(row, (Mapping, list)) for row in value):
        return known_events([None if row in NOTHING else label_of(id, row, names) for row in value], rate)
    events = []
    for row in value:
        try:
            label, *ends = (row["label"], row["onset"], row["offset"]) if isinstance(row, Mapping) else row
            start, stop = map(float, ends)
        except (KeyError, TypeError, ValueError) as error:
            raise strange(id, row, expected) from error
        if not (isfinite(start) and start <= stop and isfinite(stop)):
            raise strange(id, row, f"{expected}, each from its beginning to its end")
        events.append(Part(label_of(id, label, names), start, stop, 1.0))
    return tuple(sorted(events, key=lambda part: (part.start, part.stop)))


def boxes_given(id: str, value: Any) -> Boxes:
    """Boxes, each with ``label``, ``left``, ``top``, ``right``, ``bottom`` and perhaps ``score``, or these in a
    list."""
    expected = f"a list of boxes with label, {', '.join(EDGES)}"
    if not isinstance(value, list):
        raise strange(id, value, expected)
    rows = []
    for row in value:
        if isinstance(row, Mapping):
            if missing := {"label", *EDGES} - row.keys():
                raise strange(id, row, f"{expected}; {', '.join(sorted(missing))} is missing")
            row = [row[key] for key in ("label", *EDGES)] + [row.get("score", 1.0)]
        rows.append(row)
    try:
        found = boxes_of(rows)
    except DataError as error:
        raise named(error, id) from error
    for box in found.boxes:
        if not all(map(isfinite, (box.left, box.top, box.right, box.bottom, box.score))):
            raise strange(id, box, f"{expected}, all of them finite")
    return found
