"""Files are written aside and renamed, so that a stop at any moment leaves the old file or the new one, whole."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import IO, Any

from crnn.errors import DataError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What systems call a full disk."""


@contextmanager
def write_aside(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a new file that takes the place of ``path`` when the block ends well, and vanishes when it does not.

    Makes the folder if need be. Raises ``DataError`` where the system does not let it write.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            coded = (None, None) if "b" in mode else ("utf-8", "backslashreplace")  # names of files may be no UTF-8
            with aside.open(mode.replace("w", "x"), encoding=coded[0], errors=coded[1]) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                shutil.copymode(path, aside)
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(error, path) from error


def make_folder(path: str | Path) -> None:
    """Make a folder and those it lies in. Raises ``DataError`` where the system does not let it."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(error, path) from error


@contextmanager
def folder_for(path: str | Path) -> Iterator[None]:
    """The folder ``path`` is made before the work that it is for, and vanishes if that fails and left nothing in it."""
    path = Path(path)
    made = not path.exists()
    make_folder(path)
    try:
        yield
    except BaseException:
        if made:
            with suppress(OSError):
                path.rmdir()
        raise


def _refused(error: OSError, path: str | Path) -> DataError:
    return DataError(
        f"cannot be written ({error.strerror})",
        expected="a folder with room and permission",
        do="Make room, or choose another folder." if error.errno in FULL else "Choose another folder.",
        file=path,
    )


class FreeNames:
    """Names of files in one folder, each given once: that of a source, with its folder's, or with a number."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def of(self, source: Path) -> str:
        """A name without ending."""
        first = (source.stem, f"{source.parent.name}-{source.stem}")
        name = next(n for n in chain(first, (f"{source.stem}-{i}" for i in count(2))) if n not in self.taken)
        self.taken.add(name)
        return name


def tidy(folder: str | Path) -> None:
    """Remove what a process that was killed while it wrote left behind in ``folder``, which nobody else writes to."""
    for part in Path(folder).glob(".*.part"):
        part.unlink(missing_ok=True)
