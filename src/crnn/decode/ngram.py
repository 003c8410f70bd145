"""N-gram language models, counted with modified Kneser-Ney smoothing.

The probability of a token after a context is interpolated with that after the context without its first token, down to
all tokens being equal. What is taken from each count for the shorter contexts depends on whether it is 1, 2 or more;
shorter n-grams are counted by how many different tokens stand before them, not by how often they occur (Kneser & Ney
1995; Chen & Goodman 1998, TR-10-98, section 3). Tokens are whatever the texts are cut into, letters or words.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from crnn.errors import DataError, SettingsError

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -99.0
"""Common logarithm of the probability of what never occurs, as ARPA files write it."""
LEFT = 1e-9
"""The least that a context leaves to tokens that it does not know."""
Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NGram:
    """An n-gram model. ``grams`` gives for each n-gram the common logarithms of its probability and of the weight of
    shorter contexts behind it; ``order`` is the longest n."""

    order: int
    grams: dict[Gram, tuple[float, float]] = field(repr=False)

    def __len__(self) -> int:
        return len(self.grams)

    @property
    def tokens(self) -> list[str]:
        """All that it knows, without the marks of beginning and end."""
        return [gram[0] for gram in self.grams if len(gram) == 1 and gram[0] not in (START, END, UNKNOWN)]

    @property
    def of_words(self) -> bool:
        """Whether its tokens are words, not single letters."""
        return any(len(token) > 1 for token in self.tokens)

    def log_prob(self, token: str, context: Gram = ()) -> float:
        """Natural logarithm of the probability of ``token`` after ``context``; what is not known counts as unknown."""
        token = token if (token,) in self.grams else UNKNOWN
        context = tuple(t if (t,) in self.grams else UNKNOWN for t in context)[max(0, len(context) - self.order + 1) :]
        weight = 0.0
        while (*context, token) not in self.grams:
            if not context:
                return (weight + NEVER) * math.log(10)
            weight += self.grams.get(context, (0.0, 0.0))[1]
            context = context[1:]
        return (weight + self.grams[*context, token][0]) * math.log(10)

    def arrays(self) -> dict[str, np.ndarray]:
        """The model as a few arrays, small enough for a bundle: tokens as text, and for each length the n-grams as
        numbers of tokens, with their logarithms in 16 bits."""
        tokens = [gram[0] for gram in self.grams if len(gram) == 1]
        number = {token: i for i, token in enumerate(tokens)}
        small = next(kind for kind in (np.uint8, np.int16, np.int32) if len(tokens) <= np.iinfo(kind).max)
        arrays: dict[str, np.ndarray] = {"tokens": np.frombuffer("\n".join(tokens).encode(), np.uint8)}
        for n in range(1, self.order + 1):
            grams = sorted(gram for gram in self.grams if len(gram) == n)
            arrays[f"grams.{n}"] = np.array([[number[token] for token in gram] for gram in grams], small).reshape(-1, n)
            logs = np.array([self.grams[gram] for gram in grams], np.float16).reshape(-1, 2)
            arrays[f"logs.{n}"] = logs if n < self.order else logs[:, :1]  # nothing stands behind the longest
        return arrays

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> NGram:
        """The model that ``arrays()`` gave. Raises ``KeyError``, ``ValueError``, ``IndexError`` for anything else."""
        tokens = bytes(arrays["tokens"].tolist()).decode().split("\n")
        grams, n = {}, 0
        while f"grams.{n + 1}" in arrays:
            n += 1
            for row, logs in zip(arrays[f"grams.{n}"].tolist(), arrays[f"logs.{n}"].tolist(), strict=True):
                grams[tuple(tokens[i] for i in row)] = (logs[0], logs[1] if len(logs) > 1 else 0.0)
        return cls(n, grams)

    def perplexity(self, texts: Iterable[Sequence[str]]) -> float:
        """Of ``texts`` with their ends: the number of equally likely tokens that would be as surprising."""
        total, count = 0.0, 0
        for text in texts:
            tokens = (START, *text, END)
            for i in range(1, len(tokens)):
                total += self.log_prob(tokens[i], tokens[max(0, i - self.order + 1) : i])
                count += 1
        return math.exp(-total / max(1, count))


def train(texts: Iterable[Sequence[str]], order: int, least: int = 1) -> NGram:
    """A model of ``order`` from ``texts``, each a sequence of tokens: letters (a text itself) or words. Once all are
    counted, n-grams of three tokens and more that occur fewer than ``least`` times are left out, and what they said is
    left to shorter ones.

    Raises ``SettingsError`` if ``order`` or ``least`` is not positive, ``DataError`` if there is no text.
    """
    for name, given in (("order", order), ("least", least)):
        if given < 1:
            raise SettingsError(f"the {name} is {given}", expected="1 or more", do=f"Write: --{name} 2")
    counts = _counts(texts, order)
    if not counts[0]:
        raise DataError("holds no text", expected="a line of text at least", do="Add texts.")
    vocabulary = {gram[0] for gram in counts[0]} | {END, UNKNOWN}
    uniform = 1 / len(vocabulary)
    lower: dict[Gram, float] = {}
    weights: dict[Gram, float] = {}
    grams: dict[Gram, tuple[float, float]] = {}
    for n, grown in enumerate(_continued(counts), 1):
        discounts = _discounts(grown)
        whole: defaultdict[Gram, float] = defaultdict(float)
        left: defaultdict[Gram, float] = defaultdict(float)
        for gram, count in grown.items():
            whole[gram[:-1]] += count
            left[gram[:-1]] += discounts[min(count, 3)]
        shares = {context: left[context] / whole[context] for context in whole}
        probabilities = {
            gram: (count - discounts[min(count, 3)]) / whole[gram[:-1]]
            + shares[gram[:-1]] * (lower[gram[1:]] if n > 1 else uniform)
            for gram, count in grown.items()
        }
        if n == 1:
            probabilities |= {(t,): shares[()] * uniform for t in vocabulary if (t,) not in probabilities}
        weights |= shares
        lower = probabilities
        grams |= {gram: (math.log10(p), 0.0) for gram, p in probabilities.items()}
        if n == 1:
            grams[START,] = (NEVER, 0.0)
    behind = {context: math.log10(weight) for context, weight in weights.items() if context and weight > 0}
    model = NGram(order, {gram: (p, behind.get(gram, 0.0)) for gram, (p, _) in grams.items()})
    return model if least == 1 else _without(model, counts, least)


def _without(model: NGram, counts: list[Counter[Gram]], least: int) -> NGram:
    """``model`` without n-grams of three and more that occur fewer than ``least`` times. None that stays loses the
    shorter ones in it, for these occur as often. Weights of contexts are such that probabilities add up to 1 again."""
    grams: dict[Gram, tuple[float, float]] = {}
    for n in range(1, model.order + 1):
        own = {gram: p for gram, (p, _) in model.grams.items() if len(gram) == n}
        if n > 2:
            own = {gram: p for gram, p in own.items() if counts[n - 1][gram] >= least}
        shorter = NGram(n - 1, grams)
        said: defaultdict[Gram, list[float]] = defaultdict(lambda: [1.0, 1.0])  # left, here and by shorter contexts
        for gram, p in own.items() if n > 1 else ():
            left = said[gram[:-1]]
            left[0] -= 10**p
            left[1] -= math.exp(shorter.log_prob(gram[-1], gram[1:-1]))
        for context, (here, below) in said.items():
            grams[context] = (grams[context][0], math.log10(max(here, LEFT) / max(below, LEFT)))
        grams |= {gram: (p, 0.0) for gram, p in own.items()}
    return NGram(model.order, grams)


def _counts(texts: Iterable[Sequence[str]], order: int) -> list[Counter[Gram]]:
    """How often each n-gram occurs, for n from 1 to ``order``; the mark of the beginning alone is not counted."""
    counts: list[Counter[Gram]] = [Counter() for _ in range(order)]
    for text in texts:
        if not text:
            continue
        tokens = (START, *text, END)
        for n in range(1, order + 1):
            counts[n - 1].update(tokens[i : i + n] for i in range(n == 1, len(tokens) - n + 1))
    return counts


def _continued(counts: list[Counter[Gram]]) -> Iterator[Counter[Gram]]:
    """Counts of the longest n-grams; for shorter ones the number of different tokens before them, or their count if
    they begin a text, where no token can be."""
    for n, own in enumerate(counts[:-1], 1):
        before = Counter(gram[1:] for gram in counts[n])
        yield Counter({gram: own[gram] if gram[0] == START else before[gram] for gram in own})
    yield counts[-1]


def _discounts(counts: Counter[Gram]) -> tuple[float, float, float, float]:
    """What is taken from counts of 0, 1, 2 and more (Chen & Goodman, equation 26)."""
    of = Counter(min(count, 5) for count in counts.values())
    if not (of[1] and of[2] and of[3]):  # so few texts that the equation has nothing to stand on
        return 0.0, 0.5, 0.75, 1.0
    share = of[1] / (of[1] + 2 * of[2])
    found = (1 - 2 * share * of[2] / of[1], 2 - 3 * share * of[3] / of[2], 3 - 4 * share * of[4] / of[3])
    return 0.0, *(min(n - 0.05, max(0.05, d)) for n, d in enumerate(found, 1))  # type: ignore[return-value]
