"""How well lines of text were found on pages: recall and precision of baselines, and the text of whole pages.

Baselines are compared column by column of the page. The overlap of two is the number of columns in which both run, no
further apart than a quarter of the true line's height, over the number of columns in which either does. A line is found
if its overlap with an answer is at least one half; each answer counts for one line.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from rapidfuzz.distance import Levenshtein

from crnn.errors import DataError
from crnn.metrics.interval import interval, intervals

NEAR = 0.25
"""Heights that an answer may lie above or below the true baseline."""
ENOUGH = 0.5
"""Overlap from which a line is found."""
FIGURES: dict[str, tuple[str, str, str]] = {
    "line_recall": ("Lines found", "Lines of the truth whose baseline was found.", "%"),
    "line_precision": ("Lines rightly found", "Lines of the answer whose baseline is one of the truth.", "%"),
    "line_f1": ("Line F1", "The harmonic mean of both.", "%"),
    "cer": (
        "Letter errors",
        "Letters that are wrong, missing or too many, per letter of the truth; a line that was not found is missing, "
        "one that is not there is too many.",
        "%",
    ),
    "cer_page": (
        "Letter errors, whole pages",
        "The same of each page's text as a whole, so that lines in another order are wrong, too.",
        "%",
    ),
}
"""What each figure is called, what it says in plain words, and its unit."""


class Line(Protocol):
    """A line of text on a page: points of its baseline from left to right, its height, its text."""

    @property
    def baseline(self) -> tuple[tuple[float, float], ...]: ...

    @property
    def height(self) -> float: ...

    @property
    def text(self) -> str | None: ...


def overlap(truth: Line, answer: Line) -> float:
    """The overlap of two baselines, 0 to 1."""
    (tx, ty), (ax, ay) = np.array(truth.baseline).T, np.array(answer.baseline).T
    first, last = np.floor(min(tx[0], ax[0])), np.ceil(max(tx[-1], ax[-1]))
    if max(tx[0], ax[0]) >= min(tx[-1], ax[-1]):
        return 0.0
    columns = np.arange(first, last) + 0.5
    both = (columns >= max(tx[0], ax[0])) & (columns <= min(tx[-1], ax[-1]))
    either = ((columns >= tx[0]) & (columns <= tx[-1])) | ((columns >= ax[0]) & (columns <= ax[-1]))
    close = abs(np.interp(columns, tx, ty) - np.interp(columns, ax, ay)) <= NEAR * truth.height
    return float((both & close).sum() / max(1, either.sum()))


def matched(truth: Sequence[Line], answer: Sequence[Line]) -> list[tuple[int, int]]:
    """Which line of ``truth`` is which of ``answer``: pairs of their numbers, those that overlap most first."""
    pairs = [(overlap(t, a), i, j) for i, t in enumerate(truth) for j, a in enumerate(answer)]
    found: dict[int, int] = {}
    for share, i, j in sorted(pairs, key=lambda pair: -pair[0]):
        if share >= ENOUGH and i not in found and j not in found.values():
            found[i] = j
    return sorted(found.items())


@dataclass(slots=True)
class PageCounts:
    """What is counted on pages; ``add`` takes the lines of one, both in reading order."""

    rows: list[tuple[int, ...]] = field(default_factory=list)
    """Of each page, lines of the truth, of the answer, and in both; letters of the truth and errors, line by line; of
    the page's text, letters and errors."""

    def add(self, truth: Sequence[Line], answer: Sequence[Line]) -> None:
        """One page."""
        pairs = dict(matched(truth, answer))
        said = [line.text or "" for line in answer]
        errors = sum(len(text) for j, text in enumerate(said) if j not in pairs.values())
        for i, line in enumerate(truth):
            errors += Levenshtein.distance(line.text or "", said[pairs[i]] if i in pairs else "")
        letters = sum(len(line.text or "") for line in truth)
        whole, read = "\n".join(line.text or "" for line in truth), "\n".join(said)
        self.rows.append(
            (len(truth), len(answer), len(pairs), letters, errors, len(whole), Levenshtein.distance(whole, read))
        )

    def figures(self, groups: Sequence[Hashable] | None = None) -> dict[str, float]:
        """The figures, all fractions, those of pages with texts among them; intervals are drawn over pages, that of the
        precision where a line was found. Raises ``DataError`` if there is no line."""
        table = np.array(self.rows, dtype=np.int64).reshape(-1, 7)
        lines, said, both, letters, errors, whole, wrong = table.T
        if not lines.sum():
            do = "Give PAGE files with lines."
            raise DataError("there is no line to score", expected="pages with lines", do=do)
        recall, precision = both.sum() / lines.sum(), both.sum() / max(1, said.sum())
        result = {"line_recall": float(recall), "line_precision": float(precision)}
        result["line_f1"] = float(2 * recall * precision / max(1e-9, recall + precision))
        rates = [("cer", errors, letters), ("cer_page", wrong, whole)] if letters.sum() else []
        result |= {name: float(e.sum() / n.sum()) for name, e, n in rates}
        if len(table) > 1:
            ends = {name: interval(wrongs, of, groups) for name, wrongs, of in rates}
            shares = [("line_recall", lines), ("line_precision", said)]
            ends |= {n: intervals(np.stack([both, of], 1), _share, groups) for n, of in shares if of.any()}
            for name, (low, high) in ends.items():
                result |= {f"{name}_low": low, f"{name}_high": high}
        return result


def _share(sums: np.ndarray) -> np.ndarray:
    """NaN for draws of pages on which there is no line."""
    return np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] > 0)
