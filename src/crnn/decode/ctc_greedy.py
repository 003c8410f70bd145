"""Best-path decoding of connectionist temporal classification (Graves et al. 2006, section 3.2), with places.

The most likely output of each frame is taken, repeats are collapsed and blanks dropped. A path that was found in
another way is read in the same manner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crnn.text import BLANK

LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was read: numbers, and for each its score in (0, 1] and its ``(start, stop)`` in pixels; a score for all.
    Where several texts were asked for, the ``best``, with the share of each in all that the search kept."""

    numbers: tuple[int, ...]
    scores: tuple[float, ...]
    spans: tuple[tuple[float, float], ...]
    score: float
    best: tuple[tuple[tuple[int, ...], float], ...] = ()


def greedy(log_probs: np.ndarray, *, stride: float, width: float) -> Decoded:
    """The best path through ``log_probs`` ``(time, outputs)``, natural logarithms of probabilities, output 0 the blank;
    see ``along`` for places and scores."""
    assert log_probs.ndim == 2, f"log_probs are (time, outputs), not {log_probs.shape}"
    return along(log_probs, log_probs.argmax(axis=1), stride=stride, width=width)


def along(log_probs: np.ndarray, path: np.ndarray, *, stride: float, width: float) -> Decoded:
    """What a path ``(time,)`` of outputs through ``log_probs`` ``(time, outputs)`` writes.

    ``stride`` is input pixels for each frame, ``width`` the input's in pixels: frame ``t`` is centred on pixel
    ``(t + 0.5) * stride``.

    - Score of a character: its highest probability over its frames. CTC concentrates a character on few frames; at the
      edges of its run it gives way to the blank, which is no doubt about the character.
    - Place of a character: its frames. The border between two is half-way between the end of one and the start of the
      next, since those runs are narrower than the letters; the first and the last reach outward as far as they reach
      inward. Clipped to ``[0, width]``.
    - Score of a gap (a run of blanks): how sure it is that nothing stands there. The least, over its frames, of the
      probability of the blank and of the characters on either side, whose edges those frames may be; between two
      equal characters at most the highest probability of the blank, which alone tells two from one.
    - Score of all: the product of the scores of characters and gaps, to the power of one over the number of characters
      (at least 1). So lines of any length compare, gaps that are sure change nothing, and an empty line is as sure
      as its least sure frame; of no frames at all, it is 1.
    """
    time = len(log_probs)
    if time == 0:
        return Decoded((), (), (), 1.0)
    best = _probability(log_probs[np.arange(time), path])
    assert not np.isnan(best).any(), "log_probs hold values that are not numbers"

    # runs of equal outputs: [start, stop) in frames
    start = np.flatnonzero(np.concatenate(([True], path[1:] != path[:-1])))
    stop = np.append(start[1:], time)
    output = path[start]
    letter = output != BLANK
    scores = np.maximum.reduceat(best, start)
    gaps = _gap_scores(log_probs, start, stop, output)
    doubt = np.log(scores[letter]).sum() + np.log(gaps).sum()
    return Decoded(
        numbers=tuple(output[letter].tolist()),
        scores=tuple(scores[letter].tolist()),
        spans=_spans(start[letter] * stride, stop[letter] * stride, width),
        score=float(np.exp(doubt / max(1, letter.sum()))),
    )


def _probability(log_probs: np.ndarray) -> np.ndarray:
    """Probabilities in (0, 1], float64, of logarithms that may have been rounded."""
    return np.exp(np.clip(log_probs.astype(np.float64), np.log(LEAST), 0.0))


def _gap_scores(log_probs: np.ndarray, start: np.ndarray, stop: np.ndarray, output: np.ndarray) -> np.ndarray:
    """Scores ``(gaps,)`` of the runs of blanks among the runs ``[start, stop)`` of ``output``."""
    gap = output == BLANK
    if not gap.any():
        return np.ones(0)
    # the runs beside a gap are characters; outside of the line there is the blank
    left = np.concatenate(([BLANK], output[:-1]))[gap]
    right = np.concatenate((output[1:], [BLANK]))[gap]
    length = (stop - start)[gap]
    first = np.cumsum(length) - length
    frames = np.flatnonzero(np.repeat(gap, stop - start))
    blank = _probability(log_probs[frames, BLANK])
    known = blank.copy()
    for side, counts in ((left, left != BLANK), (right, (right != BLANK) & (right != left))):
        beside = _probability(log_probs[frames, np.repeat(side, length)])
        known += np.where(np.repeat(counts, length), beside, 0.0)
    scores = np.minimum(np.minimum.reduceat(known, first), 1.0)
    twins = (left == right) & (left != BLANK)
    return np.where(twins, np.minimum(scores, np.maximum.reduceat(blank, first)), scores)


def _spans(start: np.ndarray, stop: np.ndarray, width: float) -> tuple[tuple[float, float], ...]:
    """Places of characters from the pixels ``[start, stop)`` where each is the most likely."""
    if not len(start):
        return ()
    half = (start[1:] - stop[:-1]) / 2
    before = start - (np.concatenate((half[:1], half)) if len(half) else 0.0)
    after = stop + (np.concatenate((half, half[-1:])) if len(half) else 0.0)
    after[:-1] = before[1:]  # the same number, not its twin by another rounding
    return tuple(zip(np.clip(before, 0.0, width).tolist(), np.clip(after, 0.0, width).tolist(), strict=True))
