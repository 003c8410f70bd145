"""match: which sentence belongs to which picture, which word to which of its regions, and a phrase for each region."""

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
from crnn.decode.snippets import assign
from crnn.errors import DataError, SettingsError
from crnn.findings import Doubts, Seen
from crnn.layers.alignment import contrastive_loss, fit_of, ranking_loss
from crnn.layers.padding import mask
from crnn.tasks._caption import doubts
from crnn.tasks._caption.head import IGNORED
from crnn.tasks._caption.known import sentences_of
from crnn.tasks._caption.sentences import grown, problem_of, texts_of
from crnn.tasks._match.answers import Answers, Matched, Said
from crnn.tasks._match.head import Looked, MatchHead, Sizes, Told
from crnn.tasks._match.rows import alike, padded, sentence_rows, snippet_rows, told_of
from crnn.tasks._match.said import phrases
from crnn.tasks._texts.vocabulary import END, JOINER, UNKNOWN, Vocabulary
from crnn.types import Batch, Part, Prediction, Sample

ANY_LENGTH = 10**9


class Match(Answers):
    """Matches pictures and sentences; knows the words of the training part. In testing it is given both."""

    name = "match"
    answer = "sentences"
    kinds = ("picture", "film")
    best = ("recall", max)
    figures = ("recall", "r1", "r10", "annotation_r10")
    compares = True
    explains = False  # the region of each word does it

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        regions: Literal["cells", "boxes", "whole"] = "cells"
        """What words are matched with: cells of the encoder's map, the boxes that come with the data, or nothing but
        the whole picture, which is quick and needs the least data."""
        whole: bool = True
        """Whether words may be matched with the whole picture, too."""
        size: Count = 128
        """Size of the space in which regions and words are compared."""
        embedding: Count = 128
        """Size of a word's vector before it is read in its sentence."""
        hidden: Count = 128
        """Units of the recurrence over words, and of that which says phrases."""
        dropout: Share = 0.2
        """Share of features and of words' vectors that are dropped in training."""
        loss: Literal["ranking", "contrastive"] = "ranking"
        """What is learned: that others of the batch fit worse by a margin (Karpathy & Fei-Fei 2015), or that what
        belongs together is likely among them by a softmax (Zhang et al. 2020)."""
        margin: Strength = 1.0
        """How much better than any other the own picture or sentence shall fit, where loss is ranking."""
        negatives: Literal["all", "hardest"] = "all"
        """Which others of the batch are learned from where loss is ranking: all, or the one that fits best (Faghri et
        al. 2018)."""
        soft: Strength = 1.0
        """Temperature of a soft maximum over regions in the loss; 0 takes the region that fits best alone."""
        drawn: Whole = 0
        """Sentences of a sample that a step of training learns from, drawn at random; 0 takes all."""
        stay: Strength = 1.0
        """Reward for a word that has the region of the word before: the larger, the longer are the snippets."""
        phrases: Strength = 1.0
        """Weight of learning to say a snippet of its region, and a sentence of the whole; 0 leaves out what says
        them."""
        most_phrases: Count = 5
        """Most phrases that are said of a sample."""
        lower: bool = True
        """Whether sentences are read and said in small letters."""
        least: Count = 5
        """Times that a word must stand in the training part to be learned; rarer ones are unknown."""
        most: Count = 10_000
        """Most words that are learned."""
        longest: Count = 60
        """Words of a sentence that are read; what is behind them is not."""

    def __init__(self, settings: Settings, vocabulary: Vocabulary, *, says: bool = True) -> None:
        self.settings, self.vocabulary, self.says = settings, vocabulary, says
        self.varies = settings.regions != "boxes"  # boxes do not move along

    # what is learned, and kept in the bundle

    @classmethod
    def asks(cls, settings: Any) -> dict[str, Any]:
        return {"regions": True}

    @classmethod
    def learn(cls, settings: Settings, samples: Sequence[Sample]) -> Self:
        """The words of the training part. Raises ``DataError`` if there are none."""
        return cls(settings, cls._words(settings, texts_of(samples)))

    @staticmethod
    def _words(settings: Settings, texts: Sequence[str]) -> Vocabulary:
        s = settings
        return Vocabulary.learn(texts, unit="word", lower=s.lower, least=s.least, most=s.most)

    @classmethod
    def blank(cls, settings: Settings, outputs: int) -> Self:
        """A task of so many words, the end and what is unknown among them, for a network without data."""
        return cls(settings, Vocabulary(tuple(f"word{i}" for i in range(max(1, outputs - 2))), lower=settings.lower))

    @classmethod
    def restore(cls, settings: Settings, learned: Mapping[str, Any]) -> Self:
        return cls(settings, Vocabulary.restore(learned, unit="word", lower=settings.lower))

    def learned(self) -> dict[str, Any]:
        return self.vocabulary.learned()

    def facts(self) -> dict[str, str]:
        words = ", ".join(self.vocabulary.words[:10]) + (" ..." if len(self.vocabulary.words) > 10 else "")
        return {"words": f"{len(self.vocabulary.words):,}: {words}"}

    def extend(self, samples: Sequence[Sample]) -> Match:
        """This task with the new words of ``samples``, for fine-tuning."""
        words = self.vocabulary
        with suppress(DataError):  # none of the words is frequent enough
            texts = [text for sample in samples for text in sentences_of(sample.y)]
            words = words.extend(self._words(self.settings, texts))
        return Match(self.settings, words)

    def with_input(self, kind: Any) -> Match:
        """The task for inputs of ``kind``. Raises ``SettingsError`` for one that shows a part, or has no boxes."""
        spec = getattr(kind.spec, "kind", "")
        if getattr(kind.settings, "crop", 0):
            given = f"input.crop is {kind.settings.crop}"
            raise SettingsError(given, expected="0: regions are places of whole pictures", do="Leave it out.")
        if self.settings.regions == "boxes" and spec != "picture":
            given = f"task.regions is 'boxes' for inputs of the kind {spec!r}"
            raise SettingsError(given, expected="pictures, which may have boxes", do="Set task.regions to cells.")
        return self

    def silent(self) -> Match:
        """The task without its phrases, where regions alone are wanted."""
        return Match(self.settings, self.vocabulary, says=False)

    # encode, head, loss, predict

    def problem(self, sample: Sample, steps: int | None = None) -> DataError | None:
        """Why ``sample`` cannot be learned from, if it cannot: see ``problem_of``."""
        return problem_of(sample, self.vocabulary, ANY_LENGTH, steps)

    def doubts(self, seen: Sequence[Seen]) -> Doubts:
        """What is odd about these sentences, and figures of them."""
        return doubts.doubts(seen, self.vocabulary, self.settings.longest)

    def encode(self, sample: Sample) -> Sample:
        """``y`` as ``words``, the numbers of all sentences, each with its end, one behind the other, and as ``boxes``
        ``(boxes, 4)``. One without a sentence has none of both, and is only looked at."""
        numbers = [number for text in sentences_of(sample.y) for number in (*self._numbers(text), END)]
        boxes = np.array(getattr(sample.y, "boxes", ()), np.float32).reshape(-1, 4)
        return replace(sample, y={"words": np.array(numbers, np.int64), "boxes": boxes})

    def _numbers(self, text: str) -> list[int]:
        """The words of a sentence, one at least."""
        return self.vocabulary.encode(text)[: self.settings.longest] or [UNKNOWN]

    def head(self, encoder: Any, others: Mapping[str, Any] | None = None) -> nn.Module:
        s = self.settings
        unit = s.loss == "contrastive"
        sizes = Sizes(s.size, s.embedding, s.hidden, s.dropout, s.phrases > 0, s.regions, unit)
        return MatchHead(encoder, len(self.vocabulary), sizes)

    def grow_head(self, head: nn.Module, old: Match, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The old head's ``weights`` in the shape of ``head``, whose new words keep their fresh weights. Raises
        ``SettingsError`` for a head of another size."""
        return grown(head, weights, (), f"a space of {old.settings.size}, with other settings")

    def loss(self, net: Any, batch: Batch) -> Tensor:
        """How far others of the batch fit as well as what belongs together, and the cross-entropy of a word where each
        snippet is said of its region, and each sentence of the whole."""
        s, told = self.settings, told_of(batch)
        if s.drawn and net.training:
            told = told.drawn(s.drawn)
        looked = net(batch.inputs, told)
        fits = self._fits(looked, told.lengths, soft=s.soft)
        same = alike(told, len(fits))
        if s.loss == "contrastive":
            loss = contrastive_loss(fits, told.of, alike=same)
        else:
            loss = ranking_loss(fits, told.of, margin=s.margin, alike=same, hardest=s.negatives != "all")
        decoder = net.head.decoder
        if decoder is None:
            return loss
        total, count = loss.new_zeros(()), 0
        # snippets are far shorter than sentences, so each have rows of their own
        for rows in (sentence_rows(told), snippet_rows(told, self._chosen(looked, told))):
            of, region, words, goals = (t.to(looked.shown.device) for t in rows)
            logits = decoder(words, decoder.look(looked.shown[of, region])).float().flatten(0, 1)
            total = total + F.cross_entropy(logits, goals.flatten(), ignore_index=IGNORED, reduction="sum")
            count += int((goals != IGNORED).sum())
        return loss + s.phrases * total / count

    def _fits(self, looked: Looked, lengths: Tensor, *, soft: float = 0.0) -> Tensor:
        """How well each sentence fits each sample; the whole counts where there is no other region."""
        regions = looked.regions
        first = int(not self.settings.whole and regions.x.shape[1] > 1)
        fits = fit_of(regions.x[:, first:], looked.words, regions.lengths - first, lengths, soft=soft)
        return fits / self._shares(lengths)

    def _shares(self, lengths: Tensor) -> Tensor:
        """What the sum over words of each sentence is divided by."""
        return lengths.clamp(min=1) if self.settings.loss == "contrastive" else torch.ones_like(lengths)

    def _chosen(self, looked: Looked, told: Told) -> np.ndarray:
        """The region of each word ``(sentences, steps)``; the whole where there is no other."""
        with torch.no_grad(), torch.autocast(looked.words.device.type, enabled=False):
            inside = mask(looked.regions.lengths, looked.regions.x.shape[1])[told.of]
            inside[:, 0] &= self.settings.whole
            products = looked.words.detach() @ looked.regions.x.detach()[told.of].mT
            products = products.masked_fill(~inside[:, None], -torch.inf)
        return assign(products.cpu().numpy(), self.settings.stay, told.lengths.tolist())

    def predict(self, net: Any, batch: Batch) -> list[Prediction]:
        """The sentence that is said of each sample, scored by the (geometric) mean probability of its words; parts are
        the phrases of its regions, at the steps of these. ``vectors`` have what is to be compared, and the region of
        each word of the sentences that came with the sample."""
        s, told = self.settings, told_of(batch)
        looked = net(batch.inputs, told)
        chosen = self._chosen(looked, told) if len(told.words) else np.zeros((0, 0), np.int64)
        said: Sequence[Sequence[Said]] = [()] * len(batch.ids)
        if self.says and net.head.decoder is not None:
            said = phrases(net.head, looked, self.vocabulary, longest=s.longest, most=s.most_phrases)
        shared = looked.words / self._shares(told.lengths)[:, None, None]  # so that their sum is the fit
        regions, spans, words = (t.float().cpu().numpy() for t in (looked.regions.x, looked.spans, shared))
        counts, lengths, of = looked.regions.lengths.tolist(), told.lengths.tolist(), told.of.tolist()
        numbers = told.words.tolist()
        first = next(iter(batch.inputs.values())) if isinstance(batch.inputs, Mapping) else batch.inputs
        found = []
        for i, (id, steps) in enumerate(zip(batch.ids, first.lengths.tolist(), strict=True)):
            own = [j for j, k in enumerate(of) if k == i]
            matched = Matched(
                regions[i, : counts[i]],
                spans[i, : counts[i]],
                0 if s.whole else 1,
                tuple(words[j, : lengths[j]] for j in own),
                tuple(tuple(map(self.vocabulary.word, numbers[j][: lengths[j]])) for j in own),
                tuple(chosen[j, : lengths[j]] for j in own),
                tuple(said[i][1:]),
            )
            parts = []
            for phrase in matched.said:
                start, stop = (steps * float(edge) for edge in matched.spans[phrase.region, 0])
                parts.append(Part(phrase.text, start, stop, phrase.score))
            text, score = (said[i][0].text, said[i][0].score) if said[i] else ("", 0.0)
            found.append(Prediction(id, text, score, tuple(parts), vectors=matched))
        return found

    def evidence(self, net: Any, inputs: Any, prediction: Prediction, of: Any = None) -> Tensor:
        """How well the sentence ``of`` fits, or that which was said."""
        text = str(prediction.value if of is None else of)
        numbers = self._numbers(text)
        if of is not None and all(number == UNKNOWN for number in numbers):
            given = f"the sentence {of!r} has no word that is known"
            raise SettingsError(given, expected="words of the training part", do="Write it in other words.")
        words, lengths = padded([numbers], net.head.whole.weight.device)
        first = next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs
        looked = net(inputs, Told(words, lengths, lengths.new_zeros(1)))
        assert len(looked.regions.x) == len(first.lengths)
        return self._fits(looked, lengths)[:, 0]

    def words_of(self, net: Any, text: str) -> tuple[np.ndarray, list[str], list[str]]:
        """The vectors of the words of ``text`` ``(words, size)``, these words, and those of them that are not known,
        for a search. Raises ``SettingsError`` if none is."""
        numbers, words = self._numbers(text), self.vocabulary.split(text)[: self.settings.longest]
        words = [word.strip(JOINER) for word in words]
        strange = [word for word, number in zip(words, numbers, strict=False) if number == UNKNOWN]
        if len(strange) == len(words):
            given = f"none of the words of {text!r} is known"
            raise SettingsError(given, expected="words of the training part: crnn show", do="Write it in other words.")
        rows, lengths = padded([numbers], net.head.whole.weight.device)
        with torch.inference_mode():
            return net.head.read(rows, lengths)[0].cpu().numpy(), words, strange
