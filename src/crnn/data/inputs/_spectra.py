"""Spectra of sound on the mel scale, in plain numpy: what librosa gives to the fifth decimal, frame by frame.

A frame sees its own window and nothing else: frame ``t`` covers the samples from ``t * hop`` to ``t * hop + window``,
without a border before the first and without a scale taken from the whole. So a recording that arrives in pieces has
the same frames, as long as ``window - hop`` samples of the last piece are kept; what is left at the end and fills no
window belongs to no frame.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

FLOOR = 1e-10
"""Least power, -100 dB: what is quieter is as quiet."""
BLOCK = 1024  # frames that are transformed together, so that an hour takes no more memory than a minute


def frame_count(samples: int, window: int, hop: int) -> int:
    """Whole windows in so many samples, each ``hop`` after the last."""
    return 0 if samples < window else 1 + (samples - window) // hop


def fft_size(window: int) -> int:
    """The next power of two; a frame is filled up with zeros to it."""
    return 1 << max(0, window - 1).bit_length()


def log_mel(wave: np.ndarray, window: int, hop: int, filters: np.ndarray) -> np.ndarray:
    """``wave`` ``(samples,)`` as power in mel bands, in decibels: float32 ``(frames, mels)``.

    A periodic Hann window, the squared spectrum, ``filters`` of ``mel_filters``, then ``10 log10``, at least
    ``FLOOR``: librosa's ``power_to_db(melspectrogram(..., center=False), top_db=None)``.
    """
    count, size = frame_count(len(wave), window, hop), 2 * (filters.shape[1] - 1)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    if not count:
        return np.zeros((0, len(filters)), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(wave, window)[::hop]
    found = np.empty((count, len(filters)), np.float32)
    for start in range(0, count, BLOCK):
        spectrum = np.fft.rfft(frames[start : start + BLOCK] * hann, size)
        power = of_each(spectrum.real**2 + spectrum.imag**2, filters)
        found[start : start + BLOCK] = 10 * np.log10(np.maximum(power, FLOOR))
    return found


def of_each(rows: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """``rows @ filters.T`` of ``(frames, bins)`` and ``(outputs, bins)``, each row by itself: a matrix product adds in
    another order for one frame than for many, and the last bit would say how a sound was cut into pieces."""
    return np.einsum("fb,ob->fo", rows, filters, optimize=False)


@lru_cache(maxsize=8)
def mel_filters(rate: int, size: int, mels: int, low: float, high: float) -> np.ndarray:
    """Triangles ``(mels, size / 2 + 1)`` over the frequencies of a transform of ``size`` samples, evenly placed on
    Slaney's mel scale from ``low`` to ``high`` Hz, each of area 1 (Slaney 1998, Auditory Toolbox)."""
    places = from_mel(np.linspace(to_mel(low), to_mel(high), mels + 2))
    left, middle, right = places[:-2, None], places[1:-1, None], places[2:, None]
    bins = np.arange(size // 2 + 1) * rate / size
    up, down = (bins - left) / (middle - left), (right - bins) / (right - middle)
    filters: np.ndarray = np.maximum(0, np.minimum(up, down)) * 2 / (right - left)
    filters.setflags(write=False)
    return filters


def to_mel(hertz: float) -> float:
    """Slaney's mel: straight up to 1000 Hz (15 mel), then 27 mel for each factor of 6.4."""
    return float(15 * hertz / 1000 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4))


def from_mel(mel: np.ndarray) -> np.ndarray:
    """The other way round."""
    return np.where(mel < 15, mel * 1000 / 15, 1000 * 6.4 ** ((mel - 15) / 27))


@lru_cache(maxsize=8)
def cosines(mels: int, count: int) -> np.ndarray:
    """The first ``count`` rows of the orthonormal cosine transform (type 2) of ``mels`` values, ``(count, mels)``: MFCC
    are ``of_each`` of the log-mel and these."""
    waves = np.cos(np.pi / mels * (np.arange(mels) + 0.5) * np.arange(count)[:, None]) * np.sqrt(2 / mels)
    waves[0] /= np.sqrt(2)
    waves.setflags(write=False)
    return waves
