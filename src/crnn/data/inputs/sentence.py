"""Texts as numbers of words or letters; the vocabulary is that of the training part.

A text is put in lower case and cut into words, numbers and signs; English contractions are two words (``do n't``,
``it 's``), whether or not the text is already cut. Number 0 is padding, 1 a word that was not learned. Beside a word's
number may stand those of its beginnings and endings, 0 where one was not learned.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from crnn.config import Count, Whole
from crnn.data.inputs._kind import Kind
from crnn.data.inputs._shown import words_html
from crnn.data.inputs.sentence_augment import SentenceAugment
from crnn.errors import CrnnError, DataError
from crnn.findings import Finding, Look
from crnn.types import InputSpec, Sample

Source = str | Path
"""A text, or a file that holds one."""
UNKNOWN, FIRST = 1, 2
LETTER = r"(?:[^\W_]|[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u109f\u1780-\u17d3])"  # and its marks
WORD = re.compile(
    rf"(?:'(?:s|m|d|re|ve|ll)|n't)\b|\d+(?:[.,]\d+)+\b|{LETTER}+?(?=n't\b)|{LETTER}+(?:-{LETTER}+)*|[^\w\s]|_"
)
STRANGE = 0.5  # share of unknown words from which on a text is odd
MOST_BYTES = 10_000_000


class Sentence(Kind):
    """Reads, varies and numbers texts; ``decode`` and ``finish`` give int64 ``(time, 1 + ends)``."""

    Augment = SentenceAugment
    suffixes = frozenset({".txt"})

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        unit: Literal["word", "letter"] = "word"
        """What a step is: a word (or sign), or a letter, for writing without spaces."""
        least: Count = 2
        """Times that a word must stand in the training part to be learned; rarer ones are unknown."""
        most: Count = 50_000
        """Most words that are learned, the most frequent first."""
        ends: tuple[Count, ...] = ()
        """Lengths, in letters, of a word's beginnings and endings that are learned beside it, such as 3, 4 and 5: of an
        unknown word they tell stem and form."""
        longest: Count = 5000
        """Most words (or letters) of a text; longer ones are refused."""
        cut: Whole = 0
        """Words (or letters) after which a text ends, what follows unread; 0 reads all."""

    def __init__(self, settings: Settings = Settings(), words: Sequence[str] | None = None) -> None:
        """``words`` are those that are known, numbered from 2; ``None`` leaves room for as many as there may be."""
        self.settings = settings
        self.words = tuple(words or ())
        self.number = {word: i for i, word in enumerate(self.words, FIRST)}
        self.unit = "words" if settings.unit == "word" else "letters"
        size = FIRST + (settings.most if words is None else len(self.words))
        self.spec = InputSpec("sentence", 1 + 2 * len(settings.ends), vocabulary=size)

    @classmethod
    def reads(cls, source: Any) -> bool:
        return isinstance(source, str) or super().reads(source)

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """The vocabulary, most frequent words first. Raises ``DataError`` if nothing can be read."""
        plain, counts, ends = cls(settings, ()), Counter[str](), Counter[str]()
        errors: list[CrnnError] = []
        for sample in samples:
            try:
                counts.update(plain._words(sample.x))
            except CrnnError as error:
                errors.append(error)
        if not counts:
            do = "Run crnn check on the data."
            raise errors[0] if errors else DataError("holds no texts", expected="at least one", do=do)
        for word in counts:
            ends.update(set(ends_of(word, settings.ends)))
        return cls(settings, [*_frequent(counts, settings), *_frequent(ends, settings)])

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        return cls(settings, learned.get("words"))

    def learned(self) -> dict[str, Any]:
        return {"words": list(self.words)}

    def source(self, given: str) -> Source:
        """``given`` as a file where there is one of that name, else as the text itself."""
        if len(given) < 1000 and "\n" not in given and Path(given).suffix.lower() in self.suffixes:
            return Path(given)
        return given

    def steps(self, source: Source) -> int:
        return len(self._words(source))

    def decode(self, source: Source) -> np.ndarray:
        return np.array([self._numbers(word) for word in self._words(source)], np.int64)

    def vary(
        self, x: np.ndarray, y: np.ndarray | None, augment: SentenceAugment, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Some words become unknown."""
        return (x if rng.random() > augment.share else augment(x, rng, UNKNOWN)), y

    def finish(self, x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(x, np.int64)

    def look(self, source: Source) -> Look:
        words, found = self._words(source), []
        strange = sum(word not in self.number for word in words) / len(words)
        if self.words and strange > STRANGE and len(words) > 3:
            do = "Look whether it is in the language of the others."
            given = f"is strange, {100 * strange:.0f} % of its {self.unit} are unknown"
            found.append(Finding("warning", "strange text", None, given, do))
        digest = blake2b("\0".join(words).encode("utf-8", "replace"), digest_size=16).digest()
        return Look(len(words), digest, tuple(found))

    def shown(self, source: Source, heat: np.ndarray | None = None) -> str:
        """The text as it is read, words that are not known underlined."""
        words = self._words(source)
        known = [word in self.number or not self.words for word in words]
        return words_html(words, known, heat, between=" " if self.unit == "words" else "")

    def _numbers(self, word: str) -> list[int]:
        """Of the word and of its ends; 0 for an end that was not learned."""
        ends = ends_of(word, self.settings.ends)
        return [self.number.get(word, UNKNOWN), *(self.number.get(end, 0) for end in ends)]

    def _words(self, source: Source) -> list[str]:
        """The words (or letters). Raises ``DataError`` for none, or too many."""
        file = source if isinstance(source, Path) else None
        found = words_of(_text(source), self.settings.unit)
        found = found[: self.settings.cut] if self.settings.cut else found
        if not found:
            raise DataError("holds no words", expected="a text", do="Write it or take it out of the data.", file=file)
        if len(found) > self.settings.longest:
            raise DataError(
                f"has {len(found)} {self.unit}",
                expected=f"at most {self.settings.longest}",
                do="Raise input.longest, or read the beginning alone: --set input.cut=400.",
                file=file,
            )
        return found


def words_of(text: str, unit: Literal["word", "letter"] = "word") -> list[str]:
    """The words and signs of a text in lower case, or its letters with single spaces between words.

    >>> words_of("It's Galileo's, isn't it? A well-known man")
    ['it', "'s", 'galileo', "'s", ',', 'is', "n't", 'it', '?', 'a', 'well-known', 'man']
    >>> words_of("Ja  so", "letter")
    ['j', 'a', ' ', 's', 'o']
    """
    text = unicodedata.normalize("NFC", text).lower().replace("’", "'")
    return WORD.findall(text) if unit == "word" else list(" ".join(text.split()))


def ends_of(word: str, lengths: Sequence[int]) -> list[str]:
    """Beginning and ending of a word for each of ``lengths``; of a shorter word, all of it.

    >>> ends_of("cats", (3, 5))
    ['cat-', '-ats', 'cats-', '-cats']
    """
    return [end for n in lengths for end in (f"{word[:n]}-", f"-{word[-n:]}")]


def _frequent(counts: Counter[str], settings: Sentence.Settings) -> list[str]:
    """What is to be learned, the most frequent first."""
    known = sorted((w for w, n in counts.items() if n >= settings.least), key=lambda w: (-counts[w], w))
    return known[: settings.most]


def _text(source: Source) -> str:
    if isinstance(source, str):
        return source
    if not isinstance(source, Path):
        raise DataError(f"a {type(source).__name__}", expected="a text, or the path of one", do="Convert it.")
    try:
        if source.stat().st_size > MOST_BYTES:
            do = "Cut it into pieces."
            raise DataError("is too large", expected=f"at most {MOST_BYTES:,} bytes", do=do, file=source)
        return source.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except FileNotFoundError as error:
        raise DataError("is not there", expected="a text", do="Check the path.", file=source) from error
    except OSError as error:
        given, do = f"cannot be read ({error.strerror})", "Check its permissions."
        raise DataError(given, expected="a readable file", do=do, file=source) from error
    except UnicodeDecodeError as error:
        given = f"is not UTF-8 (byte {error.object[error.start]:#04x})"
        raise DataError(given, expected="text in UTF-8", do="Save it again as UTF-8.", file=source) from error
