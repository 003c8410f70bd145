"""The best path of connectionist temporal classification through a stream whose end is not known yet."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from crnn.decode.ctc_greedy import LEAST, Decoded
from crnn.text import BLANK


class BestPath:
    """``push`` takes log-probabilities ``(time, outputs)``; joined, the pieces decode as ``ctc_greedy.greedy`` decodes
    the whole. What is kept are the letters and one run of equal outputs, however long it is."""

    def __init__(self, outputs: int) -> None:
        self.numbers: list[int] = []
        """The letters so far, which will stay."""
        self.steps = 0
        self._scores: list[float] = []
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._doubt = 0.0  # logarithm of the product of all scores
        self._output, self._best = BLANK, 0.0  # of the run that goes on
        # for each letter that may end a gap, the least known share of a frame; place 0 is for the end of the stream
        self._known = np.full(outputs, np.inf)

    def push(self, log_probs: np.ndarray) -> None:
        path = log_probs.argmax(axis=1)
        cuts = np.flatnonzero(path[1:] != path[:-1]) + 1
        for piece in np.split(log_probs, cuts) if len(path) else ():
            shares = np.exp(np.clip(piece.astype(np.float64), np.log(LEAST), 0.0))
            assert not np.isnan(shares).any(), "log_probs hold values that are not numbers"
            output = int(piece[0].argmax())
            if output != self._output or not self.steps:
                self._begin(output)
            self._best = max(self._best, float(shares[:, output].max()))
            if output == BLANK:
                self._known = np.minimum(self._known, self._frames(shares).min(axis=0))
            self.steps += len(piece)

    def finish(self, *, stride: float, width: float) -> Decoded:
        """The text of all that came, with scores and places as ``ctc_greedy.along`` has them."""
        if self.steps:
            self._end(BLANK)
        starts, stops = (np.array(frames) * stride for frames in (self._starts, self._stops))
        borders = (stops[:-1] + starts[1:]) / 2
        if len(borders):  # the first letter and the last reach outward as far as they reach inward
            first, last = starts[0] - (borders[0] - stops[0]), stops[-1] + (starts[-1] - borders[-1])
            edges = np.clip([first, *borders, last], 0.0, width).tolist()
        else:
            edges = np.clip([*starts, *stops], 0.0, width).tolist()
        spans = tuple(pairwise(edges))
        score = float(np.exp(self._doubt / max(1, len(self.numbers))))
        return Decoded(tuple(self.numbers), tuple(self._scores), spans, score)

    def _begin(self, output: int) -> None:
        """A run of ``output`` begins."""
        if self.steps:
            self._end(output)
        if output != BLANK:
            self.numbers.append(output)
            self._starts.append(self.steps)
        self._output, self._best = output, 0.0
        self._known.fill(np.inf)

    def _end(self, right: int) -> None:
        """The run ends before ``right``."""
        score = self._best
        if self._output != BLANK:
            self._scores.append(score)
            self._stops.append(self.steps)
        else:
            twins = right != BLANK and right == self._left
            score = min(float(self._known[right]), 1.0, score if twins else 1.0)
        self._doubt += float(np.log(score))

    @property
    def _left(self) -> int:
        """The letter before a gap, the blank if there is none."""
        return self.numbers[-1] if self.numbers else BLANK

    def _frames(self, shares: np.ndarray) -> np.ndarray:
        """``(time, outputs)``: what is known of the frames of a gap if this letter ends it."""
        blank, left = shares[:, BLANK], self._left
        before = blank if left == BLANK else blank + shares[:, left]
        known = before[:, None] + shares
        known[:, [BLANK, left]] = before[:, None]
        return known
