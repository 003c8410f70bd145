"""Samples as a torch data set: read, vary, encode. What cannot be read is handed on as its error, not raised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from crnn.data.packed import together
from crnn.data.randomness import random_of
from crnn.data.spoil import spoil
from crnn.errors import CrnnError, Unreachable, named
from crnn.types import Sample, Spoilt


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
        self._cache: dict[int, tuple[Any, float]] = {}
        self._room = cache_mb << 20

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: tuple[int, int]) -> Sample | CrnnError:
        epoch, i = key
        sample = self.samples[i]
        try:
            x, scale = self._decode(i)
            y = sample.y
            moving = self.task.along(y, self._places(x), scale) if self.task.aligned and y is not None else None
            if self.augment is not None:
                x, moved = self.kind.vary(x, moving, self.augment, random_of(self.seed, epoch, sample.id))
            else:
                x, moved = self.kind.plain(x, moving)
            if isinstance(sample.x, Spoilt):
                x = spoil(x, sample.x.how, self._of_spoiling(epoch, sample.id))
            y = y if moving is None else moved
            return self.task.encode(replace(sample, x=self.kind.finish(x), y=y, scale=scale))
        except CrnnError as error:
            return named(error, sample.id)

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> list[Sample | CrnnError]:
        """A batch, whose files, where they are far away, are fetched together."""
        try:
            needed = [self.samples[i].x for _, i in keys if i not in self._cache]
            with together([*needed, *(self.samples[i].y for _, i in keys)]):
                return [self[key] for key in keys]
        except CrnnError as error:  # not of a sample, but of the shards
            lost = Unreachable(error.given, expected=error.expected, do=error.do, file=error.file)
            return [lost] * len(keys)

    def _of_spoiling(self, epoch: int, sample: str) -> np.random.Generator:
        """Another draw in each epoch of training, always the same afterwards."""
        return random_of(0, 0, sample) if self.augment is None else random_of(self.seed, epoch, f"{sample}/spoilt")

    def _places(self, x: Any) -> Any:
        """What labels belong to in what was decoded."""
        kind = self.kind
        if isinstance(x, Mapping):
            x, kind = x[kind.first], kind.kinds[kind.first]
        return kind.places(x)

    def _decode(self, i: int) -> tuple[Any, float]:
        if i in self._cache:
            return self._cache[i]
        source = self.samples[i].x
        x, scale = self.kind.decode_scaled(source.source if isinstance(source, Spoilt) else source)
        size = sum(part.nbytes for part in (x.values() if isinstance(x, Mapping) else [x]))
        if size <= self._room:
            self._room -= size
            self._cache[i] = x, scale
        return x, scale
