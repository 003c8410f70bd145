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
    if not time:
        return np.zeros(0, np.int64)
    states, emitted, jumps = _states(log_probs, numbers)
    score = np.full(len(states), -np.inf)
    score[:2] = emitted[0, :2]
    back = np.zeros((time, len(states)), np.int8)
    for t in range(1, time):
        choices = _choices(score, jumps)
        back[t] = choices.argmax(0)
        score = choices.max(0) + emitted[t]
    place = len(states) - 1
    if len(states) > 1 and score[-2] > score[-1]:
        place -= 1
    path = np.zeros(time, np.int64)
    for t in range(time - 1, -1, -1):
        path[t] = states[place]
        place -= int(back[t, place])
    return path


def likelihood(log_probs: np.ndarray, numbers: Sequence[int]) -> float:
    """The logarithm of the probability that all paths through ``log_probs`` ``(time, outputs)`` together write
    ``numbers``; ``-inf`` if there are too few steps for them."""
    if len(log_probs) < steps_needed(numbers):
        return -np.inf
    if not len(log_probs):
        return 0.0
    states, emitted, jumps = _states(log_probs, numbers)
    score = np.full(len(states), -np.inf)
    score[:2] = emitted[0, :2]
    for row in emitted[1:]:
        score = np.logaddexp.reduce(_choices(score, jumps), axis=0) + row
    return float(np.logaddexp.reduce(score[-2:]))


def _states(log_probs: np.ndarray, numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The outputs ``(states,)`` that a path goes through, what the network says of each ``(time, states)``, and whether
    a path may come over a blank, from two states before: to a letter behind another."""
    states = np.full(2 * len(numbers) + 1, BLANK)
    states[1::2] = numbers
    jumps = np.zeros(len(states), bool)
    jumps[3::2] = states[3::2] != states[1:-2:2]
    return states, np.asarray(log_probs, np.float64)[:, states], jumps


def _choices(score: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """From where each state can be reached, ``(3, states)``: itself, the one before, the one before that."""
    choices = np.full((3, len(score)), -np.inf)
    choices[0] = score
    choices[1, 1:] = score[:-1]
    choices[2, 2:] = np.where(jumps[2:], score[:-2], -np.inf)
    return choices
