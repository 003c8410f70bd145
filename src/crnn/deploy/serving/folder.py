"""The folder in which a server keeps what it reads: private, gone with it, and if it was killed, with the next one."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

PREFIX = "crnn-serving-"
FRESH = 60.0
"""Seconds in which a folder may be new and not locked yet."""


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that nobody else can read, locked for as long as its process lives, whatever number that has. Those of
    servers that were killed are removed first."""
    _sweep()
    with TemporaryDirectory(prefix=PREFIX) as name:
        lock = _locked(Path(name))
        try:
            yield Path(name)
        finally:
            if lock is not None:
                os.close(lock)


def _sweep() -> None:
    """Remove the folders of this user whose servers live no more."""
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        try:
            state = os.lstat(folder)
            if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mtime > time.time() - FRESH:
                continue
        except (OSError, AttributeError):  # gone by now, or a system without users
            continue
        lock = _locked(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """What holds the lock of ``folder``, until it is closed or the process ends, however it ends; ``None`` where
    another has it."""
    try:
        import fcntl

        file = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):  # a system without them: folders of killed servers stay
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file
