"""Arrays of .npy and .npz files, never of objects, and never larger than a file of that size can honestly hold.

Whatever a file says of itself is looked at before any memory is taken for it: the header of an array in a few hundred
bytes of zip may claim any size, and a thousandth of it in compressed zeros will do.
"""

from __future__ import annotations

import os
import struct
import tokenize
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, LargeZipFile

import numpy as np

from crnn.data.packed import Packed
from crnn.errors import DataError

MOST = 1 << 30
"""Bytes to which any file may unpack."""
RATIO = 200
"""How many times larger than the file what comes of it may be, beyond that; honest numbers compress to a hundredth at
most."""
LAST = 0x10FFFF
"""The last letter of Unicode."""
BROKEN = (
    *(OSError, ValueError, EOFError, KeyError, AttributeError, TypeError, IndexError, SyntaxError, ArithmeticError),
    *(BadZipFile, LargeZipFile, zlib.error, struct.error, tokenize.TokenError, RuntimeError, MemoryError),
)
"""What libraries raise of damaged files of arrays."""


def check_unpacked(size: int, file: Path) -> None:
    """Raises ``DataError`` if ``file`` claims to hold ``size`` bytes, and cannot honestly."""
    room = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else size
    most = min(max(MOST, RATIO * file.stat().st_size), room)
    if not 0 <= size <= most:
        raise DataError(
            f"claims {size / 1e9:,.1f} GB",
            expected=f"at most {most / 1e9:,.1f} GB of a file of {file.stat().st_size:,} bytes",
            do="If it is honest, write it in several files, or without compression.",
            file=file,
        )


def read_npy(path: Path) -> np.ndarray:
    """The array of a .npy file, on disk until it is asked for. Raises any of ``BROKEN``."""
    if isinstance(path, Packed):
        with path.open("rb") as raw:
            return np.lib.format.read_array(raw, allow_pickle=False)
    return np.lib.format.open_memmap(path, mode="r")


class Arrays:
    """The arrays of an open .npz file by name; their shapes are known without them.

    Raises any of ``BROKEN``, and ``DataError`` for arrays of objects and for claims that cannot be true.
    """

    def __init__(self, file: Any, path: Path) -> None:
        self.file, self.path = file, path
        self.names: Sequence[str] = list(file.files)

    def shape(self, name: str) -> tuple[int, ...]:
        """Of one array, from its header alone."""
        return self._header(name)[0]

    def __getitem__(self, name: str) -> np.ndarray:
        shape, kind = self._header(name)
        if kind.hasobject:
            do = "Write plain numbers or texts: numpy.array(x, dtype=...)."
            given = f"holds the array {name}, which is one of Python objects"
            raise DataError(given, expected="numbers or texts, since objects can run code", do=do, file=self.path)
        size = kind.itemsize
        for side in shape:
            size *= side
        check_unpacked(size, self.path)
        x = self.file[name]
        if not isinstance(x, np.ndarray):
            raise ValueError(f"{name} is no array")
        if (
            kind.kind == "U"
            and np.ascontiguousarray(x).view(kind.byteorder.replace("|", "=") + "u4").max(initial=0) > LAST
        ):
            raise ValueError(f"{name} holds what is no letter")
        return x

    def _header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        member = name if name in self.file.zip.namelist() else f"{name}.npy"
        with self.file.zip.open(member) as raw:
            version = np.lib.format.read_magic(raw)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, kind = read(raw)
        return shape, kind


@contextmanager
def open_npz(path: Path) -> Iterator[Arrays]:
    """The arrays of a .npz file. Raises any of ``BROKEN``, and ``DataError``."""
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        if isinstance(file, np.ndarray):
            raise ValueError("a single array")
        yield Arrays(file, path)
