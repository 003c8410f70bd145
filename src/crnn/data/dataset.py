"""Samples as a torch data set: read, vary, encode. What cannot be read is handed on as its error, not raised."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from crnn.errors import CrnnError
from crnn.types import Sample


class Samples(Dataset):
    """``samples`` seen through an input kind and a task; the index is ``(epoch, i)``.

    Each sample's randomness comes from seed, epoch and the sample's own id, so it is the same whichever worker reads
    it, and the same after a run was stopped and resumed. Decoded pictures are kept up to ``cache_mb`` megabytes.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        kind: Any,
        task: Any,
        *,
        augment: Any = None,
        seed: int = 0,
        cache_mb: int = 1024,
    ) -> None:
        self.samples, self.kind, self.task = samples, kind, task
        self.augment, self.seed = augment, seed
        self._cache: dict[int, np.ndarray] = {}
        self._room = cache_mb << 20

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: tuple[int, int]) -> Sample | CrnnError:
        epoch, i = key
        sample = self.samples[i]
        try:
            x = self._decode(i)
            if self.augment is not None:
                x = self.augment(x, random_of(self.seed, epoch, sample.id))
            return self.task.encode(replace(sample, x=self.kind.finish(x)))
        except CrnnError as error:
            return error

    def _decode(self, i: int) -> np.ndarray:
        if i in self._cache:
            return self._cache[i]
        x = self.kind.decode(self.samples[i].x)
        if x.nbytes <= self._room:
            self._room -= x.nbytes
            self._cache[i] = x
        return x


def random_of(seed: int, epoch: int, sample: str) -> np.random.Generator:
    """The randomness of one sample in one epoch."""
    digest = hashlib.blake2b(f"{seed}/{epoch}/{sample}".encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))
