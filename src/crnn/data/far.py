"""Files that lie far away, on web servers and in object stores: whole, or ranges of them, as fsspec reads them."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any, Self

from crnn.errors import CrnnError, DataError, MissingExtra, SettingsError, Unreachable

TRIES, WAIT = 4, 0.5  # a failure that may pass is tried again after half a second, then one, then two
GAP = 1 << 12  # bytes between two places up to which they are one request: the answer of a neighbour
LONGEST = 1 << 24  # bytes of one request, unless a single place is larger
PASSING = (408, 425, 429)  # of the answers from 400 to 499, those by which a server asks for patience
LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotImplementedError, ValueError, TypeError)


def is_address(text: str) -> bool:
    """Whether ``text`` names a place that is no path: ``https://``, ``s3://``, ``memory://``.

    >>> is_address("s3://bucket/set/"), is_address("data/set"), is_address("C:/set")
    (True, False, False)
    """
    return re.match(r"[a-z][a-z0-9+.-]+://", text) is not None


class ReadOnly(type(Path())):  # type: ignore[misc]
    """A path to what is no file of a system: ``open`` gives bytes (``rb``) or a text of its ``opened``."""

    def open(
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        assert mode.strip("bt") == "r", f"{self} is only read"
        file = self.opened()
        return file if "b" in mode else io.TextIOWrapper(file, encoding, errors, newline)

    def opened(self) -> Any:
        """A file of its bytes: all of them in memory."""
        return io.BytesIO(self.read_bytes())


class Far(ReadOnly):
    """An address as a path: it is read, and measured, but never written or gone through."""

    @classmethod
    def of(cls, address: str) -> Self:
        """Raises ``SettingsError`` for an address without a server, and for one that holds a password or a query: both
        would be written into bundles and messages, and no index lies beside a query."""
        secret = "Give the plain address; the configuration of fsspec, or of the store, is the place of passwords."
        for pattern, what, do in (
            (r":///|^file:|^local:", "names no server", "Of a disk, give the path."),
            (r"://[^/]*:[^/@]*@", "has a password in it", secret),
            (r"[?#]", "has a query (? or #) in it", secret),
        ):
            if re.search(pattern, address):
                shown = re.sub(r"://[^/]*@", "://...@", re.split(r"[?#]", address)[0])
                expected = "an address such as https://a.org/set/"
                raise SettingsError(f"the address {shown} {what}", expected=expected, do=do)
        return cls(address)

    def __str__(self) -> str:
        return re.sub(r"^([^:/]+):/+", r"\1://", super().__str__())

    def is_file(self) -> bool:
        """Whether it is named as one; that it is there shows when it is read."""
        return self.suffix.lower() in (".tar", ".index")

    def is_dir(self) -> bool:
        return not self.is_file()

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        return True

    def read_bytes(self) -> bytes:
        """All of it. Raises ``DataError`` if it is not there, ``Unreachable``."""
        return _answers([_Range(self, None, None)])[0]

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Its size alone. Raises ``DataError``, ``Unreachable``."""
        return of_size(_patiently(self, self._size))

    def check_ranges(self) -> None:
        """Ask for its last byte. Raises ``DataError`` where only all of it can be had."""
        try:
            _patiently(self, self._last_byte)
        except DataError as error:
            if isinstance(error.__cause__, ValueError):  # what fsspec says of such servers
                raise _no_ranges(self) from error
            raise

    def _size(self) -> int:
        system, path = _system(self)
        size = system.info(path)["size"]
        if size is None:
            do = "Put the shards on one that does (most do)."
            raise DataError("has no size", expected="a server that says sizes", do=do, file=self)
        return int(size)

    def _last_byte(self) -> None:
        system, path = _system(self)
        with system.open(path, "rb", cache_type="none") as file:
            file.seek(max(0, self._size() - 1))
            file.read(1)


def of_size(size: int) -> os.stat_result:
    """What a system says of a file of which nothing but the size is known."""
    return os.stat_result((0o100444, 0, 0, 1, 0, 0, size, 0, 0, 0))


def fetch(places: Sequence[tuple[Far, int, int]]) -> list[bytes]:
    """The bytes of each place, a file, a start and a size; all are asked for at once, neighbours as one.

    Raises ``DataError`` for a server that gives other ranges than it was asked for, or other files than there were,
    ``Unreachable`` for one that cannot be reached.
    """
    ranges: list[_Range] = []
    for i in sorted(range(len(places)), key=lambda i: (str(places[i][0]), places[i][1])):
        file, start, size = places[i]
        last = ranges[-1] if ranges and ranges[-1].file == file else None
        if last is None or start - last.stop > GAP or start + size - last.start > LONGEST:
            ranges.append(last := _Range(file, start, start))
        last.stop = max(last.stop, start + size)
        last.wanted.append(i)
    found: dict[int, bytes] = {}
    for part, data in zip(ranges, _answers(ranges), strict=True):
        for i in part.wanted:
            _, start, size = places[i]
            found[i] = data[start - part.start : start - part.start + size]
    return [found[i] for i in range(len(places))]


