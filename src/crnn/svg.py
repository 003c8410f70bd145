"""Pieces of SVG pictures that stand in a page: colours are those of the text, so that the page may be light or dark."""

from __future__ import annotations

from html import escape
from unicodedata import east_asian_width

FONT = "font-family:system-ui,sans-serif;font-size:12px;fill:currentColor"
LINE = 'fill="none" stroke="currentColor" stroke-opacity=".35"'


def text(x: float, y: float, words: str, anchor: str, more: str = "") -> str:
    """``words`` at a place; ``anchor`` says which end of them is there, ``more`` are attributes."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="{FONT}"{more}>{escape(words)}</text>'


def width_of(words: str) -> int:
    """Of ``words`` in pixels, about."""
    return sum(12 if east_asian_width(letter) in "WF" else 7 for letter in words)


def picture(width: float, height: float, title: str, content: str) -> str:
    """The whole, which takes no more room than there is."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'style="max-width:100%;height:auto" role="img"><title>{escape(title)}</title>{content}</svg>'
    )
