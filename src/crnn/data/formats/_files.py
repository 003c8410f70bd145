"""What formats share about files: walking a folder, refusing strangers' paths, text in UTF-8, splits, safe writing."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal

from crnn.errors import DataError

PICTURES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".ppm", ".pbm", ".pnm"}
)
UNREAD = {
    **dict.fromkeys((".m4a", ".aac", ".wma", ".amr", ".mp2", ".caf"), "Convert them, such as: ffmpeg -i a{0} a.flac"),
    **dict.fromkeys((".jp2", ".j2k", ".jpx", ".heic", ".heif", ".avif", ".psd", ".svg"), "Convert them to PNG."),
    **dict.fromkeys((".pdf", ".djvu"), "Make a picture of each page, such as: pdftoppm -r 300 -png a.pdf a"),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "Save them as .csv."),
}
"""Endings of files that people have and nothing here reads, and what to do about them."""
OUTSIDE: ContextVar[bool] = ContextVar("outside", default=False)
"""Whether names in files may lead out of their folder, for as long as ``leading`` says."""
Split = Literal["train", "valid", "test"]
SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}


def walk(path: Path) -> list[Path]:
    """All files under ``path`` in a stable order, without hidden ones (``.name``, ``__MACOSX``); ``path`` itself if it
    is a file. Linked folders are entered, each once. Raises ``DataError`` for a folder that cannot be listed."""
    if path.is_file():
        return [path]
    files: list[Path] = []
    entered: set[str] = set()
    for folder, subfolders, names in os.walk(path, onerror=_refuse_folder, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            subfolders.clear()
            continue
        entered.add(real)
        subfolders[:] = sorted(name for name in subfolders if not _hidden(name))
        files += (Path(folder, name) for name in names if not _hidden(name) and not _pipe(folder, name))
    return sorted(files)


def is_picture(path: Path) -> bool:
    """Whether the name ends like a picture's; nothing is opened."""
    return path.suffix.lower() in PICTURES


def root_of(path: Path) -> Path:
    """The folder that ids are relative to: ``path``, or the folder that holds it."""
    return path if path.is_dir() else path.parent


def name_in(root: Path, path: Path) -> str:
    """The name of ``path`` in ``root``, with forward slashes: an id. What is no letter in it is written ``\\udcfc``.
    Elsewhere it is the whole path."""
    named = path.relative_to(root) if path.is_relative_to(root) else Path(os.path.abspath(path))
    return named.as_posix().encode(errors="backslashreplace").decode()


def split_of(root: Path, path: Path) -> Split | None:
    """The split named by the outermost folder between ``root`` and ``path`` that names one."""
    folders = path.relative_to(root).parts[:-1] if path.is_relative_to(root) else ()
    return next((SPLITS[name.lower()] for name in folders if name.lower() in SPLITS), None)


def folders_in(path: Path) -> list[Path]:
    """The folders that lie in ``path``, without hidden ones."""
    return [folder for folder in sorted(path.iterdir()) if folder.is_dir() and not _hidden(folder.name)]


def parted(path: Path, depth: int) -> list[tuple[Path, Split | None]]:
    """The folders in ``path``, and in place of those named like parts the folders within, with their part. Where none
    of these holds folders ``depth`` deep, the names are those of classes: a train beside cars, say."""
    folders = folders_in(path)
    parts = [folder for folder in folders if folder.name.lower() in SPLITS]
    if not any(_reaches(part, depth) for part in parts):
        return [(folder, None) for folder in folders]
    return [
        (inner, SPLITS.get(folder.name.lower()))
        for folder in folders
        for inner in (folders_in(folder) if folder in parts else [folder])
    ]


@contextmanager
def leading(outside: bool) -> Iterator[None]:
    """What is read within may name files ``outside`` of its folder, if the user said so (``Asked.outside``)."""
    before = OUTSIDE.set(outside)
    try:
        yield
    finally:
        OUTSIDE.reset(before)


def inside(folder: Path, name: str) -> Path:
    """``folder / name``, where ``name`` was written by a stranger (with either kind of slash).

    Raises ``DataError`` for a web address and no path, and unless they may lead outside, for an absolute path and one
    that leaves ``folder`` by ``..`` or by a link.
    """
    plain = name.strip().replace("\\", "/")
    windows = PureWindowsPath(plain)
    if re.match(r"\w[\w+.-]+://", plain):
        raise _refuse(name, "is a web address", do="Fetch the file, and write its path.")
    if not plain or any(ord(letter) < 32 for letter in plain):
        raise _refuse(name, "is no path", do="Correct it.")
    if OUTSIDE.get():
        return Path(os.path.normpath(folder / plain))
    if plain.startswith("/") or windows.drive or windows.root:
        raise _refuse(name, "is an absolute path")
    parts: list[str] = []
    for part in PurePosixPath(plain).parts:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            raise _refuse(name, "leaves the folder by '..'")
    if not parts:
        raise _refuse(name, "is no path")
    path = folder
    for part in parts:
        path = path / part
        if os.path.islink(path) and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            raise _refuse(name, "leaves the folder by a link")
    return path


