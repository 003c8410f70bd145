"""Sentences of a batch as rows of their own, and the snippets of them that a decoder learns to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from crnn.decode.snippets import Snippet, snippets
from crnn.layers.padding import mask
from crnn.tasks._caption.head import IGNORED
from crnn.tasks._match.head import WHOLE, Told
from crnn.tasks._texts.vocabulary import END
from crnn.types import Batch


def told_of(batch: Batch) -> Told:
    """The sentences of a batch as rows of their own; none where it has no targets."""
    first = next(iter(batch.inputs.values())) if isinstance(batch.inputs, Mapping) else batch.inputs
    device = first.lengths.device
    if batch.targets is None:
        none = torch.zeros(0, dtype=torch.long, device=device)
        return Told(none.view(0, 1), none, none)
    x, lengths = batch.targets["words"]
    flat = [row[:n].tolist() for row, n in zip(x, lengths.tolist(), strict=True)]
    rows: list[list[int]] = []
    of: list[int] = []
    for i, numbers in enumerate(flat):
        start = 0
        while start < len(numbers):
            stop = numbers.index(END, start)
            rows.append(numbers[start:stop])
            of.append(i)
            start = stop + 1
    words, counts = padded(rows, device)
    return Told(words, counts, torch.tensor(of, dtype=torch.long, device=device), batch.targets["boxes"])


def alike(told: Told, count: int) -> Tensor:
    """Which sentences ``(count samples, sentences)`` say of a sample what one of its own says, word for word."""
    inside = mask(told.lengths, told.words.shape[1])
    words = torch.where(inside, told.words, -1)
    same = (words[:, None] == words[None]).all(2).float()
    own = F.one_hot(told.of, count).float()
    return own.T @ same > 0


def padded(rows: Sequence[Sequence[int]], device: Any) -> tuple[Tensor, Tensor]:
    """Rows of numbers as a tensor ``(rows, longest)``, and their lengths."""
    lengths = [len(row) for row in rows]
    width = max(lengths, default=1)
    x = [[*row, *[END] * (width - len(row))] for row in rows]
    return (
        torch.tensor(x, dtype=torch.long, device=device).view(len(rows), width),
        torch.tensor(lengths, dtype=torch.long, device=device),
    )


Rows = tuple[Tensor, Tensor, Tensor, Tensor]
"""Samples ``(rows,)``, regions ``(rows,)``, and words for a decoder: those before, and what comes after each."""


def sentence_rows(told: Told) -> Rows:
    """Each sentence, which is of the whole."""
    return _rows(told, [(j, Snippet(0, count, WHOLE)) for j, count in enumerate(told.lengths.tolist())])


def snippet_rows(told: Told, chosen: np.ndarray) -> Rows:
    """Each snippet of each sentence, by the regions ``chosen`` ``(sentences, words)``."""
    counts = told.lengths.tolist()
    return _rows(told, [(j, s) for j, count in enumerate(counts) for s in snippets(chosen[j, :count])])


def _rows(told: Told, found: Sequence[tuple[int, Snippet]]) -> Rows:
    words, of = told.words.tolist(), told.of.tolist()
    rows = [words[j][s.start : s.stop] for j, s in found]
    width = max(map(len, rows)) + 1
    before = torch.tensor([[END, *row, *[END] * (width - 1 - len(row))] for row in rows])
    after = torch.tensor([[*row, END, *[IGNORED] * (width - 1 - len(row))] for row in rows])
    return torch.tensor([of[j] for j, _ in found]), torch.tensor([s.region for _, s in found]), before, after
