"""Local response normalisation across channels (Krizhevsky, Sutskever & Hinton, NIPS 2012), as one matrix product."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.layers._given import traced

CONVOLVE: dict[int, Any] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class LocalResponseNorm(nn.LocalResponseNorm):
    """``torch.nn.LocalResponseNorm`` in a fraction of its time, and in bfloat16, which torch's does not know.

    ``y_c = x_c / (k + alpha / size * sum_j x_j ** 2) ** beta`` over the ``size`` channels ``j`` from ``c - size // 2``
    on, at each place of ``(batch, channels, *axes)``, one to three axes; zeros stay zero. Takes what torch's takes:
    ``size``, ``alpha``, ``beta``, ``k``. Can be differentiated once.
    """

    def forward(self, input: Tensor) -> Tensor:
        window = torch.ones(input.shape[1], input.shape[1], dtype=input.dtype, device=input.device)
        window = window.triu(-(self.size // 2)).tril((self.size - 1) // 2)
        scale = self.alpha / self.size
        if traced():
            return input * (_over_channels(input * input, window) * scale + self.k).pow(-self.beta)
        return _LocalResponseNorm.apply(input, window, scale, self.beta, self.k)


def _over_channels(x: Tensor, matrix: Tensor) -> Tensor:
    """``matrix`` times the channels of each place. A convolution of one place knows all layouts of memory."""
    axes = x.dim() - 2
    with torch.autocast(x.device.type, enabled=False):  # what comes out is to be of x's own type
        return CONVOLVE[axes](x, matrix.view(*matrix.shape, *[1] * axes))


def _divisor(d: Tensor, beta: float, *, out: Tensor | None = None) -> Tensor:
    """``d ** -beta``. For the 0.75 of all papers roots take a third of the time of a general power."""
    if beta == 0.75:
        return torch.sqrt(d, out=out).mul_(d).rsqrt_()
    return torch.pow(d, -beta, out=out)


class _LocalResponseNorm(torch.autograd.Function):
    """Keeps ``d = k + scale * sum x ** 2`` beside ``x`` and nothing else: what is kept has to be paged in."""

    @staticmethod
    def forward(ctx, x, window, scale, beta, k):  # type: ignore[override]
        y = x * x
        d = _over_channels(y, window).mul_(scale).add_(k)
        ctx.save_for_backward(x, d, window)
        ctx.scale, ctx.beta = scale, beta
        return _divisor(d, beta, out=y).mul_(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):  # type: ignore[override]
        # dx = g / d ** beta - 2 scale beta x W^T(g x / d ** (beta + 1))
        x, d, window = ctx.saved_tensors
        dx = _divisor(d, ctx.beta).mul_(gradient)
        across = _over_channels((dx * x).div_(d), window.t())
        return dx.addcmul_(x, across, value=-2 * ctx.scale * ctx.beta), None, None, None, None
