"""Data as people have them on disk, one reader a file: ``(path) -> Iterator[Sample]``, and the door to all of them.

A new format is a file with ``WANTED``, ``recognise`` and ``read``, and its line in ``FORMATS``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from crnn.data.far import Far, is_address
from crnn.data.formats import (
    alto,
    boxes,
    captions,
    cleaned,
    clips,
    coco,
    events,
    files,
    folders,
    frames,
    label_maps,
    labelled,
    npz,
    page,
    pairs,
    pictures,
    shards,
    table,
    timeline,
    voc,
)
from crnn.data.formats._asked import Ahead, Answer, Asked, Cutting, grouped
from crnn.data.formats._files import PICTURES, count_kinds, is_picture, leading, unread, unreadable, walk
from crnn.data.formats._rows import SUFFIXES
from crnn.data.shard_index import is_pattern
from crnn.data.spoil import spoilt
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.registry import pick
from crnn.types import Sample

__all__ = ["FORMATS", "Ahead", "Answer", "Asked", "Cutting", "Format", "open_data", "split_id"]


class Format(Protocol):
    """What each file here offers. Reading looks at names and texts; pictures stay undecoded.

    ``ANSWERS`` says which kinds of answer it can give, so that a folder is not taken for what nobody asked for; without
    it, any. A format that can serve several tasks also offers ``recognise_for(path, asked)`` and
    ``read_for(path, left_out, asked)``, which are told what the task looks for (``Asked``).
    """

    @property
    def WANTED(self) -> str:
        """What it reads, in words for messages."""

    def recognise(self, path: Path) -> bool:
        """A cheap look: would ``read`` make sense of ``path``, which exists?"""

    def read(self, path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
        """The samples under ``path``, lazily. What cannot be used is added to ``left_out``, and reading goes on."""


FORMATS: dict[str, Format] = {
    "pairs": pairs,
    "table": table,
    "page": page,
    "alto": alto,
    "folders": folders,
    "frames": frames,
    "events": events,
    "labelled": labelled,
    "npz": npz,
    "captions": captions,
    "clips": clips,
    "label_maps": label_maps,
    "coco": coco,
    "voc": voc,
    "boxes": boxes,
    "cleaned": cleaned,
    "timeline": timeline,
    "shards": shards,
    "pictures": pictures,
    "files": files,
}
WITHOUT_ANSWERS = ("pictures", "files")
"""Formats that are recognised where no other is."""


def open_data(
    path: str | Path, name: str = "auto", left_out: list[CrnnError] | None = None, *, asked: Asked | None = None
) -> list[Sample]:
    """The samples under ``path`` in the format ``name``; ``auto`` recognises it. ``asked`` is what a task looks for; by
    default, lines of text. A ``path`` that is a text may be the address of shards (``s3://bucket/set/``); what stands
    in files is never taken for one.

    What cannot be used goes to ``left_out``; without such a list the first of it is raised, so that nothing is lost in
    silence. Pictures without any texts are samples with ``y=None``. Raises ``DataError`` if ``path`` is not there, is
    of no format or of several, or holds nothing that can be used; ``SettingsError`` for an unknown name.
    """
    path, asked = located(path), asked or Asked()
    reader = pick(name, FORMATS, "format") if name != "auto" else None
    if isinstance(path, Far) and reader not in (None, shards):
        given, do = f"data far away in the format {name}", "Pack them (crnn pack), or copy them to a disk."
        raise SettingsError(given, expected="shards", do=do)
    bad: list[CrnnError] = []
    samples: list[Sample] = []
    try:
        if isinstance(path, Far) or is_pattern(path):
            reader = shards
        elif not path.exists():
            raise DataError("is not there", expected="a file or folder", do="Check the path.", file=path)
        reader = reader or FORMATS[_recognise(path, asked)]
        with leading(asked.outside):
            for sample in _read(reader, path, bad, asked):
                if bad and left_out is None:
                    break
                samples.append(sample)
    except OSError as error:
        raise unreadable(Path(error.filename or path), error) from error
    if left_out is not None:
        left_out += bad
    elif bad:
        raise bad[0]
    if not samples:
        raise _nothing_left(path, bad) if bad else _not_found(path, reader.WANTED, asked)
    return spoilt(samples, asked.spoiling) if asked.truths else samples


def located(path: str | Path) -> Path:
    """The place of data that a user names. Raises ``SettingsError`` for addresses that cannot be used."""
    if isinstance(path, str) and is_address(path):
        return Far.of(path)
    return path if isinstance(path, Far) else Path(path)


def split_id(sample_id: str) -> tuple[str, str | None]:
    """The file and the line that an id names: ``"a/page.xml#l1"`` is line ``l1`` of ``a/page.xml``.

    >>> split_id("a/page.xml#l1"), split_id("train/b.png")
    (('a/page.xml', 'l1'), ('train/b.png', None))
    """
    at = sample_id.lower().find(".xml#")
    return (sample_id[: at + 4], sample_id[at + 5 :]) if at >= 0 else (sample_id, None)


def _read(reader: Any, path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """The samples as ``asked`` wants them."""
    told = hasattr(reader, "read_for")
    samples = reader.read_for(path, left_out, asked) if told else reader.read(path, left_out)
    if asked.group is None or (hasattr(reader, "knows") and reader.knows(path, asked.group)):
        return samples
    return grouped(samples, asked.group)


def _recognise(path: Path, asked: Asked) -> str:
    """The name of the one format that fits. Raises ``DataError``."""
    able: dict[str, Any] = {n: r for n, r in FORMATS.items() if asked.answer in getattr(r, "ANSWERS", (asked.answer,))}
    # without answers there are pictures for a reader of lines, and files of its endings for any other task
    able.pop("files" if asked.answer == "text" and asked.suffixes & PICTURES else "pictures", None)
    readers = {name: reader for name, reader in able.items() if name not in WITHOUT_ANSWERS}
    fitting = [
        name
        for name, reader in readers.items()
        if (reader.recognise_for(path, asked) if hasattr(reader, "recognise_for") else reader.recognise(path))
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise DataError(
            f"can be read as {' and as '.join(fitting)}",
            expected="data in one format",
            do=f"Say which with --format {fitting[0]}, or give the path of the part that is meant.",
            file=path,
        )
    plain = next((name for name in WITHOUT_ANSWERS if name in able), None)
    found = walk(path)
    sources = [file for file in found if file.suffix.lower() in asked.suffixes]
    if path.is_file():
        if sources and plain is not None:
            return plain
    elif "table" in readers and any(file.parent == path and file.suffix.lower() in SUFFIXES for file in found):
        return "table"  # which says what its columns lack
    elif "folders" in readers and sources and any(names for *_, names in folders.classes(path, asked)):
        return "folders"  # which has one class only, as will be said
    elif sources and plain is not None and not ("pairs" in readers and _texts_astray(found)):
        return plain
    wanted = "; or ".join(f"{name}: {reader.WANTED}" for name, reader in able.items())
    raise _not_found(path, wanted, asked)


def _texts_astray(files: list[Path]) -> list[Path]:
    """Texts that seem to be meant for pictures but do not lie beside them or have other names."""
    stems = {file.stem for file in files if is_picture(file)}
    return [
        file
        for file in files
        if file.name.lower().endswith(".gt.txt") or (file.suffix.lower() in (".txt", ".xml") and file.stem in stems)
    ]


def _not_found(path: Path, wanted: str, asked: Asked) -> DataError:
    """What was looked for and what is there, with advice for the usual mistakes."""
    files = walk(path)
    seen = [file for file in files if is_picture(file)] if asked.answer == "text" else []
    strange = unread(files, path, " ".join(sorted(asked.suffixes)) or wanted)
    if strange and path.is_file():
        return strange[0]
    if path.is_file():
        given, do = f"is a {path.suffix or 'plain'} file", "Check the path, or give the folder of the data."
        if is_picture(path) or not asked.truths:
            wanted = f"{' '.join(sorted(asked.suffixes))}, or data that name such files"
        return DataError(given, expected=wanted, do=do, file=path)
    known = {*asked.suffixes, *SUFFIXES, ".json", ".npz", ".tar", ".xml"}
    known |= PICTURES if ".mp4" in asked.suffixes else set()  # a folder of frames is a film
    if asked.answer != "text" and files and not any(file.suffix.lower() in known for file in files):
        wanted = f"{' '.join(sorted(asked.suffixes))}, or data that name such files"
    astray = _texts_astray(files)
    if not files:
        do = "Check the path."
    elif seen and astray and astray[0].suffix.lower() == ".xml":
        do = f"{astray[0].name} is neither PAGE nor ALTO: export one of these."
    elif seen and astray:
        do = f"Put each text beside its picture: for {seen[0].name}, {seen[0].stem}.gt.txt (there is {astray[0].name})."
    elif seen:
        do = f"Write the text of {seen[0].name} into {seen[0].stem}.gt.txt, and so on."
    elif strange:
        do = strange[0].do
    else:
        do = "Check the path; the data and their answers must lie under it."
    return DataError(count_kinds(files), expected=wanted, do=do, file=path)


def _nothing_left(path: Path, bad: list[CrnnError]) -> CrnnError:
    if len(bad) == 1:
        return bad[0]
    return DataError(
        f"holds nothing that can be used ({len(bad)} left out; the first: {bad[0]})",
        expected="at least one sample",
        do="Correct them.",
        file=path,
    )
