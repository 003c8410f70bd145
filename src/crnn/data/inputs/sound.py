"""Sound of any file or rate: log-mel, MFCC or the waveform itself, one channel, each band around zero.

Files are mixed to one channel and brought to one rate. Frames look at their own window only (``_spectra.py``), so that
the same network can listen while somebody speaks. Mean and deviation of each band are those of the training part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from crnn.config import Count, Strength, Whole
from crnn.data.inputs._kind import Extent, Kind
from crnn.data.inputs._sound_cuts import cut
from crnn.data.inputs._sound_files import FASTEST, SUFFIXES, check_length, checked, header_of, read_wave
from crnn.data.inputs._sound_picture import spectrum_png, wave_png
from crnn.data.inputs._sound_pieces import FULL, Pieces, doubts
from crnn.data.inputs._spectra import cosines, fft_size, frame_count, log_mel, mel_filters, of_each, to_mel
from crnn.data.inputs.sound_augment import SoundAugment, raised, taken
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.findings import Look
from crnn.types import InputSpec, Sample

Source = Path | np.ndarray
"""A sound file, or samples ``(samples,)`` from -1 to 1 at the rate of the kind."""
LOOKS = 1000  # sounds of the training part that the scale is learned from
MOST = 1 << 26  # weights of windows and bands
HIGHEST = 16_000  # samples a second to which a rate that nobody set is limited


class Sound(Kind):
    """Reads, varies and normalises sound. ``decode`` gives float32 ``(time, mels)`` in decibels, or ``(samples,)``;
    ``finish`` float32 ``(time, 1, mels)``, ``(time, 1, coefficients)`` or ``(samples, 1)``."""

    Augment = SoundAugment
    suffixes = SUFFIXES

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        features: Literal["logmel", "mfcc", "raw"] = "logmel"
        """What the network hears: power in mel bands, cepstral coefficients, or the waveform itself."""
        rate: Whole = 0
        """Samples a second to which each sound is brought; 0 takes the usual rate of the training part, at most
        16000."""
        window: Strength = 25.0
        """Length of a frame in milliseconds."""
        hop: Strength = 10.0
        """Milliseconds from one frame to the next."""
        mels: Count = 64
        """Bands of the mel scale."""
        coefficients: Count = 20
        """MFCC of each frame."""
        low: Strength = 0.0
        """Lowest frequency in Hz."""
        high: Strength = 0.0
        """Highest frequency in Hz; 0 takes half of the rate."""
        range: Strength = 0.0
        """Decibels that count: the loudest moment of each sound is 0, and what lies further below it is as quiet; 0
        takes sounds as loud as they are. Microphones differ less then, but a sound must have ended to be heard (not of
        a raw waveform)."""
        views: Strength = 0.0
        """Mel bands by which the spectrum is moved up and down for two more views of each sound that is answered, as of
        other throats; the three answers are averaged. 0 takes the sound alone (as does a raw waveform)."""
        longest: Strength = 600.0
        """Most seconds; longer sounds are refused, but by a reader, which hears them in pieces."""
        piece: Strength = 30.0
        """Most seconds of such a piece; it is cut where the sound is quietest."""

    def __init__(
        self,
        settings: Settings = Settings(),
        rate: int = HIGHEST,
        mean: Sequence[float] = (),
        deviation: Sequence[float] = (),
    ) -> None:
        """``mean`` is that of the mel bands (or of the waveform), ``deviation`` that of the features."""
        s = self.settings = settings
        if not 0 < rate <= FASTEST:
            expected, do = f"a rate from 1 to {FASTEST:,}", "Set a smaller input.rate."
            raise SettingsError(f"{str(rate)[:20]} samples a second are asked for", expected=expected, do=do)
        self.rate, self.raw = rate, s.features == "raw"
        self.window, self.hop = (max(1, round(rate * ms / 1000)) for ms in (s.window, s.hop))
        if max(self.window, self.hop) * max(s.mels, s.coefficients) > MOST:
            raise SettingsError(
                f"windows of {s.window:g} ms and {str(s.mels)[:20]} bands are asked for",
                expected=f"at most {MOST:,} weights of windows and bands together",
                do="Set a smaller input.window, input.hop, input.mels or input.coefficients.",
            )
        bands, features = (1, 1) if self.raw else (s.mels, s.coefficients if s.features == "mfcc" else s.mels)
        self.mean = np.array(mean or [0.0] * bands, np.float32)
        self.deviation = np.array(deviation or [1.0] * features, np.float32)
        if (len(self.mean), len(self.deviation)) != (bands, features) or not (self.deviation > 0).all():
            raise ValueError(f"a mean of {len(self.mean)} bands and a deviation of {len(self.deviation)} features")
        self.knee = 0 if self.raw else _bands_below(1000, s, rate)
        self.cosines = cosines(s.mels, features) if s.features == "mfcc" else None
        if not self.raw:
            _check(s, rate, fft_size(self.window))
        self.unit = "samples" if self.raw else "frames"
        self.spec = InputSpec("sound", 1, () if self.raw else (features,), rate / (1 if self.raw else self.hop))

    @classmethod
    def reads(cls, source: Any) -> bool:
        if isinstance(source, np.ndarray):
            return source.ndim == 1 and source.dtype.kind == "f"
        return super().reads(source)

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """The rate, and mean and deviation of each band. Raises ``DataError`` if nothing can be read."""
        some = samples[:: max(1, len(samples) // LOOKS)]
        plain = cls(settings, settings.rate or _usual_rate(some))
        errors: list[CrnnError] = []
        sums: list[np.ndarray] = []
        total: list[np.ndarray] = []
        for sample in some:
            try:
                bands = plain.decode(sample.x)
            except CrnnError as error:
                errors.append(error)
                continue
            x = plain.finish(bands).reshape(len(bands), -1).astype(np.float64)
            sums.append(np.stack([np.full(x.shape[1], len(x)), x.sum(0), (x**2).sum(0)]))
            total.append(bands.reshape(len(bands), -1).sum(0, dtype=np.float64))
        if not sums:
            do = "Run crnn check on the data."
            raise errors[0] if errors else DataError("holds no sounds", expected="at least one", do=do)
        count, first, square = np.sum(sums, axis=0)
        deviation = np.sqrt(np.maximum(square / count - (first / count) ** 2, 0))
        deviation[deviation < (1e-6 if plain.raw else 1e-3)] = 1.0  # a band that is empty stays empty
        return cls(settings, plain.rate, (np.sum(total, axis=0) / count[0]).tolist(), deviation.tolist())

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        rate = int(learned.get("rate", settings.rate or HIGHEST))
        return cls(settings, rate, learned.get("mean", ()), learned.get("deviation", ()))

    def learned(self) -> dict[str, Any]:
        return {"rate": self.rate, "mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    def steps(self, source: Source) -> int:
        """Frames (or samples) that ``source`` will have, from its header alone."""
        if not isinstance(source, Path):
            return self._steps(len(self._wave(source)), None)
        header = header_of(source)
        check_length(header.seconds, self.settings.longest, source)
        return self._steps(header.resampled(self.rate), source)

    def extent(self, source: Source) -> Extent:
        return Extent(0, header_of(source).seconds if isinstance(source, Path) else len(source) / self.rate)

    def cut(self, source: Source) -> Iterator[tuple[float, np.ndarray]] | None:
        if not isinstance(source, Path) or header_of(source).seconds <= self.settings.longest:
            return None
        return cut(source, self.rate, self.settings.piece)

    def decode(self, source: Source) -> np.ndarray:
        wave = self._wave(source)
        self._steps(len(wave), source)
        return self._heard(wave)

    def vary(
        self, x: np.ndarray, y: np.ndarray | None, augment: SoundAugment, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The sound at another place and pace, pitch and loudness, with noise and with parts blotted out."""
        if rng.random() > augment.share:
            return x, y
        order = augment.order(len(x), rng)
        if y is not None:
            order = order[order >= 0]  # what would be put before and behind has no label
            y = y[np.round(order).astype(int)]
        x = taken(x, order)
        return (augment.wave(x, rng) if self.raw else augment.bands(x, self.mean, rng, knee=self.knee)), y

    def finish(self, x: np.ndarray) -> np.ndarray:
        x = x[:, None] - self.mean if self.raw else x - self.mean
        if self.cosines is not None:
            x = of_each(x, self.cosines)
        x = (x / self.deviation).astype(np.float32)
        return x if self.raw else x[:, None, :]  # (time, mels) -> (time, channels, mels)

    @property
    def view_count(self) -> int:
        return 3 if self.settings.views and not self.raw else 1

    def views(self, x: np.ndarray) -> Sequence[np.ndarray]:
        if self.view_count == 1:
            return [x]
        return [x, *(raised(x, bands, self.knee) for bands in (-self.settings.views, self.settings.views))]

    def look(self, source: Source) -> Look:
        wave = self._wave(source)
        full = float((np.abs(wave) > FULL).mean())
        found = doubts(full, header_of(source).rate if isinstance(source, Path) else self.rate, self.rate)
        digest = blake2b(wave.tobytes(), digest_size=16).digest()
        return Look(self._steps(len(wave), source), digest, found)

    def picture(self, source: Source) -> bytes:
        """The spectrogram, low below and high above; of a raw waveform its outline."""
        wave = self._wave(source)
        return wave_png(wave) if self.raw else spectrum_png(self._bands(wave))

    def pieces(self, rate: int) -> Pieces:
        """Reads a sound of ``rate`` samples a second that arrives in pieces; joined it gives what ``decode`` and
        ``finish`` give of the whole, to the bit. Raises ``SettingsError`` where the whole must be known."""
        s = self.settings
        if s.range and not self.raw:
            raise SettingsError(
                f"input.range is {s.range:g}, which counts from the loudest moment of the whole sound",
                expected="0, to listen while a sound goes on",
                do="Train with input.range=0.",
            )
        return Pieces(
            rate, self.rate, (1, 1) if self.raw else (self.window, self.hop), lambda x: self.finish(self._heard(x))
        )

    def _heard(self, wave: np.ndarray) -> np.ndarray:
        return wave if self.raw else self._bands(wave)

    def _bands(self, wave: np.ndarray) -> np.ndarray:
        s = self.settings
        filters = mel_filters(self.rate, fft_size(self.window), s.mels, s.low, s.high or self.rate / 2)
        bands = log_mel(wave, self.window, self.hop, filters)
        return np.maximum(bands - bands.max(), -s.range) if s.range else bands

    def _wave(self, source: Source) -> np.ndarray:
        """The samples at the kind's rate."""
        if isinstance(source, Path):
            return read_wave(source, self.rate, self.settings.longest)
        if isinstance(source, np.ndarray) and source.ndim == 1 and source.dtype.kind == "f":
            check_length(len(source) / self.rate, self.settings.longest, None)
            return checked(np.ascontiguousarray(source, np.float32), None)
        given = f"an array of shape {source.shape}" if isinstance(source, np.ndarray) else f"a {type(source).__name__}"
        raise DataError(given, expected="a path, or real numbers (samples,)", do="Convert it.")

    def _steps(self, samples: int, source: Source | None) -> int:
        """Steps of so many samples. Raises ``DataError`` for fewer than one."""
        steps = samples if self.raw else frame_count(samples, self.window, self.hop)
        if steps < 1:
            raise DataError(
                f"lasts {1000 * samples / self.rate:.0f} milliseconds",
                expected=f"at least one window of {self.settings.window:g}",
                do="Take it out of the data, or set a shorter input.window.",
                file=source if isinstance(source, Path) else None,
            )
        return steps


