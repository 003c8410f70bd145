"""Sentences from a network that says the next word: greedy, by beam search, or drawn at random.

``step(word, seen)`` is a decoder of ``crnn.layers.sentence_decoder``: it takes the last words ``(rows,)`` and gives the
logits of the next. Number 0 begins a sentence and ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

END = 0
Step = Callable[[Tensor, Any], Any]


class Sentence(NamedTuple):
    """One sentence: its words, the logarithm of the probability of each word (and of its end, if it came to one), and
    how much was made of each region with each word ``(words, regions)``, where there are regions."""

    words: tuple[int, ...]
    log_probs: tuple[float, ...]
    weights: np.ndarray | None = None

    @property
    def mean(self) -> float:
        """Mean logarithm of the probability of a word."""
        return sum(self.log_probs) / max(1, len(self.log_probs))


def search(
    step: Step, seen: Any, *, longest: int, beam: int = 1, normalise: float = 1.0, never: Sequence[int] = ()
) -> list[list[Sentence]]:
    """For each sample of ``seen`` the best sentences that a beam of ``beam`` finds, the best first; 1 is greedy.

    A sentence of T words is as good as its log-probability divided by ``T ** normalise`` (its end is a word): with 0
    short sentences win, with 1 it is the mean. ``never`` are words that are not said. After ``longest`` words a
    sentence is cut.
    """
    batch, device = len(seen.state[0]), seen.state[0].device
    seen = seen.rows(torch.arange(batch, device=device).repeat_interleave(beam))
    word = torch.full((batch * beam,), END, device=device)
    total = torch.full((batch, beam), -torch.inf, device=device)
    total[:, 0] = 0.0  # at the beginning all are the same
    done = ~torch.isfinite(total)
    length = torch.zeros(batch, beam, device=device)
    words = torch.zeros(batch, beam, 0, dtype=torch.long, device=device)
    scores, weights = torch.zeros(batch, beam, 0, device=device), None
    first = torch.arange(batch, device=device)[:, None] * beam
    for _ in range(longest):
        said = step(word, seen)
        log_probs = _log_probs(said.logits, never).view(batch, beam, -1)
        count = log_probs.shape[2]
        at_rest = torch.full((count,), -torch.inf, device=device)
        at_rest[END] = 0.0  # what has ended stays as it is
        log_probs = torch.where(done[..., None], at_rest, log_probs)
        length = length + ~done
        grown = total[..., None] + log_probs
        _, best = (grown / length.clamp(min=1)[..., None] ** normalise).flatten(1).topk(beam)
        parent, chosen = best // count, best % count
        rows = (first + parent).flatten()
        total = grown.flatten(1).gather(1, best)
        own = log_probs.flatten(1).gather(1, best)
        length, done = length.gather(1, parent), done.gather(1, parent)
        words = torch.cat((_rows(words, rows), chosen[..., None]), 2)
        scores = torch.cat((_rows(scores, rows), own[..., None]), 2)
        if said.weights is not None:
            new = said.weights.view(batch, beam, 1, -1)
            weights = _rows(new if weights is None else torch.cat((weights, new), 2), rows)
        done = done | (chosen == END) | ~torch.isfinite(total)
        if done.all():
            break
        word, seen = chosen.flatten(), seen._replace(state=said.state).rows(rows)
    order = torch.argsort(total / length.clamp(min=1) ** normalise, dim=1, descending=True, stable=True)
    there = torch.isfinite(total)  # where there are fewer sentences than the beam is wide
    rows_of = [[j for j in order[i].tolist() if there[i, j]] for i in range(batch)]
    return [[_sentence(words[i, j], scores[i, j], weights, i, j) for j in row] for i, row in enumerate(rows_of)]


def draw(
    step: Step, seen: Any, chances: Tensor, *, temperature: float = 1.0, never: Sequence[int] = ()
) -> list[list[Sentence]]:
    """For each sample sentences drawn at random, the likeliest first; logits are divided by ``temperature``.

    ``chances`` ``(batch, sentences, longest)`` are numbers from 0 to 1, of which each decides on a word: a sample is
    given the same sentences whoever shares its batch.
    """
    batch, count, longest = chances.shape
    device = seen.state[0].device
    seen = seen.rows(torch.arange(batch, device=device).repeat_interleave(count))
    chances = chances.to(device).flatten(0, 1)
    word = torch.full((batch * count,), END, device=device)
    done = torch.zeros(batch * count, dtype=torch.bool, device=device)
    words, scores, weights = [], [], []
    for i in range(longest):
        said = step(word, seen)
        log_probs = _log_probs(said.logits, never)
        share = (log_probs / temperature).softmax(-1).cumsum(-1)
        place = torch.searchsorted(share, chances[:, i : i + 1] * share[:, -1:], right=True).squeeze(1)
        word = torch.where(done, END, place.clamp(max=log_probs.shape[1] - 1))
        words.append(word)
        scores.append(log_probs.gather(1, word[:, None]).squeeze(1))
        weights += [] if said.weights is None else [said.weights]
        done = done | (word == END)
        if done.all():
            break
        seen = seen._replace(state=said.state)
    shape = (batch, count, len(words))
    both = torch.stack(words, 1).view(shape), torch.stack(scores, 1).view(shape)
    looks = torch.stack(weights, 1).view(*shape, -1) if weights else None
    found = [[_sentence(both[0][i, j], both[1][i, j], looks, i, j) for j in range(count)] for i in range(batch)]
    return [sorted(row, key=lambda s: -s.mean) for row in found]


def _log_probs(logits: Tensor, never: Sequence[int]) -> Tensor:
    logits = logits.float()
    if never:
        logits = logits.clone()
        logits[:, list(never)] = -torch.inf
    return logits.log_softmax(-1)


def _rows(x: Tensor, rows: Tensor) -> Tensor:
    """``x`` ``(batch, beam, ...)`` in the order ``rows`` of both together."""
    return x.flatten(0, 1)[rows].view(x.shape)


def _sentence(words: Tensor, scores: Tensor, weights: Tensor | None, i: int, j: int) -> Sentence:
    numbers, logs = words.tolist(), scores.tolist()
    stop = numbers.index(END) if END in numbers else len(numbers)
    looks = None if weights is None else weights[i, j, :stop].float().cpu().numpy()
    return Sentence(tuple(numbers[:stop]), tuple(logs[: stop + 1]), looks)
