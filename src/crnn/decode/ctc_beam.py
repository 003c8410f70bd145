"""Prefix beam search for connectionist temporal classification, with language models beside it.

Many paths of outputs write the same text. The search keeps the likeliest prefixes of a text and adds up the paths that
write each, those that end in the blank apart from those that end in its last letter, since only after a blank the same
letter can come again (Graves & Jaitly 2014, "Towards End-to-End Speech Recognition with Recurrent Neural Networks",
algorithm 1; Hannun et al. 2014, arXiv 1408.2873, for the language model in each step).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crnn.decode.align import likelihood
from crnn.decode.fusion import Scorer
from crnn.text import BLANK

NOWHERE = -1
LOG_ZERO = -1e30


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A text as output numbers, the logarithm of the network's probability of it (its paths in the beam), and the
    score by which the search ranks it: that, the weighted language models and the bonus for each letter."""

    numbers: tuple[int, ...]
    log_prob: float
    score: float


@dataclass(frozen=True, slots=True)
class BeamSearch:
    """Prefix beam search over log-probabilities ``(time, outputs)``, output 0 the blank.

    ``width`` prefixes are kept after each step. ``scorers`` are language models with their weights; ``bonus`` is added
    for each letter, against their taste for short texts. Outputs whose probability is below ``least`` are not looked at
    in a step, nor is a letter ever added where the blank is as good as sure (at least ``1 - least``); 0 looks at all.

    What a scorer refuses (``-inf``) is never written, unless its weight is 0. Where all that is left in the end would
    have to go on (a lexicon's word that is not whole), the likeliest beginning of it that may end is taken.
    """

    width: int = 100
    scorers: tuple[tuple[Scorer, float], ...] = ()
    bonus: float = 0.0
    least: float = 1e-3

    def __call__(self, log_probs: np.ndarray, *, best: int = 1) -> list[Hypothesis]:
        """The ``best`` texts, highest score first; at least one, the empty text where nothing is there."""
        assert log_probs.ndim == 2, f"log_probs are (time, outputs), not {log_probs.shape}"
        beam = _Beam(self)
        for row in np.asarray(log_probs, np.float64):
            beam.step(row)
        found = beam.finish(best)
        if np.isneginf(found[0].score):
            return [self._shortened(log_probs, found[0].numbers)]
        return [hypothesis for hypothesis in found if not np.isneginf(hypothesis.score)]

    def _shortened(self, log_probs: np.ndarray, numbers: tuple[int, ...]) -> Hypothesis:
        """The longest beginning of ``numbers`` that no scorer refuses; the empty text if there is none."""
        extra = -np.inf
        while numbers and np.isneginf(extra := self._extra(numbers)):
            numbers = numbers[:-1]
        whole = likelihood(log_probs, numbers)
        return Hypothesis(numbers, whole, whole + (extra if numbers else self._extra(())))

    def _extra(self, numbers: tuple[int, ...]) -> float:
        """What the language models and the bonus add to the score of a text."""
        extra = self.bonus * len(numbers)
        for scorer, weight in self.scorers:
            if weight:
                state = np.full(1, scorer.start, np.int64)
                for number in numbers:
                    scores, following = scorer.rows(state)
                    extra, state = extra + weight * float(scores[0, number]), following[:, number]
                extra += weight * float(scorer.ends(state)[0])
        return extra


