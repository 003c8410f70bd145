"""What a network said, in numpy, whoever ran it: torch, or the library of an exported network."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn.types import Seq


def array(x: Any) -> np.ndarray:
    """A tensor or an array as an array."""
    return x if isinstance(x, np.ndarray) else x.detach().cpu().numpy()


def arrays(seq: Seq) -> tuple[np.ndarray, np.ndarray]:
    """A ``Seq``'s ``x`` and ``lengths`` as arrays."""
    return array(seq[0]), array(seq[1])


def first_lengths(inputs: Any) -> np.ndarray:
    """Steps of each row of the inputs of a batch, where there are several those of the first."""
    seq = inputs if isinstance(inputs, Seq) else next(iter(inputs.values()))
    return array(seq.lengths)


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Probabilities of logits along ``axis``, in their precision."""
    raised = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(raised / raised.sum(axis, keepdims=True))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The logistic function, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def log_mean_exp(x: np.ndarray, axis: int) -> np.ndarray:
    """The logarithm of the mean of what ``x`` is the logarithm of, along ``axis``."""
    largest = x.max(axis, keepdims=True)
    return np.squeeze(largest, axis) + np.log(np.exp(x - largest).mean(axis))
