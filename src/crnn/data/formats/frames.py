"""Films as folders of pictures, in a folder per class: ``fight/clip7/001.png``, also inside of train, valid and test.

It is recognised where the kind of input is said to be films, since the same folders could be classes of pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crnn.data.formats._asked import Asked
from crnn.data.formats._files import PICTURES, Split, folders_in, is_picture, name_in, parted
from crnn.errors import CrnnError, DataError
from crnn.types import Sample

WANTED = "a folder for each class, in it a folder of pictures for each film (with input.name=film)"
ANSWERS = ("label",)


def recognise(path: Path) -> bool:
    """Whether ``path`` holds such folders, of two classes or more."""
    return len({place.name for place, _, films in _classes(path) if films}) > 1


def recognise_for(path: Path, asked: Asked) -> bool:
    """The same where films are asked for and pictures are not."""
    return ".mp4" in asked.suffixes and not asked.suffixes >= PICTURES and not asked.inputs and recognise(path)


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each folder of pictures, its ``y`` the name of the folder above; folders beside them that hold no
    pictures go to ``left_out``."""
    for place, part, films in _classes(path):
        for folder in folders_in(place) if films else ():
            if folder not in films:
                do = "Put its frames there, or delete the folder."
                left_out.append(DataError("holds no pictures", expected="the frames of a film", do=do, file=folder))
                continue
            yield Sample(name_in(path, folder), folder, place.name, split=part)


def _classes(path: Path) -> list[tuple[Path, Split | None, set[Path]]]:
    """Folder, part and films of each class: folders of pictures, two below ``path`` or two below a part in it."""
    if not path.is_dir():
        return []
    return [
        (place, part, {folder for folder in folders_in(place) if any(map(is_picture, folder.iterdir()))})
        for place, part in parted(path, 2)
    ]
