"""What needs no network to name events: nothing at all, and one label all the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crnn.tasks._events.runs import is_events, known_events
from crnn.types import Part, Prediction, Sample

Pairs = list[tuple[tuple[Part, ...], Prediction]]


def guesses(samples: Sequence[Sample], label: Any, kind: Any, rate: float) -> dict[str, Pairs]:
    """Truths and answers by the name of who says them; ``label`` is there from the beginning of a sample to its end."""
    truths = [known_events(s.y, rate) for s in samples]
    always = [Part(label, 0.0, length_of(s, kind, rate), 1.0) for s in samples]
    return {
        "nothing": [(y, Prediction(s.id, (), 1.0)) for s, y in zip(samples, truths, strict=True)],
        "most frequent label": [
            (y, Prediction(s.id, (label,), 1.0, (part,))) for s, y, part in zip(samples, truths, always, strict=True)
        ],
    }


def length_of(sample: Sample, kind: Any, rate: float) -> float:
    """Of a sample in the unit of its events, as its source says and not its truth, which may end earlier. Raises
    ``DataError`` for a source that cannot be read."""
    if not is_events(sample.y):
        return len(sample.y) / (rate or 1.0)
    source = sample.x
    if isinstance(source, Mapping):  # places are those of the first input
        source, kind = source[kind.first], kind.kinds[kind.first]
    if seconds := kind.extent(source).seconds:
        return float(seconds)
    x, scale = kind.decode_scaled(source)
    return float(kind.places(x) / scale)
