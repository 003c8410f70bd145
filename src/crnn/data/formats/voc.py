"""Pascal VOC annotations: an XML file for each picture with the boxes of the things in it, as LabelImg writes them.

The picture lies beside its file, or in a folder JPEGImages or images next to that of the files. Parts of the data are
folders named train, val and test, or the lists of ImageSets/Main. Pixels are counted from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crnn.data.formats._asked import Asked
from crnn.data.formats._files import (
    PICTURES,
    SPLITS,
    Split,
    exists,
    inside,
    is_picture,
    name_in,
    read_bytes,
    root_of,
    split_of,
    walk,
)
from crnn.data.formats._frames_before import FramesBefore
from crnn.data.formats._xml import children, clean, first, has_root, library, local, parse, save
from crnn.errors import CrnnError, DataError, named
from crnn.types import Box, Boxes, Sample

WANTED = "Pascal VOC annotations (an XML file for each picture)"
ANSWERS = ("boxes",)
FOLDERS = ("JPEGImages", "images", "Images", "jpegimages", "imgs")
"""Where pictures lie, beside the folder of the annotations."""
EDGES = ("xmin", "ymin", "xmax", "ymax")


def recognise(path: Path) -> bool:
    """Whether ``path`` is such a file or a folder with one."""
    return has_root(path, "annotation")


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each annotated picture; one without things has no boxes."""
    return read_for(path, left_out, Asked(answer="boxes"))


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """The same; where several frames are asked for, of clips that end at the picture. Pictures without a file go to
    ``left_out``."""
    root, clips = root_of(path), FramesBefore(asked.frames)
    files = [file for file in walk(path) if file.suffix.lower() == ".xml"]
    lists = _lists(root)
    used: set[Path] = set()
    for file in files:
        try:
            document = parse(file).getroot()
            if local(document) != "annotation":
                continue
            boxes, source = _boxes(document, file), _picture(document, file)
        except DataError as error:
            left_out.append(named(error, str(file)))
            continue
        used.add(source)
        part = split_of(root, file) or split_of(root, source) or lists.get(file.stem)
        yield Sample(name_in(root, source), clips.ending_at(source), boxes, split=part)
    for folder in sorted({source.parent for source in used}) if path.is_dir() and asked.truths else ():
        for picture in sorted(folder.iterdir()):
            if is_picture(picture) and picture not in used and not picture.name.startswith("."):
                do = "Annotate it (without any object where nothing is to be seen), or take it away."
                left_out.append(DataError("has no annotation", expected="an XML file of its name", do=do, file=picture))


def write(picture: str, boxes: Boxes, target: Path) -> None:
    """Write the boxes of the picture of that name to ``target``. Raises ``DataError`` where it cannot be written."""
    etree = library()

    def child(parent: Any, name: str, text: object = None) -> Any:
        element = etree.SubElement(parent, name)
        element.text = None if text is None else clean(text)
        return element

    root = etree.Element("annotation")
    child(root, "filename", picture)
    size = child(root, "size")
    for name, pixels in zip(("width", "height", "depth"), (*boxes.size, 3), strict=True):
        child(size, name, pixels)
    for b in boxes.boxes:
        thing = child(root, "object")
        child(thing, "name", b.label)
        child(thing, "difficult", int(not b.counts))
        child(thing, "score", f"{b.score:.4f}")
        place = child(thing, "bndbox")
        for name, value in zip(EDGES, (b.left + 1, b.top + 1, b.right, b.bottom), strict=True):
            child(place, name, f"{value:.1f}".removesuffix(".0"))
    etree.indent(root)
    save(root.getroottree(), target)


def _boxes(document: Any, file: Path) -> Boxes:
    """The boxes of a document. Raises ``DataError``."""
    found = []
    for number, thing in enumerate(children(document, "object"), 1):
        label, place = _text(thing, "name"), first(thing, "bndbox")
        try:
            left, top, right, bottom = (float(_text(place, name)) for name in EDGES)
        except ValueError as error:
            given = f"object {number} ({label or 'without a name'}) has no box that can be read"
            raise DataError(given, expected=", ".join(EDGES), do="Correct or delete it.", file=file) from error
        if not label:
            do = "Write it, or delete the object."
            raise DataError(f"object {number} has no name", expected="its label", do=do, file=file)
        # the first pixel begins at 0; a box without area stays one, to be told of
        left, top = left - (right > left), top - (bottom > top)
        found.append(Box(label, left, top, right, bottom, counts=_text(thing, "difficult") != "1"))
    try:
        size = int(float(_text(document, "size", "width"))), int(float(_text(document, "size", "height")))
    except (ValueError, OverflowError):
        size = 0, 0
    return Boxes(size, tuple(found), file=file)


def _text(element: Any, *path: str) -> str:
    """The text of the first element reached by ``path``; ``""`` if there is none."""
    found = None if element is None else first(element, *path)
    return "" if found is None else (found.text or "").strip()


def _picture(document: Any, file: Path) -> Path:
    """The picture of a document: of the file's name, else of the name that stands in it. Raises ``DataError``."""
    name = _text(document, "filename").replace("\\", "/").rpartition("/")[2]
    folders = [file.parent, *(file.parent.parent / f for f in FOLDERS), *(file.parent / f for f in FOLDERS)]
    # Annotations/train beside JPEGImages/train
    folders += [file.parent.parent.parent / f / file.parent.name for f in FOLDERS]
    for folder in (f for f in folders if f.is_dir()):
        for ending in sorted(PICTURES):
            for path in (folder / (file.stem + ending), folder / (file.stem + ending.upper())):
                if exists(path):
                    return path
    for folder in (f for f in folders if f.is_dir() and name):
        if exists(path := inside(folder, name)) and is_picture(path):
            return path
    raise DataError(
        f"names the picture {name!r}, which is not there",
        expected=f"it beside the file, or in a folder {FOLDERS[0]} or {FOLDERS[1]}",
        do="Copy the picture there.",
        file=file,
    )


def _lists(root: Path) -> dict[str, Split]:
    """The part of each name in ImageSets/Main."""
    found: dict[str, Split] = {}
    for stem, split in SPLITS.items():
        path = root / "ImageSets" / "Main" / f"{stem}.txt"
        if exists(path):
            lines = read_bytes(path).decode("utf-8", "replace").split("\n")
            found |= {line.split()[0]: split for line in lines if line.split()}
    return found
