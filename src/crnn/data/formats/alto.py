"""ALTO XML, versions 1 to 4, as libraries, ABBYY, Tesseract, eScriptorium and kraken write it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Any
from xml.etree import ElementTree

from crnn.data.formats._canvas import Canvas, Point, canvas, find_picture, points
from crnn.data.formats._xml import (
    Element,
    children,
    clean,
    first,
    has_root,
    lines_to_write,
    local,
    named_like,
    parse,
    read_pages,
    save,
    share,
)
from crnn.data.page_cut import along
from crnn.data.page_lines import TextLine, around
from crnn.errors import CrnnError, DataError
from crnn.files import write_aside
from crnn.types import Part, Prediction, Sample

Box = tuple[float, float, float, float]  # left, top, width, height
WANTED = "ALTO XML with the page pictures beside it"
ANSWERS = ("text",)
CREATED = "http://www.loc.gov/standards/alto/ns-v4#"
"""The namespace of new files."""

INCHES = {"mm10": 1 / 254, "inch1200": 1 / 1200}
"""Inches in a unit of measurement; the other unit is the pixel."""
HYPHENS = ("-", "\N{SOFT HYPHEN}", "\N{HYPHEN}", "\N{NOT SIGN}", "\N{DOUBLE OBLIQUE HYPHEN}", "=")
"""Signs with which a word that goes on in the next line may end."""
KEPT = ("STYLEREFS", "STYLE", "TAGREFS", "LANG", "language")
"""What new words take over from old ones, where all of a line agree."""


def recognise(path: Path) -> bool:
    """Whether ``path`` is an ALTO file or a folder with one."""
    return has_root(path, "alto")


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each text line under ``path``: id ``page.xml#line``, the page as group, ``y=None`` without text."""
    return read_pages(path, left_out, "alto", _Page)


def write(source: Path, texts: Mapping[str, Prediction], target: Path) -> None:
    """A copy of ``source`` in which the lines of ``texts``, by line id, have the recognised words and confidences.

    A word's place comes from the letters among ``Prediction.parts`` (pixels of the line's crop, whose left edge is the
    outline's); without them words have none. All else is kept. Raises ``DataError`` for broken XML, for a line id that
    ``source`` lacks, for a page picture that is needed and missing, and where ``target`` cannot be written.
    """
    tree = parse(source)
    document = tree.getroot()
    page = _Page(document, source) if any(prediction.parts for prediction in texts.values()) else None
    for line, prediction in lines_to_write(document, "alto", texts, source):
        words = clean(prediction.value).split()
        letters = _letters_of_words(prediction.parts, words) if page else None
        scores = [fmean(part.score for part in parts) for parts in letters] if letters else []
        boxes = _boxes(page, line, letters) if letters and page else []
        _write_words(line, words, scores or [prediction.score] * len(words), boxes)
    save(tree, target)


