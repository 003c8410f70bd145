"""A drawing of a network as SVG: its layers from top to bottom beside their sizes, weights and arithmetic.

Time runs to the right, space downwards, channels into depth; sizes are drawn on bent scales, so that a map of 1000
steps and one of 125 fit one page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from crnn.describe import NOT_RUN

if TYPE_CHECKING:
    from crnn.describe import Description, Row

WIDTH, LEFT, ROOM = 944, 56, 290  # of the page, its margin, and what the widest map takes
LAYER, SIZE, WEIGHTS, WORK = 412, 628, 828, WIDTH - 16  # the columns of text; numbers end at the last two
CELLS, CELL = 7, 15  # cells drawn of a recurrent layer, and their height
STYLE = """
text { font: 12px Helvetica, Arial, sans-serif; fill: #1c2430; }
.small { font-size: 11px; fill: #66707d; } .right { text-anchor: end; } .bold { font-weight: bold; }
.line { stroke: #66707d; fill: none; } .tip { fill: #66707d; } .rule { stroke: #c3c9d1; }
.ink { stroke: #66707d; fill: none; }
.input { fill: #f4f5f7; stroke: #66707d; } .conv { fill: #cfe0f3; stroke: #34608f; } .pool { fill: #f6d9b8; }
.pool { stroke: #a8682a; } .recurrent { fill: #cfe8d5; stroke: #2f7d4a; } .linear { fill: #e2d6f0; stroke: #6b4a96; }
.other, .norm { fill: #e6e6e6; stroke: #666; } .frame { fill: #2f7d4a; fill-opacity: .07; } .side { fill-opacity: .6; }
.way { stroke: #2f7d4a; fill: none; } .waytip { fill: #2f7d4a; } .sees { fill: #d0342c; fill-opacity: .12; }
.sees { stroke: #d0342c; } .red { fill: #b3261e; }
@media (prefers-color-scheme: dark) {
text { fill: #e8ebef; } .small { fill: #a3acb8; } .line, .ink { stroke: #a3acb8; } .tip { fill: #a3acb8; }
.rule { stroke: #4b535e; } .input { fill: #2a2f37; stroke: #a3acb8; } .conv { fill: #24466b; stroke: #8db8e6; }
.pool { fill: #6b4519; stroke: #e5b07a; } .recurrent { fill: #1f5132; stroke: #86cf9f; }
.linear { fill: #46306a; stroke: #bfa3e6; } .other, .norm { fill: #3c3c3c; stroke: #aaa; }
.way { stroke: #86cf9f; } .waytip { fill: #86cf9f; } .red { fill: #ff8a80; } }
"""


def draw(description: Description) -> str:
    """The network as an SVG text; it needs no fonts or files and is readable on light and dark ground."""
    page = _Page(description)
    page.input()
    for rows in _groups(description.rows):
        page.add(rows)
    return page.finish()


def _groups(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that are drawn as one: a convolution with its norm, or all its norms where it works several times; the two
    directions of a recurrent layer."""
    groups: list[list[Row]] = []
    for row in rows:
        behind = next((group for group in reversed(groups) if any(other.name in row.after for other in group)), None)
        if behind is not None and row.role == "norm" and behind[0].role in ("conv", "linear", "norm"):
            joins = behind is groups[-1] or behind[0].times > 1
        else:
            behind = groups[-1] if groups else []
            joins = row.direction == "backward" and bool(behind) and behind[-1].direction == "forward"
        if behind and joins:
            behind.append(row)
        else:
            groups.append([row])
    return groups


@dataclass
class _Page:
    """Shapes and texts, from top to bottom."""

    description: Description
    shapes: list[str] = field(default_factory=list)
    y: float = 48.0  # the lower edge of what is drawn
    last: tuple[str, ...] = ("",)  # the rows that were drawn last
    drawn: dict[str, tuple[float, str]] = field(default_factory=lambda: {"": (float(ROOM), "the input")})
    """Width of each row that is drawn, and what others call it."""

    def input(self) -> None:
        """Heads of the columns, and the input with the window that one step of the last convolution sees."""
        shape = self.description.totals.input
        space = {0: "", 1: " × height"}.get(len(shape) - 3, " × space")
        for x, text, right in (
            (LAYER, "layer", False),
            (SIZE, f"time × channels{space}", False),
            (WEIGHTS, "parameters", True),
            (WORK, "multiply-adds", True),
        ):
            self.text(x, 24, text, "small right" if right else "small")
        self.shapes.append(f'<path class="rule" d="M{LAYER} 32H{WORK}"/>')
        height, left, top = _height(shape), LEFT, self.y
        self.block(shape, "input")
        middle = top + _depth(shape) + height / 2
        self.shapes.append(f'<path class="ink" d="{_scribble(left + 12, middle, ROOM - 24, height)}"/>')
        self.text(LAYER, middle + 4, "input", "bold")
        self.text(SIZE, middle + 4, _size(shape))
        seen, which = self.seen()
        if 1 < seen < shape[1]:
            wide = max(3.0, ROOM * seen / shape[1])
            self.shapes.append(_rect(left + (ROOM - wide) / 2, top + _depth(shape), wide, height, "sees"))
            self.text(LAYER, middle + 20, f"{which} sees {seen:,.0f} of these steps", "small red")
            self.y = max(self.y, middle + 24)

    def seen(self) -> tuple[float, str]:
        """How many steps of the input those see that enter the first layer which goes through all, or the last steps
        if there is none; and which these are."""
        fields = {"": 1.0, **{row.name: row.field for row in self.description.rows}}
        for row in self.description.rows:
            if math.isinf(row.field):
                what = "the recurrence" if row.role == "recurrent" else row.kind
                return max(fields[name] for name in row.after), f"each step before {what}"
        return max(fields.values()), "each last step"

    def add(self, rows: list[Row]) -> None:
        first, last = rows[0], rows[-1]
        shape = last.shape
        if not shape:
            self.y += 22
            self.label(self.y, rows, f"{first.kind} (not run here)")
            return
        width = self.wide(shape)
        before = self.joined(first)
        if first.role == "pool":
            top, bottom = self.y + 5, self.y + 17
            middle, a, b = LEFT + ROOM / 2, self.drawn[before][0] / 2, width / 2
            points = f"{middle - a},{top} {middle + a},{top} {middle + b},{bottom} {middle - b},{bottom}"
            self.shapes.append(f'<polygon class="pool" points="{points}"/>')
            self.label(top + 10, rows)
            self.y = bottom
        elif first.role == "recurrent":
            self.recurrent(rows, width)
        else:
            top = self.y + 14
            self.arrow(top - 1)
            self.y = top
            self.block(shape, first.role, cells=first.role == "linear")
            self.label(top + _depth(shape) + _height(shape) / 2 + 4, rows)
        self.last = tuple(row.name for row in rows)
        self.drawn |= dict.fromkeys(self.last, (width, f"{first.kind}, {_size(shape)}"))

    def joined(self, row: Row) -> str:
        """The row that ``row`` goes on from: what is drawn above, or, of a branch that stands beside that, another one,
        which is said; as is what else it takes."""
        taken = [name for name in self.drawn if name in row.after] or [""]
        others = [name for name in taken if name not in self.last]
        words = list(dict.fromkeys(self.drawn[name][1] for name in self.latest(others)))
        text = words[-1] + f" and {len(words) - 1} more" * (len(words) > 1) if words else ""
        if len(others) == len(taken):
            self.y += 22
            self.shapes.append(f'<path class="rule" d="M{LEFT} {self.y:.1f}H{LEFT + ROOM}"/>')
            text = f"beside, from {text}"
        elif others:
            text = f"and {text}"
        if text:
            self.y += 14
            self.text(LEFT, self.y, text, "small")
        return taken[-1]

    def latest(self, names: list[str]) -> list[str]:
        """Those of ``names`` that no other of them goes back to: of a sum that grows from layer to layer, the last."""
        before: dict[str, set[str]] = {"": set()}
        for row in self.description.rows:
            before[row.name] = set(row.after).union(*(before.get(name, ()) for name in row.after))
        return [name for name in names if not any(name in before[other] for other in names)]

    def recurrent(self, rows: list[Row], width: float) -> None:
        """Cells in a row for each direction, arrows between them the way they go."""
        top = self.y + 18
        left = LEFT + ROOM / 2 - width / 2
        self.arrow(top)
        self.shapes.append(_rect(left - 10, top, width + 20, 8 + 25 * len(rows), "frame", radius=8))
        for i, row in enumerate(rows):
            y = top + 8 + 25 * i
            step = width / CELLS
            side = step * 0.56
            for n in range(CELLS):
                x = left + step * (n + 0.5) - side / 2
                self.shapes.append(_rect(x, y, side, CELL, "recurrent", radius=4))
                if n:
                    self.way(x - step + side + 2, x - 2, y + CELL / 2, row.direction)
            self.label(y + CELL / 2 + 4, [row])
        self.y = top + 8 + 25 * len(rows)

    def way(self, left: float, right: float, y: float, direction: str) -> None:
        self.shapes.append(f'<path class="way" d="M{left:.1f} {y:.1f}H{right:.1f}"/>')
        if direction in ("forward", "both"):
            self.shapes.append(f'<path class="waytip" d="M{right + 1:.1f} {y:.1f}l-4 -2.8v5.6z"/>')
        if direction in ("backward", "both"):
            self.shapes.append(f'<path class="waytip" d="M{left - 1:.1f} {y:.1f}l4 -2.8v5.6z"/>')

    def block(self, shape: tuple[int, ...], role: str, *, cells: bool = False) -> None:
        """A box: face time × space, depth channels. ``cells`` parts it into steps."""
        width, height, deep = self.wide(shape), _height(shape), _depth(shape)
        left, face = LEFT + ROOM / 2 - width / 2, self.y + deep
        right, bottom = left + width, face + height
        roof = f"M{left:.1f} {face:.1f}l{deep:.1f} {-deep:.1f}h{width:.1f}l{-deep:.1f} {deep:.1f}z"
        wall = f"M{right:.1f} {face:.1f}l{deep:.1f} {-deep:.1f}v{height:.1f}l{-deep:.1f} {deep:.1f}z"
        self.shapes += [f'<path class="{role} side" d="{roof}"/>', f'<path class="{role} side" d="{wall}"/>']
        self.shapes.append(_rect(left, face, width, height, role))
        if cells:
            lines = (f"M{left + width * n / CELLS:.1f} {face:.1f}v{height:.1f}" for n in range(1, CELLS))
            self.shapes.append(f'<path class="{role}" d="{"".join(lines)}"/>')
        self.text(right + deep + 5, bottom - deep / 2 + 3, f"{shape[2] if len(shape) > 2 else shape[-1]:,}", "small")
        if len(shape) > 3:
            self.text(left - 5, face + height / 2 + 4, "×".join(map(str, shape[3:])), "small right")
        self.y = bottom

    def arrow(self, end: float) -> None:
        x = LEFT + ROOM / 2
        self.shapes.append(f'<path class="line" d="M{x} {self.y + 2:.1f}V{end - 5:.1f}"/>')
        self.shapes.append(f'<path class="tip" d="M{x} {end:.1f}l-3.2 -6h6.4z"/>')

    def label(self, y: float, rows: list[Row], kind: str | None = None) -> None:
        """The layer's line in the table."""
        kinds = ((name, len(list(run))) for name, run in groupby(row.kind for row in rows))
        self.text(LAYER, y, kind or " + ".join(name if n == 1 else f"{n} × {name}" for name, n in kinds))
        if rows[0].times > 1:
            alike = len({row.times for row in rows}) == 1
            self.text(LAYER, y + 13, f"{'' if alike else f'{rows[0].role} '}{rows[0].times} times", "small")
        self.text(SIZE, y, _size(rows[-1].shape))
        weights, work = sum(r.parameters for r in rows), sum(r.multiply_adds for r in rows)
        self.text(WEIGHTS, y, f"{weights:,}" if weights else "–", "right")
        self.text(WORK, y, short(work) if work else "–", "right")

    def text(self, x: float, y: float, text: str, style: str = "") -> None:
        style = f' class="{style}"' if style else ""
        self.shapes.append(f'<text{style} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>')

    def wide(self, shape: tuple[int, ...]) -> float:
        steps = shape[1] if len(shape) > 2 else 1
        return max(70.0, ROOM * min(1.0, steps / self.description.totals.input[1]) ** 0.35)

    def finish(self) -> str:
        totals = self.description.totals
        y = self.y + 22
        self.shapes.append(f'<path class="rule" d="M{LAYER} {y:.1f}H{WORK}"/>')
        self.text(LAYER, y + 20, "whole network", "bold")
        self.text(SIZE, y + 20, f"{short(totals.bytes)}B of weights")
        self.text(WEIGHTS, y + 20, f"{totals.parameters:,}", "right bold")
        self.text(WORK, y + 20, short(totals.multiply_adds), "right bold")
        if not all(row.shape for row in self.description.rows):
            self.text(LEFT, y + 44, NOT_RUN, "small")
            y += 24
        title = f"A network of {totals.parameters:,} parameters"
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 36:.0f}" width="{WIDTH}" role="img">'
        return "\n".join([head, f"<title>{title}</title>", f"<style>{STYLE}</style>", *self.shapes, "</svg>", ""])


def _height(shape: tuple[int, ...]) -> float:
    """Of a map's face, from the (geometric) mean of its space."""
    space = shape[3:]
    return 8 + 5.2 * math.sqrt(math.prod(space) ** (1 / len(space))) if space else 13.0


def _depth(shape: tuple[int, ...]) -> float:
    return 2 + 1.6 * math.log2(max(1, shape[2] if len(shape) > 2 else shape[-1]))


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{n:,}" for n in shape[1:])


def _rect(x: float, y: float, width: float, height: float, style: str, radius: float = 0) -> str:
    corner = f' rx="{radius}"' if radius else ""
    return f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"{corner}/>'


def _scribble(left: float, middle: float, width: float, height: float) -> str:
    """Three words in no known script, which stand for whatever the input is."""
    path = []
    for start, stop in ((0.0, 0.3), (0.36, 0.6), (0.66, 1.0)):
        count = round(300 * (stop - start))
        for n in range(count + 1):
            t = start + (stop - start) * n / count
            turn = 2 * math.pi * 26 * t
            rise = 0.13 + 0.15 * max(0.0, math.sin(39 * t)) ** 2
            x = left + width * t - 4 * math.sin(turn)
            y = middle + height * (0.12 - rise * (1 - math.cos(turn)) * 0.9 + 0.08)
            path.append(f"{'L' if n else 'M'}{x:.1f} {y:.1f}")
    return "".join(path)


def short(number: float) -> str:
    """A large number in three figures.

    >>> short(589_824_000)
    '590 M'
    """
    for size, sign in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            value = number / size
            return f"{value:.{max(0, 2 - int(math.log10(value)))}f} {sign}"
    return f"{number:.0f} "
