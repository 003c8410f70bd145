"""Pictures of one line of text: time runs along the columns, space is the height.

A source (file or region of a page) becomes grey, is scaled to one height and normalised to ink: 0 is paper, 1 the
darkest stroke, so padding with zeros is padding with paper.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from crnn.config import Count, Whole
from crnn.data.inputs._kind import Extent, Kind
from crnn.data.inputs._line_doubts import Ink, look
from crnn.data.inputs._pictures import SUFFIXES, Source, name_of, opened, size_of
from crnn.data.inputs.line_augment import LineAugment
from crnn.errors import DataError
from crnn.findings import Look
from crnn.types import InputSpec, Region


class Line(Kind):
    """Reads, varies and normalises line pictures; ``decode`` gives uint8 ``(height, width)``, ``finish`` float32
    ``(width, 1, height)``."""

    Augment = LineAugment
    suffixes = SUFFIXES
    unit = "columns"
    time = 1

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        height: Count = 64
        """Height in pixels to which each line is scaled."""
        polarity: Literal["auto", "dark", "light"] = "auto"
        """Ink darker than paper, lighter, or found out for each picture."""
        longest: Count = 6000
        """Most columns after scaling; longer pictures are refused."""

        views: Whole = 0
        """Rows by which a line is moved up and down for two more views of each line that is answered, whose answers are
        averaged; 0 for one view."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self.settings = settings
        self.spec = InputSpec("line", 1, (settings.height,))

    @classmethod
    def reads(cls, source: Any) -> bool:
        picture = isinstance(source, np.ndarray) and source.dtype == np.uint8 and source.ndim in (2, 3)
        return picture or isinstance(source, (Region, Image.Image)) or super().reads(source)

    def steps(self, source: Source) -> int:
        """Columns that ``source`` will have, from the picture's header alone."""
        width, height = size_of(source)
        return self._width(width, height, source)

    def extent(self, source: Source) -> Extent:
        width, height = size_of(source)
        return Extent(width * height)

    def decode(self, source: Source) -> np.ndarray:
        """``source`` as grey uint8 ``(height, width)``, dark ink on light paper. Raises ``DataError``."""
        return self.decode_scaled(source)[0]

    def decode_scaled(self, source: Source) -> tuple[np.ndarray, float]:
        """The same, and how many columns one pixel of the picture became."""
        picture, (width, height) = opened(source, (0, 2 * self.settings.height))
        size = (self._width(width, height, source), self.settings.height)
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
        x = np.asarray(picture)
        if self.settings.polarity == "light" or (self.settings.polarity == "auto" and is_inverted(x)):
            x = 255 - x
        return x, size[0] / width

    def finish(self, x: np.ndarray) -> np.ndarray:
        """uint8 ``(height, width)`` to ink, float32 ``(width, 1, height)``, paper 0 and the darkest strokes 1."""
        paper, ink = np.percentile(x[:, ::2], (75, 0.5))
        scale = 1.0 / max(float(paper) - float(ink), 24.0)  # a blank line stays blank
        table = np.clip((float(paper) - np.arange(256)) * scale, -0.5, 1.25).astype(np.float32)
        return table[x.T][:, None, :]  # (height, width) -> (time, channels, height)

    @property
    def view_count(self) -> int:
        return 3 if min(self.settings.views, self.settings.height // 2) else 1

    def views(self, x: np.ndarray) -> Sequence[np.ndarray]:
        """The line as it is, and moved up and down, ``(height, width)`` each: all its columns stay where they are."""
        rows = min(self.settings.views, self.settings.height // 2)
        return [x, moved(x, -rows), moved(x, rows)] if rows else [x]

    def look(self, source: Path | Region) -> Look:
        """What is to be said of one picture before training. Raises ``DataError``."""
        x = Line(replace(self.settings, polarity="dark")).decode(source)
        polarity = self.settings.polarity
        ink: Ink = "light" if is_inverted(x) else "dark" if polarity == "light" and is_inverted(255 - x) else "unsure"
        return look(x, size=size_of(source), ink=ink, polarity=polarity)

    def picture(self, source: Source) -> bytes:
        """The line as the network sees it, as a PNG file's bytes, for reports."""
        file = io.BytesIO()
        Image.fromarray(self.decode(source)).save(file, format="PNG")
        return file.getvalue()

    def _width(self, width: int, height: int, source: object) -> int:
        columns = max(1, round(width * self.settings.height / height))
        if columns > self.settings.longest:
            raise DataError(
                f"is {width} x {height} pixels, {columns} columns at height {self.settings.height}",
                expected=f"a picture of one line, at most {self.settings.longest} columns",
                do="Cut the line out of its page, or raise input.longest.",
                file=name_of(source),
            )
        return columns


def moved(x: np.ndarray, rows: int) -> np.ndarray:
    """A picture uint8 ``(height, width)`` moved down by ``rows``, or up, filled up with paper."""
    y = np.full_like(x, int(np.percentile(x[:, ::2], 75)))
    if rows >= 0:
        y[rows:] = x[: len(x) - rows]
    else:
        y[:rows] = x[-rows:]
    return y


def is_inverted(x: np.ndarray) -> bool:
    """Whether most of the picture is dark: then the paper is, and the ink is light."""
    low, middle, high = np.percentile(x, (1, 50, 99))
    return bool(high - low > 40 and middle - low < 0.35 * (high - low))
