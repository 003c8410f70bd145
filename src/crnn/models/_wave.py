"""Learned filters over a raw waveform: frames as of a spectrogram, each of which looks back only.

Pairs of filters whose energies are added, as in "Learning Filterbanks from Raw Speech for Phone Recognition" (Zeghidour
et al. 2018, arXiv 1711.01161; of whole sentences 1806.07098), which begin as Gabor filters on the mel scale; then the
largest value of each window and a logarithm, as in "Learning the Speech Front-end With Raw Waveform CLDNNs" (Sainath et
al. 2015).
"""

from __future__ import annotations

from math import log10, pi, sqrt
from typing import TypeAlias

import torch
from torch import Tensor, nn

from crnn.layers import BatchNorm, CausalConv, CausalMaxPool, zero_padding

State: TypeAlias = tuple[tuple[Tensor], tuple[Tensor]]
"""What the filters and the pooling look back at."""
WINDOW, HOP = 0.025, 0.01  # seconds
PARTS = 8  # of a hop: the filters answer so often, and the largest of two hops' answers is a frame
LOWEST = 60.0  # Hz, of the first filter
FLOOR = 1e-5  # least energy that counts, of a waveform of deviation 1


class Wave(nn.Module):
    """``(batch, samples, 1)`` at ``rate`` samples a second to ``(batch, frames, 1, filters)``, one for each ``hop``
    samples begun, about 10 ms: ``y, lengths, state = front(x, lengths, state)``. Pieces of any sizes, with the state,
    are the whole; without ``lengths`` no sample is padded."""

    def __init__(self, rate: float, filters: int) -> None:
        super().__init__()
        part = max(1, round(rate * HOP / PARTS))
        self.hop, self.filters = part * PARTS, filters
        self.conv = CausalConv(1, 2 * filters, max(1, round(rate * WINDOW)), stride=part, bias=False)
        self.pool = CausalMaxPool(2 * PARTS, stride=PARTS)
        self.norm = BatchNorm(filters)
        with torch.no_grad():
            self.conv.conv.weight.copy_(gabor(self.conv.conv.kernel_size[0], filters, rate)[:, None])

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.pool.out_lengths(self.conv.out_lengths(lengths))

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, Tensor | None, State]:
        first, second = state or (None, None)
        y, filtered = self.conv(x.transpose(1, 2), first, lengths)  # (batch, samples, 1) -> (batch, 1, samples)
        lengths = None if lengths is None else self.conv.out_lengths(lengths, first)
        energy = y.unflatten(1, (2, self.filters)).square().sum(1)
        y, pooled = self.pool(energy, second, lengths)
        lengths = None if lengths is None else self.pool.out_lengths(lengths, second)
        if y.shape[2]:
            y = (y + FLOOR).log()
            y = self.norm(y if lengths is None else zero_padding(y, lengths, axis=2), lengths)
        return y.transpose(1, 2)[:, :, None], lengths, (filtered, pooled)


def gabor(window: int, filters: int, rate: float) -> Tensor:
    """``(2 * filters, window)``: cosines, then sines, of frequencies evenly placed on the mel scale up to half of
    ``rate``, each under a bell as wide as its mel band is narrow, of energy 1."""
    lowest, highest = 2595 * log10(1 + LOWEST / 700), 2595 * log10(1 + rate / 1400)
    hertz = 700 * (10 ** (torch.linspace(lowest, highest, filters + 2, dtype=torch.float64) / 2595) - 1)
    width = (hertz[2:] - hertz[:-2]) / 2  # at half of the power
    bell = sqrt(torch.log(torch.tensor(2.0)).item()) / (pi * width)  # deviation in seconds
    time = (torch.arange(window, dtype=torch.float64) - (window - 1) / 2) / rate
    phase, envelope = 2 * pi * hertz[1:-1, None] * time, torch.exp(-((time / bell[:, None]) ** 2) / 2)
    waves = torch.cat([phase.cos() * envelope, phase.sin() * envelope])
    return (waves / waves.norm(dim=1, keepdim=True)).float()
