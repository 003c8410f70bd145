"""What is odd about a line picture, seen before any training."""

from __future__ import annotations

from collections.abc import Iterator
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
    shape = (*_shape(*size), *_polarity(ink, polarity))
    if blank := _blank(x):
        return Look(x.shape[1], None, (blank, *shape))
    digest = blake2b(x.tobytes(), digest_size=16, salt=x.shape[1].to_bytes(8, "little")).digest()
    return Look(x.shape[1], digest, shape)


def _blank(x: np.ndarray) -> Finding | None:
    paper, ink = np.percentile(x[:, ::2], (75, 0.5))
    if paper - ink >= LEAST_CONTRAST:
        return None
    return Finding(
        "warning",
        "nearly blank",
        None,
        f"shows hardly any ink (its darkest strokes are {paper - ink:.0f} of 255 grey levels darker than the paper)",
        "Look at these pictures; scan them again with more contrast, or drop them.",
    )


def _shape(width: int, height: int) -> Iterator[Finding]:
    if width < LEAST_SIZE[0] or height < LEAST_SIZE[1]:
        yield Finding(
            "warning",
            "tiny picture",
            None,
            f"is only {width} x {height} pixels",
            "Cut the line out of a larger scan, or drop it.",
        )
    elif height >= PAGE_HEIGHT and width < 2 * height:
        yield Finding(
            "warning",
            "page instead of line",
            None,
            f"is {width} x {height} pixels, the shape of a page or of several lines",
            "Cut it into lines, or describe its lines in PAGE or ALTO XML.",
        )


def _polarity(ink: Ink, setting: str) -> Iterator[Finding]:
    if setting == "auto" and ink == "light":
        yield Finding(
            "note",
            "light ink on dark paper",
            None,
            "seems to be light ink on dark paper and is turned around",
            "Nothing needs to be done if that is so; else set input.polarity to dark.",
        )
    elif setting != "auto" and ink not in (setting, "unsure"):
        yield Finding(
            "warning",
            f"{ink} ink, against the setting",
            None,
            f"seems to be {ink} ink, where input.polarity is {setting}",
            "Set input.polarity to auto.",
        )
