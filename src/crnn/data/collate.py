"""Samples brought together: numpy arrays become one padded ``Batch``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from crnn.data import stack
from crnn.data.stack import of_one_size
from crnn.errors import CrnnError
from crnn.types import Batch, Sample, Seq


def pad(arrays: Sequence[np.ndarray]) -> Seq:
    """Arrays ``(time, ...)`` of any length as one ``Seq``, zeros behind each."""
    return Seq(*(torch.from_numpy(array) for array in stack.pad(arrays)))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a loader gives: the batch of the samples that could be read, and the errors of those that could not."""

    batch: Batch | None
    left_out: tuple[CrnnError, ...]
    others: tuple[Batch, ...] = ()
    """Where pictures have sizes of their own, which no padding makes one: a batch of each other size."""

    @property
    def batches(self) -> tuple[Batch, ...]:
        """All of them."""
        return () if self.batch is None else (self.batch, *self.others)

    def to(self, device: Any, **options: Any) -> Loaded:
        moved = [batch.to(device, **options) for batch in self.batches]
        return Loaded(moved[0], self.left_out, tuple(moved[1:])) if moved else self


def gather(parts: Sequence[Any]) -> Any:
    """Inputs or targets of samples brought together: arrays are padded to a ``Seq``, numbers and tuples of them become
    a tensor ``(batch, ...)``, and mappings stay mappings."""
    first = parts[0]
    if isinstance(first, Mapping):
        return {name: gather([part[name] for part in parts]) for name in first}
    return pad(parts) if isinstance(first, np.ndarray) else torch.tensor(parts)


def collate(samples: Sequence[Sample | CrnnError]) -> Loaded:
    """One ``Batch``, or one for each size; there are no targets if a sample has none."""
    good = [s for s in samples if isinstance(s, Sample)]
    left_out = tuple(s for s in samples if isinstance(s, CrnnError))
    if not good:
        return Loaded(None, left_out)
    first, *others = [_batch([good[i] for i in rows]) for rows in of_one_size([s.x for s in good])]
    return Loaded(first, left_out, tuple(others))


def _batch(samples: Sequence[Sample]) -> Batch:
    targets = None if any(s.y is None for s in samples) else gather([s.y for s in samples])
    ids, scales = tuple(s.id for s in samples), tuple(s.scale for s in samples)
    return Batch(ids, gather([s.x for s in samples]), targets, scales=scales)
