"""Films as folders of pictures, in a folder per class: ``fight/clip7/001.png``, also inside of train, valid and test.

It is recognised where the kind of input is said to be films, since the same folders could be classes of pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crnn.data.formats._asked import Asked
from crnn.data.formats._files import PICTURES, SPLITS, is_picture, name_in, split_of
from crnn.errors import CrnnError, DataError
from crnn.types import Sample

WANTED = "a folder for each class, in it a folder of pictures for each film (with input.name=film)"
ANSWERS = ("label",)


def recognise(path: Path) -> bool:
    """Whether ``path`` holds such folders, of two classes or more."""
    return len({folder.parent.name for folder in _films(path)}) > 1


def recognise_for(path: Path, asked: Asked) -> bool:
    """The same where films are asked for and pictures are not."""
    return ".mp4" in asked.suffixes and not asked.suffixes >= PICTURES and not asked.inputs and recognise(path)


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each folder of pictures, its ``y`` the name of the folder above; folders beside them that hold no
    pictures go to ``left_out``."""
    films = _films(path)
    for place in sorted({folder.parent for folder in films}):
        for folder in _folders(place):
            if folder not in films:
                do = "Put its frames there, or delete the folder."
                left_out.append(DataError("holds no pictures", expected="the frames of a film", do=do, file=folder))
                continue
            yield Sample(name_in(path, folder), folder, place.name, split=split_of(path, folder))


def _films(path: Path) -> set[Path]:
    """Folders of pictures, two below ``path`` or two below a split in it."""
    if not path.is_dir():
        return set()
    found: set[Path] = set()
    for place in _folders(path):
        if place.name.lower() in SPLITS:
            found |= _films(place)
        else:
            found |= {folder for folder in _folders(place) if any(map(is_picture, folder.iterdir()))}
    return found


def _folders(path: Path) -> list[Path]:
    return [f for f in sorted(path.iterdir()) if f.is_dir() and not f.name.startswith(".") and f.name != "__MACOSX"]
