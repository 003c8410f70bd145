"""caption: a sentence for each sample, said word by word by a decoder that is the head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.config import Count, Share, Strength, Whole
from crnn.data.dataset import random_of
from crnn.decode.sentences import Sentence, draw, search
from crnn.errors import DataError, SettingsError
from crnn.findings import Doubts, Seen
from crnn.tasks._caption import doubts
from crnn.tasks._caption.answers import Answers
from crnn.tasks._caption.head import IGNORED, CaptionHead, Decoder, Places, Sizes, Told, told_of
from crnn.tasks._caption.known import NOTHING, Known, sentences_of
from crnn.tasks._caption.sentences import grown, problem_of, short, texts_of
from crnn.tasks._pooled import Pool
from crnn.tasks._texts.vocabulary import END, UNKNOWN, Unit, Vocabulary
from crnn.types import Batch, Part, Prediction, Sample


class Caption(Answers):
    """Says a sentence of each sample; knows the words of the training part, and its sentences."""

    name = "caption"
    answer = "sentences"
    kinds = ("picture", "film", "sentence", "series", "sound")
    figures = ("exact", "bleu4", "rouge", "cider")

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        decoder: Decoder = "attention"
        """What says the words: attention to regions with each word (Xu et al. 2015); mrnn, which is shown the whole
        with the first word alone (Karpathy & Fei-Fei 2015); lrcn_1u, lrcn_2u, lrcn_2f, which are with each word
        (Donahue et al. 2014)."""
        cell: Literal["lstm", "gru"] = "lstm"
        """Recurrent cell of attention; the others have their paper's."""
        embedding: Count = 128
        """Size of a word's vector."""
        hidden: Count = 256
        """Units of the decoder."""
        pool: Pool = "auto"
        """How steps become one: mean, max, last, attention; auto takes what the encoder prefers."""
        dropout: Share = 0.2
        """Share of features, and of the decoder's outputs, dropped in training."""
        smoothing: Share = 0.0
        """Share of the truth's probability that is spread over all words, in training."""
        forget: Share = 0.0
        """Share of the words before that the decoder is not shown in training, but an unknown word (Bowman et al. 2016,
        arXiv 1511.06349): so it looks at the source instead of going on as sentences do."""
        sampling: Share = 0.0
        """Share of words that the decoder goes on from in training which are its own, and not the truth's."""
        sampling_steps: Count = 2000
        """Steps of training over which that share rises from 0."""
        unit: Unit = "word"
        """What is said one after the other: words, letters, or pieces of words learned from the training part."""
        lower: bool = True
        """Whether sentences are learned and said in small letters."""
        least: Count = 5
        """Times that a word must stand in the training part to be learned; rarer ones are unknown."""
        most: Count = 10_000
        """Most words, or pieces of words, that are learned."""
        longest: Count = 60
        """Most words (letters, pieces) of a sentence: longer ones are not learned from, and none is said."""
        beam: Count = 1
        """Sentences that are kept in the search for the best; 1 takes the likeliest word each time."""
        normalise: Share = 1.0
        """Power of a sentence's length by which its log-probability is divided where sentences are compared."""
        choose: Literal["rouge", "cider", "bleu4", "exact"] = "rouge"
        """Which figure of the validation part chooses the bundle. CIDEr counts rare words most, so that it prefers
        sentences that say something of their source; it says nothing where all sentences are alike."""
        temperature: Strength = 0.0
        """Above 0, sentences are drawn at random, the bolder the higher."""
        seed: Whole = 0
        """Start of that randomness."""

    def __init__(self, settings: Settings, vocabulary: Vocabulary, known: Known = NOTHING, *, top: int = 1) -> None:
        self.settings, self.vocabulary, self.known, self.top = settings, vocabulary, known, top

    @property
    def best(self) -> tuple[str, Any]:  # type: ignore[override]
        """The figure that chooses the bundle, and which way is better."""
        return self.settings.choose, max

    # what is learned, and kept in the bundle

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """The words of the training part, and its sentences. Raises ``DataError`` if there are none."""
        s = settings
        words = Vocabulary.learn(texts_of(samples), unit=s.unit, lower=s.lower, least=s.least, most=s.most)
        return cls(settings, words, Known.learn(words, samples))

    @classmethod
    def blank(cls, settings: Settings, outputs: int) -> Self:
        """A task of so many words, the end and what is unknown among them, for a network without data."""
        return cls(settings, Vocabulary(tuple(f"word{i}" for i in range(max(1, outputs - 2))), lower=settings.lower))

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        words = Vocabulary.restore(learned, unit=settings.unit, lower=settings.lower)
        return cls(settings, words, Known.restore(learned))

    def learned(self) -> dict[str, Any]:
        return {**self.vocabulary.learned(), **self.known.learned()}

    def arrays(self) -> dict[str, np.ndarray]:
        return self.known.arrays()

    def facts(self) -> dict[str, str]:
        words = ", ".join(self.vocabulary.words[:10]) + (" ..." if len(self.vocabulary.words) > 10 else "")
        return {f"{self.settings.unit}s": f"{len(self.vocabulary.words):,}: {words}"}

    def extend(self, samples: Sequence[Sample]) -> Caption:
        """This task with the new words of ``samples``, for fine-tuning; the sentences that it knows are these."""
        texts = [text for sample in samples for text in sentences_of(sample.y)]
        s, words = self.settings, self.vocabulary
        with suppress(DataError):  # none of the words is frequent enough
            words = words.extend(Vocabulary.learn(texts, unit=s.unit, lower=s.lower, least=s.least, most=s.most))
        return Caption(s, words, Known.learn(words, samples) if texts else self.known)

    def with_input(self, kind: Any) -> Caption:
        """The task with thumbnails of the training pictures, if it reads pictures."""
        return Caption(self.settings, self.vocabulary, self.known.with_input(kind), top=self.top)

    def with_search(self, *, beam: int | None = None, temperature: float | None = None, best: int = 1) -> Caption:
        """The task with another search, that gives the ``best`` sentences."""
        s = self.settings
        beam = s.beam if beam is None else max(1, beam)
        temperature = s.temperature if temperature is None else temperature
        found = replace(s, beam=max(beam, best) if not temperature else beam, temperature=temperature)
        return Caption(found, self.vocabulary, self.known, top=best)

    # encode, head, loss, predict

    def problem(self, sample: Sample, steps: int | None = None) -> DataError | None:
        """Why ``sample`` cannot be learned from, if it cannot: see ``problem_of``."""
        return problem_of(sample, self.vocabulary, self.settings.longest, steps)

    def doubts(self, seen: Sequence[Seen]) -> Doubts:
        """What is odd about these sentences, and figures of them."""
        return doubts.doubts(seen, self.vocabulary, self.settings.longest)

    def encode(self, sample: Sample) -> Sample:
        """``y`` as numbers ``(words,)``: all sentences that are not too long, each with its end, one behind the
        other."""
        found = short(sentences_of(sample.y), self.vocabulary, self.settings.longest)
        y = np.array([number for numbers in found for number in (*numbers, END)], np.int64)
        return replace(sample, y=y if len(y) else None)

    def head(self, encoder: Any, others: Mapping[str, Any] | None = None) -> nn.Module:
        s = self.settings
        sizes = Sizes(s.decoder, s.cell, s.embedding, s.hidden, s.pool, s.dropout, s.sampling, s.sampling_steps)
        return CaptionHead(encoder, len(self.vocabulary), sizes)

    def grow_head(self, head: nn.Module, old: Caption, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The old head's ``weights`` in the shape of ``head``, whose new words keep their fresh weights. Raises
        ``SettingsError`` for another decoder."""
        return grown(head, weights, ("trained",), f"a decoder {old.settings.decoder!r}")

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy of a word, its mean over all words of all sentences of the batch."""
        s, told = self.settings, told_of(batch.targets)
        if s.forget and net.training:
            gone = torch.rand(told.words.shape, device=told.words.device) < s.forget
            told = told._replace(words=torch.where(gone & (told.words != END), UNKNOWN, told.words))
        logits = net(batch.inputs, told)
        smoothing = s.smoothing if net.training else 0.0
        return F.cross_entropy(
            logits.flatten(0, 1), told.goals.flatten(), ignore_index=IGNORED, label_smoothing=smoothing
        )

    def predict(self, net: Any, batch: Batch) -> list[Prediction]:
        """A sentence for each sample, scored by the (geometric) mean probability of its words; parts are the words,
        each at the moment that attention looked at, or over the whole sample."""
        s, ids = self.settings, batch.ids

        def find(step: Any, seen: Any) -> list[list[Sentence]]:
            if not s.temperature:
                beam = max(s.beam, self.top)
                return search(step, seen, longest=s.longest, beam=beam, normalise=s.normalise, never=(UNKNOWN,))
            chances = np.stack([random_of(s.seed, 0, id).random((self.top, s.longest)) for id in ids])
            return draw(step, seen, torch.from_numpy(chances).float(), temperature=s.temperature, never=(UNKNOWN,))

        found, places = net(batch.inputs, find)
        first = next(iter(batch.inputs.values())) if isinstance(batch.inputs, Mapping) else batch.inputs
        rows = zip(ids, found, first.lengths.tolist(), strict=True)
        return [self._prediction(id, said, steps, places, i) for i, (id, said, steps) in enumerate(rows)]

    def _prediction(self, id: str, found: Sequence[Sentence], steps: int, places: Places | None, i: int) -> Prediction:
        said = found[0]
        maps = None
        if places is not None and said.weights is not None:
            count = places.lengths[i] * int(np.prod(places.space))
            maps = said.weights[:, :count].reshape(len(said.words), places.lengths[i], *places.space)
        parts = []
        for j, number in enumerate(said.words):
            start, stop = 0.0, float(steps)
            if maps is not None and places is not None:
                at = int(maps[j].reshape(len(maps[j]), -1).sum(1).argmax())
                start, stop = float(min(at * places.stride, steps)), float(min((at + 1) * places.stride, steps))
            parts.append(Part(self.vocabulary.word(number), start, stop, float(np.exp(said.log_probs[j]))))
        best: tuple[tuple[str, float], ...] = ()
        if self.top > 1:
            whole = np.logaddexp.reduce([sum(s.log_probs) for s in found])
            best = tuple((self.vocabulary.decode(s.words), float(np.exp(sum(s.log_probs) - whole))) for s in found)
        text, score = self.vocabulary.decode(said.words), min(1.0, float(np.exp(said.mean)))
        return Prediction(id, text, score, tuple(parts), best=best[: self.top], maps=maps)

    def evidence(self, net: nn.Module, inputs: Any, prediction: Prediction, of: Any = None) -> Tensor:
        """The log-probability of the sentence that was said, or of the sentence ``of``."""
        numbers = self.vocabulary.encode(str(prediction.value if of is None else of))
        if of is not None and (UNKNOWN in numbers or not numbers):
            given = f"the sentence {of!r} has words that are not known"
            raise SettingsError(given, expected="words of the training part", do="Write it in other words.")
        first = next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs
        rows, device = len(first.lengths), first.lengths.device
        goals = torch.tensor([*numbers, END], device=device).expand(rows, -1)
        words = torch.tensor([END, *numbers], device=device).expand(rows, -1)
        logits = net(inputs, Told(words, goals, torch.arange(rows, device=device)))
        return logits.log_softmax(-1).gather(2, goals[..., None]).sum((1, 2))
