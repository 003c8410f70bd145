"""Pictures of forecasts for reports, as SVG that stands in the page."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crnn.svg import LINE, picture, text, width_of

WIDTH, HEIGHT, LEFT, TOP = 620, 150, 64, 20
COLOURS = ("#2457c5", "#e5484d", "#2a8a4a", "#b8860b", "#8e4ec6")
BEFORE = 3  # horizons of the past that are drawn, and at least so many steps:
LEAST = 48


def course_svg(
    name: str,
    seen: np.ndarray | None,
    truth: np.ndarray | None,
    point: np.ndarray,
    bands: np.ndarray,
    *,
    lead: int,
    ends: tuple[str, str],
) -> str:
    """One column: what was ``seen`` ``(window,)`` and what came, ``truth`` ``(horizon,)``, as a line, the forecast
    ``point`` as dots over its ``bands`` ``(horizon, quantiles)``; ``ends`` are the dates of its ends."""
    past = np.zeros(0) if seen is None else seen[-max(LEAST, BEFORE * len(point)) :]
    numbers = [part.ravel() for part in (past, point, bands, truth) if part is not None and part.size]
    low, high = float(min(part.min() for part in numbers)), float(max(part.max() for part in numbers))
    total = len(past) + lead - 1 + len(point)

    def place(steps: np.ndarray, values: np.ndarray) -> list[tuple[float, float]]:
        across = LEFT + WIDTH * (steps + 0.5) / max(1, total)
        up = TOP + HEIGHT * (1 - (values - low) / ((high - low) or 1.0))
        return list(zip(across.tolist(), up.tolist(), strict=True))

    ahead = np.arange(len(past) + lead - 1, total)
    pieces = [f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" {LINE}/>', text(LEFT, 13, name, "start")]
    for i in range(bands.shape[1] // 2):
        under, over = place(ahead, bands[:, i]), place(ahead, bands[:, -1 - i])
        if len(ahead) == 1:  # a band of one step is as wide as the step
            half = WIDTH / max(1, total) / 2
            under, over = ([(x + side * half, y) for x, y in line for side in (-1, 1)] for line in (under, over))
        edge = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*under, *over[::-1]])
        pieces.append(f'<polygon points="{edge}" fill="{COLOURS[0]}" fill-opacity=".16"/>')
    if len(past):
        pieces.append(_line(place(np.arange(len(past)), past), "currentColor", ' stroke-opacity=".7"'))
    if truth is not None:
        if lead == 1 and len(past):
            joined = place(np.append(len(past) - 1, ahead), np.append(past[-1:], truth))
        else:
            joined = place(ahead, truth)
        pieces.append(_line(joined, "currentColor", ""))
        if len(joined) == 1:
            pieces.append(f'<circle cx="{joined[0][0]:.1f}" cy="{joined[0][1]:.1f}" r="3" fill="currentColor"/>')
    spots = place(ahead, point)
    pieces += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{COLOURS[0]}"/>' for x, y in spots]
    for value, y in ((high, TOP + 10), (low, TOP + HEIGHT)):
        pieces.append(text(LEFT - 6, y, f"{value:.4g}", "end"))
    if ends[0] != ends[1] and spots[-1][0] - spots[0][0] > width_of("".join(ends)):
        pieces.append(text(spots[0][0], TOP + HEIGHT + 16, ends[0], "start"))
    pieces.append(text(LEFT + WIDTH, TOP + HEIGHT + 16, ends[1], "end"))
    return picture(LEFT + WIDTH + 8, TOP + HEIGHT + 22, f"{name}: truth and forecast", "".join(pieces))


def step_svg(lines: Mapping[str, np.ndarray], lead: int) -> str:
    """Each of ``lines`` ``(horizon,)`` over the steps that lie between what was seen and what was foretold."""
    high = max(float(line.max()) for line in lines.values()) or 1.0
    count = max(len(line) for line in lines.values())
    height = 1.6 * HEIGHT
    pieces = [f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{height}" {LINE}/>']
    at = LEFT
    for colour, (name, line) in zip(COLOURS, lines.items(), strict=False):
        spots = [
            (LEFT + WIDTH * i / max(1, count - 1), TOP + height * (1 - value / (1.05 * high)))
            for i, value in enumerate(line.tolist())
        ]
        pieces.append(_line(spots, colour, ""))
        pieces.append(f'<rect x="{at}" y="{TOP - 12}" width="14" height="4" fill="{colour}"/>')
        pieces.append(text(at + 18, TOP - 6, name, "start"))
        at += 40 + width_of(name)
    for share in (0.0, 0.5, 1.0):
        y = TOP + height * (1 - share / 1.05)
        pieces.append(text(LEFT - 6, y + 4, f"{share * high:.3g}", "end"))
    for i in sorted({0, (count - 1) // 2, count - 1}):
        pieces.append(text(LEFT + WIDTH * i / max(1, count - 1), TOP + height + 16, str(lead + i), "middle"))
    pieces.append(text(LEFT + WIDTH / 2, TOP + height + 32, "steps ahead", "middle"))
    return picture(LEFT + WIDTH + 16, TOP + height + 40, "Error by step of the horizon", "".join(pieces))


def _line(spots: list[tuple[float, float]], colour: str, more: str) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.5"{more}/>'
