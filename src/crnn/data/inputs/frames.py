"""Frames of a quantity that is measured over time, such as rain: each pixel is a number in a unit of its own.

Where a film is a few pictures of which something is to be said, frames are all there, at their own size and in their
own unit, so that the next ones can be foretold. The network sees them on a scale from 0 to 1 or of mean 0 and
deviation 1; ``physical`` goes back.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from PIL import Image

from crnn.config import Count, Strength
from crnn.data.inputs._film_files import SUFFIXES as FILMS
from crnn.data.inputs._film_files import frames_in, header_of, read_frames
from crnn.data.inputs._frame_files import SUFFIXES as STORED
from crnn.data.inputs._frame_files import read_stored
from crnn.data.inputs._kind import Extent, Kind
from crnn.data.inputs._pictures import values_of
from crnn.data.inputs._scale import LARGEST, scale_of
from crnn.data.inputs.frames_augment import FramesAugment
from crnn.errors import CrnnError, DataError
from crnn.findings import Finding, Look
from crnn.types import Clip, InputSpec, Sample

Source = Clip | Path | np.ndarray
"""A stretch of a film, a whole film, folder of frames or file of an array, or an array ``(time, height, width)`` or
``(time, channels, height, width)``, also ``(time, height, width, 3)``."""
Scaling = Literal["auto", "unit", "rain", "learned", "none"]
LOOKS = 200  # samples of the training part that the scale is learned from
STRIP = (10, 96)  # frames in the picture for reports, and their height
LOUDEST = 60.0  # dBZ that are 1 on the scale of rain: 205 mm/h
EXPECTED = "frames (time, height, width) or (time, channels, height, width)"


class Frames(Kind):
    """Reads, varies and scales frames; ``decode`` gives float32 ``(time, channels, height, width)`` in the quantity's
    own unit, ``finish`` the same on the network's scale."""

    Augment = FramesAugment
    suffixes = FILMS | STORED
    unit = "frames"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        scale: Scaling = "auto"
        """What the network sees: unit (0 to 1 as they are), rain (mm/h as 0 to 60 dBZ, by Z = 200 R^1.6 of Marshall &
        Palmer 1948), learned (mean 0 and deviation 1 of the training part) or none; auto takes unit where all values
        lie between 0 and 1, else learned."""
        factor: Strength = 0.0
        """What stored values are multiplied by to be in their unit, such as 0.1 for tenths of mm/h; 0 takes 1/255 for
        whole numbers of 8 bits and 1 for others."""
        missing: float | None = None
        """Stored value that means: not measured; NaN always does. Such a pixel is seen with its value of the frame
        before, or 0 where there is none; where it was to be foretold, it does not count."""
        shrink: Count = 1
        """Pixels in height and width of which the mean is taken."""
        largest: Count = 1024
        """Most pixels in height and width, after that; larger frames are refused."""

    def __init__(self, settings: Settings = Settings(), learned: Mapping[str, Any] | None = None) -> None:
        self.settings = settings
        known = learned or {}
        self.scale: str = known.get("scale", "none" if settings.scale == "auto" else settings.scale)
        self.mean, self.deviation = float(known.get("mean", 0.0)), float(known.get("deviation", 1.0))
        channels, height, width = known.get("shape", (1, 64, 64))
        self.spec = InputSpec("frames", int(channels), (int(height), int(width)))
        self._checks = bool(learned)

    @classmethod
    def reads(cls, source: Any) -> bool:
        if isinstance(source, np.ndarray):
            return source.ndim in (3, 4) and source.dtype.kind in "fiub"
        return isinstance(source, Clip) or super().reads(source) or (isinstance(source, Path) and source.is_dir())

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """Size of the first frames that can be read, and mean and deviation of at most ``LOOKS`` samples. Raises
        ``DataError`` if none can be read."""
        plain = cls(settings)
        errors: list[CrnnError] = []
        shape: list[int] = []
        sums, low, high = [], np.inf, -np.inf
        for sample in samples[:: max(1, len(samples) // LOOKS)]:
            try:
                x = plain.decode(sample.x)
            except CrnnError as error:
                errors.append(error)
                continue
            shape = shape or list(x.shape[1:])
            sums.append((x.mean(dtype=np.float64), np.square(x, dtype=np.float64).mean()))
            low, high = min(low, float(x.min())), max(high, float(x.max()))
        if not sums:
            do = "Run crnn check on the data."
            raise errors[0] if errors else DataError("holds no frames", expected="at least one sample", do=do)
        scale = settings.scale
        if scale == "auto":
            scale = "unit" if low >= 0 and high <= 1 else "learned"
        mean, square = np.mean(sums, axis=0)
        deviation = float(np.sqrt(max(square - mean**2, 0.0))) or 1.0
        both = {"mean": float(mean), "deviation": deviation} if scale == "learned" else {}
        return cls(settings, {"scale": scale, "shape": shape, **both})

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        if learned:
            channels, height, width = learned["shape"]
            if not (0 < channels <= LARGEST and 0 < height <= LARGEST and 0 < width <= LARGEST):
                raise ValueError(f"frames of {channels} channels and {height} x {width} pixels")
            scale_of({"mean": [learned.get("mean", 0.0)], "deviation": [learned.get("deviation", 1.0)]})
        return cls(settings, learned)

    def learned(self) -> dict[str, Any]:
        both = {"mean": self.mean, "deviation": self.deviation} if self.scale == "learned" else {}
        return {"scale": self.scale, "shape": [self.spec.channels, *self.spec.space], **both}

    @property
    def bounded(self) -> bool:
        """Whether the network's scale goes from 0 to 1."""
        return self.scale in ("unit", "rain")

    def steps(self, source: Source) -> int:
        if isinstance(source, Clip):
            return source.count
        if isinstance(source, np.ndarray):
            return len(source)
        stored = isinstance(source, Path) and source.suffix.lower() in STORED
        return len(read_stored(source).frames) if stored else header_of(source).frames

    def extent(self, source: Source) -> Extent:
        if isinstance(source, Path) and source.suffix.lower() in STORED:
            return Extent(read_stored(source).frames.size)
        if isinstance(source, np.ndarray):
            return Extent(source.size)
        header = header_of(source.film if isinstance(source, Clip) else source)
        return Extent(header.size[0] * header.size[1], header.seconds or 0.0)

    def decode(self, source: Source) -> np.ndarray:
        return self._decode(source, bridged=True)

    def measured(self, source: Source) -> np.ndarray:
        """The same, NaN where nothing was measured: truths."""
        return self._decode(source, bridged=False)

    def _decode(self, source: Source, *, bridged: bool) -> np.ndarray:
        file = source.film if isinstance(source, Clip) else source if isinstance(source, Path) else None
        x = _stored(source)
        factor = self.settings.factor or (1 / 255 if x.dtype == np.uint8 else 1.0)
        gaps = _gaps(x, self.settings.missing)
        x = x.astype(np.float32) * np.float32(factor) if factor != 1 else x.astype(np.float32)
        if gaps is not None:
            x = _filled(x, gaps) if bridged else np.where(gaps, np.float32(np.nan), x)
        if self.settings.shrink > 1:
            x = _shrunk(x, self.settings.shrink)
        if max(x.shape[2:], default=0) > self.settings.largest or not x.size:
            raise DataError(
                f"has frames of {x.shape[2]} x {x.shape[3]} pixels",
                expected=f"at least one, at most {self.settings.largest} each way",
                do="Set input.shrink to take the mean of several, or raise input.largest.",
                file=file,
            )
        if self._checks and x.shape[1:] != (self.spec.channels, *self.spec.space):
            (channels, height, width), own = x.shape[1:], self.spec
            raise DataError(
                f"has frames of {height} x {width} pixels and {channels} channels",
                expected=f"{own.space[0]} x {own.space[1]} and {own.channels}, as in the training part",
                do="Cut or scale all frames to one size.",
                file=file,
            )
        return x

    def vary(
        self, x: np.ndarray, y: np.ndarray | None, augment: FramesAugment, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Mirrored, turned, stronger or weaker; ``y`` are frames, too."""
        if rng.random() > augment.share:
            return x, y
        parts = augment([x] if y is None else [x, y], rng)
        return parts[0], None if y is None else parts[1]

    def finish(self, x: np.ndarray) -> np.ndarray:
        if self.scale == "rain":
            x = decibels(x) / LOUDEST
        elif self.scale == "learned":
            x = (x - self.mean) / self.deviation
        return np.ascontiguousarray(np.clip(x, 0, 1) if self.bounded else x, np.float32)

    def physical(self, x: np.ndarray) -> np.ndarray:
        """Frames on the network's scale in the quantity's own unit: the inverse of ``finish``, as far as it goes."""
        if self.bounded:
            x = np.clip(x, 0, 1)
        if self.scale == "rain":
            rate = (10 ** (x * LOUDEST / 10) / 200) ** (1 / 1.6)
            return np.where(x > 0, rate, 0).astype(np.float32)
        return x * self.deviation + self.mean if self.scale == "learned" else x

    def look(self, source: Source) -> Look:
        stored = _stored(source)
        gaps = _gaps(stored, self.settings.missing)
        x = self.decode(source)
        found = []
        if gaps is not None:
            given = f"has {gaps.sum():,} values of {gaps.size:,} that were not measured"
            do = "They are seen as in the frame before, and are no truth."
            found.append(Finding("note", "missing values", None, given, do))
        if not np.ptp(x):
            given, do = "has one value everywhere", "Nothing needs to be done if nothing was there to measure."
            return Look(len(x), None, (*found, Finding("note", "empty frames", None, given, do)))
        if len(x) > 1 and not np.ptp(x, axis=0).any():
            do = "Look at these frames; drop them if the instrument stood still."
            found.append(Finding("warning", "nothing moves", None, "has the same picture in all its frames", do))
        return Look(len(x), blake2b(x.tobytes(), digest_size=16).digest(), tuple(found))

    def picture(self, source: Source) -> bytes:
        """A strip of frames, their mean over channels, from black (the lowest value) to white."""
        x = self.finish(self.decode(source)).mean(1)
        count, height = STRIP
        some = x[np.linspace(0, len(x) - 1, min(count, len(x))).round().astype(int)]
        low, high = (0.0, 1.0) if self.bounded else (float(some.min()), float(some.max()))
        strip = np.concatenate(list((some - low) / max(high - low, 1e-6)), axis=1)
        picture = Image.fromarray((np.clip(strip, 0, 1) * 255).astype(np.uint8))
        file = io.BytesIO()
        picture.resize((max(1, round(picture.width * height / picture.height)), height)).save(file, "PNG")
        return file.getvalue()


def decibels(rate: np.ndarray) -> np.ndarray:
    """Rain in mm/h as dBZ, at least 0."""
    return 10 * np.log10(np.maximum(200 * np.maximum(rate, 0).astype(np.float32) ** np.float32(1.6), 1))


def _stored(source: Source) -> np.ndarray:
    """Frames as they are stored, ``(time, channels, height, width)``. Raises ``DataError``."""
    if isinstance(source, np.ndarray):
        x, file = source, None
    elif isinstance(source, Clip):
        x, file = _of_film(source.film, source.start, source.count), source.film
    elif isinstance(source, Path):
        file = source
        stored = source.suffix.lower() in STORED
        x = read_stored(source).frames if stored else _of_film(source, 0, header_of(source).frames)
    else:
        raise DataError(f"a {type(source).__name__}", expected=f"a path, or {EXPECTED}", do="Convert it.")
    if x.ndim == 4 and x.shape[3] in (1, 3) and x.shape[1] not in (1, 3):
        x = x.transpose(0, 3, 1, 2)  # (time, height, width, channels) -> (time, channels, height, width)
    if x.ndim == 3:
        x = x[:, None]
    if x.ndim != 4 or x.dtype.kind not in "fiub" or not x.size:
        given = f"an array of shape {source.shape} and type {source.dtype}" if isinstance(source, np.ndarray) else ""
        given = given or f"holds an array of shape {x.shape} and type {x.dtype}"
        raise DataError(given, expected=EXPECTED, do="Convert it.", file=file)
    return x


def _of_film(path: Path, start: int, count: int) -> np.ndarray:
    """Frames of a film, grey, or of a folder of pictures, with all their bits."""
    if not path.is_dir():
        return read_frames(path, range(start, start + count), header_of(path).size, "L")[..., 0]
    files = frames_in(path)[start : start + count]
    found = [values_of(file) for file in files]
    for file, x in zip(files, found, strict=True):
        if x.shape != found[0].shape:
            raise DataError(
                f"is a picture of {x.shape[0]} x {x.shape[1]} pixels in {'grey' if x.ndim == 2 else 'colour'}",
                expected=f"frames like {files[0].name}, of {found[0].shape[0]} x {found[0].shape[1]}",
                do="Cut or scale all frames to one size.",
                file=file,
            )
    return np.stack(found)


def _gaps(x: np.ndarray, missing: float | None) -> np.ndarray | None:
    """Where nothing was measured, or ``None``."""
    gaps = np.zeros(x.shape, bool) if x.dtype.kind != "f" else ~np.isfinite(x)
    if missing is not None:
        gaps |= x == missing
    return gaps if gaps.any() else None


def _filled(x: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """``x`` with what stood there before in the place of ``gaps``, or 0."""
    x = np.where(gaps, 0, x)
    for before, frame, gap in zip(x, x[1:], gaps[1:], strict=False):
        frame[gap] = before[gap]
    return x


def _shrunk(x: np.ndarray, factor: int) -> np.ndarray:
    """Means of squares of pixels; what is left over at the right and at the bottom is dropped."""
    height, width = x.shape[2] // factor, x.shape[3] // factor
    x = x[:, :, : height * factor, : width * factor].reshape(*x.shape[:2], height, factor, width, factor)
    return x.mean((3, 5), dtype=np.float32)
