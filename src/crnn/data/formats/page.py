"""PAGE XML (PRImA, any year), as Transkribus, eScriptorium, OCR-D, Aletheia and kraken write it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from statistics import median
from xml.etree import ElementTree

import numpy as np

from crnn.data.formats._canvas import Point, canvas, find_picture, points
from crnn.data.formats._files import name_in, root_of, split_of
from crnn.data.formats._xml import (
    Element,
    children,
    clean,
    first,
    has_root,
    lines_to_write,
    local,
    named_like,
    pages,
    parse,
    read_pages,
    save,
    share,
)
from crnn.data.page_lines import TextLine, around
from crnn.errors import CrnnError, DataError
from crnn.files import write_aside
from crnn.types import Prediction, Sample

WANTED = "PAGE XML with the page pictures beside it"
ANSWERS = ("text",)
CREATED = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
"""The namespace of new files."""


def recognise(path: Path) -> bool:
    """Whether ``path`` is a PAGE file or a folder with one."""
    return has_root(path, "PcGts")


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each text line under ``path``: id ``page.xml#line``, the page as group, ``y=None`` without text."""
    return read_pages(path, left_out, "PcGts", _Page)


def write(source: Path, texts: Mapping[str, Prediction], target: Path) -> None:
    """A copy of ``source`` in which the lines of ``texts``, by line id, have the recognised text and its confidence.

    Words stay where the new text has as many, else they go; texts of regions above follow; all else is kept. Raises
    ``DataError`` for broken XML, for a line id that ``source`` lacks, and where ``target`` cannot be written.
    """
    tree = parse(source)
    regions = []
    for line, prediction in lines_to_write(tree.getroot(), "PcGts", texts, source):
        text = clean(prediction.value)
        _write_words(line, text.split())
        _replace_text(line, text, share(prediction.score))
        regions += [e for e in line.iterancestors() if local(e) == "TextRegion" and e not in regions]
    for region in regions:
        if children(region, "TextEquiv"):
            inside = [_text(line) for line in region.iter() if local(line) == "TextLine"]
            _replace_text(region, "\n".join(inside), None)
    save(tree, target)


def create(blocks: Sequence[Sequence[TextLine]], picture: Path, size: tuple[int, int], target: Path) -> None:
    """A new file ``target`` for ``picture`` of ``size`` (width, height): each of the ``blocks``, in reading order, is a
    region. Raises ``DataError`` where it cannot be written."""
    root = ElementTree.Element("PcGts", {"xmlns": CREATED})
    about, now = ElementTree.SubElement(root, "Metadata"), datetime.now(UTC).isoformat(timespec="seconds")
    for name, text in (("Creator", "crnn"), ("Created", now), ("LastChange", now)):
        ElementTree.SubElement(about, name).text = text
    named = {"imageFilename": clean(picture.name), "imageWidth": str(size[0]), "imageHeight": str(size[1])}
    page = ElementTree.SubElement(root, "Page", named)
    if blocks:
        order = ElementTree.SubElement(ElementTree.SubElement(page, "ReadingOrder"), "OrderedGroup", {"id": "order"})
    for i, block in enumerate(blocks, 1):
        ElementTree.SubElement(order, "RegionRefIndexed", {"index": str(i - 1), "regionRef": f"r{i}"})
        region = ElementTree.SubElement(page, "TextRegion", {"id": f"r{i}"})
        left, top, right, bottom = around(block)
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        ElementTree.SubElement(region, "Coords", {"points": _said(corners, size)})
        for j, line in enumerate(block, 1):
            element = ElementTree.SubElement(region, "TextLine", {"id": f"r{i}l{j}"})
            ElementTree.SubElement(element, "Coords", {"points": _said(line.polygon, size)})
            ElementTree.SubElement(element, "Baseline", {"points": _said(line.baseline, size)})
            if line.text is not None:
                conf = None if line.score is None else share(line.score)
                equiv = ElementTree.SubElement(element, "TextEquiv", {"conf": conf} if conf else {})
                ElementTree.SubElement(equiv, "Unicode").text = clean(line.text)
    ElementTree.indent(root)
    with write_aside(target, "wb") as file:
        file.write(ElementTree.tostring(root, "utf-8", xml_declaration=True) + b"\n")


