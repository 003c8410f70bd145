"""Events for people to look at: for each label what is true, what was found, and how probable it was, over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import numpy as np

from crnn.metrics.labels import ordered
from crnn.types import Part, Prediction, Track

NOTE = (
    "Of each label the upper, framed bars are what is true, the lower what was found, and the curve is how probable "
    "the network takes it to be; all run from the beginning of the sample to its end."
)
"""Explains the marks to the readers of a report."""
COLOURS = ("#2457c5", "#c2571a", "#2a8a4a", "#a13a8a", "#7a6a00", "#3a8aa1", "#e5484d", "#666666")
POINTS = 200  # of a curve
BOX = "display:inline-block;max-width:100%;vertical-align:top"
ALONE = ";width:min(100%,40rem)"  # where no picture gives the width
NAME = "margin:.35rem 0 .1rem;font-size:.8em;line-height:1.2;overflow-wrap:anywhere"
ROW = "position:relative;height:1.7rem;overflow:hidden;border-radius:.2rem;background:rgba(128,128,128,.1)"
BAR = "position:absolute;box-sizing:border-box;left:{left:.2f}%;width:{width:.2f}%;min-width:2px;border-radius:.15rem;"
TRUE = "top:.15rem;height:.6rem;border:2px solid {colour}"
FOUND = "bottom:.15rem;height:.6rem;background:{colour}"
CURVE = "position:absolute;inset:0;width:100%;height:100%"


def events_html(truth: Sequence[Part] | None, prediction: Prediction, labels: Sequence[Any], picture: str = "") -> str:
    """One HTML fragment; every text in it is escaped. ``labels`` gives each label its colour, and its column of the
    prediction's track."""
    true, found, track = tuple(truth or ()), prediction.parts, prediction.track
    end = max([0.0 if track is None else len(track.shares) * track.every, *(p.stop for p in (*true, *found))])
    place = {label: i for i, label in enumerate(labels)}
    rows = []
    for label in ordered({part.value for part in (*true, *found)}):
        i = place.get(label, len(COLOURS) - 1)
        colour = COLOURS[i % len(COLOURS)]
        pieces = [*_bars(true, label, end, TRUE, colour), *_bars(found, label, end, FOUND, colour)]
        curve = "" if track is None or label not in place else _curve(track, i, end, colour)
        rows.append(f'<p style="{NAME}">{escape(str(label))}</p><div style="{ROW}">{curve}{"".join(pieces)}</div>')
    said = "" if rows else "nothing was found" + (", and nothing is there" if truth is not None else "")
    alone = "" if "<img" in picture else ALONE
    return f'<div class="events"><div style="{BOX}{alone}">{picture}{"".join(rows)}{said}</div></div>'


def _bars(parts: Sequence[Part], label: Any, end: float, style: str, colour: str) -> Iterator[str]:
    for part in parts:
        if part.value == label:
            said = f"{label}, {part.start:.2f} to {part.stop:.2f}"
            said += f", {100 * part.score:.0f} % sure" if style == FOUND else ", true"
            place = BAR.format(left=100 * part.start / end, width=100 * (part.stop - part.start) / end)
            yield f'<div title="{escape(said)}" style="{place}{style.format(colour=colour)}"></div>'


def _curve(track: Track, i: int, end: float, colour: str) -> str:
    shares = track.shares[:, i]
    edges = np.linspace(0, len(shares), min(POINTS, len(shares)), endpoint=False).astype(int)
    heights = 100 - 100 * np.maximum.reduceat(shares, edges)
    across = (edges + 0.5) * track.every / end * 1000
    points = " ".join(f"{x:.0f},{y:.0f}" for x, y in zip(across.tolist(), heights.tolist(), strict=True))
    shape = f'<polygon points="{across[0]:.0f},100 {points} {across[-1]:.0f},100" fill="{colour}" fill-opacity=".22"/>'
    return f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true" style="{CURVE}">{shape}</svg>'
