"""Samples brought together: numpy arrays become one padded ``Batch``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from crnn.errors import CrnnError
from crnn.types import Batch, Sample, Seq


def pad(arrays: Sequence[np.ndarray]) -> Seq:
    """Arrays ``(time, ...)`` of any length as one ``Seq``, zeros behind each."""
    lengths = torch.tensor([len(a) for a in arrays])
    first = arrays[0]
    x = torch.zeros(len(arrays), int(lengths.max()), *first.shape[1:], dtype=torch.from_numpy(first[:0]).dtype)
    for row, array in zip(x, arrays, strict=True):
        row[: len(array)] = torch.from_numpy(array)
    return Seq(x, lengths)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a loader gives: the batch of the samples that could be read, and the errors of those that could not."""

    batch: Batch | None
    left_out: tuple[CrnnError, ...]

    def to(self, device: Any, **options: Any) -> Loaded:
        return self if self.batch is None else Loaded(self.batch.to(device, **options), self.left_out)


def gather(parts: Sequence[Any]) -> Any:
    """Inputs or targets of samples brought together: arrays are padded to a ``Seq``, numbers and tuples of them become
    a tensor ``(batch, ...)``, and mappings stay mappings."""
    first = parts[0]
    if isinstance(first, Mapping):
        return {name: gather([part[name] for part in parts]) for name in first}
    return pad(parts) if isinstance(first, np.ndarray) else torch.tensor(parts)


def collate(samples: Sequence[Sample | CrnnError]) -> Loaded:
    """One ``Batch``; there are no targets if a sample has none."""
    good = [s for s in samples if isinstance(s, Sample)]
    left_out = tuple(s for s in samples if isinstance(s, CrnnError))
    if not good:
        return Loaded(None, left_out)
    targets = None if any(s.y is None for s in good) else gather([s.y for s in good])
    ids, scales = tuple(s.id for s in good), tuple(s.scale for s in good)
    return Loaded(Batch(ids, gather([s.x for s in good]), targets, scales=scales), left_out)
