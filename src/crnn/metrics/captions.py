"""How near sentences are to those that people wrote: BLEU, ROUGE-L, CIDEr-D, exact sentences, and how many differ.

Sentences are given as words. Sources: BLEU of Papineni et al. (2002, ACL), over the whole corpus, with the reference
of nearest length (of two as near the shorter); ROUGE-L of Lin (2004), with the better of the references for precision
and for recall and beta 1.2, as in the COCO evaluation; CIDEr-D of Vedantam et al. (2015, arXiv 1411.5726), whose
frequencies of documents are counted in the references that are given, so that it depends on the test part. All are
shares: CIDEr is ten at most, as COCO counts it, and one sample alone has none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np

from crnn.metrics.interval import interval, intervals

Words = Sequence[str]
ORDER = 4  # words of the longest n-grams
BETA = 1.2
SIGMA = 6.0  # words by which lengths may differ before CIDEr-D falls
FIGURES: dict[str, tuple[str, str, str]] = {
    "exact": ("Exact", "Sentences that are one of the true ones, word for word.", "%"),
    "bleu1": (
        "BLEU-1",
        "Words of the answers that stand in a true sentence; answers that are too short count less.",
        "%",
    ),
    "bleu2": ("BLEU-2", "Words and pairs of neighbours that stand in a true sentence.", "%"),
    "bleu3": ("BLEU-3", "Rows of one, two and three words that stand in a true sentence.", "%"),
    "bleu4": ("BLEU-4", "Rows of one to four words that stand in a true sentence.", "%"),
    "rouge": ("ROUGE-L", "The longest row of words, in order, that answer and truth share.", "%"),
    "cider": (
        "CIDEr-D",
        "Likeness of n-grams, rare ones counting more, by the sentences of this test; 10 at most.",
        "",
    ),
    "different": ("Different", "Different sentences, of all that were said.", "%"),
    "new": ("New", "Sentences said that no sample of the training part has.", "%"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of a sample, and the sentences ``truths`` that people wrote: words each. ``exact`` says whether it
    is one of these, ``new`` whether it is none of the training part."""

    said: Words
    truths: Sequence[Words]
    exact: bool
    new: bool = False


def score(answers: Sequence[Answer], groups: Sequence[str | None] | None = None) -> dict[str, float]:
    """The figures of ``FIGURES``; of exact, BLEU-4, ROUGE-L and CIDEr also the ends of the 95 % interval, over whole
    groups (``_low``, ``_high``), where there are several samples."""
    if not answers:
        return {name: float("nan") for name in FIGURES}
    counts = np.array([bleu_counts(a.said, a.truths) for a in answers], dtype=np.float64)
    ones = np.ones(len(answers))
    each = {
        "exact": np.array([a.exact for a in answers], dtype=np.float64),
        "rouge": np.array([rouge(a.said, a.truths) for a in answers]),
        "cider": np.array(cider([a.said for a in answers], [a.truths for a in answers])),
    }
    figures = {name: float(values.mean()) for name, values in each.items()}
    figures |= {f"bleu{n}": float(bleu(counts.sum(0), n)) for n in range(1, ORDER + 1)}
    figures["different"] = len({tuple(a.said) for a in answers}) / len(answers)
    figures["new"] = float(np.mean([a.new for a in answers]))
    figures = {name: figures[name] for name in FIGURES}
    if len(answers) < 2:
        return figures
    for name, values in each.items():
        figures[f"{name}_low"], figures[f"{name}_high"] = interval(values, ones, groups)
    figures["bleu4_low"], figures["bleu4_high"] = intervals(counts, bleu, groups)
    return figures


def ngrams(words: Words, n: int) -> Counter[tuple[str, ...]]:
    """How often each row of ``n`` words stands there."""
    return Counter(zip(*(words[i:] for i in range(n)), strict=False))


