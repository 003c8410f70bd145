"""An answer for each step: the truth at each of them, and what speaks for it."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, isinf

from crnn.late import Tensor, torch
from crnn.types import Seq


def together(output: Seq, targets: Seq, stride: int) -> tuple[Tensor, Tensor]:
    """The true steps of ``output`` in one row, ``(steps, outputs)``, and the truth of each: that of the input step at
    its middle, of ``targets`` ``(batch, time, ...)``."""
    from crnn.layers import mask

    y, lengths = output
    middle = ((torch.arange(y.shape[1], device=y.device) + 0.5) * stride).long()
    place = torch.minimum(middle, targets.lengths[:, None] - 1)
    rows = torch.arange(len(y), device=y.device)[:, None]
    there = mask(lengths, y.shape[1])
    return y[there], targets.x[rows, place][there]


def log_odds(y: Tensor) -> Tensor:
    """Of logits ``(..., labels)`` of which one is true, the log odds of each: against all others together."""
    one = torch.eye(y.shape[-1], dtype=torch.bool, device=y.device)
    return y - y[..., None, :].masked_fill(one, -torch.inf).logsumexp(-1)


def mean_of_places(y: Tensor, places: Iterable[tuple[int, float, float]], *, stride: int) -> Tensor:
    """Mean of ``y`` ``(rows, time, labels)`` over ``places``, each a label with start and stop in steps of the input:
    ``(rows,)``."""
    there = y.new_zeros(y.shape[1:])
    for label, start, stop in places:
        first, last = int(start / stride), y.shape[1] if isinf(stop) else ceil(stop / stride)
        there[first : max(first + 1, last), label] = 1
    return (y * there).sum((1, 2)) / there.sum()
