"""A folder per class: ``cat/1.png``, ``dog/2.png``, of pictures, recordings or whatever a kind of input reads.

Folders named train, valid (val, validation, dev) and test may lie above those of the classes and give the split; where
none of them holds a folder, they are classes themselves. Folders inside of a class belong to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from crnn.data.formats._asked import Asked
from crnn.data.formats._files import Split, folders_in, name_in, parted, unread, walk
from crnn.errors import CrnnError, DataError
from crnn.types import Sample

WANTED = "a folder for each class with its files in it, if need be inside of train, valid and test"
ANSWERS = ("label",)


def recognise(path: Path) -> bool:
    """Whether ``path`` is a folder that holds a folder with files."""
    return recognise_for(path, Asked())


def recognise_for(path: Path, asked: Asked) -> bool:
    """The same, for files of the endings that are asked for, of two classes or more."""
    return len({folder.name for folder, _, files in classes(path, asked) if files}) > 1


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each picture, its ``y`` the name of its class's folder."""
    return read_for(path, left_out, Asked())


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """A sample for each file of the ending that is asked for (of several endings, of all); empty folders of classes,
    and files of a part that lie in none, go to ``left_out``. Raises ``DataError`` if there are no classes."""
    found = classes(path, asked)
    counts = Counter(file.suffix.lower() for *_, files in found for file in files)
    if not counts:
        return
    for folder, part, files in found:
        if not files:
            left_out.append(
                DataError(
                    "holds nothing that can be read",
                    expected=f"files of the class {folder.name!r} ({' '.join(sorted(counts))})",
                    do="Put its files there, or delete the folder.",
                    file=folder,
                )
            )
        for file in files:
            yield Sample(name_in(path, file), file, folder.name, split=part)
    for place in sorted({*folders_in(path)} - {folder for folder, *_ in found}):
        loose = [file for file in place.iterdir() if file.suffix.lower() in counts]
        if loose:
            do = "Sort them into such folders; to be answered, they are given without the others."
            given = f"holds {len(loose)} files in no folder of a class, which are not read"
            left_out.append(DataError(given, expected="a folder for each class", do=do, file=place))
    left_out += unread(walk(path), path, f"files of the endings {' '.join(sorted(counts))}")


def classes(path: Path, asked: Asked) -> list[tuple[Path, Split | None, list[Path]]]:
    """Folder, part and files of each class; a class that is in several parts comes several times."""
    if not path.is_dir():
        return []
    return [
        (folder, part, [file for file in walk(folder) if file.suffix.lower() in asked.suffixes])
        for folder, part in parted(path, 1)
    ]
