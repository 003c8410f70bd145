"""Films as a few frames each, evenly taken or so many a second, scaled to one size; a film is never in memory whole.

Size, and mean and deviation of each channel, are those of the training part unless a recipe sets the size.
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

from crnn.config import Count, Strength, Whole
from crnn.data.inputs._film_files import SUFFIXES, Header, Source, header_of, read_frames
from crnn.data.inputs._kind import Extent, Kind
from crnn.data.inputs._pictures import Mode
from crnn.data.inputs._scale import UNKNOWN, Scale
from crnn.data.inputs.film_augment import FilmAugment
from crnn.errors import CrnnError, DataError
from crnn.findings import Finding, Look
from crnn.types import InputSpec, Sample

LOOKS = 100  # films of the training part that the scale is learned from
LARGEST = 112  # pixels to which a height that nobody set is limited
STRIP = (8, 120)  # frames in the picture for reports, and their height


class Film(Kind):
    """Reads, varies and normalises films; ``decode`` gives uint8 ``(time, height, width, channels)``, ``finish``
    float32 ``(time, channels, height, width)``."""

    Augment = FilmAugment
    suffixes = SUFFIXES
    unit = "frames"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        frames: Count = 16
        """Frames that are taken of each film, evenly over its length; of a shorter one some are taken again."""
        rate: Strength = 0.0
        """Frames a second to take instead, so that longer films have more; 0 takes as many as ``frames`` says."""
        height: Whole = 0
        """Height in pixels to which each frame is scaled; 0 takes the median of the training part, at most 112."""
        width: Whole = 0
        """Width likewise; 0 keeps the median shape of the training part."""
        colour: Literal["colour", "grey"] = "colour"
        """Three channels or one."""
        motion: Literal["none", "beside", "alone"] = "none"
        """What has changed since the frame before: not shown, beside the frame's own channels, or alone."""
        longest: Count = 100_000
        """Most frames of a film as it is on disk; longer ones are refused."""

    def __init__(self, settings: Settings = Settings(), scale: Scale = UNKNOWN) -> None:
        self.settings, self.scale = settings, scale
        self.mode: Mode = "L" if len(scale.mean) == 1 else "RGB"
        channels = len(scale.mean) * (2 if settings.motion == "beside" else 1)
        self.spec = InputSpec("film", channels, (scale.height, scale.width), settings.rate or None)

    @classmethod
    def reads(cls, source: Any) -> bool:
        if isinstance(source, np.ndarray):
            return source.ndim == 4 and source.dtype == np.uint8
        return super().reads(source) or (isinstance(source, Path) and source.is_dir())

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """Size, mean and deviation of at most ``LOOKS`` films. Raises ``DataError`` if none can be read."""
        errors: list[CrnnError] = []
        sizes, sums = [], []
        for sample in samples[:: max(1, len(samples) // LOOKS)]:
            try:
                width, height = header_of(sample.x).size
                small = min(LARGEST, height)
                scale = Scale.blank(small, max(1, round(small * width / height)), settings.colour)
                x = cls(settings, scale).decode(sample.x).reshape(-1, len(scale.mean)) / 255
            except CrnnError as error:
                errors.append(error)
                continue
            sizes.append((width, height))
            sums.append([x.mean(0), (x**2).mean(0)])
        if not sizes:
            do = "Run crnn check on the data."
            raise errors[0] if errors else DataError("holds no films", expected="at least one", do=do)
        mean, square = np.mean(sums, axis=0)
        widths, heights = np.array(sizes, dtype=float).T
        height = settings.height or min(LARGEST, round(float(np.median(heights))))
        width = settings.width or max(1, round(height * float(np.median(widths / heights))))
        return cls(settings, Scale.of(height, width, mean, square))

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        if not learned:
            height = settings.height or settings.width or UNKNOWN.height
            return cls(settings, Scale.blank(height, settings.width or height, settings.colour))
        return cls(settings, Scale.restore(learned))

    def learned(self) -> dict[str, Any]:
        return self.scale.learned()

    def steps(self, source: Source) -> int:
        return self._steps(header_of(source), source)

    def extent(self, source: Source) -> Extent:
        header = header_of(source)
        return Extent(header.size[0] * header.size[1], header.seconds or 0.0)

    def decode(self, source: Source) -> np.ndarray:
        return self.decode_scaled(source)[0]

    def decode_scaled(self, source: Source) -> tuple[np.ndarray, float]:
        """The frames, and how many of them stand for a second, or for one frame of the source where nobody knows."""
        header = header_of(source)
        steps = self._steps(header, source)
        places = ((np.arange(steps) + 0.5) * header.frames / steps).astype(int)
        x = read_frames(source, places.tolist(), (self.scale.width, self.scale.height), self.mode)
        return x, steps / (header.seconds or header.frames)

    def vary(
        self, x: np.ndarray, y: np.ndarray | None, augment: FilmAugment, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """A piece of all frames, mirrored and lit differently, some frames a little earlier or later."""
        if rng.random() > augment.share:
            return x, y
        order = augment.order(len(x), rng)
        return augment(x[order], rng), None if y is None else y[order]

    def finish(self, x: np.ndarray) -> np.ndarray:
        # (time, height, width, channels) -> (time, channels, height, width)
        y = self.scale.scaled(x).transpose(0, 3, 1, 2)
        if self.settings.motion == "none":
            return y
        change = np.diff(y, axis=0, prepend=y[:1])  # the first frame has none before it
        return change if self.settings.motion == "alone" else np.concatenate([y, change], axis=1)

    def look(self, source: Source) -> Look:
        x = self.decode(source)
        do = "Look at these films; drop them if they show nothing."
        if float(x.std()) < 2:
            return Look(len(x), None, (Finding("warning", "blank film", None, "is of one colour only", do),))
        found = []
        if len(x) > 1 and not np.ptp(x.astype(np.int16), axis=0).any():
            found.append(Finding("warning", "nothing moves", None, "has the same picture in all its frames", do))
        if (count := header_of(source).frames) < len(x):
            given, do = f"has {count} frames, some of which are taken twice", "Take fewer: --set input.frames=8."
            found.append(Finding("note", "short film", None, given, do))
        return Look(len(x), blake2b(x.tobytes(), digest_size=16).digest(), tuple(found))

    def picture(self, source: Source) -> bytes:
        """A strip of frames."""
        x = self.decode(source)
        count, height = STRIP
        some = x[np.linspace(0, len(x) - 1, min(count, len(x))).round().astype(int)]
        strip = Image.fromarray(np.concatenate(some, axis=1).squeeze())
        width = max(1, round(strip.width * height / strip.height))
        file = io.BytesIO()
        strip.resize((width, height), Image.Resampling.BILINEAR).save(file, "PNG")
        return file.getvalue()

    def _steps(self, header: Header, source: Source) -> int:
        """Frames that are taken. Raises ``DataError`` for a film that is too long, or has no clock to go by."""
        file = source if isinstance(source, Path) else None
        if header.frames > self.settings.longest:
            raise DataError(
                f"has {header.frames} frames",
                expected=f"at most {self.settings.longest}",
                do="Cut it into pieces, or raise input.longest.",
                file=file,
            )
        if not self.settings.rate:
            return self.settings.frames
        if header.seconds is None:
            raise DataError(
                "does not say how long it lasts",
                expected="a film with a clock, since input.rate is set",
                do="Set input.rate to 0, and input.frames.",
                file=file,
            )
        return max(1, round(header.seconds * self.settings.rate))
