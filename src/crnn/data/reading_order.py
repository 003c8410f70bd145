"""The order in which lines on a page are read: down a column, then the column to its right.

Lines close below each other form blocks. Of two blocks that are above each other the upper comes first, of two beside
each other the left one, unless a third lies across between them; this is the rule of Breuel 2003 ("High performance
document layout analysis") for blocks. Where it leaves a choice, reading goes on below, else at the top of the page.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crnn.data.page_lines import TextLine, around

NEAR = 2.5
"""Heights of a line that the next of its block may lie below it, from baseline to baseline."""
Box = tuple[float, float, float, float]  # left, top, right, bottom


def in_order(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Blocks in reading order, each with its lines from above."""
    blocks = [sorted(block, key=_level) for block in _blocks(lines)]
    boxes = [around(block) for block in blocks]
    height = float(np.median([line.height for line in lines])) if lines else 1.0
    before = {
        i: {j for j in range(len(boxes)) if j != i and _first(boxes[j], boxes[i], boxes)} for i in range(len(boxes))
    }
    order: list[int] = []
    left = set(before)
    while left:
        ready = [i for i in left if not before[i] & left] or list(left)  # rules that contradict each other
        below = [
            i for i in ready if order and _share(boxes[i], boxes[order[-1]], 0) > 0.3 and _below(boxes, order[-1], i)
        ]
        chosen = min(below or ready, key=lambda i: (round(boxes[i][1] / height), boxes[i][0]))
        order.append(chosen)
        left.remove(chosen)
    return [blocks[i] for i in order]


def _blocks(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Lines that follow each other closely, one nearly above the other, and pieces of one line."""
    boxes = [line.box for line in lines]
    parent = list(range(len(lines)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for i, upper in enumerate(lines):
        candidates = []
        for j, lower in enumerate(lines):
            apart = _level(lower) - _level(upper)
            like = max(upper.height, lower.height) <= 2 * min(upper.height, lower.height)
            if (
                i != j
                and like
                and 0 < apart <= NEAR * min(upper.height, lower.height)
                and _share(boxes[i], boxes[j], 0) > 0.3
            ):
                candidates.append((apart, j))
        nearest = min((apart for apart, _ in candidates), default=0.0)
        close = [j for apart, j in candidates if apart <= nearest + 0.5 * upper.height]
        if len(close) == 1:  # under a heading across two columns lie two blocks
            parent[root(close[0])] = root(i)
    found: dict[int, list[TextLine]] = {}
    for i, line in enumerate(lines):
        found.setdefault(root(i), []).append(line)
    return list(found.values())


def _level(line: TextLine) -> float:
    """The mean height of the baseline."""
    return float(np.mean([y for _, y in line.baseline]))


def _share(one: Box, other: Box, axis: int) -> float:
    """What two boxes share of an axis (0 across, 1 down), as a share of the shorter."""
    both = min(one[axis + 2], other[axis + 2]) - max(one[axis], other[axis])
    return both / max(1e-6, min(one[axis + 2] - one[axis], other[axis + 2] - other[axis]))


def _below(boxes: Sequence[Box], upper: int, lower: int) -> bool:
    return (boxes[lower][1] + boxes[lower][3]) > (boxes[upper][1] + boxes[upper][3])


def _first(one: Box, other: Box, boxes: Sequence[Box]) -> bool:
    """Whether ``one`` must be read before ``other``."""
    if _share(one, other, 0) > 0.1:
        return one[1] + one[3] < other[1] + other[3]
    if one[0] >= other[0] or _share(one, other, 1) <= 0.1:
        return False
    top, bottom = sorted(((one[1] + one[3]) / 2, (other[1] + other[3]) / 2))
    between = (b for b in boxes if top < (b[1] + b[3]) / 2 < bottom)
    return not any(_share(b, one, 0) > 0.1 and _share(b, other, 0) > 0.1 for b in between if b not in (one, other))
