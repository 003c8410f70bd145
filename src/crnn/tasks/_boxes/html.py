"""Pictures with boxes for people to look at: drawn into the picture, and as HTML over it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crnn.metrics.boxes import LEVELS, matched
from crnn.types import Box, Boxes

Colour = tuple[int, int, int]
NOTE = (
    "Right boxes have the colour of their label. Broken red lines are boxes where no such thing is, dotted yellow ones "
    "things that were not found."
)
COLOURS: tuple[Colour, ...] = (
    *((230, 75, 53), (46, 134, 222), (16, 172, 132), (155, 89, 182), (243, 156, 18), (0, 168, 181), (214, 51, 132)),
    *((112, 173, 71), (99, 110, 250), (139, 105, 20)),
)
ROOM = 200  # pixels of a picture's longer side from which on words in it do not cover it
WRONG, MISSED = "rgb(255,20,20)", "rgb(255,214,0)"
OVER = "position:absolute;left:0;top:0;width:100%;height:calc(100% - .5rem)"  # the picture has that margin
CHIP = "display:inline-block;width:.8em;height:.8em;border-radius:.2em;background:rgb{colour};margin:0 .25em 0 .75em"


def colour_of(label: str, labels: Sequence[str]) -> Colour:
    """The colour of a label."""
    return COLOURS[labels.index(label) % len(COLOURS)] if label in labels else COLOURS[-1]


def drawn(picture: np.ndarray, boxes: Sequence[Box], labels: Sequence[str]) -> Image.Image:
    """A picture uint8 ``(height, width, channels)`` with boxes, and where there is room with labels and scores."""
    image = Image.fromarray(np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3))))
    pen = ImageDraw.Draw(image)
    size = max(10, round(0.022 * max(image.size)))
    font, line = ImageFont.load_default(size), max(1, size // 6)
    for box in boxes:
        colour = colour_of(box.label, labels)
        pen.rectangle(
            (box.left, box.top, max(box.left, box.right - 1), max(box.top, box.bottom - 1)), None, colour, line
        )
        if max(image.size) < ROOM:
            continue
        text = f"{box.label} {box.score:.2f}"
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
        width, height = right - left + 4, bottom - top + 4
        x = max(0.0, min(box.left, image.width - width))
        y = box.top - height if box.top >= height else box.top
        pen.rectangle((x, y, x + width, y + height), fill=colour)
        pen.text((x + 2 - left, y + 2 - top), text, fill="white", font=font)
    return image


def boxes_html(truth: Boxes | None, answer: Boxes, labels: Sequence[str], picture: str = "") -> str:
    """One HTML fragment: the picture with what was found, rightly or not, and what was missed; every text in it is
    escaped."""
    width, height = answer.size
    right = [True] * len(answer.boxes)
    missed: list[Box] = []
    if truth is not None:
        right, missed = _compared(truth, answer)
    shapes = [_shape(box, labels, ok) for box, ok in zip(answer.boxes, right, strict=True)]
    shapes += [_rectangle(box, MISSED, "1 3", f"{box.label}: not found") for box in missed]
    svg = (
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="boxes" style="{OVER}">{"".join(shapes)}</svg>'
    )
    there = {b.label for b in answer.boxes} | {b.label for b in missed}
    chips = "".join(
        f'<span style="{CHIP.format(colour=colour_of(name, labels))}"></span>{escape(name)} '
        f"{sum(b.label == name for b in answer.boxes)}{_of(name, truth)}"
        for name in labels
        if name in there
    )
    place = f'<div style="position:relative;display:inline-block;max-width:100%;line-height:0">{picture}{svg}</div>'
    return f'<div class="boxes">{place}<p style="margin:.2rem 0 0;opacity:.8">{chips}</p></div>'


def _of(name: str, truth: Boxes | None) -> str:
    return "" if truth is None else f" of {sum(b.label == name and b.counts for b in truth.boxes)}"


def _compared(truth: Boxes, answer: Boxes) -> tuple[list[bool], list[Box]]:
    """Which boxes of the answer are not wrong, and the things that were missed."""
    right = [True] * len(answer.boxes)
    missed: list[Box] = []
    for label in {b.label for b in (*answer.boxes, *truth.boxes)}:
        places = sorted(
            (i for i, b in enumerate(answer.boxes) if b.label == label), key=lambda i: -answer.boxes[i].score
        )
        boxes, things = [answer.boxes[i] for i in places], [b for b in truth.boxes if b.label == label]
        hits, counted = matched(things, boxes, LEVELS[:1])
        for i, ok, counts in zip(places, hits[0], counted[0], strict=True):
            right[i] = bool(ok) or not counts
        found = [b for b, ok in zip(boxes, hits[0], strict=True) if ok]
        back, _ = matched([Box(b.label, b.left, b.top, b.right, b.bottom) for b in found], things, LEVELS[:1])
        missed += [b for b, ok in zip(things, back[0], strict=True) if b.counts and not ok]
    return right, missed


def _shape(box: Box, labels: Sequence[str], right: bool) -> str:
    said = f"{box.label} {box.score:.2f}"
    if right:
        return _rectangle(box, f"rgb{colour_of(box.label, labels)}", "", said)
    return _rectangle(box, WRONG, "6 4", f"{said}: no such thing is there")


def _rectangle(box: Box, colour: str, dashes: str, said: str) -> str:
    return (
        f'<rect x="{box.left:.1f}" y="{box.top:.1f}" width="{box.right - box.left:.1f}" '
        f'height="{box.bottom - box.top:.1f}" fill="transparent" stroke="{colour}" stroke-width="2" '
        f'vector-effect="non-scaling-stroke" stroke-dasharray="{dashes}"><title>{escape(said)}</title></rect>'
    )
