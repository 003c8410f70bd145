"""How a reader finds the text in what a network says: the best path, or a beam of prefixes, language
models and lists of words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from crnn.decode.align import align
from crnn.decode.ctc_beam import BeamSearch
from crnn.decode.ctc_greedy import Decoded, along, greedy
from crnn.decode.fusion import LetterModel, Scorer
from crnn.decode.lexicon import HotWords, Lexicon
from crnn.decode.ngram import NGram
from crnn.decode.words import UNKNOWN_LETTER, WordCount, WordModel
from crnn.recipe import BEAM


@dataclass(frozen=True, slots=True)
class Reading:
    """``beam`` prefixes are kept, 0 takes the best path.

    ``weight`` is that of the language model ``model``, of letters or of words; ``bonus`` is added for each letter, or
    for each word, against the model's taste for short texts; ``unknown`` for each letter of a word that a model of
    words does not know (``-inf``: none such is written). Where there is a ``lexicon``, only its words are written.
    ``hot`` words have each a bonus. The ``best`` texts are told, where that is more than one.
    """

    beam: int = 0
    weight: float = 0.8
    bonus: float = 1.0
    model: NGram | None = None
    unknown: float = UNKNOWN_LETTER
    lexicon: tuple[str, ...] = field(default=(), repr=False)
    hot: tuple[tuple[str, float], ...] = ()
    best: int = 1

    @property
    def told(self) -> bool:
        """Whether anything but the network has a say."""
        return self.model is not None or bool(self.lexicon) or bool(self.hot)

    def unheard(self, letters: Iterable[str]) -> list[str]:
        """Those of ``letters`` that the language model, if there is one, does not know."""
        if self.model is None:
            return []
        known = {letter for token in self.model.tokens for letter in token} | ({" "} if self.model.of_words else set())
        return [letter for letter in letters if letter not in known]

    def learned(self) -> dict[str, Any]:
        """Its plain values, for a bundle."""
        if not self.beam:
            return {}
        values: dict[str, Any] = {"beam": self.beam, "weight": self.weight, "bonus": self.bonus}
        if self.unknown != UNKNOWN_LETTER:
            values["unknown"] = str(self.unknown)  # plain values have no infinity
        if self.hot:
            values["hot"] = [list(pair) for pair in self.hot]
        return values

    def arrays(self) -> dict[str, np.ndarray]:
        """The language model and the lexicon, for a bundle."""
        arrays = {} if self.model is None or not self.beam else self.model.arrays()
        if self.lexicon and self.beam:
            arrays["lexicon"] = np.frombuffer("\n".join(self.lexicon).encode(), np.uint8)
        return arrays

    @classmethod
    def restore(cls, values: Mapping[str, Any], arrays: Mapping[str, Any]) -> Reading:
        """What ``learned`` and ``arrays`` gave."""
        model = NGram.of_arrays(arrays) if "tokens" in arrays else None
        words = bytes(arrays["lexicon"].tolist()).decode().split("\n") if "lexicon" in arrays else ()
        hot = tuple((word, weight) for word, weight in values.get("hot", ()))
        rest: dict[str, Any] = {
            key: float(value) if key == "unknown" else value for key, value in values.items() if key != "hot"
        }
        return cls(**rest, model=model, lexicon=tuple(words), hot=hot)

    def __str__(self) -> str:
        if not self.beam:
            return "best path"
        told = [f"beam {self.beam}"]
        if self.model is not None:
            of = "words" if self.model.of_words else "letters"
            told.append(f"{self.model.order}-gram of {of} ({len(self.model):,} n-grams), weight {self.weight:g}")
            told.append(f"bonus {self.bonus:g}")
            if self.model.of_words:
                told.append(f"unknown {self.unknown:g}")
        if self.lexicon:
            told.append(f"lexicon of {len(self.lexicon):,} words")
        if self.hot:
            told.append(f"{len(self.hot):,} hot words")
        return ", ".join(told)


BEST_PATH = Reading()


@dataclass(frozen=True)
class Reader:
    """A ``Reading`` for an alphabet's ``letters``."""

    reading: Reading
    letters: Sequence[str] = field(repr=False)

    @cached_property
    def search(self) -> BeamSearch:
        """The search, with all that has a say. Raises ``DataError`` for what does not fit the letters."""
        r, scorers = self.reading, list[tuple[Scorer, float]]()
        if r.lexicon:
            scorers.append((Lexicon(r.lexicon, self.letters), 1.0))
        if r.model is not None and r.model.of_words:
            scorers.append((WordModel(r.model, self.letters, unknown=r.unknown), r.weight))
            scorers.append((WordCount(self.letters), r.bonus))
        elif r.model is not None:
            scorers.append((LetterModel(r.model, self.letters), r.weight))
        if r.hot:
            scorers.append((HotWords(dict(r.hot), self.letters), 1.0))
        letters = r.model is not None and not r.model.of_words
        return BeamSearch(r.beam or BEAM, tuple(scorers), r.bonus if letters else 0.0)

    def texts(self, log_probs: np.ndarray, best: int) -> list[tuple[tuple[int, ...], float]]:
        """The ``best`` texts in ``log_probs`` ``(time, outputs)`` as output numbers, likeliest first, one at least; and
        the share of each in the probability (with all that has a say) of all texts that the search kept."""
        found = self.search(log_probs, best=max(best, self.search.width))
        scores = np.array([hypothesis.score for hypothesis in found])
        shares = np.exp(scores - np.logaddexp.reduce(scores)).tolist()
        return [(h.numbers, share) for h, share in zip(found[:best], shares, strict=False)]

    def __call__(self, log_probs: np.ndarray, *, stride: float, width: float) -> Decoded:
        """The text in ``log_probs`` ``(time, outputs)``, with scores and places as of ``ctc_greedy.along``."""
        if self.reading.beam:
            several = self.reading.best > 1
            best = tuple(self.texts(log_probs, self.reading.best)) if several else ()
            path = align(log_probs, best[0][0] if several else self.search(log_probs)[0].numbers)
            if path is not None:
                return replace(along(log_probs, path, stride=stride, width=width), best=best)
        return greedy(log_probs, stride=stride, width=width)
