"""A long sound in pieces, cut where it is quietest: one piece at a time is in memory, however long the sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from crnn.data.inputs._sound_files import SILENT, decoded, header_of, resample

QUIET = 0.2  # seconds over which the loudness of a moment is taken
EARLIEST = 0.5  # of the longest piece, before which none ends


def cut(path: Path, rate: int, longest: float) -> Iterator[tuple[float, np.ndarray]]:
    """Pieces of at most ``longest`` seconds as float32 ``(samples,)`` at ``rate``, each with the second at which it
    begins; silent ones are passed over. Raises ``DataError`` for what cannot be decoded, and where it is cut off."""
    header = header_of(path)
    most, begin = max(2, round(longest * header.rate)), 0
    held = np.zeros(0, np.float32)
    for block in decoded(path):
        held = np.concatenate([held, block])
        while len(held) > most:
            end = _quietest(held[:most], header.rate)
            yield from _piece(held[:end], begin, header.rate, rate)
            held, begin = held[end:], begin + end
    yield from _piece(held, begin, header.rate, rate)


def _piece(x: np.ndarray, begin: int, given: int, rate: int) -> Iterator[tuple[float, np.ndarray]]:
    if not float(np.abs(x).max(initial=0)) < SILENT:  # what is no number is for others to refuse
        yield begin / given, resample(x, given, rate)


def _quietest(x: np.ndarray, rate: int) -> int:
    """The middle of the quietest moment in the later part of ``x``, the last of several that are as quiet."""
    width = max(1, min(round(QUIET * rate), len(x) // 4))
    energy = np.concatenate([[0.0], np.cumsum(x.astype(np.float64) ** 2)])
    first = int(EARLIEST * len(x))
    loudness = np.round(energy[first + width :] - energy[first:-width], 9)
    return first + len(loudness) - 1 - int(loudness[::-1].argmin()) + width // 2