def bleu_counts(said: Words, truths: Sequence[Words]) -> list[int]:
    """What BLEU adds up over samples: lengths of the answer and of the nearest truth, then for each n the n-grams of
    the answer, and those of them that stand in a truth at least as often.

    >>> bleu_counts("the the cat".split(), ["the cat sat".split()])
    [3, 3, 3, 2, 2, 1, 1, 0, 0, 0]
    """
    nearest = min((len(truth) for truth in truths), key=lambda length: (abs(length - len(said)), length))
    counts = [len(said), nearest]
    for n in range(1, ORDER + 1):
        own, most = ngrams(said, n), Counter[tuple[str, ...]]()
        for truth in truths:
            most |= ngrams(truth, n)
        counts += [own.total(), (own & most).total()]
    return counts


def bleu(counts: np.ndarray, n: int = ORDER) -> np.ndarray:
    """BLEU-``n`` of ``bleu_counts`` that were added up, ``(..., 2 + 2 * ORDER)``; 0 where nothing of a length fits."""
    said, truth = counts[..., 0], counts[..., 1]
    of, fit = counts[..., 2 : 2 + 2 * n : 2], counts[..., 3 : 3 + 2 * n : 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.log(fit / np.maximum(of, 1)).mean(-1)
        brevity = np.minimum(0.0, 1 - truth / np.maximum(said, 1e-9))
    return np.exp(precision + brevity)


def rouge(said: Words, truths: Sequence[Words]) -> float:
    """ROUGE-L of one answer.

    >>> rouge("a b c".split(), ["a c".split()]) == 2.44 * 1 * (2 / 3) / (1 + 1.44 * 2 / 3)
    True
    """
    common = [_common(said, truth) for truth in truths]
    precision = max((c / max(1, len(said)) for c in common), default=0.0)
    recall = max((c / max(1, len(truth)) for c, truth in zip(common, truths, strict=True)), default=0.0)
    if not precision or not recall:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _common(one: Words, other: Words) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for a in one:
        before = 0
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], before + 1 if a == b else max(row[j], row[j - 1])
    return row[-1]


def cider(said: Sequence[Words], truths: Sequence[Sequence[Words]]) -> list[float]:
    """CIDEr-D of each answer, 0 to 10; n-grams are weighed by the number of samples in whose truths they stand."""
    documents = Counter(gram for own in truths for gram in {g for truth in own for g in _grams(truth)})
    whole = log(max(1, len(truths)))

    def vector(words: Words) -> tuple[list[dict[tuple[str, ...], float]], list[float], int]:
        parts: list[dict[tuple[str, ...], float]] = [{} for _ in range(ORDER)]
        for gram, count in _grams(words).items():
            parts[len(gram) - 1][gram] = count * (whole - log(max(1, documents[gram])))
        lengths = [sqrt(sum(value**2 for value in part.values())) for part in parts]
        return parts, lengths, max(0, len(words) - 1)  # COCO counts pairs for the length

    found = []
    for words, own in zip(said, truths, strict=True):
        a, a_lengths, a_count = vector(words)
        total = 0.0
        for truth in own:
            b, b_lengths, b_count = vector(truth)
            like = sum(
                _clipped(a[n], b[n]) / (a_lengths[n] * b_lengths[n])
                for n in range(ORDER)
                if a_lengths[n] and b_lengths[n]
            )
            total += like / ORDER * exp(-((a_count - b_count) ** 2) / (2 * SIGMA**2))
        found.append(10 * total / max(1, len(own)))
    return found


def _grams(words: Words) -> Counter[tuple[str, ...]]:
    found = Counter[tuple[str, ...]]()
    for n in range(1, ORDER + 1):
        found.update(ngrams(words, n))
    return found


def _clipped(a: Mapping[tuple[str, ...], float], b: Mapping[tuple[str, ...], float]) -> float:
    return sum(min(value, b[gram]) * b[gram] for gram, value in a.items() if gram in b)
