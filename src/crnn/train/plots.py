"""Plots of a comparison, as SVG: figures over time, size or anything else, on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from crnn.svg import LINE, picture, text, width_of

COLOURS = ("#2457c5", "#e5484d", "#2a8a4a", "#b8860b", "#8e4ec6", "#0891b2", "#c2410c", "#64748b")
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 560, 300, 58, 14, 46
LEAST_GAP = 15  # pixels between two names
Points = Sequence[tuple[float, float]]


def plot_svg(series: Mapping[str, Points], across: str, up: str, *, percent: bool) -> str:
    """Each of ``series`` as a line with its name at its end, or as a dot where it is one point.

    ``across`` and ``up`` name the axes; what is 0 across stands at the left edge. ``percent`` shows fractions as per
    cent. Points that are not finite are left out.
    """
    series = {name: [p for p in line if all(map(math.isfinite, p))] for name, line in series.items()}
    points = [p for line in series.values() for p in line]
    if not points:
        return ""
    x_ticks = _decades([x for x, _ in points])
    y_ticks = _round_steps([y for _, y in points], most=1.0 if percent else math.inf)

    def place(x: float, y: float) -> tuple[float, float]:
        low, high = math.log(x_ticks[0]), math.log(x_ticks[-1])
        share = (math.log(max(x, x_ticks[0])) - low) / (high - low)
        return LEFT + WIDTH * share, TOP + HEIGHT * (1 - (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]))

    pieces = [f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" {LINE}/>']
    for x in x_ticks:
        at, _ = place(x, y_ticks[0])
        pieces.append(
            f'<line x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{TOP + HEIGHT}" {LINE} stroke-dasharray="2 4"/>'
        )
        pieces.append(text(at, TOP + HEIGHT + 16, _short(x), "middle"))
    for y in y_ticks:
        _, at = place(x_ticks[0], y)
        pieces.append(
            f'<line x1="{LEFT}" y1="{at:.1f}" x2="{LEFT + WIDTH}" y2="{at:.1f}" {LINE} stroke-dasharray="2 4"/>'
        )
        pieces.append(text(LEFT - 6, at + 4, f"{100 * y:g} %" if percent else f"{y:g}", "end"))
    names = []
    for i, (name, line) in enumerate(series.items()):
        colour, places = COLOURS[i % len(COLOURS)], [place(*p) for p in line]
        if len(places) > 1:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            pieces.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y in places[-1:]:
            pieces.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"><title>{escape(name)}</title></circle>'
            )
            names.append((y, x, name, colour))
    pieces += _names(names)
    pieces.append(text(LEFT + WIDTH / 2, TOP + HEIGHT + 36, across, "middle"))
    title = f"{up} against {across}"
    right = 24 + max(map(width_of, series))
    return picture(LEFT + WIDTH + right, TOP + HEIGHT + BOTTOM, title, "".join(pieces))


def _names(points: Iterable[tuple[float, float, str, str]]) -> Iterable[str]:
    """Names to the right of the frame, each near its point's height, none on another, and a line that leads there."""
    points = sorted(points)
    at = -math.inf
    for i, (y, x, name, colour) in enumerate(points):
        room = TOP + HEIGHT - LEAST_GAP * (len(points) - 1 - i)  # for those below it, so that none leaves the frame
        at = max(min(y, room), at + LEAST_GAP)
        right = LEFT + WIDTH + 12
        ends = f"{x:.1f},{y:.1f} {right - 2},{at:.1f}"
        yield f'<polyline points="{ends}" fill="none" stroke="{colour}" stroke-opacity=".4"/>'
        yield text(right + 2, at + 4, name, "start")


def _decades(values: Sequence[float]) -> list[float]:
    """1, 2, 5 and their tenfolds that enclose those of ``values`` above 0, or 1 where none is."""
    above_zero = [v for v in values if v > 0] or [1.0]
    low, high = min(above_zero), max(above_zero)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = [m * 10.0**e for e in range(first - 1, last + 2) for m in (1, 2, 5)]
    below = max(v for v in every if v <= low * 1.0000001)
    above = min(v for v in every if v >= high / 1.0000001 and v > below)
    found = [v for v in every if below <= v <= above]
    return found if len(found) <= 9 else [v for v in found if str(f"{v:e}")[0] == "1" or v in (below, above)]


def _round_steps(values: Sequence[float], most: float = math.inf) -> list[float]:
    """Four to seven round numbers that enclose ``values``, none above ``most`` if no value is."""
    low, high = min(values), max(values)
    span = max(high - low, 1e-9 * abs(high), 1e-9) if high > low else abs(high) or 1.0
    least = 10.0 ** max(-9, math.floor(math.log10(span / 5)))
    step = next(s for s in (least, 2 * least, 5 * least, 10 * least) if span / s <= 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if last == first:
        first, last = (first - 1, last) if high >= most else (first, last + 1)
    return [round(step * i, 12) for i in range(first, last + 1)]


def _short(value: float) -> str:
    """``2000000`` as 2 M."""
    for size, sign in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{sign}"
    return f"{value:g}"
