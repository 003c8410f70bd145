"""Forced alignment: where in time each letter of a known text lies, by the likeliest path that writes it.

The path runs through the text's letters with a blank before, between and behind them; a blank may be left out between
two letters that differ (Graves et al. 2006, section 4.1, with the largest in place of the sum).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crnn.text import BLANK, steps_needed


def align(log_probs: np.ndarray, numbers: Sequence[int]) -> np.ndarray | None:
    """The likeliest path ``(time,)`` of outputs through ``log_probs`` ``(time, outputs)``, natural logarithms, that
    writes the letters ``numbers``; ``None`` if there are too few steps for them."""
    time = len(log_probs)
    if time < steps_needed(numbers):
        return None
    states = np.full(2 * len(numbers) + 1, BLANK)
    states[1::2] = numbers
    jumps = np.zeros(len(states), bool)
    jumps[3::2] = states[3::2] != states[1:-2:2]  # over the blank between two letters that differ
    emitted = np.asarray(log_probs, np.float64)[:, states]
    score = np.full(len(states), -np.inf)
    score[:2] = emitted[0, :2] if time else 0.0
    back = np.zeros((time, len(states)), np.int8)
    choices = np.full((3, len(states)), -np.inf)
    for t in range(1, time):
        choices[0] = score
        choices[1, 1:] = score[:-1]
        choices[2, 2:] = np.where(jumps[2:], score[:-2], -np.inf)
        back[t] = choices.argmax(0)
        score = choices.max(0) + emitted[t]
    if not time:
        return np.zeros(0, np.int64)
    place = len(states) - 1
    if len(states) > 1 and score[-2] > score[-1]:
        place -= 1
    path = np.zeros(time, np.int64)
    for t in range(time - 1, -1, -1):
        path[t] = states[place]
        place -= int(back[t, place])
    return path
