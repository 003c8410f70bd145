"""Several readings of one text become one, letter by letter.

Fiscus 1997 (ASRU), "A post-processing system to yield reduced word error rates: Recognizer Output Voting Error
Reduction (ROVER)": readings are aligned to slots, one after the other, and in each slot the letter with the most votes
wins. A vote counts as much as its reader is sure of the letter; a reader that has nothing there votes for nothing, as
surely as it is of the letters on either side.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from crnn.types import Part

Slot = list[Part | None]
"""What each reading that was heard so far has here."""


def rover(readings: Sequence[Sequence[Part]]) -> tuple[Part, ...]:
    """The letters that most readings agree on, each with the place that its surest reader gives, and as score the mean
    of the votes for it over all readers."""
    slots: list[Slot] = []
    for heard, reading in enumerate(readings):
        slots = _joined(slots, list(reading), heard)
    winners = [_winner(slots, i, len(readings)) for i in range(len(slots))]
    return tuple(part for part in winners if part is not None)


def _joined(slots: list[Slot], reading: list[Part], heard: int) -> list[Slot]:
    """``slots`` with one more reading; letters that no slot has room for make new ones."""
    letters = [max((p for p in slot if p is not None), key=lambda p: p.score).value for slot in slots]
    joined: list[Slot] = []
    for op in Levenshtein.opcodes(letters, [part.value for part in reading]):
        old, new = slots[op.src_start : op.src_end], reading[op.dest_start : op.dest_end]
        for i in range(max(len(old), len(new))):
            slot: Slot = old[i] if i < len(old) else [None] * heard
            joined.append([*slot, new[i] if i < len(new) else None])
    return joined


def _winner(slots: list[Slot], place: int, readers: int) -> Part | None:
    """What a slot says: a letter, or nothing."""
    votes: defaultdict[str | None, float] = defaultdict(float)
    best: dict[str, Part] = {}
    for reader, part in enumerate(slots[place]):
        if part is None:
            votes[None] += _sure_of_nothing(slots, place, reader)
            continue
        votes[part.value] += part.score
        if part.value not in best or part.score > best[part.value].score:
            best[part.value] = part
    letter = max(votes, key=lambda value: (votes[value], value is not None))
    if letter is None:
        return None
    part = best[letter]
    return Part(part.value, part.start, part.stop, votes[letter] / readers)


def _sure_of_nothing(slots: list[Slot], place: int, reader: int) -> float:
    """The mean of the reader's nearest letters before and behind."""
    before = next((p for s in reversed(slots[:place]) if (p := s[reader]) is not None), None)
    behind = next((p for s in slots[place + 1 :] if (p := s[reader]) is not None), None)
    sure = [p.score for p in (before, behind) if p is not None]
    return sum(sure) / len(sure) if sure else 0.5
