"""A sample with a label for people to look at: picture, truth, and the likeliest labels with their bars."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

NOTE = "The bars are the probabilities of the likeliest labels; the truth is marked by a check."
"""Explains the marks to the readers of a report."""
SHOWN = 5
GRID = "display:grid;grid-template-columns:max-content minmax(4rem,16rem) max-content;gap:.1rem .75rem;margin:0"
BAR = "display:inline-block;height:.7em;border-radius:.15em;background:{colour};width:{width:.1f}%;min-width:1px"


def label_html(truth: Any, guesses: Sequence[tuple[Any, float]], *, known: bool = True, picture: str = "") -> str:
    """One HTML fragment; every text in it is escaped. ``guesses`` are labels with their probabilities, the likeliest
    first; ``known`` says whether the truth is known."""
    rows = [
        f'<dt style="margin:0">{escape(str(label))}{" ✓" if known and label == truth else ""}</dt>'
        f'<dd style="margin:0"><span style="{_bar(score, known, label == truth)}"></span></dd>'
        f'<dd style="margin:0;opacity:.7">{100 * score:.1f} %</dd>'
        for label, score in [*guesses[:SHOWN], *(g for g in guesses[SHOWN:] if known and g[0] == truth)]
    ]
    said = ""
    if known:
        right = bool(guesses) and guesses[0][0] == truth
        said = f'<p style="margin:.3rem 0 0;opacity:.7">truth: {escape(str(truth))}{", right" if right else ""}</p>'
    return f'<div class="label">{picture}<dl style="{GRID}">{"".join(rows)}</dl>{said}</div>'


def _bar(score: float, known: bool, right: bool) -> str:
    colour = "#2a8a4a" if known and right else "#e5484d" if known else "#2457c5"
    return BAR.format(colour=colour, width=100 * score)
