"""How a reader finds the text in what a network says: the best path, or a beam of prefixes and a language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from crnn.decode.align import align
from crnn.decode.ctc_beam import BeamSearch
from crnn.decode.ctc_greedy import Decoded, along, greedy
from crnn.decode.fusion import LetterModel
from crnn.decode.ngram import NGram


@dataclass(frozen=True, slots=True)
class Reading:
    """``beam`` prefixes are kept, 0 takes the best path; ``weight`` is that of the language model ``model`` (letters),
    ``bonus`` is added for each letter, against the model's taste for short texts."""

    beam: int = 0
    weight: float = 0.8
    bonus: float = 1.0
    model: NGram | None = None

    def learned(self) -> dict[str, Any]:
        """Its plain values, for a bundle."""
        return {} if not self.beam else {"beam": self.beam, "weight": self.weight, "bonus": self.bonus}

    def arrays(self) -> dict[str, np.ndarray]:
        """The language model, for a bundle."""
        return {} if self.model is None or not self.beam else self.model.arrays()

    @classmethod
    def restore(cls, values: Mapping[str, Any], arrays: Mapping[str, Any]) -> Reading:
        model = NGram.of_arrays(arrays) if "tokens" in arrays else None
        return cls(**values, model=model)

    def __str__(self) -> str:
        if not self.beam:
            return "best path"
        if self.model is None:
            return f"beam {self.beam}"
        told = f"{self.model.order}-gram of letters ({len(self.model):,} n-grams), weight {self.weight:g}"
        return f"beam {self.beam}, {told}, bonus {self.bonus:g}"


BEST_PATH = Reading()


@dataclass(frozen=True)
class Reader:
    """A ``Reading`` for an alphabet's ``letters``."""

    reading: Reading
    letters: Sequence[str] = field(repr=False)

    @cached_property
    def search(self) -> BeamSearch:
        r = self.reading
        scorers = () if r.model is None else ((LetterModel(r.model, self.letters), r.weight),)
        return BeamSearch(r.beam, scorers, r.bonus if scorers else 0.0)

    def __call__(self, log_probs: np.ndarray, *, stride: float, width: float) -> Decoded:
        """The text in ``log_probs`` ``(time, outputs)``, with scores and places as of ``ctc_greedy.along``."""
        if self.reading.beam:
            path = align(log_probs, self.search(log_probs)[0].numbers)
            if path is not None:
                return along(log_probs, path, stride=stride, width=width)
        return greedy(log_probs, stride=stride, width=width)
