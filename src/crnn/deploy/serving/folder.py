"""The folder in which a server keeps what it reads: private, gone with it, and if it was killed, with the next one."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

PREFIX = "crnn-serve-"
LOCK = "lock"
"""File in it that is locked for as long as its server lives, whatever number its process has."""


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that nobody else can read. Those of servers that were killed are removed first."""
    _sweep()
    with TemporaryDirectory(prefix=PREFIX) as name, _locked(Path(name)):
        yield Path(name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """``folder`` is in use. The file is locked before it has its name, so that nobody finds one that is not yet."""
    with (folder / f".{LOCK}").open("wb") as file:
        _lock(file.fileno())
        os.rename(folder / f".{LOCK}", folder / LOCK)
        yield


def _sweep() -> None:
    """Remove the folders of this user whose servers live no more."""
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        try:
            state = os.lstat(folder)
            if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
                continue
            with (folder / LOCK).open("r+b") as file:
                dead = _lock(file.fileno())
        except (OSError, AttributeError):  # gone by now, not ours, or a system without users
            continue
        if dead:
            shutil.rmtree(folder, ignore_errors=True)


def _lock(file: int) -> bool:
    """Whether the open ``file`` could be locked; the lock ends with the process, however it ends."""
    try:
        import fcntl
    except ImportError:  # a system without them: folders of killed servers stay
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
