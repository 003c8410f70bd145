"""Pictures for reports, as SVG that stands in the page: a confusion matrix and a reliability diagram.

Colours are those of the text (``currentColor``) at several strengths, so that a page may be light or dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from crnn.svg import LINE, picture, text, width_of

CELL, LEAST_CELL, MOST = 44, 9, 700  # pixels of a cell, and of the whole
LETTERS = 24  # of a label that are shown
POINTS = 2000  # of a cloud


def confusion_svg(labels: Sequence[Any], table: np.ndarray) -> str:
    """Rows are truths, columns what they were taken for; the stronger a cell, the larger its share of the row."""
    count = len(labels)
    cell = max(LEAST_CELL, min(CELL, MOST // max(1, count)))
    names = [_short(label) for label in labels]
    margin = 14 + max(map(width_of, names)) if cell >= 12 else 24
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
                pieces.append(text(x + cell / 2, y + cell / 2 + 4, str(n), "middle"))
        if cell >= 12:
            pieces.append(text(margin - 6, y + cell / 2 + 4, names[row], "end"))
            middle = margin + cell * row + cell / 2
            turn = f' transform="rotate(-90 {middle:.1f} {margin - 6})"'
            pieces.append(text(middle + 4, margin - 6, names[row], "start", turn))
    frame = f'<rect x="{margin}" y="{margin}" width="{cell * count}" height="{cell * count}" {LINE}/>'
    said = "truth in rows, answer in columns" + ("" if cell >= 28 else "; point at a cell to see what it is")
    pieces.append(text(margin, size + 18, said, "start"))
    width = max(size + 4, margin + 7 * len(said))
    return picture(width, size + 26, "Confusion matrix: truth in rows, answer in columns", frame + "".join(pieces))


def reliability_svg(bins: Sequence[tuple[float, float, int]], what: str = "samples") -> str:
    """For each range of sureness (across) the share that is right (up); on the diagonal they agree."""
    side, left, top = 260, 46, 12
    total = max(1, sum(count for _, _, count in bins))
    pieces = [f'<rect x="{left}" y="{top}" width="{side}" height="{side}" {LINE}/>']
    pieces.append(f'<line x1="{left}" y1="{top + side}" x2="{left + side}" y2="{top}" {LINE} stroke-dasharray="4"/>')
    for sure, right, count in bins:
        x, y = left + side * sure, top + side * (1 - right)
        said = f"{count} {what}, {100 * sure:.0f} % sure, {100 * right:.0f} % right"
        radius = 3 + 12 * (count / total) ** 0.5
        pieces.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x:.1f}" y2="{top + side * (1 - sure):.1f}" {LINE}/>')
        pieces.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#2457c5" fill-opacity=".6">'
            f"<title>{escape(said)}</title></circle>"
        )
    for tick in (0.0, 0.5, 1.0):
        pieces.append(text(left + side * tick, top + side + 16, f"{100 * tick:.0f} %", "middle"))
        pieces.append(text(left - 6, top + side * (1 - tick) + 4, f"{100 * tick:.0f} %", "end"))
    pieces.append(text(left + side / 2, top + side + 34, "how sure the network is", "middle"))
    return picture(left + side + 24, top + side + 44, "Reliability: share that is right by sureness", "".join(pieces))


def rejection_svg(share: np.ndarray, rate: np.ndarray) -> str:
    """The error rate (up) of the share of the answers that is given (across), the surest first; both ``(answers,)``."""
    width, height, left, top = 360, 220, 52, 12
    most = float(rate.max()) or 1.0
    every = max(1, -(-len(share) // POINTS))
    kept = np.unique([*range(0, len(share), every), len(share) - 1])
    places = " ".join(f"{left + width * share[i]:.1f},{top + height * (1 - rate[i] / most):.1f}" for i in kept.tolist())
    pieces = [f'<rect x="{left}" y="{top}" width="{width}" height="{height}" {LINE}/>']
    pieces.append(f'<polyline points="{places}" fill="none" stroke="#2457c5" stroke-width="2"/>')
    for tick in (0.5, 0.7, 0.9, 1.0):
        i = max(0, int(tick * len(share) + 1e-9) - 1)
        x, y = left + width * float(share[i]), top + height * (1 - float(rate[i]) / most)
        said = f"{100 * share[i]:.0f} % answered, {100 * rate[i]:.2f} % errors"
        pieces.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#2457c5"><title>{escape(said)}</title></circle>')
    for tick in (0.0, 0.5, 1.0):
        pieces.append(text(left + width * tick, top + height + 16, f"{100 * tick:.0f} %", "middle"))
        pieces.append(text(left - 6, top + height * (1 - tick) + 4, f"{100 * most * tick:.1f} %", "end"))
    pieces.append(text(left + width / 2, top + height + 34, "share that is answered, the surest first", "middle"))
    title = "Error rate by the share that is answered"
    return picture(left + width + 24, top + height + 44, title, "".join(pieces))


def cloud_svg(truths: np.ndarray, answers: np.ndarray) -> str:
    """A dot for each sample: the truth across, the answer up; on the diagonal they agree."""
    side, left, top = 300, 64, 12
    every = max(1, -(-len(truths) // POINTS))
    low, high = float(min(truths.min(), answers.min())), float(max(truths.max(), answers.max()))
    room = (high - low) or 1.0
    pieces = [f'<rect x="{left}" y="{top}" width="{side}" height="{side}" {LINE}/>']
    pieces.append(f'<line x1="{left}" y1="{top + side}" x2="{left + side}" y2="{top}" {LINE} stroke-dasharray="4"/>')
    for truth, answer in zip(truths[::every].tolist(), answers[::every].tolist(), strict=True):
        x, y = left + side * (truth - low) / room, top + side * (1 - (answer - low) / room)
        pieces.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#2457c5" fill-opacity=".5">'
            f"<title>truth {truth:.4g}, answer {answer:.4g}</title></circle>"
        )
    for place, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        said = f"{low + place * room:.3g}"
        pieces.append(text(left + side * place, top + side + 16, said, anchor))
        pieces.append(text(left - 6, top + side * (1 - place) + (4 if place < 1 else 10), said, "end"))
    pieces.append(text(left + side / 2, top + side + 34, "truth", "middle"))
    pieces.append(text(left - 6, top + side / 4, "answer", "end"))
    return picture(left + side + 24, top + side + 44, "Truth across, answer up", "".join(pieces))


def _short(label: Any) -> str:
    """A label of at most ``LETTERS``, its end kept, in which names often differ."""
    words = str(label)
    return words if len(words) <= LETTERS else f"{words[: LETTERS - 10]}…{words[-9:]}"
