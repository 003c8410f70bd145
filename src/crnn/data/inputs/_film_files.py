"""Films opened: files by PyAV, folders of pictures, arrays; frames one after the other, never a whole film at once."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crnn.data.inputs._pictures import MOST_PIXELS, Mode, in_mode, opened, size_of
from crnn.data.inputs._pictures import SUFFIXES as PICTURES
from crnn.data.packed import Packed
from crnn.errors import DataError, MissingExtra

Source = Path | np.ndarray
"""A film, a folder of its frames, or uint8 ``(time, height, width)`` or ``(time, height, width, channels)``."""
SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".webm", ".mkv", ".mpg", ".mpeg", ".wmv", ".flv", ".gif", ".3gp", ".mts", ".m2ts"}
)
FASTEST = 240  # frames a second above which a film's clock is not believed
LOST = 0.1  # share of the frames that may be missing at the end
READ = "mov,matroska,webm,avi,mpeg,mpegvideo,mpegts,asf,flv,gif,live_flv,m4v"
"""Formats that ffmpeg may take a file for, whatever it is called: play lists and the like would open other files."""
EXPECTED = "a film (mp4, avi, webm, mkv, mov, gif)"
AGAIN = "Copy it again or take it out of the data."


@dataclass(frozen=True, slots=True)
class Header:
    """What is known before any frame is decoded: how many there are, their width and height, and frames a second
    (``None`` where nobody knows)."""

    frames: int
    size: tuple[int, int]
    rate: float | None

    @property
    def seconds(self) -> float | None:
        return self.frames / self.rate if self.rate else None


def header_of(source: Source) -> Header:
    """Frames are counted by the file's header, or by its packets where that is silent. Raises ``DataError``."""
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim not in (3, 4) or not source.size:
            given = f"an array of shape {source.shape} and type {source.dtype}"
            raise DataError(given, expected="uint8 (time, height, width, 3)", do="Convert it.")
        return Header(len(source), (source.shape[2], source.shape[1]), None)
    if not isinstance(source, Path):
        given = f"a {type(source).__name__}"
        raise DataError(given, expected="a path, or uint8 (time, height, width, 3)", do="Convert it.")
    if source.is_dir():
        files = frames_in(source)
        return Header(len(files), size_of(files[0]), None)
    if isinstance(source, Packed) and len(source.facts) in (3, 4):
        count, width, height, rate = (*source.facts, None)[:4]
        return Header(int(count), (int(width), int(height)), rate)
    with _opened(source) as (container, stream):
        count = stream.frames
        if not 0 < count <= source.stat().st_size:  # a frame takes a byte at least
            count = sum(1 for packet in container.demux(stream) if packet.size)
        if not count or not stream.width or not stream.height:
            raise DataError("holds no frames", expected=EXPECTED, do=AGAIN, file=source)
        seconds = container.duration / 1e6 if container.duration else 0
        rate = count / seconds if seconds else FASTEST + 1
        if rate > FASTEST:
            rate = float(stream.guessed_rate or stream.average_rate or 0) or None
        return Header(count, (stream.width, stream.height), rate)


def read_frames(source: Source, places: Sequence[int], size: tuple[int, int], mode: Mode) -> np.ndarray:
    """The frames number ``places`` (ascending), scaled to ``size`` (width, height): uint8 ``(time, height, width,
    channels)``. Raises ``DataError`` for what is broken or ends early."""
    wanted, found = iter(places), []
    place = next(wanted, None)
    last = -1
    with closing(_frames(source, size, mode)) as frames:
        for last, frame in enumerate(frames):
            picture: np.ndarray | None = None
            while place == last:
                picture = frame() if picture is None else picture
                found.append(picture)
                place = next(wanted, None)
            if place is None:
                break
    if place is not None:
        if not found or places[-1] - last > max(1, LOST * places[-1]):
            given = f"ends after {last + 1} frames, of which it should have more than {places[-1]}"
            raise DataError(given, expected="a whole film", do=AGAIN, file=source if isinstance(source, Path) else None)
        found += [found[-1]] * (len(places) - len(found))
    return np.stack(found)


def frames_in(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of their numbers. Raises ``DataError`` for none."""
    files = [f for f in folder.iterdir() if f.suffix.lower() in PICTURES and not f.name.startswith(".")]
    if not files:
        do = "Put the film's frames there, as pictures whose names tell their order."
        raise DataError("holds no pictures", expected="the frames of a film", do=do, file=folder)
    return sorted(files, key=lambda f: [(int(p), "") if p.isdecimal() else (0, p) for p in re.split(r"(\d+)", f.name)])


def _frames(source: Source, size: tuple[int, int], mode: Mode) -> Generator[Any, None, None]:
    """For each frame what makes an array of it, so that those which nobody wants are not scaled."""
    if isinstance(source, np.ndarray):
        for x in source:
            x = x[..., 0] if x.shape[2:] == (1,) else x
            yield lambda x=x: _scaled(in_mode(Image.fromarray(x), mode), size)
    elif source.is_dir():
        for path in frames_in(source):
            yield lambda path=path: _scaled(opened(path, size, mode)[0], size)
    else:
        with _opened(source) as (container, stream):
            for frame in container.decode(stream):
                yield lambda frame=frame: _of_film(frame, size, mode)


def _scaled(picture: Image.Image, size: tuple[int, int]) -> np.ndarray:
    x = np.asarray(picture if picture.size == size else picture.resize(size, Image.Resampling.BILINEAR))
    return x if x.ndim == 3 else x[..., None]


def _of_film(frame: Any, size: tuple[int, int], mode: Mode) -> np.ndarray:
    """A decoded frame, upright as its camera was held."""
    turns = round(frame.rotation / 90) % 4
    width, height = size[::-1] if turns % 2 else size
    name = "rgb24" if mode == "RGB" else "gray"
    x = frame.to_ndarray(format=name, width=width, height=height, interpolation="AREA")
    return np.rot90(x if x.ndim == 3 else x[..., None], turns)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file and its film, closed afterwards; whatever goes wrong is a ``DataError``."""
    try:
        import av
    except ImportError as error:
        raise MissingExtra("av", "video") from error
    if not path.is_file():
        raise DataError("is not there", expected=EXPECTED, do="Check the path.", file=path)
    if not path.stat().st_size:
        raise DataError("holds 0 bytes", expected=EXPECTED, do=AGAIN, file=path)
    try:
        options = {"format_whitelist": READ, "protocol_whitelist": "file"}
        with av.open(
            path.open("rb") if isinstance(path, Packed) else str(path), options=options, metadata_errors="replace"
        ) as container:
            stream = next((s for s in container.streams.video if s.codec_context is not None), None)
            if stream is None:
                raise DataError("holds no film", expected=EXPECTED, do=AGAIN, file=path)
            if stream.width * stream.height > MOST_PIXELS:
                given = f"has frames of {stream.width} x {stream.height} pixels"
                expected = f"at most {MOST_PIXELS // 1_000_000} million"
                raise DataError(given, expected=expected, do="Scale it down.", file=path)
            stream.codec_context.thread_count = 1  # many films are read side by side
            yield container, stream
    except (av.error.FFmpegError, MemoryError) as error:
        why = getattr(error, "strerror", None) or "it needs too much memory"
        raise DataError(f"cannot be decoded ({why})", expected=EXPECTED, do=AGAIN, file=path) from error
