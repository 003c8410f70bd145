"""Regions of a picture and words of a sentence in one space, and a decoder that says a phrase of a region."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.layers.alignment import SentenceReader
from crnn.layers.padding import mask
from crnn.layers.sentence_decoder import ShownDecoder
from crnn.tasks._pooled_head import Pooling
from crnn.types import Seq

WHOLE = 0
"""Number of the region that is the whole."""
FIRST_SCALE, MOST_SCALE = 10.0, 100.0  # the most is that of Radford et al. 2021, arXiv 2103.00020


class Sizes(NamedTuple):
    """What a head is made of."""

    size: int
    embedding: int
    hidden: int
    dropout: float
    says: bool
    """Whether it says phrases."""
    regions: str
    """What its regions are beside the whole: cells, boxes that it is given, or none, which is "whole"."""
    unit: bool
    """Whether what is compared are directions: words are of length 1, and regions of one length, which is learned."""


class Told(NamedTuple):
    """Sentences ``words`` ``(sentences, steps)`` of ``lengths``, of which sample ``of`` ``(sentences,)`` each is; and
    boxes ``(batch, boxes, 4)``, left, top, right, bottom as shares, or none."""

    words: Tensor
    lengths: Tensor
    of: Tensor
    boxes: Seq | None = None

    def drawn(self, count: int) -> Told:
        """At most ``count`` sentences of each sample, drawn at random."""
        order = torch.rand(len(self.of), device=self.of.device).argsort()
        order = order[self.of[order].argsort(stable=True)]  # by sample, in any order within
        of = self.of[order]
        place = torch.arange(len(of), device=of.device) - torch.searchsorted(of, of)
        kept = order[place < count]
        lengths = self.lengths[kept]
        width = int(lengths.max()) if len(kept) else 1
        return Told(self.words[kept, :width], lengths, self.of[kept], self.boxes)


class Looked(NamedTuple):
    """What there is to be matched. The first region is the whole picture."""

    regions: Seq
    """``(batch, regions, size)`` in the common space."""
    shown: Tensor
    """The same with where each lies and how large it is, ``(batch, regions, size + 2 * axes)``."""
    spans: Tensor
    """Where each begins and ends on each axis, time first: ``(batch, regions, axes, 2)`` as shares."""
    words: Tensor
    """``(sentences, steps, size)`` in the common space."""


class MatchHead(nn.Module):
    """Features to regions ``(batch, 1 + places, size)``, and told sentences, all that is to be matched.

    The whole picture is the pooled last level. Another region is the mean of the features under it, of the last level
    that has space, else of the last; with it goes where it lies and how large it is. There is one for each place, or
    for each box.
    """

    def __init__(self, encoder: Any, words: int, sizes: Sizes) -> None:
        super().__init__()
        s, levels = sizes, encoder.levels
        spread = [i for i, each in enumerate(levels) if each.space]
        self.level = spread[-1] if spread else len(levels) - 1
        own = levels[self.level]
        where = 2 * (1 + len(own.space))
        self.regions = s.regions
        self.pooling = Pooling(levels[-1], getattr(encoder, "pooling", "mean"))
        self.dropout = nn.Dropout(s.dropout)
        self.whole = nn.Linear(levels[-1].channels, s.size)
        self.region = None if s.regions == "whole" else nn.Linear(own.channels + where, s.size)
        self.scale = nn.Parameter(torch.tensor(FIRST_SCALE).log()) if s.unit else None
        self.reader = SentenceReader(words, s.size, embedding=s.embedding, hidden=s.hidden, dropout=s.dropout)
        self.decoder = None
        if s.says:
            channels = s.size + where
            self.decoder = ShownDecoder(words, channels, s.hidden, embedding=s.embedding, once=True, dropout=s.dropout)

    def forward(self, features: Any, told: Told | None = None) -> Any:
        boxes = told.boxes if told is not None and self.regions == "boxes" else None
        regions, shown, spans = self.look(features, boxes)
        if self.scale is not None:
            scale = self.scale.clamp(max=math.log(MOST_SCALE)).exp()
            regions = Seq(scale * F.normalize(regions.x, dim=2), regions.lengths)
        if told is None:
            return regions
        return Looked(regions, shown, spans, self.read(told.words, told.lengths))

    def read(self, words: Tensor, lengths: Tensor) -> Tensor:
        """Words of sentences ``(sentences, steps)`` in the common space, ``(sentences, steps, size)``."""
        read = self.reader(words, lengths).float()
        return read if self.scale is None else F.normalize(read, dim=2)

    def look(self, features: Any, boxes: Seq | None) -> tuple[Seq, Tensor, Tensor]:
        """The regions, the same as a decoder is shown them, and their spans."""
        level = features.levels[self.level]
        if self.regions != "cells":
            cells, spans, counts = self._boxed(level, boxes)
        else:
            x = level.x if level.x.dim() > 3 else level.x[..., None]  # a place of its own
            # (batch, time, channels, *space) -> (batch, regions, channels)
            cells, spans = x.flatten(3).movedim(2, -1).flatten(1, 2), spans_of(level)
            counts = level.lengths * x.shape[3:].numel()
        # the middle of each axis from -1 to 1, and how much of it
        where = torch.cat((spans.sum(3) - 1, spans[..., 1] - spans[..., 0]), 2)
        regions = self.whole(self.dropout(self.pooling(features.last)))[:, None].float()
        if self.region is not None:
            own = self.region(self.dropout(torch.cat((cells, where.to(cells.dtype)), 2)))
            regions = torch.cat((regions, own.float()), 1)
        all_of = spans.new_tensor([0.0, 1.0]).expand(len(spans), 1, spans.shape[2], 2)
        spans = torch.cat((all_of, spans), 1)
        middle = where.new_tensor([0.0] * spans.shape[2] + [1.0] * spans.shape[2]).expand(len(spans), 1, -1)
        shown = torch.cat((regions, torch.cat((middle, where), 1)), 2)
        inside = mask(counts + 1, regions.shape[1])[..., None]
        regions, shown = (torch.where(inside, each, each.new_zeros(())) for each in (regions, shown))
        return Seq(regions, counts + 1), shown, spans

    def _boxed(self, level: Seq, boxes: Seq | None) -> tuple[Tensor, Tensor, Tensor]:
        """The same of ``boxes``: the mean of the map under each, a cell counting as much as lies in it."""
        x, lengths = level
        axes = x.dim() - 2
        if boxes is None:
            none = lengths.new_zeros(len(x))
            return x.new_zeros(len(x), 0, x.shape[2]), x.new_zeros(len(x), 0, axes, 2), none
        left, top, right, bottom = boxes.x.float().unbind(2)
        spans = torch.stack((torch.stack((left, right), 2), torch.stack((top, bottom), 2))[:axes], 2)
        weights = shares(spans[:, :, 0], lengths, x.shape[1]).to(x.dtype)
        if axes == 1:
            return torch.einsum("bnt,btc->bnc", weights, x), spans, boxes.lengths
        sides = lengths.new_full((len(x),), x.shape[3])
        down = shares(spans[:, :, 1], sides, x.shape[3]).to(x.dtype)
        return torch.einsum("bnt,bnh,btch->bnc", weights, down, x), spans, boxes.lengths


def spans_of(level: Seq) -> Tensor:
    """Where each cell begins and ends, as ``Looked.spans``, time by time."""
    x, lengths = level
    sides = (x.shape[1], *x.shape[3:])
    axes = []
    for i, side in enumerate(sides):
        edge = torch.arange(side + 1, device=x.device, dtype=torch.float32)
        edge = edge / lengths.clamp(min=1)[:, None] if i == 0 else (edge / side).expand(len(x), -1)
        both = torch.stack((edge[:, :-1], edge[:, 1:]), 2)
        shape = (len(x), *(side if j == i else 1 for j in range(len(sides))), 2)
        axes.append(both.view(shape).expand(len(x), *sides, 2))
    # -> (batch, time, *space, axes, 2) -> (batch, regions, axes, 2)
    return torch.stack(axes, -2).flatten(1, len(sides))


def shares(spans: Tensor, lengths: Tensor, steps: int) -> Tensor:
    """How much of each span ``(batch, spans, 2)`` lies in each of ``lengths`` equal steps: ``(batch, spans, steps)``,
    1 in all."""
    edge = torch.arange(steps, device=spans.device) / lengths.clamp(min=1)[:, None, None]
    width = 1 / lengths.clamp(min=1)[:, None, None]
    inside = torch.minimum(spans[..., 1:], edge + width) - torch.maximum(spans[..., :1], edge)
    inside = inside.clamp(min=0) * mask(lengths, steps)[:, None]
    return inside / inside.sum(2, keepdim=True).clamp(min=1e-6)
