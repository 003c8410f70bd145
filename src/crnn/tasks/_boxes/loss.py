"""What a network that finds things learns from: heat at centres, and overlap of the boxes around them.

Heat falls off from the centre of a thing as a Gaussian of its size; places near the centre learn its edges (Liu et al.
2020, "Training-Time-Friendly Network", arXiv 1909.00700).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SPREAD = 0.09  # deviation of the heat, as a share of a thing's side
NARROWEST = 0.35  # deviation, in places
NEAR = 0.1  # heat from which on a place learns the edges
SHARP, FORGIVING = 2, 4  # powers of the focal loss (Law & Deng 2018, arXiv 1808.01244)
EDGES = 5.0  # how much boxes weigh beside heat
WIDEST = 6.0  # most that a distance may be off its unit, as a logarithm


class Wanted(NamedTuple):
    """What is wanted at each place: ``heat`` and whether it ``counts`` ``(batch, labels, height, width)``, the
    ``boxes`` ``(batch, 4, height, width)`` in pixels and how much each place weighs for its box ``(batch, height,
    width)``, 1 in all for each thing."""

    heat: Tensor
    counts: Tensor
    boxes: Tensor
    weights: Tensor


def wanted(rows: Tensor, lengths: Tensor, labels: int, size: tuple[int, int], stride: int) -> Wanted:
    """Of boxes ``rows`` ``(batch, boxes, 6)`` (see ``crnn.data.boxes``), at ``size`` (height,
    width) places ``stride`` pixels apart."""
    batch, (height, width) = len(rows), size
    heat = rows.new_zeros(batch, labels, height, width)
    counts = torch.ones_like(heat)
    boxes = rows.new_zeros(batch, 4, height, width)
    weights = rows.new_zeros(batch, height, width)
    x, y = (torch.arange(n, device=rows.device) for n in (width, height))
    for b, count in enumerate(lengths.tolist()):
        own = rows[b, :count]
        for edge in own[own[:, 5] == 0]:
            inside = _inside(x, y, edge, stride)
            counts[b, int(edge[4])].masked_fill_(inside, 0.0)
        own = own[own[:, 5] > 0]
        if not len(own):
            continue
        own = own[((own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1])).argsort(descending=True)]
        middles = (own[:, :2] + own[:, 2:4]) / 2
        cx = (middles[:, 0] / stride).long().clamp(0, width - 1)
        cy = (middles[:, 1] / stride).long().clamp(0, height - 1)
        spread = ((own[:, 2:4] - own[:, :2]) / stride * SPREAD).clamp(min=NARROWEST)
        across = ((x - cx[:, None]) / spread[:, :1]).square()
        down = ((y - cy[:, None]) / spread[:, 1:]).square()
        warm = torch.exp(-(down[:, :, None] + across[:, None, :]) / 2)  # (boxes, height, width)
        for label in own[:, 4].unique().long().tolist():
            heat[b, label] = warm[own[:, 4] == label].amax(0)
        # where things overlap, a place belongs to the smallest, which stands last
        number = torch.arange(1, len(own) + 1, device=rows.device)
        owner = (number[:, None, None] * (warm > NEAR)).amax(0)
        some = owner > 0
        index = (owner - 1).clamp(min=0)
        share = warm.gather(0, index[None])[0] * some
        sums = share.new_zeros(len(own)).index_add_(0, index.flatten(), share.flatten())
        weights[b] = share / sums[index].clamp(min=1e-6)
        boxes[b] = own[:, :4][index].movedim(-1, 0)
    return Wanted(heat, counts, boxes, weights)


def _inside(x: Tensor, y: Tensor, edge: Tensor, stride: int) -> Tensor:
    """Places whose middles lie in a box."""
    across = ((x + 0.5) * stride >= edge[0]) & ((x + 0.5) * stride <= edge[2])
    down = ((y + 0.5) * stride >= edge[1]) & ((y + 0.5) * stride <= edge[3])
    return down[:, None] & across


def loss(maps: Tensor, target: Wanted, *, stride: int, unit: float) -> Tensor:
    """Focal loss of the heat and 1 less the generalised overlap (Rezatofighi et al. 2019, arXiv 1902.09630) of the
    boxes, for each thing; ``maps`` ``(batch, labels + 4, height, width)``."""
    logits, sides = maps[:, :-4], maps[:, -4:]
    centre = target.heat > 0.9999
    things = centre.sum().clamp(min=1)
    p = logits.sigmoid()
    found = -((1 - p) ** SHARP) * F.logsigmoid(logits) * centre
    rest = -((1 - target.heat) ** FORGIVING) * p**SHARP * F.logsigmoid(-logits) * ~centre
    heat = ((found + rest) * target.counts).sum() / things
    off = 1 - generalised_overlap(boxes_at(sides, stride=stride, unit=unit), target.boxes)
    return heat + EDGES * (off * target.weights).sum() / things


def boxes_at(sides: Tensor, *, stride: int, unit: float) -> Tensor:
    """Left, top, right, bottom in pixels of the box of each place, of distances ``sides`` ``(batch, 4, height,
    width)``, logarithms of ``unit`` pixels."""
    distance = unit * sides.clamp(-WIDEST, WIDEST).exp()
    x = (torch.arange(sides.shape[3], device=sides.device) + 0.5) * stride
    y = (torch.arange(sides.shape[2], device=sides.device)[:, None] + 0.5) * stride
    left, top, right, bottom = distance.unbind(1)
    return torch.stack([x - left, y - top, x + right, y + bottom], dim=1)


def generalised_overlap(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of boxes ``(batch, 4, ...)``, less the share of the box around both that is in none."""
    low, high = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    both = (high - low).clamp(min=0).prod(1)
    union = sum((b[:, 2:] - b[:, :2]).clamp(min=0).prod(1) for b in (one, other)) - both
    around = torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])
    whole = around.clamp(min=0).prod(1)
    return both / union.clamp(min=1e-6) - (whole - union) / whole.clamp(min=1e-6)
