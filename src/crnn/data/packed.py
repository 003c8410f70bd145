"""A file inside of a tar: it is read where it lies, so that data need not be unpacked, nor fit on a disk."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import IO, Any, Self


class Packed(type(Path())):  # type: ignore[misc]
    """The ``size`` bytes of ``shard`` from ``start`` on, under the path ``shard/name``.

    It is a path that opens, whose folder no system knows: libraries that open files themselves are given ``readable``
    of it. ``facts`` is what its header says, where that is known without opening it: width and height of a picture,
    rate and number of the samples of a sound.
    """

    shard: Path | None = None  # of its parent, which is a path of the same class but no file
    start: int = 0
    size: int = 0
    facts: tuple[int, ...] = ()

    @classmethod
    def of(cls, shard: Path, name: str, start: int, size: int, facts: tuple[int, ...] = ()) -> Self:
        """The file of that place."""
        self: Self = cls(shard, name)
        self.shard, self.start, self.size, self.facts = shard, start, size, facts
        return self

    def __reduce__(self) -> Any:
        if self.shard is None:
            return Path, (str(self),)
        return type(self).of, (self.shard, self.name, self.start, self.size, self.facts)

    def open(
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """To read, bytes (``rb``) or a text."""
        assert mode.strip("bt") == "r" and self.shard is not None, f"{self} is inside of a tar"
        file = io.BufferedReader(_Window(self))
        return file if "b" in mode else io.TextIOWrapper(file, encoding, errors, newline)

    def read_bytes(self) -> bytes:
        with self.open("rb") as file:
            return file.read()

    def is_file(self) -> bool:
        return self.shard is not None and self.shard.is_file()

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        return self.is_file()

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Of the shard, with the size of the file."""
        assert self.shard is not None
        state = os.stat(self.shard)
        values = list(state)
        values[6] = self.size
        return os.stat_result(values, {"st_mtime_ns": state.st_mtime_ns})


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
