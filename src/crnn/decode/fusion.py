"""What a beam search is told beside the network's output: language models as automata over output numbers.

A scorer's states are whole numbers. ``rows(states)`` gives, for each state and each output of the network, what the
letter adds to the score and which state follows; ``ends(states)`` what it adds that the text ends there. Rows are made
when they are first asked for and kept, so that a search costs a look into a table.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Protocol

import numpy as np

from crnn.decode.ngram import END, NEVER, START, UNKNOWN, Gram, NGram
from crnn.errors import DataError
from crnn.text import BLANK

LN10 = math.log(10)
KEPT = 1 << 27
"""Bytes of rows that are remembered, once as the network's outputs and once as the model's tokens; of a long text more
are thought of, and then these are forgotten and made anew."""


class Scorer(Protocol):
    """An automaton over output numbers; ``start`` is the state of an empty text."""

    start: int

    def rows(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Natural logarithms ``(states, outputs)`` float32, and the states that follow, ``(states, outputs)``."""

    def ends(self, states: np.ndarray) -> np.ndarray:
        """Natural logarithms ``(states,)`` of the text's end."""


Fill = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""Makes the row of one state."""


class Table:
    """Rows by state, made when they are first asked for, and kept up to ``KEPT`` bytes."""

    def __init__(self, outputs: int) -> None:
        self.scores: np.ndarray = np.zeros((64, outputs), np.float32)
        self.next: np.ndarray = np.zeros((64, outputs), np.int32)
        self.place: np.ndarray = np.full(64, -1, np.int32)
        self.count = 0
        self.lock = Lock()  # a reader's threads share its language model

    def rows(self, states: np.ndarray, fill: Fill) -> tuple[np.ndarray, np.ndarray]:
        """The rows of ``states``, those that are new made by ``fill``."""
        with self.lock:
            if states.size and states.max() >= len(self.place):
                self.place = np.concatenate((self.place, np.full(int(states.max()) + 1, -1, np.int32)))
            new = np.unique(states[self.place[states] < 0])
            if (self.count + len(new)) * 8 * self.scores.shape[1] > KEPT:
                self.place[:] = -1
                self.count, new = 0, np.unique(states)
            for state in new.tolist():
                if self.count == len(self.scores):
                    self.scores, self.next = (np.concatenate((a, np.zeros_like(a))) for a in (self.scores, self.next))
                self.scores[self.count], self.next[self.count] = fill(state)
                self.place[state] = self.count
                self.count += 1
            place = self.place[states]
            return self.scores[place], self.next[place]


class Contexts:
    """The contexts of an n-gram model as whole numbers, the empty one 0; ``start`` is that of an empty text."""

    def __init__(self, model: NGram) -> None:
        # files of others have weights behind n-grams that nothing follows, too
        names = {gram[:-1] for gram in model.grams} | {gram for gram, (_, weight) in model.grams.items() if weight}
        self.names = sorted((name for name in names if len(name) < model.order), key=len)  # shorter ones first
        self.numbers = {context: i for i, context in enumerate(self.names)}
        self.longest = model.order - 1
        self.start = self.numbers.get((START,), 0)

    def number(self, context: Gram) -> int:
        """The longest known end of ``context``."""
        context = context[max(0, len(context) - self.longest) :]
        while context not in self.numbers:
            context = context[1:]
        return self.numbers[context]


class LetterModel:
    """An n-gram model of letters as a scorer for outputs that stand for ``letters`` (output ``i + 1`` is letter ``i``).

    A state is the longest context that the model knows; a letter that it does not know counts as its unknown token.
    Raises ``DataError`` if the model knows none of the letters.
    """

    def __init__(self, model: NGram, letters: Sequence[str]) -> None:
        known = set(model.tokens)
        if not known & set(letters):
            shown = " ".join(map(repr, sorted(known)[:10]))
            raise DataError(
                f"the language model knows {shown} and none of the network's letters",
                expected=f"a model of letters such as {' '.join(map(repr, letters[:10]))}",
                do="Make one of texts in this alphabet: crnn lm train texts.txt",
            )
        self._build(model)
        tokens = {token: i for i, token in enumerate(self.vocabulary)}
        unknown = tokens[UNKNOWN]
        self.columns = np.array([unknown, *(tokens.get(letter, unknown) for letter in letters)])
        self.end = tokens[END]
        self.table = Table(len(self.columns))
        self.known: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.start = self.contexts.start

    def rows(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.table.rows(states, self._row)

    def ends(self, states: np.ndarray) -> np.ndarray:
        return np.array([self._all(state)[0][self.end] for state in states.tolist()])

    def _build(self, model: NGram) -> None:
        """Contexts as nodes, each with the tokens that are known behind it and the node of the next shorter one."""
        self.vocabulary = [gram[0] for gram in model.grams if len(gram) == 1]
        number = {token: i for i, token in enumerate(self.vocabulary)}
        behind: defaultdict[Gram, list[tuple[int, float]]] = defaultdict(list)
        for gram, (p, _) in model.grams.items():
            behind[gram[:-1]].append((number[gram[-1]], p * LN10))
        self.contexts = Contexts(model)
        names = self.contexts.names
        self.behind = [behind[context] for context in names]
        self.weight = [model.grams[context][1] * LN10 if context in model.grams else 0.0 for context in names]

    def _all(self, state: int) -> tuple[np.ndarray, np.ndarray]:
        """Logarithm and next state for each token of the vocabulary."""
        found = self.known.get(state)
        if found is None:
            context = self.contexts.names[state]
            if context:
                score, following = self._all(self.contexts.number(context[1:]))
                score, following = score + self.weight[state], following.copy()
            else:
                score = np.full(len(self.vocabulary), NEVER * LN10)
                following = np.full(len(self.vocabulary), state)
            for token, p in self.behind[state]:
                score[token] = p
                following[token] = self.contexts.number((*context, self.vocabulary[token]))
            if len(self.known) * 16 * len(score) > KEPT:
                self.known = {}
            found = self.known[state] = score, following
        return found

    def _row(self, state: int) -> tuple[np.ndarray, np.ndarray]:
        score, following = self._all(state)
        score, following = score[self.columns], following[self.columns]
        score[BLANK], following[BLANK] = 0.0, state
        return score, following
