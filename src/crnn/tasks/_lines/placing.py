"""Where the letters or words of a known text lie: what a network says of a sample, read along that text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any
from unicodedata import mirrored

from crnn.decode.align import align
from crnn.decode.ctc_greedy import along
from crnn.errors import DataError
from crnn.tasks._lines.stand_in import StandIn
from crnn.text import Direction, display_order, steps_needed
from crnn.types import Batch, Part, Prediction


class Placing(StandIn):
    """Stands for the task of a reader of texts where it predicts: the answer for each sample is its text in ``texts``
    (by the sample's id), the parts where each letter lies, by the likeliest path that writes it.

    Raises ``SettingsError`` for a task that reads no texts, ``DataError`` for letters that it does not know.
    """

    def __init__(self, task: Any, texts: Mapping[str, str]) -> None:
        super().__init__(task, do="Take a bundle that reads text.")
        self.numbers = {id: task.alphabet.encode(text) for id, text in texts.items()}

    def predict(self, net: Any, batch: Batch) -> list[Prediction]:
        """One for each sample; raises ``DataError`` for one that is too short for its text."""
        return [self._placed(id, *said) for id, said in zip(batch.ids, self.task.said(net, batch), strict=True)]

    def _placed(self, id: str, log_probs: Any, stride: float, width: float) -> Prediction:
        numbers = self.numbers[id]
        path = align(log_probs, numbers)
        if path is None:
            raise DataError(
                f"gives {len(log_probs)} time steps for a text that needs {steps_needed(numbers)}",
                expected="at least one step a letter and one between equal neighbours",
                do="Check that text and source belong together.",
                file=id,
            )
        placed: Prediction = self.task.written(id, along(log_probs, path, stride=stride, width=width))
        return placed


def words_of(letters: Sequence[Part], direction: Direction = "ltr") -> tuple[Part, ...]:
    """The words between spaces, each from its first letter's start to its last one's stop, as sure as its least sure
    letter. Letters of right-to-left lines stand in display order; their words come as they are read."""
    groups = (tuple(group) for space, group in groupby(letters, key=lambda part: part.value == " ") if not space)
    words = tuple(
        Part("".join(p.value for p in own), own[0].start, own[-1].stop, min(p.score for p in own)) for own in groups
    )
    return tuple(_as_read(words)) if direction == "rtl" else words


def _as_read(words: Sequence[Part]) -> list[Part]:
    """``words`` of a line in display order as they are read: of the text that is read, each word is the rightmost of
    these letters that is left, since Latin words and their marks stand from left to right even there."""
    left, found = list(reversed(words)), []
    for text in display_order(" ".join(word.value for word in words)).split():
        word = next((word for word in left if _letters(word.value) == _letters(text)), None)
        if word is None:  # the rule of display has torn it: each for itself, from right to left
            return [replace(word, value=display_order(word.value)) for word in reversed(words)]
        left.remove(word)
        found.append(replace(word, value=text))
    return found


def _letters(word: str) -> list[str]:
    """In any order, without brackets, which look the other way."""
    return sorted(letter for letter in word if not mirrored(letter))
