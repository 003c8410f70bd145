"""Mixup: training on mixtures of two samples (Zhang et al. 2017, arXiv 1710.09412)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from crnn.errors import SettingsError
from crnn.layers import zero_padding
from crnn.types import Seq


def mixup(inputs: Any, alpha: float) -> tuple[Any, Tensor, float]:
    """``inputs`` mixed with themselves in another order; the order; and the share of the samples' own input, drawn from
    ``Beta(alpha, alpha)``. A mixture is as long as the longer of the two."""
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    first = next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs
    order = torch.randperm(len(first.lengths), device=first.lengths.device)
    if isinstance(inputs, Mapping):
        return {name: _mixed(seq, order, share) for name, seq in inputs.items()}, order, share
    return _mixed(inputs, order, share), order, share


def _mixed(seq: Seq, order: Tensor, share: float) -> Seq:
    if not seq.x.is_floating_point():
        raise SettingsError(
            "task.mixup is set, and the input is a row of words",
            expected="an input of numbers, which can be added",
            do="Set task.mixup to 0.",
        )
    x = zero_padding(seq.x, seq.lengths, axis=1)
    return Seq(share * x + (1 - share) * x[order], torch.maximum(seq.lengths, seq.lengths[order]))
