"""Films and series of frames, cut into what is seen and what follows: for who foretells the next frames.

A film is a film file, a folder of pictures, or an array ``(time, height, width)`` in a .npy, .npz, HDF5 or NetCDF file;
an array ``(sequence, time, height, width)``, or a folder of films, holds several. One film is divided in time, several
by whole films or as an array ``split`` or folders of that name say. No frame that is to be foretold is in two parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crnn.data.formats._asked import Asked, Cutting
from crnn.data.formats._files import PICTURES, SPLITS, Split, name_in, root_of, split_of
from crnn.data.formats._windows import cut
from crnn.data.inputs._film_files import SUFFIXES as FILMS
from crnn.data.inputs._film_files import frames_in, header_of
from crnn.data.inputs._frame_files import SUFFIXES as STORED
from crnn.data.inputs._frame_files import read_stored
from crnn.errors import CrnnError, DataError
from crnn.types import Clip, Sample

WANTED = "films, folders of pictures, or .npy .npz .h5 .nc files with frames (time, height, width)"
ANSWERS = ("frames",)
STAMP = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)[T_ -]?(\d\d):?(\d\d):?(\d\d)?")
CHANNELS = (1, 3)  # an axis of so many is none of time


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """Frames in their order, ``times`` of them (seconds) if they are known, and the part that they belong to."""

    name: str
    source: Path | np.ndarray
    steps: int
    times: np.ndarray | None = None
    split: Split | None = None

    def part(self, start: int, count: int) -> Any:
        """Some frames, as a source."""
        if isinstance(self.source, np.ndarray):
            return self.source[start : start + count]
        return Clip(self.source, start, count)


def recognise(path: Path) -> bool:
    """Whether ``path`` is named like a film or a file of frames, or is a folder of films or of pictures."""
    return path.suffix.lower() in FILMS | STORED if path.is_file() else bool(_sources(path))


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each stretch of 20 frames: the first half is seen."""
    return read_for(path, left_out, Asked(answer="frames", cutting=Cutting(past=10, future=10)))


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """A sample for each stretch of ``past`` and ``future`` frames; where no truth is wanted, the last ``past`` frames
    of each film. Films that are too short or damaged, and holes in time, go to ``left_out``."""
    cutting = asked.cutting or Cutting(past=10, future=10)
    films: list[Film] = []
    sources = [path] if path.is_file() else _sources(path)
    for source in sources:
        try:
            root = root_of(path)
            name = path.name if source == path else name_in(root, source)
            films += _films(source, name, None if source == path else split_of(root, source))
        except CrnnError as error:
            left_out.append(error)
    for film in films:
        if not asked.truths:
            count = min(cutting.past, film.steps)
            yield Sample(film.name, film.part(film.steps - count, count))
            continue
        try:
            yield from _cut(film, cutting, left_out, alone=len(films) == len(sources) == 1)
        except CrnnError as error:
            left_out.append(error)


def _sources(path: Path) -> list[Path]:
    """The films under a folder; the folder itself if pictures lie in it."""
    if any(f.suffix.lower() in PICTURES for f in path.iterdir()):
        return [path]
    found: list[Path] = []
    for inner in sorted(path.iterdir()):
        if inner.name.startswith(".") or inner.name == "__MACOSX":
            continue
        if inner.is_dir():
            found += _sources(inner)
        elif inner.suffix.lower() in FILMS | STORED:
            found.append(inner)
    return found


def _films(source: Path, name: str, split: Split | None) -> Iterator[Film]:
    """The films that a file or a folder of pictures holds. Raises ``DataError``."""
    if source.is_dir():
        files = frames_in(source)
        yield Film(name, source, len(files), _named(files, source), split)
    elif source.suffix.lower() in FILMS:
        yield Film(name, source, header_of(source).frames, None, split)
    else:
        stored = read_stored(source)
        x = stored.frames
        if x.ndim == 3 or (x.ndim == 4 and (x.shape[1] in CHANNELS or x.shape[3] in CHANNELS)):
            times = None if stored.times is None else _seconds(stored.times.tolist(), source)
            yield _in_order(Film(name, x, len(x), times, split), source)
            return
        if stored.split is not None and len(stored.split) != len(x):
            given = f"has {len(x)} sequences and {len(stored.split)} entries of split"
            raise DataError(given, expected="as many of both", do="Write them anew.", file=source)
        digits = len(str(len(x) - 1))
        for i, frames in enumerate(x):
            part = split if stored.split is None else _split(stored.split[i], i, source)
            yield Film(f"{name}:{i:0{digits}}", frames, len(frames), None, part)


def _cut(film: Film, cutting: Cutting, left_out: list[CrnnError], *, alone: bool) -> Iterator[Sample]:
    """The samples of a film. Raises ``DataError`` for one that is too short."""
    past, future = cutting.past, cutting.future
    if film.steps < past + future:
        raise DataError(
            f"has {film.steps} frames",
            expected=f"at least {past + future}, of which {past} are seen and {future} foretold",
            do="Give a longer film, or set task.past and task.future.",
            file=film.name,
        )
    broken = _holes(film, left_out)
    whole = film.split is not None or not alone
    steps, shares = (film.steps, cutting.shares) if whole else _parts(film, cutting)
    only: Split | None = film.split or ("train" if whole else None)
    starts = [
        (start, split)
        for start, split in cut(steps, shares, window=past, horizon=future, every=cutting.every, only=only)
        if not ((broken > start) & (broken < start + past + future)).any()
    ]
    if not starts:
        given = f"has {film.steps} frames, but in none of its parts {future} that follow on {past} without a hole"
        do = "Give a longer film, or set task.past, task.future and task.shares."
        raise DataError(given, expected="at least one sample", do=do, file=film.name)
    for start, split in starts:
        name = film.name if film.steps == past + future else f"{film.name}:{_say(film, start + past - 1)}"
        x, y = film.part(start, past), film.part(start + past, future)
        yield Sample(name, x, y, film.name if whole else None, film.split if whole else split)


