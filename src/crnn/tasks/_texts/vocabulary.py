"""The vocabulary of sentences that are said or matched: words, letters or pieces of words to numbers and back.

Words are runs of letters and digits; every other sign is a word of its own. A sign that stands beside a word without a
space carries a joiner on that side, so that a sentence can be written again as it was: ``l'eau.`` is ``l ￭'￭ eau ￭.``.
Number 0 begins and ends a sentence, 1 is a word that was not learned.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from crnn.data.inputs.sentence import LETTER
from crnn.errors import DataError, MissingExtra

Unit = Literal["word", "letter", "subword"]
END, UNKNOWN, FIRST = 0, 1, 2
JOINER = "\uffed"
TOKEN = re.compile(rf"{LETTER}+|[^\w\s]|_")
UNKNOWN_WORD = "<unknown>"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """``words`` are numbered from 2; ``pieces`` is the plain description of a splitter into subwords, if there is one.

    >>> known = Vocabulary(("a", "cat", "￭."))
    >>> known.encode("A cat."), known.decode([2, 3, 4])
    ([2, 3, 4], 'a cat.')
    """

    words: tuple[str, ...] = ()
    unit: Unit = "word"
    lower: bool = True
    pieces: Mapping[str, Any] | None = None
    number: Mapping[str, int] = field(init=False, repr=False, compare=False)
    _splitter: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "number", {word: i for i, word in enumerate(self.words, FIRST)})
        object.__setattr__(self, "_splitter", None if self.pieces is None else _splitter(self.pieces))

    def __len__(self) -> int:
        """Numbers that there are, with those of the end and of what is unknown."""
        return FIRST + len(self.words)

    @classmethod
    def learn(cls, texts: Iterable[str], *, unit: Unit, lower: bool, least: int, most: int) -> Vocabulary:
        """The words that stand ``least`` times or more in ``texts``, at most ``most``, the most frequent first; or all
        letters; or ``most`` pieces of words by byte pair encoding (Sennrich et al. 2016, arXiv 1508.07909). Raises
        ``DataError`` if no word is so frequent, ``MissingExtra``."""
        plain = cls((), unit, lower)
        cleaned = [plain.clean(text) for text in texts]
        if unit == "subword":
            pieces = _learn_pieces(cleaned, most)
            words = sorted(pieces["model"]["vocab"], key=pieces["model"]["vocab"].__getitem__)
            return cls(tuple(words), unit, lower, pieces)
        counts = Counter(word for text in cleaned for word in plain.split(text))
        least = least if unit == "word" else 1
        known = sorted((word for word in counts if counts[word] >= least), key=lambda word: (-counts[word], word))
        if not known:
            raise DataError(
                f"no word stands {least} times or more in the sentences to learn from",
                expected=f"words that do; the most frequent stands {max(counts.values(), default=0)} times",
                do="Set task.least to a smaller number, or add samples.",
            )
        return cls(tuple(known[:most]), unit, lower)

    @classmethod
    def restore(cls, learned: Mapping[str, Any], *, unit: Unit, lower: bool) -> Vocabulary:
        """The vocabulary that ``learned`` gave."""
        if strange := [word for word in learned["words"] if not isinstance(word, str)]:
            raise ValueError(f"a word that is {str(strange[0])[:20]}")
        return cls(tuple(learned["words"]), unit, lower, learned.get("pieces"))

    def learned(self) -> dict[str, Any]:
        """As plain values for the bundle."""
        pieces = {} if self.pieces is None else {"pieces": dict(self.pieces)}
        return {"words": list(self.words), **pieces}

    def extend(self, new: Vocabulary) -> Vocabulary:
        """The same numbers, the words of ``new`` behind them; subwords stay as they are."""
        if self.unit == "subword":
            return self
        return Vocabulary((*self.words, *(w for w in new.words if w not in self.number)), self.unit, self.lower)

    def clean(self, text: str) -> str:
        """``text`` as it is learned and compared: NFC, single spaces, in small letters if ``lower``."""
        text = " ".join(unicodedata.normalize("NFC", text).split())
        return text.lower() if self.lower else text

    def split(self, text: str) -> list[str]:
        """The words, letters or pieces of ``text``."""
        text = self.clean(text)
        if self.unit == "letter":
            return list(text)
        if self._splitter is not None:
            return list(self._splitter.encode(text).tokens)
        return [_joined(text, found) for found in TOKEN.finditer(text)]

    def encode(self, text: str) -> list[int]:
        """The numbers of ``text``, without its end."""
        return [self.number.get(word, UNKNOWN) for word in self.split(text)]

    def word(self, number: int) -> str:
        """A word as it is shown alone."""
        found = UNKNOWN_WORD if number < FIRST else self.words[number - FIRST]
        return found.strip(JOINER) if self.unit == "word" else found

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of ``numbers``, without its end."""
        words = [UNKNOWN_WORD if n < FIRST else self.words[n - FIRST] for n in numbers]
        if self.unit == "letter":
            return " ".join("".join(words).split())
        if self._splitter is not None:
            return str(self._splitter.decode([n - FIRST for n in numbers if n >= FIRST]))
        return f" {' '.join(words)} ".replace(f"{JOINER} ", "").replace(f" {JOINER}", "").strip()


def plain_words(text: str) -> list[str]:
    """The words of ``text`` in small letters, without signs: what sentences are compared by (all signs are kept where
    there is no word).

    >>> plain_words("A man, 40, isn't here.")
    ['a', 'man', '40', 'isn', 't', 'here']
    """
    found = TOKEN.findall(unicodedata.normalize("NFC", text).lower())
    return [word for word in found if word[0].isalnum()] or found


def _joined(text: str, found: re.Match[str]) -> str:
    """A word, or a sign with a joiner where it touches the word, or sign, before it or the word behind it."""
    word, (start, stop) = found.group(), found.span()
    if word[0].isalnum():
        return word
    left = JOINER if start and not text[start - 1].isspace() else ""
    right = JOINER if stop < len(text) and text[stop].isalnum() else ""
    return left + word + right


def _learn_pieces(texts: Sequence[str], most: int) -> dict[str, Any]:
    tokenizers = _library()
    splitter = tokenizers.Tokenizer(tokenizers.models.BPE())
    splitter.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    splitter.decoder = tokenizers.decoders.Metaspace()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=most, show_progress=False)
    splitter.train_from_iterator(texts, trainer)
    learned: dict[str, Any] = json.loads(splitter.to_str())
    return learned


def _splitter(pieces: Mapping[str, Any]) -> Any:
    return _library().Tokenizer.from_str(json.dumps(pieces))


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise MissingExtra("tokenizers", "subwords") from error
    return tokenizers
