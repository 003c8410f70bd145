"""What a request asks: samples, each a file or text (or several by name), and how they are to be answered."""

from __future__ import annotations

import shutil
from asyncio import Future
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from crnn.deploy.serving.limits import MOST_FUTURE, MOST_TOP, Refused

LONGEST_NAME = 120
"""Letters of a file's name, of which more are cut off before its ending."""


class Options(NamedTuple):
    """How a sample is answered; what is in one batch is answered alike, but for ``html``."""

    top: int = 1
    future: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A file that came, and the name that the client gave it, of which only the ending is used, for what kind of
    file it is; nothing on this machine is ever called as a client wishes."""

    name: str
    file: BinaryIO

    def written(self, folder: Path, stem: str, suffixes: frozenset[str]) -> Path:
        """The file under a name of ours. Raises ``Refused`` (415) for an ending that is not one of ``suffixes``."""
        ending = PurePosixPath(self.name).suffix.lower()
        if ending not in suffixes:
            raise Refused(
                415,
                f"has the ending {ending!r}" if ending else "has no ending",
                expected=f"a file in {', '.join(sorted(suffixes))}",
                do="Convert it, or give it its right name.",
                file=self.name,
            )
        path = folder / f"{stem}{ending}"
        self.file.seek(0)
        with path.open("xb") as out:
            shutil.copyfileobj(self.file, out)
        return path


Given = Upload | str
"""A file, or a text, which is never taken for the name of one."""


@dataclass(slots=True, eq=False)
class Job:
    """One sample to be answered; ``done`` gets its answer, or the error in its place."""

    name: str
    given: Given | Mapping[str, Given]
    options: Options
    html: bool
    done: Future[Any]
    since: float = field(default=0.0)
    """When it came, by the loop's clock."""

    def close(self) -> None:
        """Let go of the files."""
        for one in self.given.values() if isinstance(self.given, Mapping) else (self.given,):
            if isinstance(one, Upload):
                one.file.close()


def name_of(given: str | None) -> str:
    """A client's name of a file as it stands in answers: without folders and signs that do not print, not too long.

    >>> name_of("../../etc/pass\\0wd.png")
    'passwd.png'
    """
    last = (given or "").replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(letter for letter in last if letter.isprintable()).strip()
    ending = PurePosixPath(kept).suffix[:20]
    stem = kept.removesuffix(ending)
    return (stem[:LONGEST_NAME] + ending) or "file"


def options_of(query: Mapping[str, str]) -> tuple[Options, bool]:
    """The options of a request, and whether HTML is wanted. Raises ``Refused`` (400)."""
    html = query.get("html", "false").lower()
    if html not in ("true", "false", "1", "0"):
        raise Refused(400, f"html is {html[:40]!r}", expected="true or false", do="Write: ?html=true")
    options = Options(_number(query, "top", 1, MOST_TOP), _number(query, "future", 0, MOST_FUTURE))
    return options, html in ("true", "1")


def _number(query: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = query.get(name, str(least))
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if not least <= value <= most:
        expected = f"a whole number from {least} to {most}"
        raise Refused(400, f"{name} is {text[:40]!r}", expected=expected, do=f"Write: ?{name}={max(1, least)}")
    return value
