"""How well text was read: error rates with intervals, confusions, and where truth and reading part.

Texts are compared code point by code point, as they are: normalise both (``crnn.text.normalise``) first. Errors are
those of one shortest alignment (Levenshtein 1966); where several are equally short, the one that rapidfuzz gives.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from rapidfuzz.distance import Levenshtein

from crnn.errors import DataError
from crnn.metrics.interval import interval

Pair: TypeAlias = tuple[str, str]
"""Truth, and what was read."""
Kind: TypeAlias = Literal["equal", "missing", "extra", "wrong"]
KINDS: dict[str, Kind] = {"equal": "equal", "delete": "missing", "insert": "extra", "replace": "wrong"}

DOUBLE = re.compile(r"(\S)\1+")

FIGURES: dict[str, tuple[str, str, str]] = {
    "cer": ("Letter errors", "Letters that are wrong, missing or too many, per letter of the truth.", "%"),
    "wer": ("Word errors", "Words that are wrong, missing or too many, per word of the truth.", "%"),
    "exact": ("Lines without error", "Lines that were read exactly as the truth says.", "%"),
    "insertions": ("Letters too many", "Letters that were read where there is none, per letter of the truth.", "%"),
    "deletions": ("Letters missed", "Letters of the truth that were not read.", "%"),
    "substitutions": ("Letters mistaken", "Letters of the truth that were read as another one.", "%"),
    "space_errors": ("Spaces", "Spaces that were lost or invented, per space of the truth.", "%"),
    "double_errors": (
        "Double letters",
        "Double letters (ll, 00) that were read as one, and single ones that were doubled, per double letter.",
        "%",
    ),
    "cer_nocase": ("Letter errors, A = a", "Letter errors where capital and small letters count as equal.", "%"),
}
"""What each figure of ``score`` is called, what it says in plain words, and its unit (``%``: shown as per cent)."""


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors of one reading: letters too many, missed and mistaken, and words; ``letters`` and ``words`` of the truth.

    A word that is wrong, missing or too many is one word error.
    """

    insertions: int
    deletions: int
    substitutions: int
    letters: int
    words: int
    word_errors: int

    @property
    def total(self) -> int:
        """All errors in letters: the edit distance."""
        return self.insertions + self.deletions + self.substitutions


def compare(truth: str, read: str) -> Errors:
    """Count the errors of ``read``: on code points, and on words as white space separates them.

    >>> compare("un petit pas", "un petits bas")
    Errors(insertions=1, deletions=0, substitutions=1, letters=12, words=3, word_errors=2)
    """
    kinds = Counter(tag for tag, _, _ in _edits(truth, read))
    words, words_read = _number(truth.split(), read.split())
    return Errors(
        insertions=kinds["insert"],
        deletions=kinds["delete"],
        substitutions=kinds["replace"],
        letters=len(truth),
        words=len(words),
        word_errors=Levenshtein.distance(words, words_read),
    )


def difference(truth: str, read: str) -> list[tuple[Kind, str, str]]:
    """Cut truth and reading into pieces ``(kind, truth, read)`` that belong together, from left to right.

    Joined, the second entries give ``truth`` and the third ones ``read``. The two are equally long in a piece that is
    ``equal`` or ``wrong``; ``missing`` has nothing read, ``extra`` nothing in the truth.

    >>> difference("un pas", "une bas")
    [('equal', 'un', 'un'), ('extra', '', 'e'), ('equal', ' ', ' '), ('wrong', 'p', 'b'), ('equal', 'as', 'as')]
    """
    blocks = Levenshtein.opcodes(truth, read)
    return [(KINDS[b.tag], truth[b.src_start : b.src_end], read[b.dest_start : b.dest_end]) for b in blocks]


def confusions(pairs: Sequence[Pair], most: int = 30) -> list[tuple[str, str, int]]:
    """The ``most`` frequent mistakes ``(truth, read, count)``, one letter each; ``''`` stands for nothing.

    Where a run of letters was replaced, its letters are paired in order. Equally frequent ones go by code point.
    """
    counts: Counter[Pair] = Counter()
    for truth, read in pairs:
        for tag, i, j in _edits(truth, read):
            counts["" if tag == "insert" else truth[i], "" if tag == "delete" else read[j]] += 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(truth, read, count) for (truth, read), count in ranked[:most]]


def right_letters(truth: str, read: str) -> list[bool]:
    """For each letter of ``read`` whether it is one of the truth's in the alignment.

    >>> right_letters("un pas", "une bas")
    [True, True, False, True, False, True, True]
    """
    wrong = {j for tag, _, j in _edits(truth, read) if tag != "delete"}
    return [j not in wrong for j in range(len(read))]


