"""Pictures and how they should look: two folders of the same names, noisy and clean, also inside of or around train,
valid and test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crnn.data.formats._files import is_picture, name_in, root_of, split_of, walk
from crnn.errors import CrnnError, DataError
from crnn.types import Sample

WANTED = "pictures in two folders (noisy and clean, input and target), named alike"
ANSWERS = ("picture",)
WORSE = frozenset({"noisy", "noise", "input", "inputs", "degraded", "dirty", "lq", "low", "blur", "rain", "spoilt"})
CLEAN = frozenset({"clean", "target", "targets", "gt", "ground_truth", "original", "originals", "hq", "high", "sharp"})
Key = tuple[str, ...]


def recognise(path: Path) -> bool:
    """Whether ``path`` is a folder with such folders, of which a picture is in both."""
    if not path.is_dir():
        return False
    worse, clean = _sorted(path)
    return not worse.keys().isdisjoint(clean)


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each picture that is in both; what has no partner goes to ``left_out``."""
    root = root_of(path)
    worse, clean = _sorted(path) if path.is_dir() else ({}, {})
    for key, picture in worse.items():
        if key in clean:
            yield Sample(name_in(root, picture), picture, clean[key], split=split_of(root, picture))
    for one, others in ((worse, clean), (clean, worse)):
        for key in sorted(one.keys() - others.keys()):
            do = "Copy it there, or take this one away."
            left_out.append(DataError("has no partner", expected="one of its name", do=do, file=one[key]))


def _sorted(path: Path) -> tuple[dict[Key, Path], dict[Key, Path]]:
    """Worse and clean pictures, by what tells partners."""
    worse: dict[Key, Path] = {}
    clean: dict[Key, Path] = {}
    for file in filter(is_picture, walk(path)):
        folders = [part.lower() for part in file.relative_to(path).parts[:-1]]
        for names, found in ((WORSE, worse), (CLEAN, clean)):
            if names.intersection(folders):
                found[(*(f for f in folders if f not in names), file.stem.lower())] = file
                break
    return worse, clean
