"""What each branch of a parallel network does for its answers: the answers where one branch says the same of all.

A branch is silenced by its mean over the samples that are tested (mean ablation): its features tell nothing of any
sample any more, but are as large as the fusion expects. What the figures lose is what only this branch knew; what both
know is nobody's loss, so the losses need not add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from crnn.deploy.predict import Predictor
from crnn.layers import zero_padding


class Branches:
    """The branches of a network, by the ``names`` that its encoder gives them (``fused``); none for most networks."""

    def __init__(self, predictor: Predictor) -> None:
        self.encoder: Any = predictor.net.encoder
        alone = len(predictor.voters) == 1
        self.names: tuple[str, ...] = getattr(self.encoder, "fused", ()) if alone else ()
        self._sums: list[tuple[list[Tensor], int]] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While this is open, means over the samples that are answered are taken."""

        def watch(branches: Sequence[Tensor], lengths: Tensor | None) -> None:
            steps = len(branches[0]) * branches[0].shape[1] if lengths is None else int(lengths.sum())
            sums = [zero_padding(b, lengths, axis=1).double().sum((0, 1)) for b in branches]
            self._sums.append((sums, steps))

        with self._fusion(watch):
            yield

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """While this is open, the branch says the same of every sample."""
        place = self.names.index(name)
        steps = max(1, sum(count for _, count in self._sums))
        mean: Tensor = torch.stack([sums[place] for sums, _ in self._sums]).sum(0) / steps

        def silence(branches: Sequence[Tensor], lengths: Tensor | None) -> list[Tensor]:
            return [mean.to(b.dtype).expand_as(b) if i == place else b for i, b in enumerate(branches)]

        with self._fusion(silence):
            yield

    @contextmanager
    def _fusion(self, change: Callable[[Sequence[Tensor], Tensor | None], Any]) -> Iterator[None]:
        if not self.names:
            yield
            return

        def hook(_: Any, args: Any) -> Any:
            branches, lengths = args
            changed = change(branches, lengths)
            return None if changed is None else (changed, lengths)

        handle = self.encoder.fusion.register_forward_pre_hook(hook)
        try:
            yield
        finally:
            handle.remove()
