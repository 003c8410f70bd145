"""The running mean of weights, which is tested and kept in the place of the last ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class Averaging(WeightAveraging):
    """Keeps an exponential mean of weights and of batch norm's statistics over about ``1 / (1 - decay)`` steps, fewer
    at the start, of which it is to forget all (Polyak & Juditsky 1992; Tarvainen & Valpola 2017, arXiv 1703.01780).

    Lightning puts the mean into the network's place while the validation part is looked at, so it has to stand behind
    the callback that keeps the best bundle.
    """

    def __init__(self, decay: float) -> None:
        def mean(means: list[Tensor], weights: list[Tensor], steps: Tensor) -> None:
            if means[0].is_floating_point():
                torch._foreach_lerp_(means, weights, 1 - min(decay, (1 + int(steps)) / (10 + int(steps))))
            else:  # counters
                torch._foreach_copy_(means, weights)

        super().__init__(multi_avg_fn=torch.no_grad()(mean))

    @contextmanager
    def mean(self, module: Any) -> Iterator[None]:
        """The mean in the place of the network's weights."""
        self._swap_models(module)
        try:
            yield
        finally:
            self._swap_models(module)


def averaged(trainer: Any, module: Any) -> AbstractContextManager[None]:
    """The mean in the place of the network's weights, where one is kept."""
    found = next((c for c in trainer.callbacks if isinstance(c, Averaging)), None)
    return nullcontext() if found is None else found.mean(module)
