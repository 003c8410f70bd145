"""Text lines with their label in front: ``LABEL text``, as TREC and fastText have them, or a tab between the two.

The label is the first word (``DESC:manner``, ``4``, ``__label__good``), or what stands before the tab where every line
has one. Of a folder, the names tell the parts: ``trec.train.txt`` and ``trec.test.txt``, or ``train.txt``, ``dev.txt``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from crnn.data.formats._asked import Asked
from crnn.data.formats._columns import number_of
from crnn.data.formats._files import SPLITS, Split, decode, name_in, read_bytes, root_of
from crnn.errors import CrnnError, DataError
from crnn.types import Sample

WANTED = "lines of text (.txt), each with its label in front and a blank or a tab between"
ANSWERS = ("label", "numbers")

SUFFIXES = frozenset({".txt", ".label", ".tsv"})
LABEL = re.compile(r"__label__\S+|[+-]?\d+([.,]\d+)?|[A-Z][A-Z_]+(:\w+)?|\w+:\w+")
"""Words that look like labels even in a short file."""
HEAD = 1_000_000  # bytes of a file that are looked at to recognise it
FASTTEXT = "__label__"


def recognise(path: Path) -> bool:
    """Whether ``path`` is a file of such lines, or a folder with one."""
    return any(_is_labelled(file) for file in _near(path))


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each line: ``x`` is its text, ``y`` its label."""
    return read_for(path, left_out, Asked(answer="label"))


def recognise_for(path: Path, asked: Asked) -> bool:
    """The same, for a single input."""
    return not asked.inputs and recognise(path)


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """A sample for each line, its label a number where numbers are asked for; lines without label or text go to
    ``left_out``. Raises ``DataError`` if it is unsure which files are meant."""
    root = root_of(path)
    for file in _choose(path):
        lines = list(_lines(file, left_out))
        tabs = all("\t" in line for _, line in lines)
        part = _parts_of(file)[1] if path.is_dir() else None
        for number, line in lines:
            try:
                label, text = _cut(line, tabs)
                if not label or not text:
                    raise DataError(
                        f"line {number} holds {'a label' if label else 'a text'} alone",
                        expected="a label and a text, a blank or a tab between them",
                        do="Correct or delete that line.",
                        file=file,
                    )
                y = number_of(label, f"line {number} ", file) if asked.answer == "numbers" else label
            except DataError as error:
                left_out.append(error)
                continue
            yield Sample(f"{name_in(root, file)}:{number}", text, y, split=part)


def _lines(file: Path, left_out: list[CrnnError]) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not blank; what is not UTF-8 goes to ``left_out``. Raises ``DataError`` for
    a file that is no text."""
    data = read_bytes(file)
    if b"\0" in data:
        raise DataError("is no text", expected=WANTED, do="Check the path.", file=file)
    for number, piece in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            line = decode(piece, file, number).strip()
        except DataError as error:
            left_out.append(error)
            continue
        if line:
            yield number, line


def _cut(line: str, tabs: bool) -> tuple[str, str]:
    """Label and text of a line."""
    parts = line.split("\t" if tabs else None, 1)
    label, text = (*parts, "")[:2]
    return label.strip().removeprefix(FASTTEXT), text.strip()


def _is_labelled(file: Path) -> bool:
    """Whether nearly all lines of the head have label and text, and there are far fewer labels than lines."""
    with file.open("rb") as raw:
        data = raw.read(HEAD)
    lines = [line.strip() for line in data.decode("utf-8", "replace").split("\n")[: -1 if len(data) == HEAD else None]]
    lines = [line for line in lines if line]
    tabs = bool(lines) and all("\t" in line for line in lines)
    if file.suffix.lower() == ".tsv" and not tabs:
        return False
    parts = [line.split("\t" if tabs else None, 1) for line in lines]
    texts = [text[1] for text in parts if len(text) > 1 and re.search(r"[^\W\d_]", text[1])]
    if not lines or "\0" in lines[0] or len(texts) < 0.9 * len(lines):
        return False
    labels = {label for label, *_ in parts}
    plain = tabs or all(LABEL.fullmatch(label) for label in labels)
    return 2 * len(labels) <= len(lines) if plain else len(lines) >= 20 and 10 * len(labels) <= len(lines)


def _near(path: Path) -> list[Path]:
    """The file, or the files of the folder whose names could be those of texts."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    return [f for f in files if f.suffix.lower() in SUFFIXES and f.is_file() and not f.name.startswith(".")]


def _choose(path: Path) -> Sequence[Path]:
    """The files that are meant: one, or one for each part. Raises ``DataError`` where that is unsure."""
    if path.is_file():
        return [path]
    files = [file for file in _near(path) if _is_labelled(file)]
    found = [_parts_of(file) for file in files]
    parts = [part for _, part in found]
    one = len({name for name, _ in found}) == 1 and None not in parts and len(set(parts)) == len(parts)
    if len(files) < 2 or one:
        return files
    raise DataError(
        f"holds the texts {', '.join(file.name for file in files)}",
        expected="one file, or one for each of train, valid and test",
        do="Give the path of the one that is meant.",
        file=path,
    )


def _parts_of(file: Path) -> tuple[str, Split | None]:
    """Which set a file belongs to by its name, and which part of it.

    >>> _parts_of(Path("trec.train.txt")), _parts_of(Path("sst2_dev.txt")), _parts_of(Path("mr.txt"))
    (('trec', 'train'), ('sst2', 'valid'), ('mr', None))
    """
    pieces = re.split(r"[._-]", file.stem)
    part = next((SPLITS[piece.lower()] for piece in reversed(pieces) if piece.lower() in SPLITS), None)
    return ".".join(piece for piece in pieces if piece.lower() not in SPLITS), part