def _usual_rate(samples: Sequence[Sample]) -> int:
    """The rate that most of the files have, at most ``HIGHEST``."""
    rates: Counter[int] = Counter()
    for sample in samples:
        try:
            rates[header_of(sample.x).rate if isinstance(sample.x, Path) else HIGHEST] += 1
        except DataError:
            continue  # decoding will say what is wrong
    return min(HIGHEST, rates.most_common(1)[0][0]) if rates else HIGHEST


def _bands_below(hertz: float, s: Sound.Settings, rate: int) -> int:
    """Mel bands whose middle is lower."""
    places = np.linspace(to_mel(s.low), to_mel(s.high or rate / 2), s.mels + 2)[1:-1]
    return int((places < to_mel(hertz)).sum())


def _check(settings: Sound.Settings, rate: int, size: int) -> None:
    """Raises ``SettingsError`` for bands that hear nothing."""
    s, high = settings, settings.high or rate / 2
    if not s.low < high <= rate / 2:
        raise SettingsError(
            f"the bands reach from {s.low:g} to {high:g} Hz at {rate} samples a second",
            expected=f"input.low below input.high, which is at most {rate / 2:g}",
            do="Correct input.low and input.high, or raise input.rate.",
        )
    empty = np.flatnonzero(~mel_filters(rate, size, s.mels, s.low, high).any(1))
    if len(empty):
        raise SettingsError(
            f"{len(empty)} of {s.mels} mel bands, the first of them number {empty[0] + 1}, lie between two frequencies",
            expected="bands wider than the resolution of the window",
            do="Set fewer input.mels, or a longer input.window.",
        )
    if s.features == "mfcc" and s.coefficients > s.mels:
        raise SettingsError(
            f"input.coefficients is {s.coefficients}", expected=f"at most input.mels, {s.mels}", do="Set fewer of them."
        )
