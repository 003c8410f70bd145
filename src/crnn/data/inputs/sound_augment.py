"""Variations of a sound that leave what it says: place in time, pace, pitch, loudness, noise, and SpecAugment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crnn.config import Share, Strength, Whole

QUIET = 10  # per cent of the steps that are quieter than what fills a gap
SLOPE = 30.0  # decibels by which the highest band of a noise lies below its lowest, at most
BENDS = 5  # places that give the response of a filter, at most
RANGE = 20.0  # decibels over which the distance of a noise is drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundAugment:
    """Strengths of the variations; 0 turns one off. Place and pace are the input kind's to change, since labels of
    steps move with them. Masks are those of SpecAugment (Park et al. 2019, arXiv 1904.08779)."""

    share: Share = 1.0
    """Share of sounds that are varied at all."""
    shift: Share = 0.1
    """Most time that is put before or behind the sound, as a share of its length, filled with its quietest moments."""
    cut: Share = 0.0
    """Most time that is cut off at each end, as a share of the length: words that were cut out too closely."""
    turn: Share = 0.0
    """Share of sounds that begin anywhere, what came before put behind: suits noises, not speech."""
    speed: Share = 0.1
    """Most change of pace, as a share of it; pitch stays."""
    pitch: Strength = 1.0
    """Most shift of the spectrum up or down, in mel bands, less below 1000 Hz, as a longer or shorter throat has it
    (not of a raw waveform)."""
    filter: Strength = 0.0
    """Most change of loudness of single regions of the spectrum, in decibels, by a line over the bands that bends at
    random: other microphones, other rooms (not of a raw waveform)."""
    gain: Strength = 6.0
    """Most change of loudness, in decibels."""
    noise: Share = 0.3
    """Share of sounds to which noise is added, from white to brown."""
    distance: Strength = 15.0
    """Least distance of that noise below the sound, in decibels; it is drawn from 20 decibels above that."""
    frequency_masks: Whole = 2
    """Stripes of bands that are blotted out (not of a raw waveform)."""
    frequency_width: Share = 0.15
    """Most width of each, as a share of the bands."""
    time_masks: Whole = 2
    """Stretches of time that are blotted out."""
    time_width: Share = 0.08
    """Most length of each, as a share of the length."""

    def order(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Where each step of the variant lies among ``count`` steps: real numbers; -1 is before and behind them."""
        factor = 1 + rng.uniform(-self.speed, self.speed)
        order = np.clip(np.arange(max(1, round(count / factor))) * factor, 0, count - 1)
        if self.cut:
            first, last = (int(rng.uniform(0, self.cut) * len(order)) for _ in range(2))
            order = order[first : max(first + 1, len(order) - last)]
        if rng.random() < self.turn:
            order = np.roll(order, int(rng.integers(len(order))))
        gap = int(rng.integers(0, int(self.shift * len(order)) + 1))
        before = gap if rng.random() < 0.5 else 0
        return np.pad(order, (before, gap - before), constant_values=-1)

    def bands(self, x: np.ndarray, mean: np.ndarray, rng: np.random.Generator, *, knee: int = 0) -> np.ndarray:
        """``x`` ``(time, mels)`` in decibels, varied; what is blotted out is ``mean`` ``(mels,)``. The mel scale is
        straight up to the band ``knee`` and a logarithm from there on."""
        x = raised(x, rng.uniform(-self.pitch, self.pitch), knee) + np.float32(rng.uniform(-self.gain, self.gain))
        if self.filter:
            x = x + _response(x.shape[1], self.filter, rng)
        if rng.random() < self.noise:
            x = self._with_noise(x, rng)
        time, mels = x.shape
        x = x.copy()
        for _ in range(self.frequency_masks):
            start, stop = _stripe(mels, int(self.frequency_width * mels), rng)
            x[:, start:stop] = mean[start:stop]
        for _ in range(self.time_masks):
            start, stop = _stripe(time, int(self.time_width * time), rng)
            x[start:stop] = mean
        return x

    def wave(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """``x`` ``(samples,)``, varied."""
        if rng.random() < self.noise:
            level = np.sqrt(np.mean(x**2)) * 10 ** (-(self.distance + rng.uniform(0, RANGE)) / 20)
            x = x + (level * rng.standard_normal(len(x))).astype(np.float32)
        x = x * np.float32(10 ** (rng.uniform(-self.gain, self.gain) / 20))
        for _ in range(self.time_masks):
            start, stop = _stripe(len(x), int(self.time_width * len(x)), rng)
            x[start:stop] = 0
        return x

    def _with_noise(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Powers add up; those of noise are spread as the mean of a few squares."""
        power = 10 ** (x / 10)
        noise = 10 ** (np.linspace(0, -rng.uniform(0, SLOPE), x.shape[1]) / 10) * rng.gamma(4, 0.25, x.shape)
        level = power.mean() / noise.mean() * 10 ** (-(self.distance + rng.uniform(0, RANGE)) / 10)
        return (10 * np.log10(power + level * noise)).astype(np.float32)


def taken(x: np.ndarray, order: np.ndarray) -> np.ndarray:
    """``x`` ``(time, ...)`` at the places ``order``, between its steps by a straight line; where they are -1, its
    quietest moments, or zeros for a waveform."""
    whole = np.floor(order).astype(int)
    rest = (order - whole).astype(np.float32).reshape(-1, *[1] * (x.ndim - 1))
    y = x[whole] + (x[np.minimum(whole + 1, len(x) - 1)] - x[whole]) * rest
    if (order < 0).any():
        y[order < 0] = np.percentile(x, QUIET, axis=0).astype(np.float32) if x.ndim > 1 else 0
    return y


def raised(x: np.ndarray, bands: float, knee: int) -> np.ndarray:
    """All frequencies raised by one factor: the spectrum moved up by so many bands, below ``knee`` by as many fewer as
    it lies lower; the outermost are repeated."""
    if not bands:
        return x
    places = np.arange(x.shape[1])
    order = np.clip(places - bands * np.minimum(1, (places + 1) / max(1, knee)), 0, x.shape[1] - 1)
    return np.ascontiguousarray(taken(x.T, order).T)


def _response(bands: int, most: float, rng: np.random.Generator) -> np.ndarray:
    """Decibels ``(bands,)``: straight lines between up to ``BENDS`` places (Nam et al. 2021, FilterAugment, arXiv
    2110.03282, has the same with steps or lines)."""
    count = int(rng.integers(2, BENDS + 1))
    places = np.concatenate([[0], np.sort(rng.uniform(0, bands - 1, count - 2)), [bands - 1]])
    return np.interp(np.arange(bands), places, rng.uniform(-most, most, count)).astype(np.float32)


def _stripe(size: int, most: int, rng: np.random.Generator) -> tuple[int, int]:
    width = int(rng.integers(0, most + 1))
    start = int(rng.integers(0, size - width + 1))
    return start, start + width
