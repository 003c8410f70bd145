"""What is odd about a line picture, seen before any training."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import numpy as np

from crnn.findings import Finding, Look

Ink = Literal["dark", "light", "unsure"]
LEAST_CONTRAST = 24  # grey levels between paper and ink; the least at which ``Line.finish`` still scales
PAGE_HEIGHT = 400  # pixels; a single line is rarely scanned this high
LEAST_SIZE = (4, 12)  # pixels; below, no letter can be made out


def look(
    x: np.ndarray, *, size: tuple[int, int], ink: Ink, polarity: Literal["auto", "dark", "light"] = "auto"
) -> Look:
    """What ``x``, uint8 ``(height, width)`` as decoded without turning light ink dark, says of a picture of ``size``
    (width, height). ``ink`` is what it seems to be, ``polarity`` what the settings say."""
    if ink == "light" or (ink == "unsure" and polarity == "light"):
        x = 255 - x
    paper, darkest = np.percentile(x[:, ::2], (75, 0.5))
    contrast = float(paper - darkest)
    findings = (*(_shape(*size) or _blank(contrast)), *_polarity(ink, polarity))  # a page as a line looks blank, too
    if contrast < LEAST_CONTRAST:
        return Look(x.shape[1], None, findings)  # blank ones look the same, whatever they should have shown
    digest = blake2b(x.tobytes(), digest_size=16, salt=x.shape[1].to_bytes(8, "little")).digest()
    return Look(x.shape[1], digest, findings)


def _shape(width: int, height: int) -> tuple[Finding, ...]:
    size = f"{width} x {height} pixels"
    if width < LEAST_SIZE[0] or height < LEAST_SIZE[1]:
        do = "Cut the line out of a larger scan, or drop it."
        return (Finding("warning", "tiny picture", None, f"is only {size}", do),)
    if height >= PAGE_HEIGHT and width < 2 * height:
        do = "Cut it into lines, or describe its lines in PAGE or ALTO XML."
        said = f"is {size}, the shape of a page or of several lines"
        return (Finding("warning", "page instead of line", None, said, do),)
    return ()


def _blank(contrast: float) -> tuple[Finding, ...]:
    if contrast >= LEAST_CONTRAST:
        return ()
    said = f"shows hardly any ink (its darkest strokes are {contrast:.0f} of 255 grey levels darker than the paper)"
    do = "Look at these pictures; scan them again with more contrast, or drop them."
    return (Finding("warning", "nearly blank", None, said, do),)


def _polarity(ink: Ink, setting: str) -> tuple[Finding, ...]:
    if setting == "auto" and ink == "light":
        said = "seems to be light ink on dark paper and is turned around"
        do = "Nothing needs to be done if that is so; else set input.polarity to dark."
        return (Finding("note", "light ink on dark paper", None, said, do),)
    if setting != "auto" and ink not in (setting, "unsure"):
        said = f"seems to be {ink} ink, where input.polarity is {setting}"
        return (Finding("warning", f"{ink} ink, against the setting", None, said, "Set input.polarity to auto."),)
    return ()
