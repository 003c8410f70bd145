"""What tasks with sentences share: which sentences are learned from, and a head that has learned new words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from crnn.errors import DataError, SettingsError
from crnn.tasks._caption.known import sentences_of
from crnn.tasks._texts.vocabulary import Vocabulary
from crnn.types import Sample


def texts_of(samples: Iterable[Sample]) -> list[str]:
    """All sentences of ``samples``. Raises ``DataError`` if there are none."""
    texts = [text for sample in samples for text in sentences_of(sample.y)]
    if not texts:
        do = "Give a table a column caption, or put a text file beside each picture."
        raise DataError("no sample has a sentence", expected="sentences to learn", do=do)
    return texts


def short(texts: Iterable[str], vocabulary: Vocabulary, longest: int) -> list[list[int]]:
    """Numbers of the sentences that have words, and no more than ``longest``."""
    found = [vocabulary.encode(text) for text in texts]
    return [numbers for numbers in found if 0 < len(numbers) <= longest]


def problem_of(sample: Sample, vocabulary: Vocabulary, longest: int, steps: int | None) -> DataError | None:
    """Why ``sample`` cannot be learned from: no sentence, none that is short enough, or nothing left of it."""
    texts = sentences_of(sample.y)
    if not texts:
        return DataError("has no sentence", expected="one or more", do="Write it, or drop it.", file=sample.id)
    if not short(texts, vocabulary, longest):
        least = min(len(vocabulary.split(text)) for text in texts)
        given, do = f"has no sentence of fewer than {least} {vocabulary.unit}s", "Raise task.longest, or drop it."
        return DataError(given, expected=f"at most {longest}", do=do, file=sample.id)
    if steps is not None and steps < 1:
        do = "Take a longer sample, or a model that joins fewer steps."
        return DataError("leaves no step of output", expected="at least one", do=do, file=sample.id)
    return None


def grown(head: nn.Module, weights: Mapping[str, Tensor], kept: Iterable[str], wanted: str) -> dict[str, Tensor]:
    """The old head's ``weights`` in the shape of ``head``, whose new words keep their fresh weights, as do those that
    are named ``kept``. Raises ``SettingsError`` for a head other than the ``wanted`` one."""
    found = {name: value.clone() for name, value in head.state_dict().items()}
    for name, value in weights.items():
        room = found.get(name)
        if name in kept:
            continue
        if room is None or room.shape[1:] != value.shape[1:] or len(room) < len(value):
            given, do = f"the bundle has {wanted}", "Leave its settings as they are."
            raise SettingsError(given, expected="the same, of the same size", do=do)
        room[: len(value)] = value
    return found
