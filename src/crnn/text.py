"""The alphabet of a reader: which letters it knows, and how text becomes numbers and back.

Number 0 is CTC's blank; letter ``i`` of the alphabet is number ``i + 1``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from crnn.errors import DataError, MissingExtra

BLANK = 0
Unicode = Literal["NFC", "NFD", "NFKC", "NFKD", "none"]
Direction = Literal["ltr", "rtl"]


@dataclass(frozen=True, slots=True)
class Alphabet:
    """Letters (code points after normalisation), the Unicode normal form, and the direction of writing.

    ``alike`` maps letters to others that look the same, where transcribers mixed two scripts or signs; with ``lower``
    all letters are small.

    A reader sees a line from left to right. With ``direction="rtl"`` texts are put into display order (Unicode
    Standard Annex 9) before they become numbers and back into reading order afterwards.

    >>> Alphabet(("a", "b")).encode("abba").tolist()
    [1, 2, 2, 1]
    """

    letters: tuple[str, ...] = ()
    unicode: Unicode = "NFC"
    direction: Direction = "ltr"
    alike: Mapping[str, str] = field(default_factory=dict)
    lower: bool = False

    def learn(self, texts: Iterable[str]) -> Alphabet:
        """This alphabet with the new letters of ``texts``, by code point, behind the known ones, whose numbers stay.

        >>> Alphabet().learn(["cab"]).letters
        ('a', 'b', 'c')
        """
        new = sorted({letter for text in texts for letter in self.clean(text)} - set(self.letters))
        return replace(self, letters=(*self.letters, *new))

    def __len__(self) -> int:
        return len(self.letters)

    @property
    def outputs(self) -> int:
        """Outputs of a network that reads this alphabet: its letters and the blank."""
        return len(self.letters) + 1

    def clean(self, text: str) -> str:
        """``text`` in this alphabet's normal form, letters that look alike written as one.

        >>> Alphabet(lower=True, alike={"-": " ", ",": ""}).clean("Twenty-one, no - two")
        'twenty one no two'
        """
        text = normalise(text.lower() if self.lower else text, self.unicode)
        return " ".join(text.translate({ord(a): b for a, b in self.alike.items()}).split()) if self.alike else text

    def missing(self, text: str) -> list[str]:
        """The letters of ``text`` that this alphabet lacks, each once."""
        known = set(self.letters)
        return sorted({letter for letter in self.clean(text) if letter not in known})

    def encode(self, text: str) -> np.ndarray:
        """Numbers ``(length,)`` of ``text``, int64. Raises ``DataError`` naming the letters that are not known."""
        text = self.clean(text)
        if missing := self.missing(text):
            raise DataError(
                f"the text {text!r} has {' '.join(map(repr, missing))}",
                expected=f"only the {len(self)} letters of the alphabet",
                do="Correct the text, or train with a larger alphabet.",
            )
        if self.direction == "rtl":
            text = display_order(text)
        index = {letter: i + 1 for i, letter in enumerate(self.letters)}
        return np.array([index[letter] for letter in text], dtype=np.int64)

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of ``numbers`` (no blanks among them)."""
        text = "".join(self.letters[n - 1] for n in numbers)
        return display_order(text) if self.direction == "rtl" else text


def normalise(text: str, form: Unicode) -> str:
    """``text`` in a Unicode normal form, its runs of white space as one space, without white space at the ends."""
    text = text if form == "none" else unicodedata.normalize(form, text)
    return " ".join(text.split())  # afterwards, since compatibility forms make spaces of their own


def display_order(text: str) -> str:
    """``text`` of a right-to-left line from reading order into display order, or back.

    The rule is its own inverse for Hebrew with digits and common marks, for Arabic with either, and for Latin words
    without digits in between; not where numbers meet marks behind Arabic letters, nor for digits before Latin letters.
    """
    try:
        from bidi import get_display
    except ImportError as error:
        raise MissingExtra("python-bidi", "rtl") from error
    shown = get_display(text, base_dir="R")
    return shown if isinstance(shown, str) else shown.decode()


def steps_needed(numbers: Sequence[int] | np.ndarray) -> int:
    """Time steps that CTC needs at least to write ``numbers``: one each, and a blank between two that are equal.

    >>> steps_needed([1, 1, 2])
    4
    """
    numbers = np.asarray(numbers)
    return len(numbers) + int((numbers[1:] == numbers[:-1]).sum())
