"""A sound that arrives in pieces: the same steps as of the whole, to the bit, whatever the pieces are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from crnn.data.inputs._sound_files import SILENT, Header, resampler
from crnn.data.inputs._spectra import frame_count
from crnn.errors import DataError, SettingsError
from crnn.findings import Finding

FULL = 0.999  # what is above is cut off
CLIPPED = 0.01  # share of samples at full height from which on a recording was too loud
WHOLE = 1 / 32768  # of a number of 16 bits


class Pieces:
    """``push(samples)`` gives the steps that are whole, ``finish()`` the last ones.

    Samples are ``(samples,)`` at ``given`` a second, real numbers from -1 to 1 or 16-bit whole ones, any number at a
    time; steps are those of a network that hears ``rate`` samples a second, of which the ``window`` of a frame and the
    ``hop`` to the next are ``frame``. ``steps_of`` makes float32 ``(time, channels, *space)`` of whole windows. No more
    than a window is kept.
    """

    def __init__(
        self, given: int, rate: int, frame: tuple[int, int], steps_of: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        if given < 1:
            raise SettingsError(
                f"the rate of the sound is {given}", expected="samples a second", do="Say it: rate=16000"
            )
        self.given, self.rate = given, rate
        (self.window, self.hop), self.steps_of = frame, steps_of
        self.resampled: Any = None if given == rate else resampler(given, rate)
        self.samples = self.sent = self.cut_off = 0
        """Samples that came, that were handed on at the network's rate, and that stood at full height."""
        self.loudest = 0.0
        self._left, self._ahead = np.zeros(0, np.float32), 0

    @property
    def seconds(self) -> float:
        return self.samples / self.given

    @property
    def silent(self) -> bool:
        """Whether nothing was to be heard so far."""
        return self.loudest < SILENT

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is odd about the sound so far."""
        return doubts(self.cut_off / max(1, self.samples), self.given, self.rate)

    def push(self, samples: Any) -> np.ndarray:
        """Raises ``DataError``, without taking any of them, for samples that are none."""
        x = _checked(samples)
        height = np.abs(x)
        self.samples += len(x)
        self.loudest = max(self.loudest, float(height.max(initial=0)))
        self.cut_off += int((height > FULL).sum())
        return self._steps(x if self.resampled is None else self.resampled.resample_chunk(x))

    def finish(self) -> np.ndarray:
        """The steps that were still in the resampler, perhaps none."""
        if self.resampled is None:
            return self._steps(np.zeros(0, np.float32))
        rest = self.resampled.resample_chunk(np.zeros(0, np.float32), last=True)
        wanted = max(0, Header(self.given, self.samples).resampled(self.rate) - self.sent)
        return self._steps(np.pad(rest, (0, max(0, wanted - len(rest))))[:wanted])

    def _steps(self, x: np.ndarray) -> np.ndarray:
        """The steps that end in ``x``, samples at the network's rate."""
        self.sent += len(x)
        skipped = min(self._ahead, len(x))  # where frames are further apart than they are long
        self._ahead -= skipped
        x = np.concatenate([self._left, x[skipped:]])
        start = frame_count(len(x), self.window, self.hop) * self.hop
        steps = self.steps_of(x)
        self._left, self._ahead = x[start:].copy(), self._ahead + max(0, start - len(x))
        return steps


def doubts(full: float, given: int, rate: int) -> tuple[Finding, ...]:
    """What is odd about a sound of ``given`` samples a second, of which the share ``full`` stands at full height, for a
    network that hears ``rate``."""
    found = []
    if full > CLIPPED:
        do = "Record it at a lower level, or live with the distortion."
        sentence = f"is too loud, {100 * full:.0f} % of its samples are cut off"
        found.append(Finding("warning", "clipped", None, sentence, do))
    if given < rate:
        do = "Set input.rate to the lowest rate of your sounds, so that all are heard alike."
        sentence = f"has {given} samples a second, so its upper bands are empty at {rate}"
        found.append(Finding("warning", "lower rate", None, sentence, do))
    return tuple(found)


def _checked(samples: Any) -> np.ndarray:
    """``samples`` as float32 from -1 to 1. Raises ``DataError``."""
    x = np.asarray(samples)
    expected = "one channel (samples,), real numbers from -1 to 1 or whole numbers of 16 bits (int16)"
    if x.ndim != 1:
        do = "Mix the channels, samples.mean(axis=1), or take one of them, samples[:, 0]."
        raise DataError(f"samples of the shape {x.shape}", expected=expected, do=do)
    if x.dtype.kind == "i" and x.dtype.itemsize == 2:
        return x.astype(np.float32) * np.float32(WHOLE)
    if x.dtype.kind != "f" and x.size:
        raise DataError(f"samples of the type {x.dtype}", expected=expected, do="Convert them: samples / full_scale")
    if not np.isfinite(x).all():
        do = "Leave this piece out, or put zeros in their place: numpy.nan_to_num(samples)"
        raise DataError("samples that are no numbers (NaN)", expected=expected, do=do)
    return x.astype(np.float32)
