"""One reading of a long source, of the readings of its pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crnn.errors import DataError
from crnn.types import Part, Prediction


def joined(id: str, readings: Sequence[tuple[float, Prediction]]) -> Prediction:
    """The texts one after the other with a space between them, each letter at its place in the whole; the score is the
    mean of theirs, longer texts counting more. ``readings`` have the place where their piece begins.

    Raises ``DataError`` if there are none.
    """
    if not readings:
        raise DataError("is silent", expected="sound louder than -80 dB", do="Record it again.", file=id)
    parts: list[Part] = []
    for begin, reading in readings:
        moved = [replace(part, start=begin + part.start, stop=begin + part.stop) for part in reading.parts]
        if parts and moved:
            parts.append(Part(" ", parts[-1].stop, moved[0].start, 1.0))
        parts += moved
    said = [reading for _, reading in readings if reading.value]
    scores = [reading.score for _, reading in readings]
    sizes = [max(1, len(reading.value)) for _, reading in readings]
    return Prediction(id, " ".join(r.value for r in said), float(np.average(scores, weights=sizes)), tuple(parts))
