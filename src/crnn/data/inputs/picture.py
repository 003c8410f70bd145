"""Pictures scaled to one size: time runs along the columns, space is the height, channels are grey or colours.

Size and colour are those of the training part unless a recipe sets them; mean and deviation of each channel are
learned from it, so that a network sees values around zero.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, Self

import numpy as np
from PIL import Image

from crnn.config import Whole
from crnn.data.inputs._kind import Extent, Kind
from crnn.data.inputs._pictures import SUFFIXES, Mode, Source, opened, pixels, size_of
from crnn.data.inputs._scale import UNKNOWN, Scale, channels_of, sums_of
from crnn.data.inputs._shown import picture_html
from crnn.data.inputs.picture_augment import PictureAugment
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.findings import Finding, Look
from crnn.types import InputSpec, Region, Sample

LOOKS = 1000  # pictures of the training part that sizes and scales are learned from
LARGEST = 128  # pixels to which a height that nobody set is limited
VIEWS = {"one": 1, "flip": 2, "ten": 10}


class Picture(Kind):
    """Reads, varies and normalises pictures; ``decode`` gives uint8 ``(height, width, channels)``, ``finish`` float32
    ``(width, channels, height)``."""

    Augment = PictureAugment
    suffixes = SUFFIXES
    unit = "columns"
    time = 1

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        height: Whole = 0
        """Height in pixels to which each picture is scaled; 0 takes the median of the training part, at most 128."""
        width: Whole = 0
        """Width likewise; 0 keeps the median shape of the training part."""
        colour: Literal["auto", "colour", "grey"] = "auto"
        """Three channels or one; auto looks whether the training part has any colour."""
        crop: Whole = 0
        """Side of the square that is cut out of the scaled picture: anywhere in training, in the middle afterwards; 0
        takes the whole."""
        views: Literal["one", "flip", "ten"] = "one"
        """Views of each picture that are averaged in testing: one, also its mirror image, or the four corners and the
        middle, each mirrored, too."""

    def __init__(self, settings: Settings = Settings(), scale: Scale = UNKNOWN) -> None:
        self.settings, self.scale = settings, scale
        self.mode: Mode = "L" if len(scale.mean) == 1 else "RGB"
        self.size = (scale.width, scale.height)
        if settings.crop > min(self.size):
            raise SettingsError(
                f"input.crop is {settings.crop} of pictures of {scale.width} x {scale.height}",
                expected="no more than their sides",
                do="Set a smaller input.crop, or a larger input.height and input.width.",
            )
        if settings.views == "ten" and not settings.crop:
            raise SettingsError(
                "input.views is 'ten', and input.crop is 0",
                expected="a size of the pieces that lie in the corners",
                do="Set input.crop.",
            )
        self.columns = settings.crop or scale.width
        self.spec = InputSpec("picture", len(scale.mean), (settings.crop or scale.height,))

    @classmethod
    def reads(cls, source: Any) -> bool:
        if isinstance(source, np.ndarray):
            return source.ndim in (2, 3) and (source.dtype == np.uint8 or source.shape[2:] in ((1,), (3,), (4,)))
        return isinstance(source, (Region, Image.Image)) or super().reads(source)

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """Size, colour, mean and deviation of at most ``LOOKS`` pictures. Raises ``DataError`` if none can be read."""
        sizes, sums, errors = [], [], []
        for sample in samples[:: max(1, len(samples) // LOOKS)]:
            try:
                size = size_of(pixels(sample.x))
                picture = opened(pixels(sample.x), (0, 2 * LARGEST), "RGB")[0]
            except CrnnError as error:
                errors.append(error)
                continue
            sizes.append(size)
            sums.append(sums_of(picture, LARGEST))
        if not sizes:
            do = "Run crnn check on the data."
            raise errors[0] if errors else DataError("holds no pictures", expected="at least one", do=do)
        widths, heights = np.array(sizes, dtype=float).T
        height = settings.height or min(LARGEST, round(float(np.median(heights))))
        width = settings.width or max(1, round(height * float(np.median(widths / heights))))
        return cls(settings, Scale.of(height, width, *channels_of(sums, settings.colour)))

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        if not learned:
            height = settings.height or settings.width or max(UNKNOWN.height, settings.crop)
            return cls(settings, Scale.blank(height, settings.width or height, settings.colour))
        return cls(settings, Scale.restore(learned))

    def learned(self) -> dict[str, Any]:
        return self.scale.learned()

    def steps(self, source: Source) -> int:
        size_of(pixels(source))  # which says what is wrong with a file
        return self.columns

    def extent(self, source: Source) -> Extent:
        width, height = size_of(pixels(source))
        return Extent(width * height)

    def decode(self, source: Source) -> np.ndarray:
        return self.decode_scaled(source)[0]

    def decode_scaled(self, source: Source) -> tuple[np.ndarray, float]:
        picture, (width, _) = opened(pixels(source), self.size, self.mode)
        if picture.size != self.size:
            picture = picture.resize(self.size, Image.Resampling.BILINEAR, reducing_gap=3.0)
        x = np.asarray(picture)
        return (x if x.ndim == 3 else x[..., None]), self.size[0] / width

    def vary(
        self, x: np.ndarray, y: np.ndarray | None, augment: PictureAugment, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """A piece of the picture and its border, mirrored and lit differently."""
        if rng.random() > augment.share:
            return self.plain(x, y)
        down, right = (round(augment.border * side) for side in x.shape[:2])
        height, width = (self.settings.crop or side for side in x.shape[:2])
        top, left = (
            int(rng.integers(0, size + 2 * border - piece + 1))
            for size, border, piece in zip(x.shape[:2], (down, right), (height, width), strict=True)
        )
        filled = np.empty((x.shape[0] + 2 * down, x.shape[1] + 2 * right, x.shape[2]), np.uint8)
        filled[:] = np.round(255 * np.array(self.scale.mean))
        filled[down : down + x.shape[0], right : right + x.shape[1]] = x
        x = filled[top : top + height, left : left + width]
        if y is not None:
            self._whole()
            y = y[np.clip(np.arange(left - right, left - right + width), 0, len(y) - 1)]
        if rng.random() < augment.flip:
            x, y = x[:, ::-1], None if y is None else y[::-1]
        return augment(x, rng), y

    def plain(self, x: np.ndarray, y: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """The middle."""
        if not self.settings.crop:
            return x, y
        if y is not None:
            self._whole()
        top, left = ((side - self.settings.crop) // 2 for side in x.shape[:2])
        return self._piece(x, top, left), y

    def finish(self, x: np.ndarray) -> np.ndarray:
        # (height, width, channels) -> (time, channels, height)
        return self.scale.scaled(x).transpose(1, 2, 0)

    @property
    def view_count(self) -> int:
        return VIEWS[self.settings.views]

    def views(self, x: np.ndarray) -> list[np.ndarray]:
        pieces = [self.plain(x, None)[0]]
        if self.settings.views == "ten":
            down, right = (side - self.settings.crop for side in x.shape[:2])
            pieces += [self._piece(x, top, left) for top in (0, down) for left in (0, right)]
        return pieces if self.settings.views == "one" else [v for p in pieces for v in (p, p[:, ::-1])]

    def look(self, source: Source) -> Look:
        x = self.decode(source)
        findings: tuple[Finding, ...] = ()
        if float(x.std()) < 2:
            do = "Look at these pictures; drop them if they show nothing."
            findings = (Finding("warning", "blank picture", None, "is of one colour only", do),)
            return Look(self.columns, None, findings)
        return Look(self.columns, blake2b(x.tobytes(), digest_size=16).digest(), findings)

    def picture(self, source: Source) -> bytes:
        file = io.BytesIO()
        picture = Image.fromarray(self.decode(source).squeeze(-1) if self.mode == "L" else self.decode(source))
        larger = max(1, LARGEST // picture.height)
        picture.resize((picture.width * larger, picture.height * larger), Image.Resampling.NEAREST).save(file, "PNG")
        return file.getvalue()

    def shown(self, source: Source, heat: np.ndarray | None = None) -> str:
        """The picture; ``heat`` stands below the columns that the network sees."""
        left = (self.scale.width - self.columns) // 2 / self.scale.width
        return picture_html(self.picture(source), heat, left=left, right=left + self.columns / self.scale.width)

    def _piece(self, x: np.ndarray, top: int, left: int) -> np.ndarray:
        return x[top : top + self.settings.crop, left : left + self.settings.crop]

    def _whole(self) -> None:
        if self.settings.crop:
            raise SettingsError(
                f"input.crop is {self.settings.crop}, which cuts labelled columns away",
                expected="whole pictures, where each column has its label",
                do="Set input.crop to 0.",
            )
