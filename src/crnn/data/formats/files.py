"""Sources without answers, one file or a folder of them, of whatever kind: what prediction is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crnn.data.formats._asked import Asked
from crnn.data.formats._files import name_in, root_of, split_of, walk
from crnn.errors import CrnnError
from crnn.types import Sample

WANTED = "files to be answered for"


def recognise(path: Path) -> bool:
    """Whether ``path`` is a picture or a folder with one."""
    return recognise_for(path, Asked())


def recognise_for(path: Path, asked: Asked) -> bool:
    """Whether ``path`` is a file of an ending that is asked for, or a folder with one."""
    return any(file.suffix.lower() in asked.suffixes for file in walk(path))


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample with ``y=None`` for each picture."""
    return read_for(path, left_out, Asked())


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """A sample with ``y=None`` for each file of an ending that is asked for; others are passed over, so ``left_out``
    stays as it is."""
    root = root_of(path)
    for file in walk(path):
        if file.suffix.lower() in asked.suffixes:
            yield Sample(name_in(root, file), file, split=split_of(root, file))
