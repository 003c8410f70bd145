"""A tree of words: what a search must know of a list of words while it writes one of them letter by letter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crnn.errors import DataError

NONE = -1
START, AFTER = 0, 1
"""Nodes before a word's first letter: at the beginning of a text and after a space, which may not end a text."""


class Trie:
    """The tree of ``words``, each a sequence of output numbers (no blanks, not empty).

    Nodes are whole numbers, parents before their children; ``letter``, ``depth`` (letters up to here), and ``word``
    (the place in ``words`` of that which ends here, or -1) are arrays over them. Node 1 stands for a word's beginning
    as node 0 does.
    """

    def __init__(self, words: Sequence[Sequence[int]]) -> None:
        size = np.array([len(word) for word in words], np.int64)
        assert len(words) and size.min() > 0, "a tree of words needs words, and these letters"
        letters = np.zeros((len(words), size.max()), np.int32)
        letters[np.arange(size.max()) < size[:, None]] = np.concatenate([np.asarray(word) for word in words])
        order = np.lexsort(letters.T[::-1])
        letters, size = letters[order], size[order]
        at = np.zeros(len(words), np.int64)  # the node of each word's beginning so far
        parents, own, depths, ends = [np.full(2, NONE)], [np.zeros(2, int)], [np.zeros(2, int)], [np.full(2, NONE)]
        count = 2
        for depth in range(letters.shape[1]):
            alive = np.flatnonzero(size > depth)
            key = np.stack((at[alive], letters[alive, depth]))
            new = np.concatenate(([True], (key[:, 1:] != key[:, :-1]).any(0)))
            node = count + np.cumsum(new) - 1
            parents.append(key[0, new])
            own.append(key[1, new])
            depths.append(np.full(new.sum(), depth + 1))
            ends.append(np.full(new.sum(), NONE))
            last = size[alive] == depth + 1
            ends[-1][node[last] - count] = order[alive[last]]
            at[alive] = node
            count += int(new.sum())
        self.parent, self.letter = np.concatenate(parents), np.concatenate(own)
        self.depth, self.word = np.concatenate(depths), np.concatenate(ends)

    def __len__(self) -> int:
        return len(self.parent)

    def children(self, node: int) -> tuple[np.ndarray, np.ndarray]:
        """The letters ``(n,)`` that go on from ``node``, and the nodes ``(n,)`` where they lead."""
        own = START if node == AFTER else node
        first, stop = np.searchsorted(self.parent, (own, own + 1)).tolist()
        return self.letter[first:stop], np.arange(first, stop)

    def highest(self, values: np.ndarray) -> np.ndarray:
        """For each node the highest of ``values`` ``(nodes,)`` at it and below it."""
        best = values.copy()
        for depth in range(int(self.depth.max()), 0, -1):
            nodes = np.flatnonzero(self.depth == depth)
            np.maximum.at(best, self.parent[nodes], best[nodes])
        best[AFTER] = best[START]
        return best


def spelled(words: Sequence[str], letters: Sequence[str], file: str | Path | None = None) -> list[list[int]]:
    """``words`` as output numbers for ``letters`` (output ``i + 1`` is letter ``i``). Raises ``DataError`` naming the
    letters that are not among these, and spaces, since a word is what stands between two."""
    number = {letter: i for i, letter in enumerate(letters, 1) if letter != " "}
    unknown: dict[str, str] = {}
    for word in words:
        for letter in word:
            if letter not in number:
                unknown.setdefault(letter, word)
    if unknown:
        shown = " ".join(map(repr, sorted(unknown)[:20]))
        raise DataError(
            f"words have the letters {shown}, such as {next(iter(unknown.values()))!r}",
            expected=f"words of the {len(number)} letters that the network writes, without spaces",
            do="Leave these words out, or write them in letters that it knows.",
            file=file,
        )
    return [[number[letter] for letter in word] for word in words]
