"""Sound files opened: wav, flac, ogg, mp3 and the like as one channel of float32 at one rate, by soundfile and soxr."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crnn.data.packed import Packed, readable
from crnn.errors import DataError, MissingExtra

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"})
SILENT = 1e-4  # -80 dB: three steps of a 16-bit file
LOST = 0.1  # seconds that may be missing at the end, since some headers round
PIECE = 1 << 20  # numbers that are decoded at once
FASTEST = 768_000  # samples a second
EXPECTED = "a sound file (wav, flac, ogg, mp3)"
AGAIN = "Copy it again or take it out of the data."


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself: samples a second, and samples of each channel."""

    rate: int
    samples: int

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    def resampled(self, rate: int) -> int:
        """Samples at another rate."""
        return self.samples * rate // self.rate


def header_of(path: Path) -> Header:
    """Read without the sound. Raises ``DataError``."""
    if isinstance(path, Packed) and len(path.facts) == 2:
        return Header(*path.facts)
    with _opened(path) as file:
        return _header(file, path)


def read_wave(path: Path, rate: int, longest: float) -> np.ndarray:
    """The sound as float32 ``(samples,)`` at ``rate``, its channels' mean; as many as ``header_of`` foretells.

    Raises ``DataError`` for what is broken, cut off, silent or longer than ``longest`` seconds.
    """
    with _opened(path) as file:
        header = _header(file, path)
        check_length(header.seconds, longest, path)
        try:
            x = np.concatenate([np.zeros(0, np.float32), *_blocks(file, header, path)])
        except MemoryError as error:
            raise _broken(path) from error
    x = checked(np.pad(x, (0, max(0, header.samples - len(x)))), path)
    return resample(x, header.rate, rate)


def decoded(path: Path) -> Iterator[np.ndarray]:
    """The sound at its own rate, its channels' mean, one piece after the other: float32 ``(samples,)``.

    Raises ``DataError`` for what is broken, and at its end for what is cut off.
    """
    with _opened(path) as file:
        yield from _blocks(file, _header(file, path), path)


def _blocks(file: Any, header: Header, path: Path) -> Iterator[np.ndarray]:
    """The pieces of a ``file`` that is open."""
    count = 0
    # piece by piece, so that no number of channels needs more memory than the sound itself
    pieces = file.blocks(max(1, PIECE // file.channels), dtype="float32", always_2d=True)
    while True:
        try:
            piece = next(pieces, None)
        except (RuntimeError, MemoryError) as error:
            raise _broken(path) from error
        if piece is None:
            break
        count += len(piece)
        with np.errstate(invalid="ignore", over="ignore"):  # what is no number is said by ``checked``
            yield piece.mean(1)
    if header.samples - count > LOST * header.rate:
        given = f"ends after {count / header.rate:.1f} of {header.seconds:.1f} seconds"
        raise DataError(given, expected="a whole sound file", do=AGAIN, file=path)


def checked(x: np.ndarray, file: Path | None) -> np.ndarray:
    """``x`` if there is anything to hear. Raises ``DataError``."""
    if not np.isfinite(x).all():
        raise DataError("holds values that are no numbers", expected="samples from -1 to 1", do=AGAIN, file=file)
    if float(np.abs(x).max(initial=0)) < SILENT:
        do = "Record it again or take it out of the data."
        raise DataError("is silent", expected="sound louder than -80 dB", do=do, file=file)
    return x


def check_length(seconds: float, longest: float, file: Path | None) -> None:
    """Raises ``DataError`` if ``seconds`` are too many."""
    if seconds > longest:
        do = "Cut it into pieces, or raise input.longest."
        raise DataError(f"lasts {seconds:.0f} seconds", expected=f"at most {longest:.0f}", do=do, file=file)


def resampler(given: int, rate: int) -> Any:
    """What brings a sound that arrives in pieces from the rate ``given`` to ``rate``: ``soxr.ResampleStream``."""
    return _soxr().ResampleStream(given, rate, 1, dtype="float32")


def _soxr() -> Any:
    try:
        import soxr
    except ImportError as error:
        raise MissingExtra("soxr", "audio") from error
    return soxr


def resample(x: np.ndarray, given: int, rate: int) -> np.ndarray:
    """``x`` ``(samples,)`` of the rate ``given`` at ``rate``."""
    if given == rate:
        return x
    y, wanted = _soxr().resample(x, given, rate), Header(given, len(x)).resampled(rate)
    return np.pad(y, (0, max(0, wanted - len(y))))[:wanted]


def _broken(path: Path) -> DataError:
    return DataError("cannot be decoded", expected="a whole sound file", do=AGAIN, file=path)


def _opened(path: Path) -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise MissingExtra("soundfile", "audio") from error
    try:
        return soundfile.SoundFile(readable(path))
    except RuntimeError as error:
        if not path.is_file():
            raise DataError("is not there", expected=EXPECTED, do="Check the path.", file=path) from error
        given = "holds 0 bytes" if path.stat().st_size == 0 else "is not a sound file"
        raise DataError(given, expected=EXPECTED, do=AGAIN, file=path) from error


def _header(file: Any, path: Path) -> Header:
    if file.frames <= 0 or file.samplerate <= 0:
        raise DataError("holds no samples", expected=EXPECTED, do=AGAIN, file=path)
    if file.samplerate > FASTEST:
        given, expected = f"has {file.samplerate:,} samples a second", f"at most {FASTEST:,}"
        raise DataError(given, expected=expected, do=AGAIN, file=path)
    header = Header(file.samplerate, file.frames)
    if file.format in ("WAV", "WAVEX"):  # whose samples are counted by the file's size, whatever it says of itself
        with path.open("rb") as raw:
            said, there = int.from_bytes(raw.read(8)[4:], "little"), path.stat().st_size
        if there < said < 0x7FFFFFFF and (said - there) / said * header.seconds > LOST:
            share = f"{there:,} of {said:,} bytes"
            raise DataError(f"is cut off, {share} are there", expected="a whole sound file", do=AGAIN, file=path)
    return header
