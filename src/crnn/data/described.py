"""A picture's sentences and, where people drew them, boxes in it and which words speak of which box."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crnn.errors import DataError

Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom as shares of the picture's width and height."""
Phrase = tuple[str, int]
"""Words of a sentence, and the number of their box."""


@dataclass(frozen=True, slots=True)
class Described:
    """``phrases`` are those of each sentence in their order, or none at all."""

    sentences: tuple[str, ...]
    boxes: tuple[Rectangle, ...] = ()
    phrases: tuple[tuple[Phrase, ...], ...] = ()

    def __str__(self) -> str:
        return " / ".join(self.sentences)

    def joined(self, other: Described) -> Described:
        """Both, of the same picture."""
        count = len(self.boxes)
        own = self.phrases or ((),) * len(self.sentences)
        new = other.phrases or ((),) * len(other.sentences)
        more = tuple(tuple((text, box + count) for text, box in said) for said in new)
        both = (*own, *more) if self.phrases or other.phrases else ()
        return Described((*self.sentences, *other.sentences), (*self.boxes, *other.boxes), both)

    def cleaned(self) -> Described:
        """The same without empty sentences, and with single spaces."""
        texts = [" ".join(text.split()) for text in self.sentences]
        kept = [i for i, text in enumerate(texts) if text]
        phrases = tuple(self.phrases[i] for i in kept) if self.phrases else ()
        return replace(self, sentences=tuple(texts[i] for i in kept), phrases=phrases)


def box_of(span: np.ndarray) -> Rectangle:
    """Left, top, right, bottom of a region's span ``(axes, 2)``, as shares: time is the width of a picture, and of a
    film its last two axes are height and width."""
    if len(span) == 3:
        (top, bottom), (left, right) = span[1:].tolist()
        return left, top, right, bottom
    left, right = span[0].tolist()
    top, bottom = span[1].tolist() if len(span) > 1 else (0.0, 1.0)
    return left, top, right, bottom


def boxes_of(value: Any, size: tuple[int, int], where: str, file: Any) -> tuple[Rectangle, ...]:
    """Boxes in pixels (left, top, right, bottom) of a picture of ``size`` (width, height) as shares of it. Raises
    ``DataError``, which names the row by ``where``."""
    found = []
    for box in _listed(value, f"{where}has boxes that are no list", "[[left, top, right, bottom], ...]", file):
        numbers = box if isinstance(box, Sequence) and not isinstance(box, str) else ()
        good = len(numbers) == 4 and all(isinstance(n, (int, float)) and n == n for n in numbers)
        left, top, right, bottom = (
            (min(max(n / side, 0.0), 1.0) for n, side in zip(numbers, size * 2, strict=True)) if good else (0.0,) * 4
        )
        if not (left < right and top < bottom):
            given = f"{where}has the box {str(box)[:60]} in a picture of {size[0]} x {size[1]}"
            do = "Write left, top, right, bottom in pixels, inside of the picture."
            raise DataError(given, expected="four numbers, some of it inside of the picture", do=do, file=file)
        found.append((left, top, right, bottom))
    return tuple(found)


def phrases_of(value: Any, sentences: int, boxes: int, where: str, file: Any) -> tuple[tuple[Phrase, ...], ...]:
    """The phrases of each of ``sentences`` sentences: pairs of words and the number of one of ``boxes`` boxes, a list
    of them for each sentence, or for a single sentence its list. Raises ``DataError``, which names the row by
    ``where``."""
    wanted = "for each sentence a list of [words, number of the box], or for a single one its list"
    rows = _listed(value, f"{where}has phrases that are no list", wanted, file)
    if not rows:
        return ()
    if sentences == 1 and _is_phrase(rows[0]):
        rows = [rows]
    if len(rows) != sentences:
        given = f"{where}has phrases of {len(rows)} sentences, and {sentences} sentences"
        raise DataError(given, expected=wanted, do="Write an empty list where there are none.", file=file)
    found = []
    for row in rows:
        pairs = _listed(row, f"{where}has phrases that are no list", wanted, file)
        if bad := [p for p in pairs if not _is_phrase(p) or not 0 <= p[1] < boxes]:
            given = f"{where}has the phrase {str(bad[0])[:60]} and {boxes} boxes"
            raise DataError(given, expected="words and the number of a box, from 0 on", do="Correct it.", file=file)
        found.append(tuple((str(words), int(box)) for words, box in pairs))
    return tuple(found)


def _is_phrase(value: Any) -> bool:
    pair = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2
    return pair and isinstance(value[0], str) and isinstance(value[1], int) and not isinstance(value[1], bool)


def _listed(value: Any, given: str, expected: str, file: Any) -> list[Any]:
    if isinstance(value, str):  # in a cell of a .csv
        with suppress(ValueError, RecursionError):
            value = json.loads(value) if value.strip() else None
    if value is None:
        return []
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
        raise DataError(given, expected=expected, do="Write it as JSON does.", file=file)
    return list(value)
