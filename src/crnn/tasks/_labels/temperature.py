"""Temperature scaling: how sure a network may be, fitted on the validation part (Guo et al. 2017, arXiv 1706.04599)."""

from __future__ import annotations

import numpy as np

LOW, HIGH = 0.25, 10.0
LEAST = 1e-12


def temperature(probabilities: np.ndarray, truths: np.ndarray) -> float:
    """The ``T`` for which ``softmax(logits / T)`` has the least log loss, of ``probabilities`` ``(samples, classes)``
    at ``T = 1`` and the numbers of the ``truths``. 1 where nothing is wrong, which says nothing of how sure to be."""
    if not len(truths) or (probabilities.argmax(1) == truths).all():
        return 1.0
    logits = np.log(np.maximum(probabilities.astype(np.float64), LEAST))

    def loss(log_t: float) -> float:
        z = logits / np.exp(log_t)
        z = z - z.max(1, keepdims=True)
        return float((np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), truths]).mean())

    low, high = np.log(LOW), np.log(HIGH)  # the loss has one valley in 1 / T: halve by golden section
    share = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        left, right = high - share * (high - low), low + share * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))
