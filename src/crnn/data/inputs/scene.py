"""Scenes: pictures at their own size of which each pixel is to be named, or a few frames of a film, the last of them.

Time are the frames (one of a still picture), space is height and width. Training sees tiles of one size, cut out
anywhere, so that batches of pictures of any size can be made; afterwards pictures are whole.
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

from crnn.config import Whole
from crnn.data import boxes
from crnn.data.inputs._film_files import frames_in
from crnn.data.inputs._kind import Extent, Kind
from crnn.data.inputs._pictures import SUFFIXES, Mode, opened, size_of
from crnn.data.inputs._scale import UNKNOWN, Scale, channels_of, sums_of
from crnn.data.inputs._shown import picture_html
from crnn.data.inputs.scene_augment import SceneAugment
from crnn.data.randomness import random_of
from crnn.data.spoil import spoil
from crnn.errors import CrnnError, DataError
from crnn.findings import Finding, Look
from crnn.types import Clip, InputSpec, Sample, Spoilt

Source = Path | Clip | Spoilt | np.ndarray | Image.Image
"""A picture, frames of a film that is a folder of pictures, or uint8 ``(height, width)``, ``(height, width, channels)``
or ``(frames, height, width, channels)``."""
LOOKS = 300  # pictures of the training part that sizes and scales are learned from
LARGEST = 256  # pixels to which the sides of a tile that nobody set are limited
SHOWN = 480  # pixels to which the longer side is limited in reports
IGNORED = 255
"""The label of pixels that do not count, and of what lies outside of a picture."""


class Scene(Kind):
    """Reads, varies and normalises scenes; ``decode`` gives uint8 ``(frames, height, width, channels)``, ``finish``
    float32 ``(frames, channels, height, width)``."""

    Augment = SceneAugment
    suffixes = SUFFIXES
    unit = "frames"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        tile: tuple[Whole, Whole] = (0, 0)
        """Height and width of the tiles that training sees, and of those in which large pictures are answered; 0 takes
        the median of the training part, at most 256."""
        colour: Literal["auto", "colour", "grey"] = "auto"
        """Three channels or one; auto looks whether the training part has any colour."""

    def __init__(self, settings: Settings = Settings(), scale: Scale = UNKNOWN) -> None:
        self.settings, self.scale = settings, scale
        self.mode: Mode = "L" if len(scale.mean) == 1 else "RGB"
        self.spec = InputSpec("scene", len(scale.mean), (scale.height, scale.width))

    @classmethod
    def reads(cls, source: Any) -> bool:
        if isinstance(source, np.ndarray):
            picture = source.ndim == 2 or (source.ndim in (3, 4) and source.shape[-1] in (1, 3, 4))
            return picture and source.dtype == np.uint8
        if isinstance(source, Spoilt):
            return cls.reads(source.source)
        return isinstance(source, (Clip, Image.Image)) or super().reads(source)

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """Tile, colour, mean and deviation of at most ``LOOKS`` pictures. Raises ``DataError`` if none can be read."""
        sizes, sums, errors = [], [], []
        for sample in samples[:: max(1, len(samples) // LOOKS)]:
            try:
                picture = _frames(sample.x)[-1]
                sizes.append(size_of(picture))
                small = opened(picture, (0, LARGEST), "RGB")[0]
            except CrnnError as error:
                errors.append(error)
                continue
            sums.append(sums_of(small, LARGEST))
        if not sums:
            do = "Run crnn check on the data."
            raise errors[0] if errors else DataError("holds no pictures", expected="at least one", do=do)
        width, height = (min(LARGEST, round(float(side))) for side in np.median(sizes, axis=0))
        channels = channels_of(sums, settings.colour)
        return cls(settings, Scale.of(settings.tile[0] or height, settings.tile[1] or width, *channels))

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        if not learned:
            height, width = (side or UNKNOWN.height for side in settings.tile)
            return cls(settings, Scale.blank(height, width, settings.colour))
        return cls(settings, Scale.restore(learned))

    def learned(self) -> dict[str, Any]:
        return self.scale.learned()

    def steps(self, source: Source) -> int:
        if isinstance(source, Spoilt):
            return self.steps(source.source)
        if isinstance(source, Clip):
            return source.count
        frames = _frames(source)
        size_of(frames[-1])  # which says what is wrong with a file
        return len(frames)

    def extent(self, source: Source) -> Extent:
        width, height = size_of(_frames(source)[-1])
        return Extent(width * height)

    def places(self, x: np.ndarray) -> tuple[int, int]:
        return x.shape[1], x.shape[2]

    def decode(self, source: Source) -> np.ndarray:
        if isinstance(source, Spoilt):
            return spoil(self.decode(source.source), source.how, random_of(0, 0, source.id))
        frames = [np.asarray(opened(frame, (0, 0), self.mode)[0]) for frame in _frames(source)]
        for frame in frames[:-1]:
            if frame.shape != frames[-1].shape:
                raise DataError(
                    f"has frames of {frame.shape[1]} x {frame.shape[0]} and of {frames[-1].shape[1]} x "
                    f"{frames[-1].shape[0]} pixels",
                    expected="frames of one size",
                    do="Cut or scale all frames to one size.",
                    file=source.film if isinstance(source, Clip) else None,
                )
        x = np.stack(frames)
        return x if x.ndim == 4 else x[..., None]

    def vary(
        self, x: np.ndarray, y: np.ndarray | None, augment: SceneAugment, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """A tile from anywhere, larger or smaller, mirrored, turned and lit differently; ``y`` are the labels
        ``(height, width)`` of its pixels, boxes as in ``crnn.data.boxes``, or a picture ``(height, width, channels)``
        that is varied like another frame."""
        if y is not None and y.ndim == 3:
            both, _ = self.vary(np.concatenate([x, y[None]]), None, augment, rng)
            return both[:-1], both[-1]
        varied = rng.random() <= augment.share
        tile = self.spec.space
        zoom = augment.zoom(rng) if varied else 1.0
        corner = tuple(_start(whole, side / zoom, rng) for whole, side in zip(x.shape[1:3], tile, strict=True))
        ground = np.round(255 * np.array(self.scale.mean)).astype(np.uint8)
        x = np.stack([_tile(frame, corner, tile, zoom, ground, Image.Resampling.BILINEAR) for frame in x])
        boxed = y is not None and y.dtype.kind == "f"
        if y is not None and boxed:
            y = boxes.cropped(y, corner, zoom, tile)
        elif y is not None:
            y = _tile(y[..., None], corner, tile, zoom, IGNORED, Image.Resampling.NEAREST)[..., 0]
        if not varied:
            return x, y
        if rng.random() < augment.flip:
            x = x[:, :, ::-1]
            if y is not None:
                y = boxes.mirrored(y, tile[1]) if boxed else y[:, ::-1]
        if turns := augment.quarters(rng, square=tile[0] == tile[1]):
            x = np.rot90(x, turns, (1, 2))
            if y is not None:
                y = boxes.turned(y, turns, tile) if boxed else np.rot90(y, turns)
        return augment(x, rng), None if y is None else np.ascontiguousarray(y)

    def finish(self, x: np.ndarray) -> np.ndarray:
        # (frames, height, width, channels) -> (frames, channels, height, width)
        return np.ascontiguousarray(self.scale.scaled(x).transpose(0, 3, 1, 2))

    def look(self, source: Source) -> Look:
        source = source.source if isinstance(source, Spoilt) else source
        x = self.decode(source)
        findings: tuple[Finding, ...] = ()
        if float(x.std()) < 2:
            do = "Look at these pictures; drop them if they show nothing."
            findings = (Finding("warning", "blank picture", None, "is of one colour only", do),)
            return Look(len(x), None, findings)
        return Look(len(x), blake2b(x.tobytes(), digest_size=16).digest(), findings)

    def picture(self, source: Source) -> bytes:
        """The last frame."""
        frame = self.decode(source)[-1] if isinstance(source, Spoilt) else _frames(source)[-1]
        picture = opened(frame, (0, 0), self.mode)[0].copy()
        picture.thumbnail((SHOWN, SHOWN))
        file = io.BytesIO()
        picture.save(file, "PNG")
        return file.getvalue()

    def shown(self, source: Source, heat: Any = None) -> str:
        return picture_html(self.picture(source))


def _frames(source: Source) -> Sequence[Any]:
    """The pictures of ``source``, in their order. Raises ``DataError``."""
    if isinstance(source, Spoilt):
        return _frames(source.source)
    if isinstance(source, Clip):
        frames = frames_in(source.film)[source.start : source.start + source.count]
        if not source.film.is_dir() or len(frames) < source.count:
            given = f"has {len(frames)} frames from number {source.start} on"
            raise DataError(given, expected=f"{source.count}", do="Copy the film again.", file=source.film)
        return frames
    return list(source) if isinstance(source, np.ndarray) and source.ndim == 4 else [source]


def _start(whole: int, piece: float, rng: np.random.Generator) -> float:
    """Where a piece begins: anywhere inside, or such that the whole lies anywhere in it."""
    return float(rng.uniform(min(0.0, whole - piece), max(0.0, whole - piece)))


def _tile(
    x: np.ndarray,
    corner: tuple[float, ...],
    tile: tuple[int, ...],
    zoom: float,
    ground: Any,
    how: Image.Resampling,
) -> np.ndarray:
    """A piece of ``x`` ``(height, width, channels)`` that begins at ``corner``, ``zoom`` times as large, in a tile of
    ``ground``."""
    filled = np.empty((*tile, x.shape[2]), x.dtype)
    filled[:] = ground
    spans, box = [], []
    for whole, start, side in zip(x.shape, corner, tile, strict=False):
        middles = start + (np.arange(side) + 0.5) / zoom  # of the tile's pixels, in the picture
        inside = np.flatnonzero((middles >= 0) & (middles < whole))
        if not len(inside):
            return filled
        first, last = int(inside[0]), int(inside[-1]) + 1
        spans.append(slice(first, last))
        box.append((max(0.0, start + first / zoom), min(float(whole), start + last / zoom)))
    (top, bottom), (left, right) = box
    size = spans[1].stop - spans[1].start, spans[0].stop - spans[0].start
    picture = Image.fromarray(x[..., 0] if x.shape[2] == 1 else x)
    piece = np.asarray(picture.resize(size, how, box=(left, top, right, bottom)))
    filled[spans[0], spans[1]] = piece if piece.ndim == 3 else piece[..., None]
    return filled