def whole(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each page under ``path``, its picture and its lines (``TextLine``) in the file's order, in pixels of
    the picture. A line without a baseline has one a quarter of its height above its lower edge."""
    root = root_of(path)
    for file, document, page in pages(path, left_out, "PcGts", _Page):
        try:
            found = tuple(page.line(line) for line in document.iter() if local(line) == "TextLine")
        except DataError as error:
            left_out.append(
                error if error.file else DataError(error.given, expected=error.expected, do=error.do, file=file)
            )
            continue
        yield Sample(name_in(root, file), page.picture, found, split=split_of(root, file))


class _Page:
    """A PAGE document and its picture. Raises ``DataError``."""

    def __init__(self, document: Element, file: Path) -> None:
        page = first(document, "Page")
        if page is None:
            raise DataError("has no Page", expected="PAGE XML of one page", do="Export it again.", file=file)
        self.document = document
        self.picture = find_picture(file, page.get("imageFilename") or "")
        self.canvas, _ = canvas(self.picture, _declared(page), file)

    def polygon(self, line: Element) -> tuple[Point, ...]:
        """The line's outline in pixels, from its Coords, else around its Baseline. Raises ``DataError``."""
        outline = _points(first(line, "Coords"))
        if len(outline) >= 3:
            return self.canvas.fit(outline)
        baseline = _points(first(line, "Baseline"))
        if len(baseline) < 2:
            raise DataError("has no outline", expected="Coords or a Baseline", do="Draw its outline.")
        above, below = 0.75 * self.line_height, 0.25 * self.line_height
        top = [(x, y - above) for x, y in baseline]
        return self.canvas.fit([*top, *((x, y + below) for x, y in reversed(baseline))])

    def text(self, line: Element) -> str:
        """The line's text, else that of its words."""
        return _text(line) or " ".join(filter(None, map(_text, children(line, "Word"))))

    def line(self, line: Element) -> TextLine:
        """The line with its baseline, and heights above and below it. Raises ``DataError``."""
        outline = self.polygon(line)
        (across, down), found = self.canvas.scale, _points(first(line, "Baseline"))
        text = self.text(line) or None
        top, bottom = min(y for _, y in outline), max(y for _, y in outline)
        if len(found) < 2:
            xs = [x for x, _ in outline]
            level = bottom - 0.25 * (bottom - top)
            return TextLine(((min(xs), level), (max(xs), level)), level - top, bottom - level, text)
        baseline = sorted((x * across, y * down) for x, y in found)
        levels, rows = np.array(baseline).T, np.array(outline).T
        offsets = rows[1] - np.interp(rows[0], levels[0], levels[1])
        above, below = max(1.0, -float(offsets.min())), max(1.0, float(offsets.max()))
        return TextLine(tuple(baseline), above, below, text)

    @cached_property
    def line_height(self) -> float:
        """Units from line to line, for lines without outline: as other lines are high, or their baselines apart."""
        found = [line for line in self.document.iter() if local(line) == "TextLine"]
        outlines = [_levels(first(line, "Coords")) for line in found]
        heights = [max(ys) - min(ys) for ys in outlines if len(ys) >= 3]
        if not heights:
            levels = sorted(median(ys) for line in found if (ys := _levels(first(line, "Baseline"))))
            heights = [low - high for high, low in pairwise(levels) if low - high > 4]
        return median(heights) if heights else self.canvas.height / self.canvas.scale[1] / 40


def _said(outline: Iterable[Point], size: tuple[int, int]) -> str:
    """Points as whole numbers on the page, as the schema has them."""
    return " ".join(f"{min(max(round(x), 0), size[0])},{min(max(round(y), 0), size[1])}" for x, y in outline)


def _declared(page: Element) -> Point | None:
    try:
        return float(page.get("imageWidth")), float(page.get("imageHeight"))
    except (TypeError, ValueError):
        return None


def _points(element: Element | None) -> list[Point]:
    """The points of Coords or Baseline; before 2013 each was an element. Raises ``DataError``."""
    if element is None:
        return []
    each = [f"{point.get('x')},{point.get('y')}" for point in children(element, "Point")]
    return points(element.get("points") or " ".join(each))


def _levels(element: Element | None) -> list[float]:
    """The y of each point, none for points that are broken."""
    try:
        return [y for _, y in _points(element)]
    except DataError:
        return []


def _text(element: Element) -> str:
    """The text of the TextEquiv with the lowest index, else of the first."""
    found = sorted(children(element, "TextEquiv"), key=_index)  # stable: the first of equals stays first
    words = [first(found[0], name) for name in ("Unicode", "PlainText")] if found else []
    return next((word.text.strip() for word in words if word is not None and (word.text or "").strip()), "")


def _index(equiv: Element) -> float:
    index = equiv.get("index", "")
    return int(index) if index.isdecimal() else float("inf")


def _write_words(line: Element, words: list[str]) -> None:
    """Put each word into its box if their numbers agree; boxes of other words are of no use."""
    boxes = children(line, "Word")
    for i, box in enumerate(boxes):
        if len(boxes) != len(words):
            line.remove(box)
            continue
        for glyph in children(box, "Glyph"):
            box.remove(glyph)
        _replace_text(box, words[i], None)


def _replace_text(element: Element, text: str, conf: str | None) -> None:
    """One TextEquiv in the place of all, or where the schema wants it: behind all but the three that follow it."""
    old = children(element, "TextEquiv")
    behind = children(element, "TextStyle", "UserDefined", "Labels")
    place = element.index((old or behind)[0]) if old or behind else len(element)
    tail = old[-1].tail if old else element.text
    for equiv in old:
        element.remove(equiv)
    new = element.makeelement(named_like(element, "TextEquiv"), {"conf": conf} if conf else {}, element.nsmap)
    new.tail = tail
    inner = new.makeelement(named_like(element, "Unicode"))
    inner.text = text
    new.append(inner)
    element.insert(place, new)
