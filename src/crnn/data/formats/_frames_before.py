"""The frames of a film that come before a picture, where an answer to the picture wants them seen, too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from crnn.data.inputs._film_files import frames_in
from crnn.types import Clip


class FramesBefore:
    """Frames of films: pictures of one folder whose names differ in their last number alone."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.known: dict[Path, Sequence[Path]] = {}

    def ending_at(self, picture: Path) -> Path | Clip:
        """At most ``most`` frames, the last of them ``picture``; the picture itself where one is enough."""
        if self.most < 2:
            return picture
        folder = picture.parent
        if folder not in self.known:
            self.known[folder] = frames_in(folder)
        frames = self.known[folder]
        if picture not in frames:  # of another ending, of which reading will tell
            return picture
        last = first = frames.index(picture)
        while first > max(0, last - self.most + 1) and _film(frames[first - 1]) == _film(picture):
            first -= 1
        return Clip(folder, first, last - first + 1)


def _film(frame: Path) -> str:
    return re.sub(r"\d+$", "", frame.stem)
