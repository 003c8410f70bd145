"""Pictures of lines, each with its text in a file beside it: ``a.png`` and ``a.gt.txt`` (kraken, ocropy, Tesseract).

``a.nrm.png`` and ``a.bin.png`` go with ``a.gt.txt``, too. Plain ``a.txt`` serves where there is no ``.gt.txt`` at all:
beside ``.gt.txt`` it holds what some program recognised. Subfolders named train, valid (val, validation, dev) and test
give the split.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crnn.data.formats._files import decode, is_picture, line_text, name_in, read_bytes, root_of, split_of, walk
from crnn.errors import CrnnError, DataError
from crnn.types import Sample

WANTED = "pictures with their texts beside them (a.png and a.gt.txt or a.txt)"
ANSWERS = ("text",)


def recognise(path: Path) -> bool:
    """Whether ``path`` is a folder in which a picture has a text."""
    if not path.is_dir():
        return False
    files = walk(path)
    texts = _texts(files)
    return any(_text_of(file, texts) for file in files if is_picture(file))


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each picture under ``path`` that has a text.

    Pictures of one text (``a.nrm.png`` and ``a.bin.png``) show the same line: they share a group.
    """
    root = root_of(path)
    files = walk(path)
    texts = _texts(files if path.is_dir() else list(root.iterdir()))
    pairs = [(picture, _text_of(picture, texts)) for picture in files if is_picture(picture)]
    used = [text for _, text in pairs if text is not None]
    shared = len(set(used)) < len(used)
    for picture, text in pairs:
        if text is None:
            left_out.append(_no_text(picture))
            continue
        try:
            y = line_text(decode(read_bytes(text), text), text)
        except DataError as error:
            left_out.append(error)
            continue
        group = _stem(name_in(root, text)) if shared else None
        yield Sample(name_in(root, picture), picture, y, group, split_of(root, picture))
    if path.is_dir():
        alone = {text for text in texts.values() if _ending(text) == ".gt.txt"} - set(used)
        left_out += (_no_picture(text) for text in sorted(alone))


def _texts(files: list[Path]) -> dict[tuple[Path, str], Path]:
    """Text files by folder and stem; ``.txt`` only where there is no ``.gt.txt``."""
    truths = [file for file in files if _ending(file) == ".gt.txt"]
    return {(file.parent, _stem(file.name)): file for file in truths or [f for f in files if _ending(f) == ".txt"]}


def _text_of(picture: Path, texts: dict[tuple[Path, str], Path]) -> Path | None:
    found = texts.get((picture.parent, picture.stem))
    stem, _, treatment = picture.stem.rpartition(".")
    if found is None and treatment.isalpha():  # a.nrm.png, but not page.2.png
        truth = texts.get((picture.parent, stem))
        found = truth if truth is not None and _ending(truth) == ".gt.txt" else None
    return found


def _ending(path: Path) -> str:
    name = path.name.lower()
    return ".gt.txt" if name.endswith(".gt.txt") else path.suffix.lower()


def _stem(name: str) -> str:
    return name[: -len(".gt.txt")] if name.lower().endswith(".gt.txt") else name[: -len(".txt")]


def _no_text(picture: Path) -> DataError:
    wanted = picture.with_suffix(".gt.txt").name
    plain = picture.with_suffix(".txt")
    if plain.is_file():
        do = f"Rename {plain.name} if it holds the true text (beside .gt.txt files, .txt is taken for recognised text)."
    else:
        do = "Write the text, or take the picture away."
    return DataError("has no text", expected=f"{wanted} beside it", do=do, file=picture)


def _no_picture(text: Path) -> DataError:
    stem = _stem(text.name)
    return DataError(
        "has no picture",
        expected=f"{stem}.png (or .jpg, .webp, .tif ...) beside it",
        do="Copy the picture there, or take the text away.",
        file=text,
    )
