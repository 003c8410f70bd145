"""A file inside of a tar: it is read where it lies, so that data need not be unpacked, nor fit on a disk."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from crnn.data.far import Far, ReadOnly, fetch, of_size
from crnn.types import Spoilt


class Packed(ReadOnly):
    """The ``size`` bytes of ``shard`` from ``start`` on, under the path ``shard/name``.

    It is a path that opens, whose folder no system knows: libraries that open files themselves are given ``readable``
    of it. ``facts`` is what its header says, where that is known without opening it: width and height of a picture,
    rate and number of the samples of a sound, number of the frames, width, height and, if known, rate of a film.
    """

    shard: Path | None = None  # of its parent, which is a path of the same class but no file
    start: int = 0
    size: int = 0
    facts: tuple[Any, ...] = ()
    fetched: bytes | None = None

    @classmethod
    def of(cls, shard: Path, name: str, start: int, size: int, facts: tuple[Any, ...] = ()) -> Self:
        """The file of that place."""
        self: Self = cls(shard, name)
        self.shard, self.start, self.size, self.facts = shard, start, size, facts
        return self

    @classmethod
    def at(cls, shard: Path, place: Sequence[Any]) -> Self:
        """The same of a place as an index has it: name, start, size, facts."""
        name, start, size, *facts = place
        return cls.of(shard, name, start, size, tuple(facts))

    def __str__(self) -> str:
        return f"{self.shard}/{self.name}" if isinstance(self.shard, Far) else super().__str__()

    def __reduce__(self) -> Any:
        if self.shard is None:
            return Path, (str(self),)
        return type(self).of, (self.shard, self.name, self.start, self.size, self.facts)

    def opened(self) -> Any:
        """A file of its bytes; of a shard that is far away, all of them in memory."""
        return super().opened() if isinstance(self.shard, Far) else io.BufferedReader(_Window(self))

    def read_bytes(self) -> bytes:
        if (fetched := self.fetched) is not None:  # another thread may forget it
            return fetched
        if isinstance(self.shard, Far):
            return fetch([(self.shard, self.start, self.size)])[0]
        with self.open("rb") as file:
            return file.read()

    def is_file(self) -> bool:
        return self.shard is not None and self.shard.is_file()

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        return self.is_file()

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Of the shard, with the size of the file; one that is far away is not asked."""
        assert self.shard is not None
        if isinstance(self.shard, Far):
            return of_size(self.size)
        state = os.stat(self.shard)
        values = list(state)
        values[6] = self.size
        return os.stat_result(values, {"st_mtime_ns": state.st_mtime_ns})


class PackedFolder(type(Path())):  # type: ignore[misc]
    """A folder of packed ``files``, such as the frames of a film, under the path of the first without its ending."""

    files: tuple[Packed, ...] = ()

    @classmethod
    def of(cls, files: Iterable[Packed]) -> Self:
        """Raises ``IndexError`` for none."""
        files = tuple(files)
        self: Self = cls(files[0].shard, files[0].name.partition(".")[0])
        self.files = files
        return self

    def __str__(self) -> str:
        return f"{self.files[0].shard}/{self.name}" if self.files else super().__str__()

    def __reduce__(self) -> Any:
        return (type(self).of, (self.files,)) if self.files else (Path, (str(self),))

    def iterdir(self) -> Iterator[Packed]:  # type: ignore[override]
        return iter(self.files)

    def is_dir(self) -> bool:
        return bool(self.files)

    def is_file(self) -> bool:
        return False

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        return self.is_dir()


@contextmanager
def together(sources: Iterable[Any], *, headers: bool = False) -> Iterator[None]:
    """While it lasts, those of ``sources`` that are far away are in memory, fetched at once; for their ``headers``,
    those of which they are not known. Raises ``DataError``."""
    files = [file for source in sources for file in _far(source) if not (headers and file.facts)]
    try:
        for file, data in zip(files, fetch([(f.shard, f.start, f.size) for f in files]), strict=True):  # type: ignore[misc]
            file.fetched = data
        yield
    finally:
        for file in files:
            file.fetched = None


def _far(source: Any) -> Iterator[Packed]:
    """The files that ``source`` is made of."""
    if isinstance(source, Packed) and isinstance(source.shard, Far):
        yield source
    elif isinstance(source, Mapping):
        for part in source.values():
            yield from _far(part)
    elif isinstance(source, PackedFolder):
        for file in source.files:
            yield from _far(file)
    elif isinstance(source, Spoilt):
        yield from _far(source.source)
    elif isinstance(getattr(source, "path", None), Packed):  # a label map
        yield from _far(source.path)


def readable(path: Path) -> Any:
    """What a library can open: ``path``, or a file of bytes for one inside of a tar."""
    return path.open("rb") if isinstance(path, Packed) else path


class _Window(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, packed: Packed) -> None:
        assert packed.shard is not None
        self.packed, self.at = packed, 0
        self.name = str(packed)
        self.file = packed.shard.open("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.packed.size}[whence]
        if base + offset < 0:
            raise OSError(22, "before the beginning", self.name)
        self.at = base + offset
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self.packed.size - self.at))
        self.file.seek(self.packed.start + self.at)
        data = self.file.read(count)
        buffer[: len(data)] = data
        self.at += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self.file.close()
        super().close()
