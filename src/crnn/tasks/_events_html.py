"""Events for people to look at: two tracks over time, what is true and what was found, in a colour for each label."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from crnn.types import Part

NOTE = "Above stands what is true, below what was found; the bars run from the beginning to the end of the sample."
"""Explains the marks to the readers of a report."""
COLOURS = ("#2457c5", "#c2571a", "#2a8a4a", "#a13a8a", "#7a6a00", "#3a8aa1", "#e5484d", "#666666")
WIDTH, ROW = 640, 22


def events_html(truth: Sequence[Part] | None, found: Sequence[Part], labels: Sequence[Any], picture: str = "") -> str:
    """One HTML fragment; every text in it is escaped. ``labels`` gives each label its colour."""
    tracks = [("found", found)] if truth is None else [("truth", truth), ("found", found)]
    end = max([part.stop for _, parts in tracks for part in parts], default=1.0) or 1.0
    place = {label: i for i, label in enumerate(labels)}
    pieces = []
    for row, (name, parts) in enumerate(tracks):
        pieces.append(f'<text x="0" y="{ROW * row + 15}" font-size="12" fill="currentColor">{name}</text>')
        for part in parts:
            x, width = 48 + (WIDTH - 48) * part.start / end, (WIDTH - 48) * (part.stop - part.start) / end
            colour = COLOURS[place.get(part.value, len(COLOURS) - 1) % len(COLOURS)]
            said = f"{part.value}, {part.start:.2f} to {part.stop:.2f}, {100 * part.score:.0f} % sure"
            pieces.append(
                f'<rect x="{x:.1f}" y="{ROW * row + 3}" width="{max(1.0, width):.1f}" height="{ROW - 6}" '
                f'fill="{colour}" fill-opacity=".75"><title>{escape(said)}</title></rect>'
            )
            if width > 7 * len(str(part.value)) + 6:
                text = f'<text x="{x + 3:.1f}" y="{ROW * row + 15}" font-size="11" fill="#fff">'
                pieces.append(f"{text}{escape(str(part.value))}</text>")
    height = ROW * len(tracks)
    svg = (
        f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" style="max-width:100%;height:auto;'
        f'font-family:system-ui,sans-serif" role="img"><title>events</title>{"".join(pieces)}</svg>'
    )
    return f'<div class="events">{picture}{svg}</div>'
