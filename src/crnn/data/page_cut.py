"""Lines cut out of a page: straightened along their baselines, so that what is skewed or bent lies level."""

from __future__ import annotations

import numpy as np

from crnn.data.page_lines import TextLine, normals_of

BEYOND = 0.25
"""Heights that a cut goes on behind both ends of a baseline, which may be found too short."""


def cut(page: np.ndarray, line: TextLine) -> tuple[np.ndarray, float]:
    """The line of a grey page ``(height, width)``, uint8, a pixel of the page for each of its own; and at which column
    its baseline begins. What lies outside of the page is as bright as paper, the upper quartile of the line."""
    points, begin = _steps(np.array(line.baseline, float), BEYOND * line.height)
    normals = normals_of(points)
    rows = np.arange(max(2, round(line.height))) + 0.5 - line.above
    x = points[:, 0] + rows[:, None] * normals[:, 0] - 0.5  # a pixel's middle has whole numbers here
    y = points[:, 1] + rows[:, None] * normals[:, 1] - 0.5
    inside = (x > -1) & (x < page.shape[1]) & (y > -1) & (y < page.shape[0])
    values = _between(page, x, y)
    paper = np.percentile(values[inside], 75) if inside.any() else 255.0
    return np.round(np.where(inside, values, paper)).astype(np.uint8), begin


def _steps(points: np.ndarray, beyond: float) -> tuple[np.ndarray, float]:
    """Points one pixel apart along a polyline that is made longer by ``beyond`` at both ends; and where it began."""
    for end, inner in ((0, 1), (-1, -2)):
        outwards = points[end] - points[inner]
        points[end] += beyond * outwards / max(1e-9, float(np.linalg.norm(outwards)))
    far = np.concatenate([[0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])
    steps = np.arange(max(2, round(far[-1]))) + 0.5
    return np.stack([np.interp(steps, far, axis) for axis in points.T], axis=1), beyond


def _between(page: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values of ``page`` between its pixels, in straight lines."""
    x, y = np.clip(x, 0, page.shape[1] - 1), np.clip(y, 0, page.shape[0] - 1)
    left, top = (
        np.minimum(np.floor(v).astype(int), max(0, side - 2)) for v, side in ((x, page.shape[1]), (y, page.shape[0]))
    )
    right, bottom = np.minimum(left + 1, page.shape[1] - 1), np.minimum(top + 1, page.shape[0] - 1)
    across, down = x - left, y - top
    upper = page[top, left] * (1 - across) + page[top, right] * across
    lower = page[bottom, left] * (1 - across) + page[bottom, right] * across
    return upper * (1 - down) + lower * down


def along(line: TextLine, place: float) -> tuple[float, float]:
    """The point ``place`` pixels along the baseline, no further than its ends."""
    points = np.array(line.baseline)
    far = np.concatenate([[0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])
    return float(np.interp(place, far, points[:, 0])), float(np.interp(place, far, points[:, 1]))
