"""Pictures for reports, as SVG that stands in the page: a confusion matrix and a reliability diagram.

Colours are those of the text (``currentColor``) at several strengths, so that a page may be light or dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

CELL, LEAST_CELL, MOST = 44, 9, 700  # pixels of a cell, and of the whole
LETTERS = 14  # of a label that are shown
FONT = "font-family:system-ui,sans-serif;font-size:12px;fill:currentColor"


def confusion_svg(labels: Sequence[Any], table: np.ndarray) -> str:
    """Rows are truths, columns what they were taken for; the stronger a cell, the larger its share of the row."""
    count = len(labels)
    cell = max(LEAST_CELL, min(CELL, MOST // max(1, count)))
    names = [_short(str(label)) for label in labels]
    margin = 14 + 7 * max(len(name) for name in names) if cell >= 12 else 24
    size = margin + cell * count
    shares = table / np.maximum(1, table.sum(1, keepdims=True))
    pieces = []
    for row in range(count):
        y = margin + cell * row
        for column in range(count):
            x, n = margin + cell * column, int(table[row, column])
            if not n:
                continue
            colour = "#2a8a4a" if row == column else "#e5484d"
            said = f"{labels[row]} taken for {labels[column]}: {n} ({100 * shares[row, column]:.1f} %)"
            pieces.append(
                f'<rect x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" fill="{colour}" '
                f'fill-opacity="{0.08 + 0.8 * shares[row, column]:.2f}"><title>{escape(said)}</title></rect>'
            )
            if cell >= 28:
                pieces.append(_text(x + cell / 2, y + cell / 2 + 4, str(n), "middle"))
        if cell >= 12:
            pieces.append(_text(margin - 6, y + cell / 2 + 4, names[row], "end"))
            middle = margin + cell * row + cell / 2
            turn = f' transform="rotate(-90 {middle:.1f} {margin - 6})"'
            pieces.append(_text(middle + 4, margin - 6, names[row], "start", turn))
    frame = f'<rect x="{margin}" y="{margin}" width="{cell * count}" height="{cell * count}" {_LINE}/>'
    return _svg(size + 4, size + 4, "Confusion matrix: truth in rows, answer in columns", frame + "".join(pieces))


def reliability_svg(bins: Sequence[tuple[float, float, int]]) -> str:
    """For each range of sureness (across) the share that is right (up); on the diagonal they agree."""
    side, left, top = 260, 46, 12
    total = max(1, sum(count for _, _, count in bins))
    pieces = [f'<rect x="{left}" y="{top}" width="{side}" height="{side}" {_LINE}/>']
    pieces.append(f'<line x1="{left}" y1="{top + side}" x2="{left + side}" y2="{top}" {_LINE} stroke-dasharray="4"/>')
    for sure, right, count in bins:
        x, y = left + side * sure, top + side * (1 - right)
        said = f"{count} samples, {100 * sure:.0f} % sure, {100 * right:.0f} % right"
        radius = 3 + 12 * (count / total) ** 0.5
        pieces.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x:.1f}" y2="{top + side * (1 - sure):.1f}" {_LINE}/>')
        pieces.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#2457c5" fill-opacity=".6">'
            f"<title>{escape(said)}</title></circle>"
        )
    for tick in (0.0, 0.5, 1.0):
        pieces.append(_text(left + side * tick, top + side + 16, f"{100 * tick:.0f} %", "middle"))
        pieces.append(_text(left - 6, top + side * (1 - tick) + 4, f"{100 * tick:.0f} %", "end"))
    pieces.append(_text(left + side / 2, top + side + 34, "how sure the network is", "middle"))
    return _svg(left + side + 24, top + side + 44, "Reliability: share that is right by sureness", "".join(pieces))


_LINE = 'fill="none" stroke="currentColor" stroke-opacity=".35"'


def _text(x: float, y: float, text: str, anchor: str, turn: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="{FONT}"{turn}>{escape(text)}</text>'


def _svg(width: float, height: float, title: str, content: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'style="max-width:100%;height:auto" role="img"><title>{escape(title)}</title>{content}</svg>'
    )


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"
