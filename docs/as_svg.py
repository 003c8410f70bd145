"""Pieces of HTML as an SVG file, which any page can show as a picture: light or dark as the system of its reader."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import lxml.html
from lxml import etree

STYLE = (
    "div.all{font:15px/1.5 system-ui,sans-serif;color:#1c2430}div.all img,div.all svg{max-width:100%}"
    "div.all h3{font-size:.85em;font-weight:600;margin:.2rem 0;opacity:.75}"
    "div.row{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem}div.all td,div.all th{padding:0 .8rem 0 0;text-align:left}"
    "@media(prefers-color-scheme:dark){div.all{color:#e8ebef}}"
)


def as_svg(title: str, pieces: Sequence[str], *, width: int, height: int, scale: float = 1.0) -> str:
    """``pieces`` of HTML below each other, in a picture of so many pixels; small pieces ``scale`` times as large."""
    tree = lxml.html.fragment_fromstring("".join(pieces), create_parent="div")
    tree.set("class", "all")
    tree.set("xmlns", "http://www.w3.org/1999/xhtml")
    for drawing in tree.iter("svg"):
        drawing.set("xmlns", "http://www.w3.org/2000/svg")
    body = etree.tostring(tree, encoding="unicode", method="xml").replace("viewbox=", "viewBox=")
    body = body.replace("preserveaspectratio=", "preserveAspectRatio=")
    inner = width / scale, height / scale
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {inner[0]:g} {inner[1]:g}" width="{width}" '
        f'height="{height}" style="font-size:{16 / scale:g}px"><title>{escape(title)}</title>'
        f"<style>{escape(STYLE.replace('15px', f'{15 / scale:g}px'))}</style>"
        f'<foreignObject width="{inner[0]:g}" height="{inner[1]:g}">{body}</foreignObject></svg>\n'
    )
