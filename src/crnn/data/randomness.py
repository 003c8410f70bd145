"""Randomness of a sample: a function of seed, epoch and the sample itself, whoever reads it and whatever was before."""

from __future__ import annotations

import hashlib

import numpy as np


def random_of(seed: int, epoch: int, sample: str) -> np.random.Generator:
    """The randomness of one sample in one epoch."""
    digest = hashlib.blake2b(f"{seed}/{epoch}/{sample}".encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))
