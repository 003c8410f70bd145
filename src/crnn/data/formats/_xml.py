"""What PAGE and ALTO share: XML read without entities, network or DTD, its lines as samples, safe writing.

Elements are matched by local name, so every version's namespace is read. ``Element`` is lxml's.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from crnn.data.formats._canvas import Point
from crnn.data.formats._files import name_in, read_bytes, root_of, split_of, walk
from crnn.errors import CrnnError, DataError, MissingExtra
from crnn.files import write_aside
from crnn.types import Prediction, Region, Sample

Element = Any
Made = TypeVar("Made")
_HEAD = 1 << 14  # bytes in which the root element is looked for


class Page(Protocol):
    """A page as a format understands it; making one may raise ``DataError``, and so may ``polygon``."""

    @property
    def picture(self) -> Path: ...

    def polygon(self, line: Element) -> tuple[Point, ...]: ...

    def text(self, line: Element) -> str: ...


def has_root(path: Path, name: str) -> bool:
    """Whether ``path`` is XML whose first element is ``name``, or a folder with such a file: a look at the heads."""
    start = re.compile(rb"<(?:[\w.-]+:)?([\w.-]+)[\s/>]")
    for file in walk(path):
        if file.suffix.lower() == ".xml":
            with file.open("rb") as stream:
                head = re.sub(rb"<!--.*?-->|\0", b"", stream.read(_HEAD), flags=re.DOTALL)  # \0: UTF-16
            found = start.search(head)
            if found and found[1] == name.encode():
                return True
    return False


def read_pages(
    path: Path, left_out: list[CrnnError], root_name: str, make_page: Callable[[Element, Path], Page]
) -> Iterator[Sample]:
    """A sample for each ``TextLine`` of each XML file under ``path`` whose root is ``root_name``.

    ``make_page(document, file)`` understands a file. Lines without text have ``y=None``; XML of another kind is passed
    over.
    """
    root = root_of(path)
    for file, document, page in pages(path, left_out, root_name, make_page):
        for line_id, line in lines(document):
            try:
                region = Region(page.picture, page.polygon(line))
            except DataError as error:
                given = f"line {line_id} {error.given}"
                left_out.append(DataError(given, expected=error.expected, do=error.do, file=file))
                continue
            text = page.text(line) or None
            yield Sample(f"{name_in(root, file)}#{line_id}", region, text, file.stem, split_of(root, file))


def pages(
    path: Path, left_out: list[CrnnError], root_name: str, make_page: Callable[[Element, Path], Made]
) -> Iterator[tuple[Path, Element, Made]]:
    """Each XML file under ``path`` whose root is ``root_name``, with its root and what ``make_page`` makes of it."""
    for file in walk(path):
        if file.suffix.lower() != ".xml":
            continue
        try:
            document = parse(file).getroot()
            if local(document) != root_name:
                continue
            page = make_page(document, file)
        except DataError as error:
            left_out.append(error)
            continue
        yield file, document, page


def library() -> Any:
    """``lxml.etree``. Raises ``MissingExtra`` where lxml is not installed."""
    try:
        from lxml import etree
    except ImportError as error:
        raise MissingExtra("lxml", "ocr") from error
    return etree


def parse(path: Path) -> Any:
    """The XML tree of ``path``. Raises ``DataError`` for broken XML and for XML that defines entities."""
    etree = library()
    data = read_bytes(path)
    if b"<!ENTITY" in data.replace(b"\0", b""):
        raise _entities(path)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        tree = etree.parse(io.BytesIO(data), parser)
    except etree.XMLSyntaxError as error:
        raise DataError(
            f"is broken XML ({error.msg})", expected="well-formed XML", do="Export or copy it again.", file=path
        ) from error
    dtd = tree.docinfo.internalDTD
    if dtd is not None and next(dtd.iterentities(), None) is not None:
        raise _entities(path)
    return tree


def local(element: Element) -> str:
    """An element's name without its namespace; ``""`` for comments and the like."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def children(element: Element, *names: str) -> list[Element]:
    """The children with one of these local names."""
    return [child for child in element if local(child) in names]


def first(element: Element, *path: str) -> Element | None:
    """The first element reached by going down ``path``."""
    for child in children(element, path[0]):
        found = child if len(path) == 1 else first(child, *path[1:])
        if found is not None:
            return found
    return None


def named_like(element: Element, name: str) -> str:
    """``name`` in the namespace of ``element``."""
    return element.tag.rpartition("}")[0] + "}" + name if "}" in element.tag else name


def lines(document: Element) -> list[tuple[str, Element]]:
    """Each ``TextLine`` with an id that is its own: what the file gives, made unique, else its number on the page."""
    result: list[tuple[str, Element]] = []
    seen: set[str] = set()
    for number, line in enumerate((e for e in document.iter() if local(e) == "TextLine"), 1):
        line_id = (line.get("id") or line.get("ID") or f"line{number}").strip()
        if line_id in seen:
            line_id = f"{line_id}~{number}"
        seen.add(line_id)
        result.append((line_id, line))
    return result


def lines_to_write(
    document: Element, root_name: str, texts: Mapping[str, Prediction], file: Path
) -> list[tuple[Element, Prediction]]:
    """The lines that ``texts`` speaks of. Raises ``DataError`` for XML of another kind, and for ids that it lacks."""
    if local(document) != root_name:
        raise DataError(
            f"is XML of the kind {local(document)}",
            expected=root_name,
            do="Write it in the format it was read in.",
            file=file,
        )
    there = dict(lines(document))
    if lacking := sorted(set(texts) - set(there)):
        raise DataError(
            f"has no line {', '.join(lacking[:5])}",
            expected="the ids of its lines, as they were read",
            do="Give the XML that the lines come from.",
            file=file,
        )
    return [(there[line_id], prediction) for line_id, prediction in texts.items()]


def clean(text: object) -> str:
    """``text`` without letters that XML cannot hold."""
    return re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", str(text))


def share(score: float) -> str | None:
    """A confidence as XML has it, 0 to 1; ``None`` for what is no number."""
    return None if math.isnan(score) else f"{min(max(score, 0.0), 1.0):.4f}"


def save(tree: Any, target: Path) -> None:
    """Write the tree to ``target`` in UTF-8, in one step. Raises ``DataError``."""
    stream = io.BytesIO()
    tree.write(stream, encoding="UTF-8", xml_declaration=True, standalone=tree.docinfo.standalone or None)
    with write_aside(target, "wb") as file:
        file.write(stream.getvalue())


def _entities(path: Path) -> DataError:
    return DataError("defines entities", expected="XML without them", do="Export it again as plain XML.", file=path)