def exists(path: Path) -> bool:
    """Whether ``path`` is a file; a name that no disk could hold is not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises ``DataError``."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def decode(data: bytes, path: Path, line: int | None = None) -> str:
    """``data`` as UTF-8 (a byte order mark is dropped). Raises ``DataError`` naming ``line``, counted from 1."""
    where = f"line {line} " if line is not None else ""
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        given = "is UTF-16" if utf16 else f"{where}is not UTF-8 (byte {data[error.start]:#04x})"
        raise DataError(given, expected="text in UTF-8", do="Save it again as UTF-8.", file=path) from error


def line_text(text: str, path: Path, where: str = "") -> str:
    """``text`` as one line of writing: ends of line dropped. Raises ``DataError`` if it is empty or several lines."""
    text = text.strip("\r\n")
    if not text.strip():
        raise DataError(f"{where}holds no text", expected="the text of a line", do="Write it, or delete it.", file=path)
    if "\n" in text:
        count = sum(bool(line.strip()) for line in text.split("\n"))
        raise DataError(
            f"{where}holds {count} lines of text",
            expected="one line, as on the picture",
            do="Cut the picture into lines, or describe the page in PAGE or ALTO XML.",
            file=path,
        )
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise DataError(f"{where}holds half a letter", expected="Unicode text", do="Write it again.", file=path)
    return text


def passage(text: str, path: Path, where: str = "") -> str:
    """``text`` in one line, in however many it was written. Raises ``DataError`` if it is empty."""
    return line_text(re.sub(r"\s*[\r\n]\s*", " ", text.strip()), path, where)


def count_kinds(files: Iterable[Path]) -> str:
    """What a folder holds, in words.

    >>> count_kinds([Path("a.png"), Path("b.png"), Path("a.gt.txt")])
    'holds 2 .png and 1 .gt.txt files'
    """
    counts = Counter(
        ".gt.txt" if path.name.lower().endswith(".gt.txt") else path.suffix.lower() or "plain" for path in files
    )
    if not counts:
        return "holds no files"
    kinds = [f"{count} {kind}" for kind, count in counts.most_common(5)]
    if rest := counts.total() - sum(count for _, count in counts.most_common(5)):
        kinds.append(f"{rest} other")
    listed = " and ".join([", ".join(kinds[:-1]), kinds[-1]] if len(kinds) > 1 else kinds)
    return f"holds {listed} {'file' if counts.total() == 1 else 'files'}"


def unread(files: Iterable[Path], path: Path, expected: str) -> list[DataError]:
    """For each ending of ``files`` that people have and nothing here reads, an error that says what to do."""
    counts = Counter(file.suffix.lower() for file in files if file.suffix.lower() in UNREAD)
    return [
        DataError(
            f"is a {ending} file" if path.is_file() else f"holds {count} {ending} files, which are not read",
            expected=expected,
            do=UNREAD[ending].format(ending),
            file=path,
        )
        for ending, count in sorted(counts.items())
    ]


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file that the system does not give."""
    return DataError(
        f"cannot be read ({error.strerror})", expected="a readable file", do="Check its permissions.", file=path
    )


def _pipe(folder: str, name: str) -> bool:
    """Whether it is neither a file nor a link to one: a pipe would be waited for."""
    try:
        mode = os.stat(os.path.join(folder, name)).st_mode
    except OSError:  # a link to nowhere, of which reading will tell
        return False
    return not stat.S_ISREG(mode)


def _reaches(folder: Path, depth: int) -> bool:
    """Whether folders lie ``depth`` deep in it."""
    return depth == 0 or any(_reaches(inner, depth - 1) for inner in folders_in(folder))


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


ABOVE = (
    "Put the table above all files that it names, and write their paths from there; or give --outside if you trust who "
    "wrote it."
)


def _refuse(name: str, why: str, do: str = ABOVE) -> DataError:
    expected = "a path relative to the file that names it, inside its folder"
    return DataError(f"the path {name!r} {why}", expected=expected, do=do)


def _refuse_folder(error: OSError) -> None:
    raise unreadable(Path(error.filename), error) from error
