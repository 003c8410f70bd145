"""Lists of words beside a network that writes letters: words that alone may be written, and words that are hoped for.

Words are what stands between spaces.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from crnn.decode.fusion import Table
from crnn.decode.trie import AFTER, NONE, START, Trie, spelled
from crnn.errors import DataError, SettingsError
from crnn.text import BLANK

MOST = 1 << 28
"""Bytes of a list, unpacked."""
HOT = 10.0
"""What a hot word adds to the logarithm of the probability, where nobody says how much."""


class Lexicon:
    """A scorer that refuses (``-inf``) all but ``words``, one space between two, none at the ends; texts may be empty.

    Outputs stand for ``letters``; without a space among them a text is one word. Raises ``DataError`` for words with
    other letters, naming these, and ``SettingsError`` if there is no word.
    """

    start = START

    def __init__(self, words: Sequence[str], letters: Sequence[str]) -> None:
        if not words:
            raise SettingsError("the lexicon holds no word", expected="one at least", do="Add words, or leave it out.")
        self.trie = Trie(spelled(words, letters))
        self.space = letters.index(" ") + 1 if " " in letters else None
        self.table = Table(len(letters) + 1)
        self.last = np.where(self.trie.word == NONE, -np.inf, 0.0)
        self.last[START] = 0.0

    def rows(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.table.rows(states, self._row)

    def ends(self, states: np.ndarray) -> np.ndarray:
        return self.last[states]

    def _row(self, node: int) -> tuple[np.ndarray, np.ndarray]:
        scores = np.full(self.table.scores.shape[1], -np.inf)
        following = np.full(len(scores), node)
        letters, nodes = self.trie.children(node)
        scores[letters], following[letters] = 0.0, nodes
        if self.space is not None and self.trie.word[node] != NONE:
            scores[self.space], following[self.space] = 0.0, AFTER
        scores[BLANK] = 0.0
        return scores, following


class HotWords:
    """A scorer that adds the weight of each of ``words`` that is written: gradually, letter by letter, and taken back
    when it becomes another word.

    Marks (all that is no letter or digit) in front of a word do not matter, nor does what follows it from a mark on:
    ``Celsius`` is found in ``"Celsius",`` and in ``Celsius'``, not in ``Celsiusse``. Of several the longest is found:
    of ``Jean`` and ``Jean-Paul`` the latter where it is written, else ``Jean`` in ``Jean-Marie``. Raises ``DataError``
    for words with other letters than ``letters``, naming these, and ``SettingsError`` if there is no word.
    """

    start = START

    def __init__(self, words: Mapping[str, float], letters: Sequence[str]) -> None:
        if not words:
            raise SettingsError("no hot word is given", expected="one at least", do="Write: --hot Celsius")
        numbers = spelled(list(words), letters)
        self.trie = Trie(numbers)
        self.mark = np.array([False, *(not letter.isalnum() for letter in letters)])
        self.space = letters.index(" ") + 1 if " " in letters else None
        self.other = len(self.trie)  # the node of words that are not hot
        self.table = Table(len(letters) + 1)
        weights = np.array(list(words.values()), float)
        held, share = np.zeros(len(self.trie)), np.full(len(self.trie), -np.inf)
        share[START] = share[AFTER] = 0.0
        for word, weight in zip(numbers, weights, strict=True):
            node = START
            for depth, letter in enumerate(word, 1):
                own, nodes = self.trie.children(node)
                after = int(nodes[np.searchsorted(own, letter)])
                whole = self.mark[letter] and self.trie.word[node] != NONE
                held[after] = weights[self.trie.word[node]] if whole else held[node]
                node = after
                share[node] = max(share[node], weight * depth / len(word), held[node])
        gain = np.where(self.trie.word == NONE, held, weights[self.trie.word])
        self.held = np.append(held, 0.0)  # by the longest word behind which a mark has come, whatever follows
        self.gain = np.append(gain, 0.0)  # where a mark or the end follows
        self.given = np.append(share, 0.0)  # to a word with this beginning so far

    def rows(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.table.rows(states, self._row)

    def ends(self, states: np.ndarray) -> np.ndarray:
        return (self.gain - self.given)[states]

    def _row(self, node: int) -> tuple[np.ndarray, np.ndarray]:
        scores = np.where(self.mark, self.gain[node], self.held[node]) - self.given[node]
        following = np.full(len(self.mark), self.other)
        if node in (START, AFTER):
            following[self.mark] = node
        if node != self.other:
            letters, nodes = self.trie.children(node)
            scores[letters], following[letters] = self.given[nodes] - self.given[node], nodes
        if self.space is not None:
            following[self.space] = AFTER
        scores[BLANK], following[BLANK] = 0.0, node
        return scores, following


def read_words(path: str | Path) -> list[str]:
    """The words of a text file in UTF-8, plain or .gz, one a line, each once, empty lines left out.

    Raises ``DataError`` for a file that cannot be read, holds no word, or has a line of several words (with its line).
    """
    path = Path(path)
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(MOST + 1)
            if len(data) > MOST:
                do = "Give a list of words."
                raise DataError("is too large", expected=f"at most {MOST >> 20} MB of text", do=do, file=path)
            lines = data.decode("utf-8-sig").splitlines()
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        do = "Check the path, or save it as UTF-8."
        raise DataError(f"cannot be read ({error})", expected="a list of words", do=do, file=path) from error
    words: dict[str, None] = {}
    for number, line in enumerate(lines, 1):
        if len(line.split()) > 1:
            given = f"line {number} is {line[:60]!r}"
            raise DataError(given, expected="one word a line", do="Write each word in a line of its own.", file=path)
        if line.strip():
            words[line.strip()] = None
    if not words:
        raise DataError("holds no word", expected="one word a line", do="Add words.", file=path)
    return list(words)


def hot_word(text: str) -> tuple[str, float]:
    """A hot word as people write it: ``Celsius`` or ``Celsius:5``. Raises ``SettingsError``.

    >>> hot_word("Celsius:5")
    ('Celsius', 5.0)
    """
    word, colon, weight = text.rpartition(":")
    if not colon:
        word, weight = text, str(HOT)
    try:
        value = float(weight)
    except ValueError:
        value = math.nan
    if not word.strip() or len(word.split()) > 1 or not math.isfinite(value):
        given = f"the hot word {text!r}"
        raise SettingsError(given, expected="WORD or WORD:WEIGHT, without spaces", do="Write: --hot Celsius:5")
    return word.strip(), value