def create(blocks: Sequence[Sequence[TextLine]], picture: Path, size: tuple[int, int], target: Path) -> None:
    """A new file ``target`` for ``picture`` of ``size`` (width, height): each of the ``blocks``, in reading order, is a
    text block. Raises ``DataError`` where it cannot be written."""

    def add(parent: Any, name: str, box: Box | None = None, named: Mapping[str, str] | None = None) -> Any:
        return ElementTree.SubElement(parent, name, {**(named or {}), **({} if box is None else _place(*box))})

    root = ElementTree.Element("alto", {"xmlns": CREATED})
    about = add(root, "Description")
    add(about, "MeasurementUnit").text = "pixel"
    add(add(about, "sourceImageInformation"), "fileName").text = clean(picture.name)
    sides = {"ID": "page", "PHYSICAL_IMG_NR": "1", "WIDTH": str(size[0]), "HEIGHT": str(size[1])}
    space = add(add(add(root, "Layout"), "Page", None, sides), "PrintSpace", (0, 0, *size))
    for i, block in enumerate(blocks, 1):
        element = add(space, "TextBlock", _within(around(block), size), {"ID": f"b{i}"})
        for j, line in enumerate(block, 1):
            baseline = " ".join(f"{x:.0f},{y:.0f}" for x, y in line.baseline)
            one = add(element, "TextLine", _within(line.box, size), {"ID": f"b{i}l{j}", "BASELINE": baseline})
            outline = " ".join(f"{x:.0f},{y:.0f}" for x, y in line.polygon)
            add(add(one, "Shape"), "Polygon", None, {"POINTS": outline})
            before: Box | None = None
            for word in line.words:
                (left, y), (right, z) = along(line, word.start), along(line, word.stop)
                box = _within((left, min(y, z) - line.above, right, max(y, z) + line.below), size)
                if before is not None:
                    one.append(ElementTree.Element("SP", _gap(before, box)))
                score = share(word.score)
                add(one, "String", box, {"CONTENT": clean(word.value), **({"WC": score} if score else {})})
                before = box
    ElementTree.indent(root)
    with write_aside(target, "wb") as file:
        file.write(ElementTree.tostring(root, "utf-8", xml_declaration=True) + b"\n")


def _within(box: Box, size: tuple[int, int]) -> Box:
    """Left, top, right, bottom as left, top, width, height, on the page."""
    left, top, right, bottom = (min(max(v, 0.0), side) for v, side in zip(box, (*size, *size), strict=True))
    return left, top, right - left, bottom - top


