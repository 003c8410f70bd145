"""Arrays brought together: one padded array of many, in numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crnn.types import Seq


def pad(arrays: Sequence[np.ndarray]) -> Seq:
    """Arrays ``(time, ...)`` of any length as one, with their lengths, zeros behind each."""
    lengths = np.array([len(a) for a in arrays])
    x = np.zeros((len(arrays), int(lengths.max()), *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(x, arrays, strict=True):
        row[: len(array)] = array
    return Seq(x, lengths)  # type: ignore[arg-type]


def stack(parts: Sequence[Any]) -> Any:
    """Inputs of samples brought together, as arrays, or a mapping of them where there are several."""
    if isinstance(parts[0], Mapping):
        return {name: stack([part[name] for part in parts]) for name in parts[0]}
    return pad(parts)


def of_one_size(inputs: Sequence[Any]) -> list[list[int]]:
    """Numbers of the inputs that can be brought together: they differ in no more than their length."""
    groups: dict[Any, list[int]] = {}
    for i, x in enumerate(inputs):
        arrays = list(x.values()) if isinstance(x, Mapping) else [x]
        groups.setdefault(tuple(np.shape(a)[1:] for a in arrays), []).append(i)
    return list(groups.values())
