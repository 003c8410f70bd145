"""Decoders that say a sentence word by word: a recurrence that is shown a picture once or at each word (Karpathy &
Fei-Fei 2015, arXiv 1412.2306; Donahue et al. 2014, arXiv 1411.4389), or attends to its parts (Xu et al. 2015, arXiv
1502.03044).

A word is a number; 0 begins a sentence and ends it. What is said of may be a picture, a film or anything else that was
summed up as one vector, or as a sequence of vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from crnn.layers._given import check_axes, check_lengths, time_first
from crnn.layers.attention import AdditiveAttention, Memory
from crnn.layers.cells import Cell, GRUCell, LSTMCell, State
from crnn.layers.scan import scan

END = 0
"""The word before the first and behind the last."""
BEGIN = 0.1  # deviation of words' vectors at the start; see models._front


class Seen(NamedTuple):
    """What is to be said something of, made ready to be looked at with each word."""

    fixed: tuple[Tensor, ...]
    """Each ``(batch, ...)``, the same for all words."""
    state: State
    """Each ``(batch, ...)``, before the first word."""

    def rows(self, index: Tensor) -> Seen:
        """The samples ``index``, in this order; one may come several times."""
        return Seen(tuple(t[index] for t in self.fixed), tuple(t[index] for t in self.state))


class Said(NamedTuple):
    """What a decoder says after one word."""

    logits: Tensor
    """Of the next word, ``(batch, words)``."""
    state: State
    weights: Tensor | None = None
    """How much was made of each region, ``(batch, regions)``."""


class ReluCell(Cell):
    """``h' = max(0, W x + U h + b)``: the recurrence of Karpathy & Fei-Fei (2015)."""

    def update(self, zx: Tensor, zh: Tensor, state: State) -> State:
        return (torch.relu(zx + zh),)


CELLS: dict[str, type[Cell]] = {"lstm": LSTMCell, "gru": GRUCell, "relu": ReluCell}