class _Page:
    """An ALTO document and its picture. Raises ``DataError``."""

    def __init__(self, document: Element, file: Path) -> None:
        pages = [element for element in document.iter() if local(element) == "Page"]
        if len(pages) != 1:
            raise DataError(f"has {len(pages)} pages", expected="one page", do="Write a file for each page.", file=file)
        named = first(document, "Description", "sourceImageInformation", "fileName")
        unit = first(document, "Description", "MeasurementUnit")
        self.picture = find_picture(file, (named.text or "") if named is not None else "")
        self.unit = (unit.text or "").strip() if unit is not None else "pixel"
        self.canvas = _canvas(self.picture, _size(pages[0]), self.unit, file)

    def polygon(self, line: Element) -> tuple[Point, ...]:
        """The line's outline in pixels, from its Shape, else its box. Raises ``DataError``."""
        shape = first(line, "Shape", "Polygon")
        outline = points(shape.get("POINTS") or "") if shape is not None else []
        if len(outline) < 3:
            x, y, width, height = (_number(line, name) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
            outline = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        return self.canvas.fit(outline)

    def text(self, line: Element) -> str:
        """The words, with spaces where the file has them (between all words if it has none), and a hyphen's sign."""
        has_spaces = bool(children(line, "SP"))
        text = ""
        for element in children(line, "String", "SP", "HYP"):
            kind, content = local(element), element.get("CONTENT") or ""
            if kind == "SP":
                text += " "
            elif kind == "String":
                text += content if has_spaces or not text else " " + content
            elif not text.endswith(HYPHENS):  # some programs give the hyphen in the word, too
                text += content or "-"
        return text.strip()


def _canvas(picture: Path, size: Point | None, unit: str, file: Path) -> Canvas:
    """Pixels for each unit: from the page's size, which holds whatever the unit is called, else from dots an inch."""
    if unit not in INCHES:
        if unit != "pixel" and size is None:
            raise _unit_error(unit, picture, file)
        return canvas(picture, size, file)[0]
    plain, dpi = canvas(picture, None, file)
    try:
        if size is not None:
            return canvas(picture, size, file)[0]
    except DataError:
        pass  # the page is not what the picture shows
    if dpi is None:
        raise _unit_error(unit, picture, file)
    return Canvas(plain.width, plain.height, (INCHES[unit] * dpi, INCHES[unit] * dpi))


def _unit_error(unit: str, picture: Path, file: Path) -> DataError:
    return DataError(
        f"measures in {unit!r}, and neither its Page's WIDTH and HEIGHT nor {picture.name} say how many pixels that is",
        expected="the unit pixel, a Page with its size, or a picture that knows its dots an inch",
        do="Export it in pixels.",
        file=file,
    )


def _size(page: Element) -> Point | None:
    try:
        width, height = float(page.get("WIDTH")), float(page.get("HEIGHT"))
    except (TypeError, ValueError):
        return None
    return (width, height) if 0 < width < inf and 0 < height < inf else None


def _number(line: Element, name: str) -> float:
    try:
        number = float(line.get(name))
    except (TypeError, ValueError):
        number = float("nan")
    if not abs(number) < 1e9:
        raise DataError(
            f"has {name}={line.get(name)!r}",
            expected="a Shape, or HPOS, VPOS, WIDTH and HEIGHT",
            do="Draw its outline.",
        )
    return number


def _letters_of_words(parts: Sequence[Part], words: Sequence[str]) -> list[list[Part]] | None:
    """The parts of each word; ``None`` if there are none, or if they spell other words."""
    letters = [part for part in parts if not str(part.value).isspace()]
    found: list[list[Part]] = []
    for word in words:
        spelled, mine = "", list[Part]()
        while letters and len(spelled) < len(word):
            mine.append(letters.pop(0))
            spelled += clean(mine[-1].value)
        if spelled != word:
            return None
        found.append(mine)
    return found if found and not letters else None


def _boxes(page: _Page, line: Element, words: Sequence[Sequence[Part]]) -> list[Box]:
    """Left, top, width, height of each word in the file's units; none for a line whose outline cannot be used."""
    try:
        polygon = page.polygon(line)
    except DataError:
        return []
    xs, ys = [x for x, _ in polygon], [y for _, y in polygon]
    across, down = page.canvas.scale
    top, height = min(ys) / down, (max(ys) - min(ys)) / down
    boxes = []
    for letters in words:
        start, stop = min(part.start for part in letters), max(part.stop for part in letters)
        left, right = (min(int(min(xs)) + x, max(xs)) / across for x in (start, stop))  # the crop begins at int(min)
        boxes.append((left, top, right - left, height))
    return boxes


def _write_words(line: Element, words: Sequence[str], scores: Sequence[float], boxes: Sequence[Box]) -> None:
    """Strings for ``words`` with spaces between, in the place of the old ones."""
    old = children(line, "String", "SP", "HYP")
    strings = children(line, "String")
    kept = {name: s.get(name) for s in strings[:1] for name in KEPT if len({s.get(name) for s in strings}) == 1}
    place = line.index(old[0]) if old else len(line)
    between, behind = (old[0].tail, old[-1].tail) if old else (line.text, line.text)
    for element in old:
        line.remove(element)
    new: list[Element] = []
    for i, word in enumerate(words or [""]):
        if i:
            new.append(_element(line, "SP", _gap(boxes[i - 1], boxes[i]) if boxes else {}))
        attributes = {**{name: value for name, value in kept.items() if value is not None}, "CONTENT": word}
        if boxes:
            attributes |= _place(*boxes[i])
        if words and (score := share(scores[i])) is not None:
            attributes["WC"] = score
        new.append(_element(line, "String", attributes))
    for i, element in enumerate(new):
        element.tail = between if i + 1 < len(new) else behind
        line.insert(place + i, element)


def _place(*box: float) -> dict[str, str]:
    return {name: str(round(value)) for name, value in zip(("HPOS", "VPOS", "WIDTH", "HEIGHT"), box, strict=False)}


def _gap(before: Box, behind: Box) -> dict[str, str]:
    """The place of a space between two boxes, in either direction of writing; it has no height."""
    (left, top, width, _), (right, *_) = sorted((before, behind))
    return _place(left + width, top, max(0.0, right - left - width))


def _element(line: Element, name: str, attributes: Mapping[str, str]) -> Element:
    return line.makeelement(named_like(line, name), attributes, line.nsmap)
