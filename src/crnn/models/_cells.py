"""Recurrent cells by the names that settings give them."""

from __future__ import annotations

from functools import partial
from typing import Any

from crnn.layers import GRUCell, LSTMCell

RECURRENCES: dict[str, Any] = {
    "lstm": "lstm",
    "lstm_one_bias": LSTMCell,
    "lstm_peepholes": partial(LSTMCell, peepholes=True),
    "gru": "gru",
    "gru_one_bias": GRUCell,
}
"""What ``Recurrent`` takes. torch's own kernels, ``lstm`` and ``gru``, are the fastest and have two biases a gate, of
which one would do; older programs, whose parameters the papers count, have one."""
