"""What a server takes at most, and what it says of more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from crnn.config import Count, Range, Strength
from crnn.errors import CrnnError

MEGABYTE = 1_000_000
MOST_FUTURE = 200
"""Frames that one request may have foretold."""
MOST_TOP = 100
"""Answers of one sample that a request may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a server takes."""

    max_mb: Count = 20
    """Megabytes of a request; 413 for more."""
    max_files: Count = 16
    """Files or texts of a request; 413 for more."""
    max_pixels: Count = 50_000_000
    """Pixels of a picture, of a frame of a film, or of all frames in a file of arrays; 413 for more."""
    max_seconds: Strength = 600.0
    """Seconds of a sound or film; 413 for more."""
    timeout: Annotated[float, Range(0.1)] = 30.0
    """Seconds in which a request must have come (408), and those in which it is answered (504)."""
    max_batch: Annotated[float, Range(0.1)] = 300.0
    """Seconds that a batch may be at work; a server that is longer says 503 to all, at /health too, to be restarted."""
    max_queue: Count = 64
    """Samples that wait; 503 for more."""
    max_listeners: Count = 4
    """Sockets that listen at once; one more is told so and closed."""
    max_listen: Strength = 3600.0
    """Seconds of sound on one socket; then it is answered and closed."""


class Refused(CrnnError):
    """A request that is not answered, with the ``status`` of HTTP that says so; ``retry`` are seconds after which it
    may be."""

    def __init__(
        self, status: int, given: str, *, expected: str, do: str, file: str | None = None, retry: int | None = None
    ) -> None:
        super().__init__(given, expected=expected, do=do, file=file)
        self.status, self.retry = status, retry


def status_of(error: CrnnError) -> int:
    """The status of an answer that is ``error``: 422 where nothing else is known."""
    return error.status if isinstance(error, Refused) else 422


def plain_error(error: CrnnError) -> dict[str, Any]:
    """What was given, expected and is to be done, and of which file, as plain values."""
    said = {"given": error.given, "expected": error.expected, "do": error.do}
    return {**said, "file": str(error.file)} if error.file is not None else said


def too_large(what: str, expected: str, option: str, file: str | None = None) -> Refused:
    """What is over the limit that ``option`` sets."""
    do = f"Make it smaller, or have the server started with a larger {option}."
    return Refused(413, what, expected=f"at most {expected}", do=do, file=file)
