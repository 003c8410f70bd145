"""Search for sentences: against all sentences that there are, and the same whoever shares the batch."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from crnn.decode.sentences import END, draw, search

WORDS, LONGEST = 4, 3


class Seen(NamedTuple):
    """The last word but one is all that a toy remembers."""

    state: tuple[torch.Tensor, ...]

    def rows(self, index: torch.Tensor) -> Seen:
        return Seen(tuple(t[index] for t in self.state))


class Said(NamedTuple):
    logits: torch.Tensor
    state: Any
    weights: Any = None


class Toy:
    """Logits that depend on the sample, the last word and the one before."""

    def __init__(self, batch: int, seed: int = 0) -> None:
        self.table = torch.randn(batch, WORDS, WORDS, WORDS, generator=torch.Generator().manual_seed(seed)) * 2
        self.first = Seen((torch.arange(batch), torch.zeros(batch, dtype=torch.long)))

    def __call__(self, word: torch.Tensor, seen: Seen) -> Said:
        sample, before = seen.state
        logits = self.table[sample, before, word]
        return Said(logits, (sample, word), torch.stack((sample, word), 1).float())

    def all(self, sample: int, never: tuple[int, ...] = ()) -> dict[tuple[int, ...], list[float]]:
        """Each sentence of up to ``LONGEST`` words with the log-probabilities of its words."""
        found = {}
        for length in range(LONGEST + 1):
            for words in product(range(1, WORDS), repeat=length):
                path = (*words, END) if length < LONGEST else words
                logs, before, last = [], END, END
                for word in path:
                    logits = self.table[sample, before, last].clone()
                    logits[list(never)] = -torch.inf
                    logs.append(float(logits.log_softmax(0)[word]))
                    before, last = last, word
                found[words] = logs
        return found


@pytest.mark.parametrize("normalise", [0.0, 0.7, 1.0])
def test_a_wide_beam_finds_the_best_sentence_of_all(normalise: float) -> None:
    toy = Toy(6)
    found = search(toy, toy.first, longest=LONGEST, beam=64, normalise=normalise)
    for sample, sentences in enumerate(found):
        every = toy.all(sample)
        order = sorted(every, key=lambda words: -sum(every[words]) / len(every[words]) ** normalise)
        assert [s.words for s in sentences[:5]] == order[:5]
        assert len(sentences) == len(every)
        assert sentences[0].log_probs == pytest.approx(every[order[0]], abs=1e-5)


def test_greedy_takes_the_likeliest_word_each_time() -> None:
    toy = Toy(5)
    for sample, (sentence,) in enumerate(search(toy, toy.first, longest=LONGEST)):
        before, last, words = END, END, []
        for _ in range(LONGEST):
            before, last = last, int(toy.table[sample, before, last].argmax())
            if last == END:
                break
            words.append(last)
        assert sentence.words == tuple(words)
        assert sentence.weights is not None and len(sentence.weights) == len(words)
        assert sentence.weights[:, 1].tolist() == [END, *words][: len(words)]


def test_weights_follow_their_sentence_through_the_beam() -> None:
    toy = Toy(4)
    for sentences in search(toy, toy.first, longest=LONGEST, beam=5):
        for s in sentences:
            assert s.weights is not None and s.weights[:, 1].tolist() == [END, *s.words][: len(s.words)]


def test_some_words_are_never_said() -> None:
    toy = Toy(6)
    for sample, sentences in enumerate(search(toy, toy.first, longest=LONGEST, beam=64, never=(2,))):
        assert sentences and not any(2 in s.words for s in sentences)
        every = toy.all(sample, never=(2,))
        assert sentences[0].log_probs == pytest.approx(every[sentences[0].words], abs=1e-5)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_sample_is_answered_alike_in_any_batch(beam: int) -> None:
    toy = Toy(6)
    together = search(toy, toy.first, longest=LONGEST, beam=beam)
    for i in range(6):
        (alone,) = search(toy, toy.first.rows(torch.tensor([i])), longest=LONGEST, beam=beam)
        assert [s.words for s in alone] == [s.words for s in together[i]]


def test_sentences_that_are_drawn_come_as_often_as_they_are_likely() -> None:
    toy = Toy(1)
    chances = torch.from_numpy(np.random.default_rng(0).random((1, 4000, LONGEST))).float()
    (found,) = draw(toy, toy.first, chances)
    every = toy.all(0)
    for words in sorted(every, key=lambda words: -sum(every[words]))[:6]:
        share = np.exp(sum(every[words]))
        assert sum(s.words == words for s in found) / 4000 == pytest.approx(share, abs=0.03)
        own = next(s for s in found if s.words == words)
        assert own.log_probs == pytest.approx(every[words], abs=1e-5)
    (cold,) = draw(toy, toy.first, chances[:, :20], temperature=0.01)
    assert {s.words for s in cold} == {search(toy, toy.first, longest=LONGEST)[0][0].words}


def test_what_is_drawn_is_never_an_unknown_word() -> None:
    toy = Toy(2)
    chances = torch.tensor([0.0, 0.5, 0.999999, 1.0]).view(1, 4, 1).expand(2, 4, LONGEST)
    assert not any(1 in s.words for row in draw(toy, toy.first, chances, never=(1,)) for s in row)
