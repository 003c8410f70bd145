"""What says a sentence: from an encoder's features to a decoder that is shown their summary, or attends to regions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from crnn.layers.padding import mask
from crnn.layers.sentence_decoder import END, AttentiveDecoder, Seen, SentenceDecoder, ShownDecoder
from crnn.tasks._pooled import Pool
from crnn.tasks._pooled_head import Pooling
from crnn.types import Seq

Decoder = Literal["attention", "mrnn", "lrcn_1u", "lrcn_2u", "lrcn_2f"]
SHOWN: dict[str, dict[str, Any]] = {
    "mrnn": {"once": True},
    "lrcn_1u": {},
    "lrcn_2u": {"layers": 2},
    "lrcn_2f": {"layers": 2, "into": 1},
}
"""Decoders that are shown one vector: see ``crnn.layers.sentence_decoder.ShownDecoder``."""
IGNORED = -100


class Sizes(NamedTuple):
    """What a head is made of; ``sampling`` is the share of words that are its own, reached after ``rise`` steps."""

    decoder: Decoder
    cell: Literal["lstm", "gru"]
    embedding: int
    hidden: int
    pool: Pool
    dropout: float
    sampling: float = 0.0
    rise: int = 1


class Told(NamedTuple):
    """Sentences that are known: ``words`` ``(sentences, steps)`` begin with the end of the one before, ``goals`` are
    what comes after each, ``of`` ``(sentences,)`` says which sample each belongs to."""

    words: Tensor
    goals: Tensor
    of: Tensor


class Places(NamedTuple):
    """Regions that were attended to: steps of each sample, and the space and the stride of a step."""

    lengths: list[int]
    space: tuple[int, ...]
    stride: int


Search = Callable[[Callable[[Tensor, Seen], Any], Seen], Any]
"""Finds sentences: given a decoder's ``step``, and what there is to see."""


class CaptionHead(nn.Module):
    """Features to sentences of ``words`` words.

    ``head(features)`` gives the logits of the first word ``(batch, words)``; told sentences it gives those of each of
    their words ``(sentences, steps, words)``; told a ``Search``, what that finds and the ``Places`` of regions.

    Attention is over the last level that has space, else over the steps of the last, and knows where each region is.
    """

    def __init__(self, encoder: Any, words: int, sizes: Sizes) -> None:
        super().__init__()
        s, level = sizes, encoder.levels[-1]
        pool: Pool = getattr(encoder, "pooling", "mean") if s.pool == "auto" else s.pool
        self.pooling = Pooling(level, pool)
        self.trained: Tensor
        self.sampling, self.rise = s.sampling, s.rise
        if s.sampling:  # steps of training, by which the network's own words become more and more
            self.register_buffer("trained", torch.zeros((), dtype=torch.long))
        self.decoder: SentenceDecoder
        self.level: int | None = None
        if s.decoder == "attention":
            spread = [i for i, each in enumerate(encoder.levels) if each.space]
            self.level = spread[-1] if spread else len(encoder.levels) - 1
            own = encoder.levels[self.level]
            self.stride = own.stride
            self.decoder = AttentiveDecoder(
                words,
                level.channels,
                s.hidden,
                regions=own.channels + 1 + len(own.space),
                embedding=s.embedding,
                cell=s.cell,
                dropout=s.dropout,
            )
        else:
            self.decoder = ShownDecoder(
                words, level.channels, s.hidden, embedding=s.embedding, dropout=s.dropout, **SHOWN[s.decoder]
            )

    def forward(self, features: Any, told: Told | Search | None = None) -> Any:
        seen = self.look(features)
        if told is None:
            return self.decoder.step(seen.state[0].new_full((len(seen.state[0]),), END).long(), seen).logits.float()
        if isinstance(told, Told):
            return self._taught(told, seen.rows(told.of)).float()
        return told(self.decoder.step, seen), self._places(features)

    def look(self, features: Any) -> Seen:
        """The features made ready for the decoder."""
        summary = self.pooling(features.last)
        if self.level is None:
            return self.decoder.look(summary)  # type: ignore[operator]
        x, lengths = regions_of(features.levels[self.level])
        return self.decoder.look(summary, x, lengths)  # type: ignore[operator]

    def _taught(self, told: Told, seen: Seen) -> Tensor:
        if not (self.training and self.sampling):
            return self.decoder(told.words, seen)
        self.trained.add_(1)
        return self.decoder.drawing(told.words, seen, self.sampling * (self.trained / self.rise).clamp(max=1.0))

    def _places(self, features: Any) -> Places | None:
        if self.level is None:
            return None
        x, lengths = features.levels[self.level]
        return Places(lengths.tolist(), tuple(x.shape[3:]), self.stride)


def regions_of(level: Seq) -> Seq:
    """A level ``(batch, time, channels, *space)`` as regions ``(batch, time * places, channels + axes)``, time by time;
    behind its features each says where it is, from -1 to 1 on each axis."""
    x, lengths = level
    space = x.shape[3:]
    time = (torch.arange(x.shape[1], device=x.device) + 0.5) / lengths[:, None].clamp(min=1)
    axes = [time.view(*time.shape, *[1] * len(space))]
    for i, side in enumerate(space):
        place = (torch.arange(side, device=x.device) + 0.5) / side
        axes.append(place.view(1, 1, *[1] * i, side, *[1] * (len(space) - i - 1)))
    shape = (*x.shape[:2], 1, *space)
    where = [(2 * axis - 1).to(x.dtype).unsqueeze(2).expand(shape) for axis in axes]
    both = torch.cat([x, *where], 2)
    # (batch, time, channels, *space) -> (batch, time * places, channels)
    return Seq(both.flatten(3).movedim(2, -1).flatten(1, 2) if space else both, lengths * space.numel())


def told_of(targets: Seq) -> Told:
    """Sentences one after the other, each with its end, ``(batch, words)``, as rows of their own."""
    x, lengths = targets
    inside = mask(lengths, x.shape[1])
    flat, sample = x[inside], torch.arange(len(x), device=x.device)[:, None].expand_as(x)[inside]
    stops = (flat == END).nonzero().squeeze(1)
    starts = torch.cat((stops.new_zeros(1), stops[:-1] + 1))
    counts = stops - starts + 1
    steps = torch.arange(int(counts.max()), device=x.device)
    there = steps < counts[:, None]
    goals = flat[(starts[:, None] + steps).clamp(max=len(flat) - 1)]
    words = torch.where(there, goals, END).roll(1, 1)
    words[:, 0] = END
    return Told(words, torch.where(there, goals, IGNORED), sample[stops])
