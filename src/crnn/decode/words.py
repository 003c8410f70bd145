"""Language models of words beside a network that writes letters.

Words are what stands between spaces. While a word is written, the best that any word with this beginning can hope for
(by its probability alone) stands for its probability, so that good words are not lost before their end, where that is
exchanged for the model's probability in its context (look-ahead; Ortmanns, Ney & Eiden 1996). So the sum over a text
is that of the model over its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crnn.decode.fusion import LN10, Contexts, Table
from crnn.decode.ngram import END, NEVER, UNKNOWN, NGram
from crnn.decode.trie import AFTER, NONE, START, Trie, spelled
from crnn.errors import DataError
from crnn.text import BLANK

UNKNOWN_LETTER = -1.5
"""What a letter of an unknown word adds to the logarithm of the probability, where nobody says how much."""
KEPT = 1 << 18  # ends of words in their contexts that are remembered, some 50 MB


class WordModel:
    """An n-gram model of words as a scorer for outputs that stand for ``letters`` (output ``i + 1`` is letter ``i``).

    A word that the model does not know has the probability of the unknown word (where the model has none, of its
    rarest), and ``unknown`` is added for each of its letters; ``-inf`` lets only known words be written. So has the
    word between two spaces, at the beginning before a space or at the end behind one. Without a space among
    ``letters`` a text is one word.

    Raises ``DataError`` if the model knows no word of these letters, naming letters of its words that are not there.
    """

    def __init__(self, model: NGram, letters: Sequence[str], *, unknown: float = UNKNOWN_LETTER) -> None:
        possible, known = set(letters) - {" "}, model.tokens
        self.words = [word for word in known if possible.issuperset(word)]
        if not self.words:
            spelled(known, letters)  # names what is missing
            raise DataError("the language model knows no word", expected="words", do="Make one: crnn lm train --words")
        if model.grams.get((UNKNOWN,), (NEVER,))[0] <= NEVER:
            rarest = min(model.grams[word,][0] for word in known)
            model = replace(model, grams={**model.grams, (UNKNOWN,): (rarest, 0.0)})
        self.model, self.contexts, self.unknown = model, Contexts(model), unknown
        self.trie = Trie(spelled(self.words, letters))
        self.outputs = len(letters) + 1
        self.space = letters.index(" ") + 1 if " " in letters else None
        self.strange = len(self.trie)  # the node of a word that has left the tree
        self.hope = np.full(len(self.trie) + 1, -np.inf)
        own = np.flatnonzero(self.trie.word >= 0)
        self.hope[own] = [model.grams[self.words[i],][0] * LN10 for i in self.trie.word[own]]
        self.hope[:-1] = self.trie.highest(self.hope[:-1])
        self.hope[[START, AFTER]] = 0.0
        self.hope[self.strange] = model.grams[UNKNOWN,][0] * LN10
        self.table = Table(self.outputs)
        self.ended: dict[int, tuple[float, int]] = {}
        self.start = self._state(START, self.contexts.start)

    def rows(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        node, context = np.divmod(states, len(self.contexts.names))
        scores, following = self.table.rows(node, self._row)
        following = self._state(following.astype(np.int64), context[:, None])
        if self.space is not None:
            ended = self._ends(states)
            scores[:, self.space] = [score for score, _ in ended]
            following[:, self.space] = [self._state(AFTER, context) for _, context in ended]
        return scores, following

    def ends(self, states: np.ndarray) -> np.ndarray:
        behind = [
            # before the first letter of a text there is no word to end
            (0.0, state) if state == self.start else ended
            for state, ended in zip(states.tolist(), self._ends(states), strict=True)
        ]
        names, own = self.contexts.names, len(self.contexts.names)
        return np.array([score + self.model.log_prob(END, names[context % own]) for score, context in behind])

    def _state(self, node: Any, context: Any) -> Any:
        return node * len(self.contexts.names) + context

    def _row(self, node: int) -> tuple[np.ndarray, np.ndarray]:
        """What a letter adds inside of a word, and the node behind it."""
        if node == self.strange:
            scores = np.full(self.outputs, self.unknown)
        else:
            scores = np.full(self.outputs, self.hope[self.strange] - self.hope[node])
            scores += self.unknown * (self.trie.depth[node] + 1)
        following = np.full(self.outputs, self.strange)
        if node != self.strange:
            letters, nodes = self.trie.children(node)
            scores[letters] = self.hope[nodes] - self.hope[node]
            following[letters] = nodes
        scores[BLANK], following[BLANK] = 0.0, node
        return scores, following

    def _ends(self, states: np.ndarray) -> list[tuple[float, int]]:
        """What the end of the word in each state adds, and the context behind it."""
        if len(self.ended) > KEPT:
            self.ended = {}
        ended = self.ended
        found = []
        for state in states.tolist():
            if state not in ended:
                ended[state] = self._end(state)
            found.append(ended[state])
        return found

    def _end(self, state: int) -> tuple[float, int]:
        node, number = divmod(state, len(self.contexts.names))
        context, word = self.contexts.names[number], NONE
        added = -float(self.hope[node])
        if node != self.strange:
            word = int(self.trie.word[node])
            if word == NONE:
                depth = int(self.trie.depth[node])
                added += self.unknown * depth if depth else 0.0
                added = -np.inf if np.isneginf(self.unknown) else added
        token = UNKNOWN if word == NONE else self.words[word]
        return added + self.model.log_prob(token, context), self.contexts.number((*context, token))


class WordCount:
    """A scorer that counts words: 1 for the first letter of each. Its weight is a bonus for each word."""

    start = 0

    def __init__(self, letters: Sequence[str]) -> None:
        self.scores = np.zeros((2, len(letters) + 1), np.float32)
        self.next = np.ones((2, len(letters) + 1), np.int64)
        self.scores[0, 1:] = 1.0
        if " " in letters:
            self.scores[:, letters.index(" ") + 1] = self.next[:, letters.index(" ") + 1] = 0
        self.next[:, BLANK] = 0, 1

    def rows(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.scores[states], self.next[states]

    def ends(self, states: np.ndarray) -> np.ndarray:
        return np.zeros(len(states))