def _parts(film: Film, cutting: Cutting) -> tuple[int, Sequence[float]]:
    """How many frames are used, and the shares of train, valid and test or their numbers. Raises ``DataError``."""
    if not (cutting.valid_from or cutting.test_from or cutting.until):
        return film.steps, cutting.shares
    if film.times is None:
        given = "has frames whose times are not known"
        expected = "times, where parts begin at one"
        do = "Store an array times beside the frames, or set task.shares instead."
        raise DataError(given, expected=expected, do=do, file=film.name)
    end = _place(film, cutting.until, film.steps)
    test = _place(film, cutting.test_from, end)
    valid = _place(film, cutting.valid_from, test)
    if not 0 < valid <= test <= end:
        given = f"train has {valid} frames, valid {test - valid} and test {end - test}"
        do = "Correct task.valid_from, task.test_from and task.until."
        raise DataError(given, expected="parts one after the other", do=do, file=film.name)
    return end, (valid, test - valid, end - test)


def _place(film: Film, time: str, default: int) -> int:
    """The first frame at ``time`` or later."""
    if not time:
        return default
    assert film.times is not None
    day = str(film.times[0].astype("datetime64[D]"))
    try:
        moment = np.datetime64(f"{day}T{time}" if re.fullmatch(r"\d\d:\d\d(:\d\d)?", time) else time.replace(" ", "T"))
    except ValueError as error:
        do = "Write 07:30, or 2020-10-31 07:30."
        raise DataError(f"the time {time!r}", expected="an hour or a date and hour", do=do, file=film.name) from error
    return int(np.searchsorted(film.times, moment.astype("datetime64[s]")))


def _named(files: Sequence[Path], folder: Path) -> np.ndarray | None:
    """The times in the names of frames, if these are times that rise, and not numbers of many digits. Raises
    ``DataError`` where few of them are there twice."""
    stamps = [found for file in files if (found := STAMP.search(file.stem))]
    if len(stamps) < len(files):
        return None
    try:
        times = _seconds(["".join(found.groups("00")) for found in stamps], folder)
    except DataError:
        return None
    apart = np.diff(times).astype(int)
    double = np.flatnonzero(apart == 0)
    if (apart < 0).any() or 4 * len(double) > len(apart):
        return None
    if len(double):
        raise _at_one_time(times[double[0]], folder)
    return times


def _at_one_time(time: np.datetime64, file: Path) -> DataError:
    given = f"has two frames at {time}"
    return DataError(given, expected="one frame at a time", do="Drop one of them.", file=file)


def _seconds(values: Sequence[Any], file: Path) -> np.ndarray:
    """Times of any form as ``datetime64[s]``: dates, texts such as 20201031073000, or seconds. Raises ``DataError``."""
    try:
        if values and isinstance(values[0], (int, float)):
            return np.array(values, "int64").astype("datetime64[s]")
        texts = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
        found = [STAMP.match(text) for text in texts]
        iso = ["{}-{}-{}T{}:{}:{}".format(*m.groups("00")) if m else t for m, t in zip(found, texts, strict=True)]
        return np.array(iso, "datetime64[s]")
    except (ValueError, OverflowError) as error:
        do = "Write them as 2020-10-31T07:30:00."
        raise DataError(
            f"has times that are none ({error})", expected="a date and hour each", do=do, file=file
        ) from error


def _in_order(film: Film, file: Path) -> Film:
    """``film`` with its frames in the order of their times. Raises ``DataError`` for two at one time."""
    if film.times is None:
        return film
    if len(film.times) != film.steps:
        given = f"has {film.steps} frames and {len(film.times)} times"
        raise DataError(given, expected="as many of both", do="Write them anew.", file=file)
    order = np.argsort(film.times, kind="stable")
    times = film.times[order]
    double = np.flatnonzero(np.diff(times) == np.timedelta64(0))
    if len(double):
        raise _at_one_time(times[double[0]], file)
    if (order[1:] > order[:-1]).all():
        return film
    assert isinstance(film.source, np.ndarray)
    return Film(film.name, film.source[order], film.steps, times, film.split)


def _holes(film: Film, left_out: list[CrnnError]) -> np.ndarray:
    """Frames before which others are missing, which is said: no sample reaches over such a hole."""
    if film.times is None or film.steps < 3:
        return np.array([], int)
    apart = np.diff(film.times).astype(int)
    usual = int(np.median(apart))
    broken = np.flatnonzero(apart > 1.5 * usual) + 1
    for place in broken.tolist():
        count = round(apart[place - 1] / usual) - 1
        left_out.append(
            DataError(
                f"lacks {count} frame{'s' * (count != 1)} after {film.times[place - 1]}",
                expected=f"one every {usual} seconds",
                do="Samples that would reach over the hole are left out; fill it if you can.",
                file=film.name,
            )
        )
    return broken


def _say(film: Film, place: int) -> str:
    """The time of a frame, or its number."""
    if film.times is None:
        return f"{place:0{len(str(film.steps - 1))}}"
    return str(film.times[place]).replace("T", " ")


def _split(name: str, i: int, file: Path) -> Split:
    if name.lower() not in SPLITS:
        given = f"sequence {i} has the split {name!r}"
        raise DataError(given, expected="train, valid or test", do="Correct the array split.", file=file)
    return SPLITS[name.lower()]