@dataclass(slots=True)
class _Range:
    """A part of a file, or with no start all of it, and the numbers of the places that lie in it."""

    file: Far
    start: Any
    stop: Any
    wanted: list[int] = field(default_factory=list)


def _answers(ranges: Sequence[_Range]) -> list[bytes]:
    """The bytes of each range; what failed and may not fail again is asked for again."""
    found: dict[int, bytes] = {}
    for tried in range(1, TRIES + 1):
        failed: dict[int, Exception] = {}
        systems: dict[int, tuple[Any, list[tuple[int, str]]]] = {}
        for i, part in enumerate(ranges):
            if i not in found:
                system, path = _system(part.file)
                systems.setdefault(id(system), (system, []))[1].append((i, path))
        for system, asked in systems.values():
            starts, stops = ([getattr(ranges[i], name) for i, _ in asked] for name in ("start", "stop"))
            try:
                given = system.cat_ranges([path for _, path in asked], starts, stops, on_error="return")
            except Exception as problem:  # of all together; each store has errors of its own
                given = [problem] * len(asked)
            for (i, _), data in zip(asked, given, strict=True):
                (failed if isinstance(data, Exception) else found)[i] = data
        if not failed:
            break
        for i, error in failed.items():
            _give_up(ranges[i].file, error, tried)
        time.sleep(WAIT * 2 ** (tried - 1))
    for i, part in enumerate(ranges):
        if part.start is not None and len(found[i]) != part.stop - part.start:
            raise _no_ranges(part.file, f"gave {len(found[i]):,} of {part.stop - part.start:,} bytes")
    return [bytes(found[i]) for i in range(len(ranges))]


def _patiently(file: Far, ask: Any) -> Any:
    """What ``ask`` gives, asked again where that may help."""
    for tried in range(1, TRIES + 1):
        try:
            return ask()
        except CrnnError:
            raise
        except Exception as error:  # each store has errors of its own
            _give_up(file, error, tried)
        time.sleep(WAIT * 2 ** (tried - 1))
    raise AssertionError("the last try gives up")


def _give_up(file: Far, error: Exception, tried: int) -> None:
    """Raises what is to be said of ``error``, unless another try may help."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(cause, Exception) and not isinstance(cause, LookupError):
        error = cause  # of sizes, fsspec says that they are not there whatever the server's answer was
    status = getattr(error, "status", None)
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        do = "Check the address; what crnn pack wrote lies together, and tars of others are packed again first."
        raise DataError("is not there", expected="a file of shards", do=do, file=file) from error
    refused = isinstance(status, int) and 400 <= status < 500 and status not in PASSING
    why = f"{status} {getattr(error, 'message', '')}".strip() if status else str(error) or type(error).__name__
    if refused or isinstance(error, LASTING):
        do = "Check the address, and that you may read there."
        raise DataError(f"is refused ({why})", expected="a file of shards", do=do, file=file) from error
    if tried == TRIES:
        given, do = f"cannot be reached ({why}; tried {TRIES} times)", "Check the network and the server."
        raise Unreachable(given, expected="data that can be read all the time", do=do, file=file) from error


def _no_ranges(file: Far, given: str = "is given whole or not at all") -> DataError:
    expected = "a server that serves ranges of files (Accept-Ranges: bytes), and shards as they were packed"
    return DataError(given, expected=expected, do="Use another server, or copy the shards again.", file=file)


def _system(file: Far) -> tuple[Any, str]:
    """The file system of an address, and the path in it. It is never kept: fsspec keeps one for each process."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtra("fsspec", "remote") from error
    scheme = str(file).partition(":")[0]
    try:
        system, path = url_to_fs(str(file))
    except ImportError as error:
        do = "Install it, such as: pip install 'crnn[remote]' for https, pip install s3fs for s3."
        given = f"is an address of {scheme}, whose library is not installed ({error})"
        raise DataError(given, expected="the library of fsspec for it", do=do, file=file) from error
    except ValueError as error:
        expected = "https, s3 or another that fsspec knows"
        raise DataError(f"is an address of {scheme}", expected=expected, do="Check it.", file=file) from error
    kind: Any = type(system)
    _closed_before_forks(kind)
    return system, path


@cache
def _closed_before_forks(kind: Any) -> None:
    """A worker that inherits connections would, when it forgets them, close them under the hands of its parent."""

    def close() -> None:
        if kind._cache:
            import gc

            kind.clear_instance_cache()
            gc.collect()  # a file system holds itself, and closes its connections when it goes

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=close)
