"""Pictures without texts, one file or a folder of them, so that prediction can use the same door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crnn.data.formats._files import is_picture, name_in, root_of, split_of, walk
from crnn.errors import CrnnError
from crnn.types import Sample

WANTED = "pictures (.png .jpg .jpeg .webp .tif .tiff .bmp .gif)"
ANSWERS = ("text",)


def recognise(path: Path) -> bool:
    """Whether ``path`` is a picture or a folder with one."""
    return any(is_picture(file) for file in walk(path))


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample with ``y=None`` for each picture; other files are passed over, so ``left_out`` stays as it is."""
    root = root_of(path)
    for file in walk(path):
        if is_picture(file):
            yield Sample(name_in(root, file), file, split=split_of(root, file))
