"""What lies in shards, and where: patterns of their names, the indexes beside them, and tars without one."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Iterator
from itertools import product, zip_longest
from pathlib import Path
from typing import Any

from crnn.errors import DataError, SettingsError

INDEX = "shards.index"
MARK = "crnn_shards"
MOST = 1_000_000  # shards of a pattern
MOST_OF_ANY = 1e12  # pixels, samples or frames


def read_index(shard: Path) -> Iterator[dict[str, Any]]:
    """A row for each sample of ``shard``, of its index. Raises ``DataError``."""
    path = shard.with_suffix(".index")
    number = 0
    try:
        size = shard.stat().st_size
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                row = json.loads(line)
                if number == 1 and row.get("shard", size) != size:
                    raise ValueError(f"it is of a shard of {row['shard']:,} bytes, this one has {size:,}")
                words = (row["id"], row["group"] or "", row["split"] or "", str(row["answer"]))
                if not all(isinstance(word, str) for word in words):
                    raise ValueError("its id, group or split is no text")
                places = [part for place in row["inputs"].values() for part in _each(place)]
                for name, start, length, *facts in [*places, *([row["truth"]] if "truth" in row else [])]:
                    if not all(type(n) is int and n >= 0 for n in (start, length)) or start + length > size:
                        raise ValueError(f"{name} lies outside of the shard")
                    if not all(type(n) in (int, float) and 0 < n < MOST_OF_ANY for n in facts):
                        raise ValueError(f"{name} has a header of {', '.join(map(str, facts))}")
                    if re.fullmatch(r"[\w.-]+", name) is None:
                        raise ValueError(f"{name!r} is no plain name")
                yield row
        if not number:
            raise ValueError("it is empty")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        given = f"cannot be read at line {number} ({error})"
        raise DataError(given, expected=f"the index of {shard.name}", do="Pack the data again.", file=path) from error


def _each(place: list[Any]) -> list[Any]:
    """The places of a source, which is a file or a folder of frames."""
    if not place:
        raise ValueError("a source without a file")
    return place if isinstance(place[0], list) else [place]


def scan(shard: Path) -> Iterator[tuple[str, dict[str, tuple[int, int]]]]:
    """Of a tar that somebody else made, each sample's key, and place and size of its files by their endings.

    Raises ``DataError`` for what is no plain tar.
    """
    files: dict[str, tuple[int, int]] = {}
    last = ""
    try:
        end = shard.stat().st_size
        with _Whole(shard) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                if member.size < 0 or (member.isreg() and member.offset_data + member.size > end):
                    raise ValueError(f"a file in it says that it has {member.size:,} bytes")
                folder, _, name = member.name.rpartition("/")
                stem, _, ending = name.partition(".")
                if not member.isreg() or member.issparse() or not stem or not ending:
                    continue
                key = f"{folder}/{stem}" if folder else stem
                if key != last and files:
                    yield last, files
                    files = {}
                last = key
                files[ending.lower()] = member.offset_data, member.size
    except (tarfile.TarError, OSError, ValueError, RecursionError) as error:
        given, expected = f"cannot be read as a tar ({error})", "a tar that is not compressed"
        raise DataError(given, expected=expected, do="Unpack .tar.gz to .tar, or pack again.", file=shard) from error
    if files:
        yield last, files


def names_in(index: Path) -> list[str]:
    """The names of the shards that the index of a folder names. Raises ``DataError``."""
    try:
        values = json.loads(index.read_text(encoding="utf-8"))
        names = [str(name) for name in values["shards"]]
        if MARK not in values or not names:
            raise ValueError("it names no shards")
        if strange := [name for name in names if re.fullmatch(r"[\w-][\w.-]*\.tar", name) is None]:
            raise ValueError(f"{strange[0]!r} is no plain name of a shard")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        do = "Pack the data again, or name the shards by a pattern."
        raise DataError(f"cannot be read ({error})", expected="the index of shards", do=do, file=index) from error
    return names


def is_pattern(path: Path) -> bool:
    """Whether ``path`` names several shards in curly brackets."""
    return re.search(r"\{\d+\.\.\d+\}|\{[^{},/]+(,[^{},/]+)+\}.*\.tar$", str(path)) is not None


def expand(pattern: str) -> list[str]:
    """The paths that a pattern with ranges and words in brackets names. Raises ``SettingsError`` for none or millions.

    >>> expand("data/{train,valid}-{08..10}.tar")[2:4]
    ['data/train-10.tar', 'data/valid-08.tar']
    """
    pieces = re.split(r"\{(\d+\.\.\d+|[^{},/]+(?:,[^{},/]+)+)\}", pattern)
    choices, count = list[list[str]](), 1
    for piece in pieces[1::2]:
        low, _, high = piece.partition("..") if "," not in piece else ("", "", "")
        words = piece.split(",")
        count *= int(high) - int(low) + 1 if high else len(words)
        if not 0 < count <= MOST:
            given = f"the pattern {pattern} names {max(0, count):,} shards"
            raise SettingsError(given, expected=f"from 1 to {MOST:,}", do="Correct it.")
        choices.append([f"{n:0{len(low)}}" for n in range(int(low), int(high) + 1)] if high else words)
    return ["".join(map("".join, zip_longest(pieces[::2], words, fillvalue=""))) for words in product(*choices)]


class _Whole(io.FileIO):
    """A file of which no more is read than there is: what a header claims is no reason to take memory for it."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise ValueError(f"a header in it asks for {size} bytes")
        return super().read(min(size, os.fstat(self.fileno()).st_size))