class SentenceDecoder(nn.Module):
    """What all decoders share: vectors of ``words`` words and a last layer.

    ``look(...)`` makes ready what is to be said something of; ``step(word, seen)`` says one word more, and
    ``decoder(words, seen)`` gives for given words ``(batch, steps)`` the logits ``(batch, steps, words)`` of what comes
    after each (teacher forcing).
    """

    def __init__(self, words: int, size: int, *, embedding: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.words = words
        self.vectors = nn.Embedding(words, embedding)
        nn.init.normal_(self.vectors.weight, std=BEGIN)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(size, words)

    def step(self, word: Tensor, seen: Seen) -> Said:
        """What comes after the words ``word`` ``(batch,)``, in the state of ``seen``."""
        raise NotImplementedError

    def forward(self, words: Tensor, seen: Seen) -> Tensor:
        check_axes("words", words, ("batch", "steps"))
        found = []
        for word in words.unbind(1):
            said = self.step(word, seen)
            seen = seen._replace(state=said.state)
            found.append(said.logits)
        return torch.stack(found, 1)

    def drawing(self, words: Tensor, seen: Seen, share: Tensor | float) -> Tensor:
        """The same where each word but the first is, with the probability ``share``, one that the decoder drew itself
        instead of the given one: scheduled sampling (Bengio et al. 2015, arXiv 1506.03099)."""
        word, found = words[:, 0], []
        for i in range(words.shape[1]):
            said = self.step(word, seen)
            seen = seen._replace(state=said.state)
            found.append(said.logits)
            if i + 1 < words.shape[1]:
                own = torch.multinomial(said.logits.detach().float().softmax(-1), 1).squeeze(1)
                word = torch.where(torch.rand(own.shape, device=own.device) < share, own, words[:, i + 1])
        return torch.stack(found, 1)


class ShownDecoder(SentenceDecoder):
    """Recurrent layers that are shown one vector ``v`` beside the words, or beside what the layer below says.

    The multimodal RNN of Karpathy & Fei-Fei (2015) is ``layers=1, cell="relu", once=True``: ``v`` counts with the first
    word alone. LRCN (Donahue et al. 2014) is shown it with each word: 1u is one LSTM, 2u two with ``v`` in the first
    (``into=0``), 2f two of which the first sees words only (``into=1``). ``look(v)`` takes ``(batch, channels)``.
    Raises ``ShapeError``.
    """

    def __init__(
        self,
        words: int,
        channels: int,
        size: int,
        *,
        embedding: int,
        layers: int = 1,
        into: int = 0,
        once: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(words, size, embedding=embedding, dropout=dropout)
        self.channels, self.into, self.once = channels, into, once
        make = CELLS["relu" if once else "lstm"]
        widths = [(size if i else embedding) + channels * (i == into) for i in range(layers)]
        self.cells = nn.ModuleList(make(width, size) for width in widths)

    def look(self, x: Tensor) -> Seen:
        """``x`` ``(batch, channels)`` made ready."""
        check_axes("x", x, ("batch", "channels"), self.channels)
        cells: list[Any] = list(self.cells)
        state = tuple(x.new_zeros(len(x), cell.size) for cell in cells for _ in range(cell.parts))
        return Seen((), (self.dropout(x), *state))

    def step(self, word: Tensor, seen: Seen) -> Said:
        shown, *state = seen.state
        y, after = self.vectors(word), []
        for i, cell in enumerate(self.cells):
            y = torch.cat((y, shown.to(y.dtype)), 1) if i == self.into else y
            own, state = state[: cell.parts], state[cell.parts :]  # type: ignore[misc, index]
            y, new = cell(y, tuple(own))
            after += new
        return Said(self.output(self.dropout(y)), (torch.zeros_like(shown) if self.once else shown, *after))

    def forward(self, words: Tensor, seen: Seen) -> Tensor:
        """All steps of a layer, then all of the next: faster than word by word."""
        check_axes("words", words, ("batch", "steps"))
        shown, *state = seen.state
        y, steps = self.vectors(words), words.shape[1]
        shown = shown[:, None].expand(-1, steps, -1)
        if self.once:
            shown = torch.cat((shown[:, :1], torch.zeros_like(shown[:, 1:])), 1)
        for i, cell in enumerate(self.cells):
            y = torch.cat((y, shown.to(y.dtype)), 2) if i == self.into else y
            own, state = state[: cell.parts], state[cell.parts :]  # type: ignore[misc, index]
            y, _ = scan(cell, y, tuple(own))  # type: ignore[arg-type]
        return self.output(self.dropout(y))


class AttentiveDecoder(SentenceDecoder):
    """A recurrence that attends to regions with each word (Xu et al. 2015, "Show, Attend and Tell", its soft form)::

        z = sum_i a_i x_i,  a = softmax_i(v . tanh(W h + U x_i + b))    h' = cell([word, z], h)
        logits = V (w + A h' + B z + b) + c,  w the vector of the word before

    It begins with a state that is a dense layer of the summary of all. ``look(summary, regions, lengths)`` takes
    ``(batch, channels)`` and ``(batch, regions, region_channels)``. Raises ``ShapeError``.
    """

    def __init__(
        self,
        words: int,
        channels: int,
        size: int,
        *,
        regions: int,
        embedding: int,
        cell: Literal["lstm", "gru"] = "lstm",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(words, embedding, embedding=embedding, dropout=dropout)
        self.channels = channels
        make: Callable[..., Cell] = CELLS[cell]
        self.cell = make(embedding + regions, size)
        self.first = nn.Linear(channels, size * self.cell.parts)
        self.attention = AdditiveAttention(regions, size, size=size)
        self.from_state, self.from_context = nn.Linear(size, embedding), nn.Linear(regions, embedding, bias=False)

    def look(self, x: Tensor, regions: Tensor, lengths: Tensor | None = None) -> Seen:
        """``x`` ``(batch, channels)`` and ``regions`` ``(batch, regions, region_channels)`` made ready."""
        check_axes("x", x, ("batch", "channels"), self.channels)
        check_axes("regions", regions, time_first(0))
        check_lengths(lengths, *regions.shape[:2])
        if lengths is None:
            lengths = torch.full((len(x),), regions.shape[1], device=x.device)
        memory = self.attention.keys(self.dropout(regions), lengths)
        state = torch.tanh(self.first(self.dropout(x))).chunk(self.cell.parts, 1)
        return Seen((memory.values, memory.keys, lengths), tuple(state))

    def step(self, word: Tensor, seen: Seen) -> Said:
        context, weights = self.attention(seen.state[0], Memory(*seen.fixed))
        before = self.vectors(word)
        y, state = self.cell(torch.cat((before, context), 1), seen.state)
        y = before + self.from_state(self.dropout(y)) + self.from_context(context)
        return Said(self.output(self.dropout(y)), state, weights)
