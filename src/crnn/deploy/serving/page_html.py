"""A page that was read, for people to look at: its picture, and the text of each line over it."""

from __future__ import annotations

import io
from base64 import b64encode
from html import escape

import numpy as np
from PIL import Image

from crnn.data.page_lines import TextLine
from crnn.deploy.page import ReadPage

SHOWN = 1200
"""Pixels to which the width of a picture is limited."""


def page_html(grey: np.ndarray, page: ReadPage) -> str:
    """An HTML fragment: the page ``grey`` ``(height, width)`` with the lines that were found, the text of each lying
    over it, not to be seen but to be selected, and below it all of the text."""
    picture, (width, height) = Image.fromarray(grey), page.size
    picture.thumbnail((SHOWN, 2 * SHOWN))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=70)
    source = f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"
    image = f'<image href="{source}" width="{width}" height="{height}" preserveAspectRatio="none"/>'
    drawn = "".join(_line(line, max(page.size) / 500) for line in page.lines)
    return (
        f'<div class="answer"><svg viewBox="0 0 {width} {height}" role="img" style="width:100%;height:auto">'
        f"<title>{escape(page.id)}</title>{image}{drawn}</svg>"
        f'<p style="white-space:pre-wrap;unicode-bidi:plaintext">{escape(page.text)}</p></div>'
    )


def _line(line: TextLine, width: float) -> str:
    outline, base = (" ".join(f"{x:.0f},{y:.0f}" for x, y in points) for points in (line.polygon, line.baseline))
    (x, y), length = line.baseline[0], line.baseline[-1][0] - line.baseline[0][0]
    place = f'x="{x:.0f}" y="{y:.0f}" font-size="{0.6 * line.height:.0f}" textLength="{max(1.0, length):.0f}"'
    over = (
        f'<text {place} lengthAdjust="spacingAndGlyphs" fill-opacity="0">{escape(line.text)}</text>'
        if line.text
        else ""
    )
    return (
        f"<g><title>{escape(line.text or 'a line')}</title>"
        f'<polygon points="{outline}" fill="#0969da" fill-opacity="0.12"/>'
        f'<polyline points="{base}" fill="none" stroke="#0969da" stroke-width="{width:.1f}"/>{over}</g>'
    )
