"""Matched sentences for people to look at: the picture with a frame for each snippet, in the colour of its words."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from crnn.data.described import Rectangle
from crnn.tasks._caption.html import SOURCE, size_of_source

NOTE = (
    "Of each sentence, words of one colour are matched with the frame of this colour; thin dashed frames are the boxes "
    "that people drew. A frame as large as the picture is the whole of it. What was said of the regions stands last."
)
"""Explains the marks to the readers of a report."""
COLOURS = ("#d0342c", "#1f6fd0", "#1a8a3a", "#a23cc0", "#c77700", "#008a8a", "#8a5a2b", "#d0478f")
"""Told apart on light and dark pages."""
HEIGHT, WIDEST = 150, 320  # pixels of a picture
ROW = "display:flex;flex-wrap:wrap;gap:.5rem 1rem;margin:.2rem 0 .6rem;align-items:flex-start"
WORDS = "margin:0;max-width:26rem;line-height:1.7"


class Shown(NamedTuple):
    """Pieces of a sentence, or phrases, and the frame of each; ``kind`` says which of both, ``whole`` what was said of
    the whole."""

    kind: str
    parts: Sequence[tuple[str, Rectangle]]
    whole: str = ""


def match_html(shown: Sequence[Shown], picture: str = "", boxes: Sequence[Rectangle] = ()) -> str:
    """One HTML fragment; every text in it is escaped. Without a picture the words alone are shown."""
    found = SOURCE.search(picture)
    rows, name = [], ""
    for i, each in enumerate(shown):
        frames = ""
        if found is not None:
            name = name or f"matched-{zlib.crc32((picture + str(shown)).encode())}"
            frames = _framed(found.group(1), each, boxes, name, first=i == 0)
        pieces = [
            f'<span style="border-bottom:3px solid {COLOURS[j % len(COLOURS)]}">{escape(text)}</span>'
            for j, (text, _) in enumerate(each.parts)
        ]
        between = " " if each.kind == "sentence" else "<br>"
        label = "" if each.kind == "sentence" else f"<small>said:</small> {escape(each.whole)}<br>"
        rows.append(f'<div style="{ROW}">{frames}<p dir="auto" style="{WORDS}">{label}{between.join(pieces)}</p></div>')
    # a picture that says more than itself, such as which moments counted, is shown beside the frames
    alone = found is None or not rows or "<p" in picture
    return f'<div class="answer">{picture if alone else ""}{"".join(rows)}</div>'


def _framed(source: str, each: Shown, boxes: Sequence[Rectangle], name: str, *, first: bool) -> str:
    """The picture with frames; the first holds the picture that the others use, so that it stands in the page once."""
    height, width = size_of_source(source, HEIGHT, WIDEST)
    whole = f'<image id="{name}" width="{width}" height="{height}" preserveAspectRatio="none" href="{source}"/>'
    drawn = [whole if first else f'<use href="#{name}"/>']
    for box in boxes:
        drawn.append(_rectangle(box, width, height, 'stroke="#fff" stroke-dasharray="3 3" stroke-width="1"'))
    for j, (_, box) in enumerate(each.parts):
        # frames of the same region lie inside of each other
        before = sum(other == box for _, other in each.parts[:j])
        colour = COLOURS[j % len(COLOURS)]
        drawn.append(_rectangle(box, width, height, f'stroke="{colour}" stroke-width="2.5"', inset=1 + 3 * before))
    label = "which regions the words are matched with" if each.kind == "sentence" else "what was said of which region"
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg role="img" aria-label="{label}" {size}>{"".join(drawn)}</svg>'


def _rectangle(box: Rectangle, width: int, height: int, style: str, *, inset: float = 0) -> str:
    left, top, right, bottom = box[0] * width, box[1] * height, box[2] * width, box[3] * height
    inset = min(inset, (right - left) / 2 - 0.5, (bottom - top) / 2 - 0.5)
    place = f'x="{left + inset:.1f}" y="{top + inset:.1f}"'
    size = f'width="{right - left - 2 * inset:.1f}" height="{bottom - top - 2 * inset:.1f}"'
    return f'<rect {place} {size} fill="none" {style}/>'