def score(pairs: Sequence[Pair], groups: Sequence[Hashable] | None = None, seed: int = 0) -> dict[str, float]:
    """The figures of many readings ``(truth, read)``. All are fractions: 0.012 is 1.2 %.

    Each is a sum over all lines divided by a sum over all lines, never a mean of rates; where the truth has nothing to
    divide by (only empty lines, no space, no double letter), the count of errors is divided by one.

    - ``cer``: letters inserted, deleted and substituted, over letters of the truth.
    - ``wer``: the same of words, which white space separates.
    - ``cer_low``, ``cer_high``, ``wer_low``, ``wer_high``: their 95 % interval, see ``interval``. They are left out
      where there is a single line, which says nothing of others.
    - ``exact``: lines whose reading is the truth, over lines.
    - ``insertions``, ``deletions``, ``substitutions``: each over letters of the truth; they add up to ``cer``.
    - ``space_errors``: spaces of the truth that were not read as one, and spaces read where the truth has none, over
      spaces of the truth.
    - ``double_errors``: runs of equal letters (``ll``, ``000``) that lost a letter while another of the run was read,
      and letters that were read as such a run, or as a longer one, over runs of equal letters in the truth.
    - ``cer_nocase``: ``cer`` of the case-folded texts.

    ``groups`` names for each line what it shares with others (its writer, its page), ``None`` for nothing. Raises
    ``DataError`` if there is no line.
    """
    if not pairs:
        raise DataError("there is no line to score", expected="at least one line with its truth", do="Check the data.")
    tallies = np.array([_tally(truth, read) for truth, read in pairs], dtype=np.int64)
    sums = dict(zip(COLUMNS, tallies.sum(axis=0).tolist(), strict=True))
    column = dict(zip(COLUMNS, tallies.T, strict=True))

    def rate(errors: str, total: str) -> float:
        return float(sums[errors] / max(1, sums[total]))

    result: dict[str, float] = {}
    for name, errors, total in (("cer", "errors", "letters"), ("wer", "word_errors", "words")):
        result[name] = rate(errors, total)
        if len(pairs) > 1:
            low, high = interval(column[errors], column[total], groups, seed)
            result |= {f"{name}_low": low, f"{name}_high": high}
    result["exact"] = rate("exact", "lines")
    result |= {name: rate(name, "letters") for name in ("insertions", "deletions", "substitutions")}
    result["space_errors"] = rate("space_errors", "spaces")
    result["double_errors"] = rate("double_errors", "doubles")
    result["cer_nocase"] = rate("errors_nocase", "letters_nocase")
    return result


COLUMNS = (
    *("insertions", "deletions", "substitutions", "errors", "letters", "word_errors", "words"),
    *("exact", "lines", "space_errors", "spaces", "double_errors", "doubles", "errors_nocase", "letters_nocase"),
)


def _tally(truth: str, read: str) -> tuple[int, ...]:
    """The counts of one line, in the order of ``COLUMNS``."""
    found = compare(truth, read)
    spaces, doubles = sum(map(str.isspace, truth)), sum(1 for _ in DOUBLE.finditer(truth))
    small, small_read = truth.casefold(), read.casefold()
    return (
        *(found.insertions, found.deletions, found.substitutions, found.total, found.letters),
        *(found.word_errors, found.words, int(truth == read), 1, _space_errors(truth, read), spaces),
        *(_double_errors(truth, read), doubles, Levenshtein.distance(small, small_read), len(small)),
    )


def _space_errors(truth: str, read: str) -> int:
    """Spaces lost and invented; one kind of space read as another is neither."""
    total = 0
    for tag, i, j in _edits(truth, read):
        lost = tag != "insert" and truth[i].isspace()
        invented = tag != "delete" and read[j].isspace()
        total += lost != invented
    return total


def _double_errors(truth: str, read: str) -> int:
    """Runs of equal letters that lost a letter, and those that have one too many."""
    edits = list(_edits(truth, read))
    lost = {i for tag, i, _ in edits if tag == "delete"}
    invented = {j for tag, _, j in edits if tag == "insert"}
    changed = {i for tag, i, _ in edits if tag == "replace"}
    changed_read = {j for tag, _, j in edits if tag == "replace"}
    return _broken(truth, lost, changed) + _broken(read, invented, changed_read)


def _broken(text: str, alone: set[int], changed: set[int]) -> int:
    """Runs of equal letters of which one stands alone in the alignment while another is matched."""
    runs = (range(*match.span()) for match in DOUBLE.finditer(text))
    return sum(any(i in alone for i in run) and any(i not in alone | changed for i in run) for run in runs)


def _edits(truth: str, read: str) -> Iterator[tuple[str, int, int]]:
    """Single-letter edits ``(delete | insert | replace, index in truth, index in read)``."""
    for edit in Levenshtein.editops(truth, read):
        yield edit.tag, edit.src_pos, edit.dest_pos


def _number(*texts: Sequence[str]) -> list[list[int]]:
    """Words as numbers, equal words as the same: rapidfuzz compares hashes of anything else."""
    index: dict[str, int] = {}
    return [[index.setdefault(word, len(index)) for word in text] for text in texts]
