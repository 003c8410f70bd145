"""``crnn predict BUNDLE - --live``: samples from standard input, text as it is spoken."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy as np

from crnn.errors import CrnnError, DataError, SettingsError

MOST = 1 << 16  # bytes taken at once
ENDLESS = 0x7FFF0000  # bytes; a recorder that does not know when it will end writes as many, or none
FILES = {b"fLaC": "a FLAC file", b"OggS": "an Ogg file", b"ID3\x03": "an MP3 file", b"ID3\x04": "an MP3 file"}
EXPECTED = "16-bit little-endian samples, or a WAV of them"
CONVERT = "Decode it before: ffmpeg -i - -f s16le -ac 1 -ar 16000 -"


def listen(predictor: Any, rate: int, *, show: bool) -> Any:
    """The ``Prediction`` for the sound on standard input; ``show`` prints the text on one line as it grows. How long it
    took goes to standard error. Interrupted, it answers for what it heard.

    ``rate`` is that of samples without a header, 0 for the network's own. Raises ``DataError``, ``SettingsError``.
    """
    from crnn.deploy.stream import Stream

    Stream(predictor)  # which says whether it can listen before it waits for a sound
    took, shown = array("d"), ""
    found, pieces = samples(sys.stdin.buffer, rate)
    stream = Stream(predictor, rate=found or None)
    try:
        for piece in pieces:
            start = perf_counter()
            text = stream.push(piece)
            took.append(perf_counter() - start)
            if show and text.startswith(shown):  # where writing runs from the right what comes last may stand before
                sys.stdout.write(text[len(shown) :])
                sys.stdout.flush()
                shown = text
    except KeyboardInterrupt:
        pass
    try:
        start = perf_counter()
        answer = stream.finish()
        took.append(perf_counter() - start)
    except CrnnError:
        sys.stdout.write("\n" if shown else "")
        raise
    if show:  # what a beam reads again may be another text
        text = answer.value
        sys.stdout.write((text[len(shown) :] if text.startswith(shown) else f"\n{text}") + "\n")
        sys.stdout.flush()
    for finding in stream.findings:
        sys.stderr.write(f"the sound {finding.sentence}. {finding.do}\n")
    mean, most = 1000 * np.mean(took), 1000 * np.quantile(took, 0.95)
    sys.stderr.write(
        f"{stream.seconds:.1f} seconds of sound, answered in {sum(took) / stream.seconds:.3f} of that time; "
        f"a piece took {mean:.1f} ms, 95 of 100 at most {most:.1f} ms\n"
    )
    return answer


def samples(source: Any, rate: int) -> tuple[int, Iterator[np.ndarray]]:
    """The rate of the sound in the binary file ``source`` (``rate``, or what its WAV header says), and its samples as
    they come, ``(samples,)``; several channels are mixed. Raises ``DataError``, ``SettingsError``."""
    first = source.read(4)
    if first in FILES:
        raise DataError(f"standard input is {FILES[first]}", expected=EXPECTED, do=CONVERT)
    if first != b"RIFF":
        return rate, _pieces(source, first, channels=1, most=None)
    channels, said, size = _header(source)
    if rate not in (0, said):
        do = "Leave --rate out; a WAV says it itself."
        raise SettingsError(f"--rate is {rate} and the WAV has {said} samples a second", expected="one rate", do=do)
    return said, _pieces(source, b"", channels=channels, most=size if 0 < size < ENDLESS else None)


def _header(source: Any) -> tuple[int, int, int]:
    """Channels, rate and bytes of the samples of a WAV, of which ``RIFF`` was read."""
    source.read(8)
    channels = rate = 0
    while len(head := source.read(8)) == 8:
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if name == b"data" and rate:
            return channels, rate, size
        body = source.read(size + size % 2)
        if name == b"fmt " and len(body) >= 16:
            form, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            if form not in (1, 0xFFFE) or bits != 16 or not channels or not rate:
                given = f"standard input is a WAV of {bits}-bit samples, format {form}"
                raise DataError(given, expected=EXPECTED, do=CONVERT)
    raise DataError("standard input is a WAV without samples", expected=EXPECTED, do="Record it again.")


def _pieces(source: Any, first: bytes, *, channels: int, most: int | None) -> Iterator[np.ndarray]:
    """What there is, as soon as it is there; ``first`` was read already, and ``most`` bytes are samples."""
    left, frame = first, 2 * channels
    while most is None or most > 0:
        read = source.read1(MOST if most is None else min(MOST, most))
        most = most if most is None else most - len(read)
        left += read
        whole = len(left) // frame * frame
        if whole:
            x = np.frombuffer(left[:whole], "<i2")
            yield x if channels == 1 else (x.reshape(-1, channels).astype(np.float32) / 32768).mean(axis=1)
            left = left[whole:]
        if not read:
            return
