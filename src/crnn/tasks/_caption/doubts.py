"""What is odd about sentences, seen before any training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median

from crnn.findings import Doubts, Finding, Seen
from crnn.tasks._caption.known import sentences_of
from crnn.tasks._texts.vocabulary import UNKNOWN, Vocabulary

RARE = 0.05  # share of words that are not known from which on it is said
SAME = 0.5  # share of samples with one sentence


def doubts(seen: Sequence[Seen], vocabulary: Vocabulary, longest: int) -> Doubts:
    """What is odd about the sentences of ``seen``, for a task that knows ``vocabulary`` and learns sentences of up to
    ``longest`` words."""
    findings = [*_unusable(seen), *_one_for_all(seen), *_empty(seen), *_long(seen, vocabulary, longest)]
    findings += _unknown(seen, vocabulary)
    figures = {}
    for split in dict.fromkeys(s.split for s in seen):
        texts = [sentences_of(s.sample.y) for s in seen if s.split == split and s.usable]
        lengths = [len(vocabulary.split(text)) for own in texts for text in own]
        if lengths:
            figures[split] = {"sentences": len(lengths), "words": (min(lengths), int(median(lengths)), max(lengths))}
    return Doubts(tuple(findings), figures, {"words known": len(vocabulary.words)})


def _unusable(seen: Sequence[Seen]) -> Iterator[Finding]:
    for s in seen:
        if s.problem is not None:
            kind = "no sentence" if not sentences_of(s.sample.y) else "too long"
            yield Finding.of(s.problem, kind, file=s.sample.id, split=s.split)


def _empty(seen: Sequence[Seen]) -> Iterator[Finding]:
    for s in seen:
        count = sum(not text.strip() for text in s.sample.y if isinstance(text, str)) if _several(s) else 0
        if count:
            said = f"has {count} empty sentences among {len(s.sample.y)}"
            yield Finding("warning", "empty sentence", s.sample.id, said, "Write them; they are passed over.", s.split)


def _several(s: Seen) -> bool:
    return isinstance(s.sample.y, (list, tuple)) and bool(sentences_of(s.sample.y))


def _one_for_all(seen: Sequence[Seen]) -> Iterator[Finding]:
    for split in dict.fromkeys(s.split for s in seen):
        own = [s for s in seen if s.split == split and s.usable]
        counts = Counter(text for s in own for text in set(sentences_of(s.sample.y)))
        text, count = next(iter(counts.most_common(1)), ("", 0))
        if len(own) > 1 and count > SAME * len(own):
            said = f"of the split {split} have one sentence in {count} of {len(own)} samples: {text!r}"
            do = "Who always says it is right as often; look whether the sentences are those of these sources."
            yield Finding("warning", "one sentence for most", None, said, do, split)


def _long(seen: Sequence[Seen], vocabulary: Vocabulary, longest: int) -> Iterator[Finding]:
    for s in seen:
        count = sum(len(vocabulary.split(text)) > longest for text in sentences_of(s.sample.y))
        if count and s.problem is None:
            said = f"has {count} sentences of more than {longest} {vocabulary.unit}s"
            do = "They are passed over; raise task.longest to learn from them."
            yield Finding("note", "long sentence", s.sample.id, said, do, s.split)


def _unknown(seen: Sequence[Seen], vocabulary: Vocabulary) -> Iterator[Finding]:
    for split in dict.fromkeys(s.split for s in seen):
        numbers = [
            number
            for s in seen
            if s.split == split
            for text in sentences_of(s.sample.y)
            for number in vocabulary.encode(text)
        ]
        share = numbers.count(UNKNOWN) / max(1, len(numbers))
        if share > RARE:
            said = f"of the split {split} have {100 * share:.0f} % of words that are not learned"
            do = "They cannot be said: set task.least to a smaller number, task.unit to subword, or add samples."
            yield Finding("note", "words that are not learned", None, said, do, split)