class _Beam:
    """The prefixes of one search, sorted by nothing."""

    def __init__(self, search: BeamSearch) -> None:
        self.search = search
        self.scorers = [(scorer, weight) for scorer, weight in search.scorers if weight]
        self.parents, self.letters = [NOWHERE], [BLANK]  # of every prefix that ever was kept
        self.known: dict[tuple[int, int], int] = {}
        self.prefix = np.zeros(1, np.int64)
        self.parent = np.full(1, NOWHERE, np.int64)
        self.last = np.zeros(1, np.int64)
        self.blank, self.letter = np.zeros(1), np.full(1, LOG_ZERO)  # paths that end in the blank, in the last letter
        self.extra = np.zeros(1)  # of the language models, weighted, and the bonus
        self.states = [np.full(1, scorer.start, np.int64) for scorer, _ in self.scorers]
        self.place = np.full(1024, NOWHERE, np.int64)  # of a prefix in the beam

    def step(self, row: np.ndarray) -> None:
        """One step of the network's output, ``(outputs,)``."""
        search, count = self.search, len(self.prefix)
        whole = np.logaddexp(self.blank, self.letter)
        blank = whole + row[BLANK]
        letter = self.letter + row[self.last]
        letter[self.last == BLANK] = LOG_ZERO
        outputs = self._outputs(row)
        if not len(outputs):
            self.blank, self.letter = blank, letter
            return
        grown = whole[:, None] + row[outputs]
        # the same letter again needs a blank between
        column = np.full(len(row), NOWHERE)
        column[outputs] = np.arange(len(outputs))
        again = column[self.last]
        again[self.last == BLANK] = NOWHERE
        twins = np.flatnonzero(again >= 0)
        grown[twins, again[twins]] = self.blank[twins] + row[self.last[twins]]
        # a prefix that grows into one that is kept adds its paths there
        if self.place.size <= len(self.parents):
            self.place = np.concatenate((self.place, np.full(self.place.size + len(self.parents), NOWHERE)))
        self.place[self.prefix] = np.arange(count)
        at = np.where(self.parent >= 0, self.place[self.parent], NOWHERE)
        own = column[self.last]
        joined = np.flatnonzero((at >= 0) & (own >= 0))
        letter[joined] = np.logaddexp(letter[joined], grown[at[joined], own[joined]])
        grown[at[joined], own[joined]] = LOG_ZERO
        self.place[self.prefix] = NOWHERE

        stay = np.logaddexp(blank, letter) + self.extra
        more, rows = self._language(outputs)
        ranked = grown + (self.extra + search.bonus)[:, None] + more
        kept, new = self._best(stay, ranked)
        i, j = np.divmod(new, len(outputs))
        self.states = [
            np.concatenate((state[kept], following[i, j])) for state, following in zip(self.states, rows, strict=True)
        ]
        numbers = outputs[j]
        nodes = [self._node(p, n) for p, n in zip(self.prefix[i].tolist(), numbers.tolist(), strict=True)]
        self.extra = np.concatenate((self.extra[kept], ranked[i, j] - grown[i, j]))
        self.blank = np.concatenate((blank[kept], np.full(len(new), LOG_ZERO)))
        self.letter = np.concatenate((letter[kept], grown[i, j]))
        self.parent = np.concatenate((self.parent[kept], self.prefix[i]))
        self.last = np.concatenate((self.last[kept], numbers))
        self.prefix = np.concatenate((self.prefix[kept], np.array(nodes, np.int64)))

    def finish(self, best: int) -> list[Hypothesis]:
        """The hypotheses as they stand."""
        whole = np.logaddexp(self.blank, self.letter)
        score = whole + self.extra
        for state, (scorer, weight) in zip(self.states, self.scorers, strict=True):
            score = score + weight * scorer.ends(state)
        order = np.argsort(-score, kind="stable")[: max(1, best)]
        return [Hypothesis(self._numbers(int(self.prefix[i])), float(whole[i]), float(score[i])) for i in order]

    def _outputs(self, row: np.ndarray) -> np.ndarray:
        """The letters that are looked at in this step."""
        least = self.search.least
        if not least:
            return np.arange(1, len(row))
        if row[BLANK] >= np.log1p(-least):
            return np.zeros(0, np.int64)
        return np.flatnonzero(row[1:] >= np.log(least)) + 1

    def _language(self, outputs: np.ndarray) -> tuple[np.ndarray | float, list[np.ndarray]]:
        """What the language models say of each prefix and letter, and their states after it."""
        total: np.ndarray | float = 0.0
        rows = []
        for state, (scorer, weight) in zip(self.states, self.scorers, strict=True):
            scores, following = scorer.rows(state)
            total = total + weight * scores[:, outputs]
            rows.append(following[:, outputs])
        return total, rows

    def _best(self, stay: np.ndarray, ranked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places of the best ``width`` among the prefixes as they are and grown by a letter."""
        width, flat = self.search.width, ranked.reshape(-1)
        # where there are enough of these, nothing below the worst of them can be among the best
        candidates = np.flatnonzero(flat > (stay.min() if len(stay) >= width else LOG_ZERO / 2))
        scores = np.concatenate((stay, flat[candidates]))
        chosen = np.argpartition(-scores, width - 1)[:width] if len(scores) > width else np.arange(len(scores))
        chosen.sort()
        first = np.searchsorted(chosen, len(stay))
        return chosen[:first], candidates[chosen[first:] - len(stay)]

    def _node(self, parent: int, number: int) -> int:
        """The number of a prefix; one that comes back has the number that it had."""
        node = self.known.setdefault((parent, number), len(self.parents))
        if node == len(self.parents):
            self.parents.append(parent)
            self.letters.append(number)
        return node

    def _numbers(self, node: int) -> tuple[int, ...]:
        numbers = []
        while node:
            numbers.append(self.letters[node])
            node = self.parents[node]
        return tuple(reversed(numbers))
