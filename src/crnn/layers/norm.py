"""Normalisation that knows lengths."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.layers.padding import keep


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe & Szegedy 2015, arXiv 1502.03167) whose statistics leave padding out.

    Takes and gives ``(batch, channels, time, *space)``; with ``lengths`` the input must be zero in the padding, and
    the output is. Equal to ``torch.nn.BatchNorm`` over the true steps alone; without ``lengths`` it is that.

    Where several processes train together, ``ranks`` brings their statistics together: ``gather`` stacks a tensor of
    each, ``sum`` adds them up, ``weight`` is 0 in a process whose batch is not to count, else 1.
    """

    ranks: Any = None

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, momentum={self.momentum}, eps={self.eps}"

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if not self.training or (lengths is None and self.ranks is None):
            y = F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps
            )
            return y if lengths is None else y * keep(x, lengths, axis=2)
        there = x.new_ones(x.shape[0], *[1] * (x.dim() - 1)) if lengths is None else keep(x, lengths, axis=2)
        y, mean, var, count = _MaskedBatchNorm.apply(x, self.weight, self.bias, there, self.eps, self.ranks)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1).clamp(min=1)), self.momentum)
        return y


class _MaskedBatchNorm(torch.autograd.Function):
    """Since padding is zero it adds nothing to the sums, so the fast native kernel's mean and variance over all ``N``
    places become those of the ``n`` true ones by a factor ``N / n``; the gradient is put right in the same manner.

    Of several processes, the means and variances are pooled by their counts, and in the gradient what all of them owe
    to the statistics is summed up."""

    @staticmethod
    def forward(ctx, x, weight, bias, keep, eps, ranks):  # type: ignore[override]
        places = x.numel() // x.shape[1]
        exact = torch.float64 if x.dtype == torch.float64 else torch.float32
        count = keep.sum(dtype=exact) * (places // keep.numel())
        factor = places / count
        _, mean_all, inverse_all = torch.native_batch_norm(x, weight, bias, None, None, True, 0.0, eps)
        variance_all = inverse_all.pow(-2) - eps
        mean = mean_all * factor
        var = ((variance_all + mean_all.square()) * factor - mean.square()).clamp_(min=0)
        if ranks is not None:
            mean, var, count = _pooled(ranks, mean, var, count)
        y = F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps).mul_(keep)
        ctx.save_for_backward(x, weight, keep, mean, var, count)
        ctx.eps, ctx.ranks = eps, ranks
        ctx.mark_non_differentiable(mean, var, count)
        return y, mean, var, count

    @staticmethod
    def backward(ctx, gradient, *_):  # type: ignore[override]
        x, weight, keep, mean, var, count = ctx.saved_tensors
        gradient = gradient * keep
        # as if mean and variance were constants ...
        dx, dweight, dbias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, mean, var, None, None, False, ctx.eps, [True, True, True]
        )
        # ... and what they owe to x: dx -= w / (s n) * (dbias + (x - mean) / s * dweight)
        owed = (dweight, dbias) if ctx.ranks is None else ctx.ranks.sum(torch.stack([dweight, dbias])).unbind()
        inverse = (var + ctx.eps).rsqrt()
        slope = -weight * inverse.square() * owed[0] / count
        offset = -weight * inverse * owed[1] / count - slope * mean
        zero, one = torch.zeros_like(mean), torch.ones_like(mean)
        dx += F.batch_norm(x, zero, one, slope, offset, False, 0.0, 0.0)
        return dx.mul_(keep), dweight, dbias, None, None, None


def _pooled(ranks: Any, mean: Tensor, var: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, variance and count of the true places of all processes (Chan, Golub & LeVeque 1983)."""
    own = torch.stack([mean, var, (count * ranks.weight).expand_as(mean)])
    means, variances, counts = ranks.gather(own).unbind(1)
    total = counts.sum(0)
    mean = (means * counts).sum(0) / total
    var = ((variances + (means - mean).square()) * counts).sum(0) / total
    return mean, var, total[0]
