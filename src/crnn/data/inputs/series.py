"""Recordings of numbers, of one channel or many: sensors, prices, traces of a pen. Time runs along the rows.

Each channel is shifted and scaled to mean 0 and deviation 1 of the training part. Where its files name their channels,
a file that has these names gives them in the same order, whatever else it has.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from PIL import Image, ImageDraw

from crnn.config import Count, Strength, Whole
from crnn.data.inputs._kind import Kind
from crnn.data.inputs._numbers import SUFFIXES, as_recording, heading_of, read_numbers
from crnn.data.inputs._scale import scale_of
from crnn.data.inputs._shown import legend_html
from crnn.data.inputs.series_augment import SeriesAugment
from crnn.data.timelines import Span, covered
from crnn.errors import CrnnError, DataError
from crnn.findings import Finding, Look
from crnn.types import InputSpec, Sample

Source = Path | np.ndarray | Span
"""A file of numbers, an array ``(time,)`` or ``(time, channels)``, or a span of a timeline, whose gaps are filled."""
LOOKS = 5000  # recordings of the training part that the scale is learned from
HEADINGS = 200  # of which the names of the channels are
SHOWN = (640, 160)  # pixels of the plot in reports
COLOURS = ("#2457c5", "#c2571a", "#2a8a4a", "#a13a8a", "#7a6a00", "#3a8aa1")


class Series(Kind):
    """Reads, varies and normalises recordings; ``decode`` and ``finish`` give float32 ``(time, channels)``."""

    Augment = SeriesAugment
    suffixes = SUFFIXES

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        columns: tuple[str, ...] = ()
        """Columns of a file to take, by name or number (from 1); none takes all but those that tell the time."""
        channels: Whole = 0
        """Channels of each recording; 0 takes what the training part has."""
        missing: Literal["refuse", "bridge"] = "refuse"
        """Absent values and NaN: refuse the recording, or bridge them by a straight line."""
        rate: Strength = 0.0
        """Steps a second, so that places are said in seconds; 0 counts steps."""
        every: Count = 1
        """Steps of a file of which one is taken, their mean."""
        longest: Count = 100_000
        """Most steps; longer recordings are refused."""

    def __init__(
        self,
        settings: Settings = Settings(),
        mean: Sequence[float] = (0.0,),
        deviation: Sequence[float] = (1.0,),
        *,
        names: Sequence[str] = (),
        step: float | None = None,
    ) -> None:
        self.settings, self.names, self.step = settings, tuple(names), step
        self.mean, self.deviation = np.array(mean, np.float32), np.array(deviation, np.float32)
        rate = settings.rate / settings.every
        self.spec = InputSpec("series", len(self.mean), rate=rate or None)

    @classmethod
    def reads(cls, source: Any) -> bool:
        if isinstance(source, np.ndarray):
            return source.ndim in (1, 2) and source.dtype.kind in "fiub"
        return isinstance(source, Span) or super().reads(source)

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """Mean and deviation of each channel; of spans of a timeline each step counts once. Raises ``DataError`` if
        nothing can be read."""
        single = [sample for sample in samples if not isinstance(sample.x, Span)]
        names, step = _usual([s.x for s in single if isinstance(s.x, Path)][:HEADINGS])
        names = () if settings.columns else names
        plain = cls(settings, [0.0] * settings.channels or [0.0], [1.0] * settings.channels or [1.0], names=names)
        errors: list[CrnnError] = []
        sums: dict[int, list[np.ndarray]] = {}

        def add(x: np.ndarray) -> None:
            x = x.astype(np.float64)
            sums.setdefault(x.shape[1], []).append(np.stack([np.full(x.shape[1], len(x)), x.sum(0), (x**2).sum(0)]))

        for table in covered(sample.x for sample in samples if isinstance(sample.x, Span)):  # as long as they are
            add(table[np.isfinite(table).all(1)])
        for sample in single[:: max(1, len(single) // LOOKS)]:
            try:
                add(plain._read(sample.x))
            except CrnnError as error:
                errors.append(error)
        if not sums:
            do = "Run crnn check on the data."
            raise errors[0] if errors else DataError("holds no recordings", expected="at least one", do=do)
        usual = settings.channels or max(sums, key=lambda channels: len(sums[channels]))
        if usual not in sums:
            plain._check(np.zeros((1, next(iter(sums)))), samples[0].x)
        count, total, square = np.sum(sums[usual], axis=0)
        mean = total / count
        deviation = np.sqrt(np.maximum(square / count - mean**2, 0))
        deviation[deviation <= 1e-6 * np.sqrt(square / count)] = 1.0  # a channel that stands still stays zero
        return cls(settings, mean.tolist(), deviation.tolist(), names=names if len(names) == usual else (), step=step)

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        count = settings.channels or 1
        blank = {"mean": [0.0] * count, "deviation": [1.0] * count}
        names, step = tuple(map(str, learned.get("names", ()))), learned.get("step")
        return cls(settings, *scale_of(learned or blank), names=names, step=None if step is None else float(step))

    def learned(self) -> dict[str, Any]:
        scale = {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}
        return {**scale, "names": list(self.names), **({} if self.step is None else {"step": self.step})}

    def steps(self, source: Source) -> int:
        return source.stop - source.start if isinstance(source, Span) else len(self._checked(source))

    def decode(self, source: Source) -> np.ndarray:
        return (self._checked(source) - self.mean) / self.deviation

    def decode_scaled(self, source: Source) -> tuple[np.ndarray, float]:
        """Places are in seconds where there is a rate, in steps of the file otherwise."""
        return self.decode(source), self.spec.rate or 1 / self.settings.every

    def vary(
        self, x: np.ndarray, y: np.ndarray | None, augment: SeriesAugment, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """A piece of the recording, moved in time, at another pace, with noise and other strengths."""
        if rng.random() > augment.share:
            return x, y
        order = augment.order(len(x), rng)
        nearest = np.round(order).astype(int)
        return augment(between(x, order), rng), None if y is None else y[nearest]

    def finish(self, x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(x, np.float32)

    def look(self, source: Source) -> Look:
        x = self._checked(source)
        if isinstance(source, Span):  # what is odd about a timeline is said once; its spans are alike by their nature
            return Look(len(x))
        still = [i + 1 for i in range(x.shape[1]) if len(x) > 1 and np.ptp(x[:, i]) == 0]
        if len(still) == x.shape[1]:
            do = "Look at these recordings; drop them if the sensor was off."
            finding = Finding("warning", "nothing moves", None, "has the same values in all its steps", do)
            return Look(len(x), None, (finding,))
        return Look(len(x), blake2b(x.tobytes(), digest_size=16).digest(), tuple(self._other_pace(source)))

    def _other_pace(self, source: Source) -> Iterator[Finding]:
        """That its clock goes in other steps than those of the training part."""
        step = heading_of(source)[1] if isinstance(source, Path) and self.step else None
        if step and self.step and not 0.95 < step / self.step < 1.05:
            said = f"goes in steps of {step:g} of its clock, the training part in steps of {self.step:g}"
            do = "Bring the recordings to one rate: steps are taken as they come, whatever their times."
            yield Finding("warning", "another rate", None, said, do)

    def picture(self, source: Source) -> bytes:
        """A line for each channel, at most six."""
        x = self.decode(source)[:, : len(COLOURS)]
        width, height = SHOWN
        low, high = float(x.min()), float(x.max())
        picture = Image.new("RGB", SHOWN, "white")
        pen = ImageDraw.Draw(picture)
        across = np.linspace(2, width - 3, len(x))
        down = height - 4 - (x - low) / max(high - low, 1e-6) * (height - 8)
        for channel, colour in zip(down.T, COLOURS, strict=False):
            pen.line(list(zip(across.tolist(), channel.tolist(), strict=True)), fill=colour, width=2)
        file = io.BytesIO()
        picture.save(file, "PNG")
        return file.getvalue()

    def shown(self, source: Source, heat: np.ndarray | None = None) -> str:
        """The plot, and what its lines are called."""
        count = len(self.mean)
        names = source.timeline.names if isinstance(source, Span) else self.names
        names = names or tuple(f"channel {i + 1}" for i in range(count))
        said = "All that is seen, in deviations from the mean of the training part:"
        return super().shown(source, heat) + (legend_html(said, names, COLOURS) if count > 1 else "")

    def _read(self, source: Source) -> np.ndarray:
        """The recording as it is, without gaps."""
        if isinstance(source, Path):
            x, file = read_numbers(source, self.settings.columns, self.names), str(source)
        elif isinstance(source, Span):
            return source.x
        elif isinstance(source, np.ndarray):
            x, file = as_recording(source), None
        else:
            given = f"a {type(source).__name__}"
            raise DataError(given, expected="a path, or numbers (time, channels)", do="Convert it.")
        if len(x) > self.settings.longest * self.settings.every:
            raise DataError(
                f"has {len(x)} steps",
                expected=f"at most {self.settings.longest * self.settings.every}",
                do="Cut it into pieces, or raise input.longest or input.every.",
                file=file,
            )
        x = _bridged(x, self.settings.missing, file)
        whole = len(x) // self.settings.every
        if self.settings.every > 1 and whole:
            x = x[: whole * self.settings.every].reshape(whole, self.settings.every, -1).mean(1)
        return x

    def _checked(self, source: Source) -> np.ndarray:
        x = self._read(source)
        self._check(x, source)
        return x

    def _check(self, x: np.ndarray, source: Source) -> None:
        if x.shape[1] != len(self.mean):
            raise DataError(
                f"has {x.shape[1]} channels",
                expected=f"{len(self.mean)}, as in the training part",
                do="Give the same columns, or name them in input.columns.",
                file=str(source) if isinstance(source, Path) else None,
            )


def _usual(files: Sequence[Path]) -> tuple[tuple[str, ...], float | None]:
    """The names of channels that most of ``files`` have, and the median step of their clocks; none where most have
    none."""
    found = []
    for file in files:
        with suppress(CrnnError):  # reading will say what is wrong
            found.append(heading_of(file))
    headings = Counter(tuple(sorted(names)) for names, _ in found)
    most = headings.most_common(1)[0][0] if headings else ()
    names = next((names for names, _ in found if tuple(sorted(names)) == most), ())
    steps = [step for _, step in found if step is not None]
    plain = 2 * headings[most] <= len(found) or len(set(names)) < len(names)
    return () if plain else names, float(np.median(steps)) if 2 * len(steps) > len(found) else None


def between(x: np.ndarray, order: np.ndarray) -> np.ndarray:
    """``x`` ``(time, channels)`` at the places ``order`` between its steps, along straight lines."""
    before = np.floor(order).astype(int)
    behind = np.minimum(before + 1, len(x) - 1)
    share = (order - before).astype(x.dtype)[:, None]
    return x[before] * (1 - share) + x[behind] * share


def _bridged(x: np.ndarray, missing: str, file: str | None) -> np.ndarray:
    """``x`` without gaps. Raises ``DataError`` naming the row of the first, or a channel that is all gap."""
    gaps = ~np.isfinite(x)
    if not gaps.any():
        return x
    row, channel = (int(i) for i in np.argwhere(gaps)[0])
    if missing == "refuse" or gaps.all(0).any():
        do = "Mend the recording, or bridge such gaps: --set input.missing=bridge."
        if gaps.all(0).any():
            channel, do = int(np.argmax(gaps.all(0))), "Leave that channel out: input.columns."
        raise DataError(
            f"has {int(gaps.sum())} values that are no numbers, the first in step {row + 1}, channel {channel + 1}",
            expected="finite numbers",
            do=do,
            file=file,
        )
    x, time = x.copy(), np.arange(len(x))
    for channel in np.flatnonzero(gaps.any(0)).tolist():
        good = ~gaps[:, channel]
        x[~good, channel] = np.interp(time[~good], time[good], x[good, channel])
    return x
