"""Files are written aside and renamed, so that a stop at any moment leaves the old file or the new one, whole."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
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
        raise DataError(
            f"cannot be written ({error.strerror})",
            expected="a folder with room and permission",
            do="Make room, or choose another folder." if error.errno in FULL else "Choose another folder.",
            file=path,
        ) from error


def tidy(folder: str | Path) -> None:
    """Remove what a process that was killed while it wrote left behind in ``folder``, which nobody else writes to."""
    for part in Path(folder).glob(".*.part"):
        part.unlink(missing_ok=True)
