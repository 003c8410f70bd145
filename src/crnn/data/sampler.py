"""Batches of samples of like length, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np


class Buckets:
    """Yields lists of ``(epoch, index)``: each sample once an epoch, neighbours in length together, batches shuffled.

    ``shuffle=False`` gives one fixed order from short to long. The order is a function of seed and epoch alone;
    ``epoch`` is asked anew at each pass. ``done`` names an epoch and how many of its batches are not to come again.
    Of several processes, ``ranks``, that share each batch of ``ranks`` times the size, the one of number ``rank`` gets
    every so manieth of its samples: parts that differ by one at most, short and long in each.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        epoch: Callable[[], int] = lambda: 0,
        done: tuple[int, int] = (0, 0),
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.lengths = np.asarray(lengths, dtype=np.float64)
        self.batch_size, self.shuffle, self.seed, self.epoch = batch_size * ranks, shuffle, seed, epoch
        self.done, self.rank, self.ranks = done, rank, ranks

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch = self.epoch()
        rng = np.random.default_rng((self.seed, epoch))
        lengths = self.lengths
        if self.shuffle:  # the blur lets a sample meet other neighbours in each epoch
            lengths = lengths * rng.uniform(0.9, 1.1, len(lengths)) + rng.random(len(lengths))
        order = np.argsort(lengths, kind="stable")
        batches = [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        numbers = rng.permutation(len(batches)) if self.shuffle else range(len(batches))
        for b in numbers[self.done[1] if self.shuffle and epoch == self.done[0] else 0 :]:
            yield [(epoch, int(i)) for i in batches[b][self.rank :: self.ranks]]
