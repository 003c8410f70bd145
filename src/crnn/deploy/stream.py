"""Text of a sound while it is spoken: pieces in, the text so far out, in memory that does not grow with the sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from crnn.bundle import Bundle, fold, load
from crnn.deploy._best_path import BestPath
from crnn.deploy.answering import Answering
from crnn.deploy.predict import Predictor
from crnn.deploy.vote import Vote
from crnn.errors import DataError, SettingsError
from crnn.findings import Finding
from crnn.types import Features, Prediction, Seq, in_source

BLOCK = 10.0  # seconds that the network sees at once, if so much is given


class Stream:
    """Listens to one sound.

    >>> stream = Stream("runs/listener", rate=16000)            # doctest: +SKIP
    >>> for samples in microphone:                              # doctest: +SKIP
    ...     print(stream.push(samples))
    >>> stream.finish().value                                   # doctest: +SKIP
    'seven nine'

    The network must be able to stream (``encoder.streams`` or ``encoder.causal``), which is known when it is built. Its
    answer in float32 is that of ``crnn.load`` for the file. Letters that were said stay: where the bundle has a beam or
    a language model, they are those of the best path as long as the sound goes on, and ``finish`` reads all that the
    network said again, for which it is kept (``steps x outputs`` numbers); otherwise the text alone is kept.

    Raises ``SettingsError`` where the task, the kind of input or the model cannot listen.
    """

    def __init__(self, bundle: Bundle | Predictor | str | Path, *, rate: int | None = None) -> None:
        if isinstance(bundle, Vote):
            raise SettingsError("several networks vote", expected="one that listens", do="Give one of the bundles.")
        if isinstance(bundle, Answering) and not isinstance(bundle, Predictor):
            do = "Listen with the bundle that was exported."
            raise SettingsError("an exported network is to listen", expected="a bundle, which torch runs", do=do)
        found = bundle.bundle if isinstance(bundle, Predictor) else bundle
        self.bundle = found if isinstance(found, Bundle) else load(found)
        self.task, self.kind = self.bundle.task, self.bundle.kind
        _check(self.bundle)
        net: Any = fold(self.bundle.net.eval())
        self.encoder, self.head = net.encoder, net.head
        self.pieces = self.kind.pieces(self.kind.rate if rate is None else rate)
        self.state = self.encoder.begin() if hasattr(self.encoder, "begin") else None
        self.path = BestPath(self.task.alphabet.outputs)
        self.steps = 0  # of the input
        self._text = ""
        self._said: list[np.ndarray] = []
        self._answer: Prediction | None = None
        self._ended = False
        self._block = max(1, round(BLOCK * (self.kind.spec.rate or 1)))

    @property
    def seconds(self) -> float:
        """How long the sound is so far."""
        return self.pieces.seconds

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is odd about the sound so far: too loud, of too low a rate, heard otherwise than a file."""
        found: tuple[Finding, ...] = self.pieces.findings
        if self.kind.view_count > 1:
            given = f"is heard once, and a file in {self.kind.view_count} views, which may be read otherwise"
            do = "Set input.views=0 in training, so that what is tested is what listens."
            found += (Finding("note", "views", None, given, do),)
        return found

    @property
    def text(self) -> str:
        """The text so far."""
        return self._text

    @torch.inference_mode()
    def push(self, samples: Any) -> str:
        """The text so far, with what ``samples`` add: ``(samples,)`` of the stream's rate, as many as there are, real
        numbers from -1 to 1 or 16-bit whole ones.

        Raises ``DataError`` for samples that are none, of which nothing is taken, and ``SettingsError`` when the stream
        has ended.
        """
        if self._ended:
            raise SettingsError("the stream has ended", expected="no more samples", do="Begin another: crnn.stream")
        self._listen(self.pieces.push(samples))
        return self._text

    @torch.inference_mode()
    def finish(self) -> Prediction:
        """The answer, places of letters in seconds; the stream has ended. Raises ``DataError`` if there was nothing to
        hear."""
        if self._answer is not None:
            return self._answer
        if not self._ended:
            self._ended = True
            self._listen(self.pieces.finish())
            if hasattr(self.encoder, "finish"):
                self._hear(self.encoder.finish(self.state))
        if not self.steps:
            given, expected = f"the sound lasted {1000 * self.seconds:.0f} milliseconds", "a window of the network"
            raise DataError(given, expected=f"at least {expected}", do="Push more samples, or check the rate.")
        if self.pieces.silent:
            do = "Check the microphone and its level."
            raise DataError("the sound was silent", expected="sound louder than -80 dB", do=do)
        places = {"stride": float(self.encoder.levels[-1].stride), "width": float(self.steps)}
        if self.task.reading.beam:
            answer = self.task.read("sound", np.concatenate(self._said), **places)
        else:
            answer = self.task.written("sound", self.path.finish(**places))
        self._answer = in_source(answer, self.kind.spec.rate or 1.0)
        return self._answer

    def _listen(self, x: np.ndarray) -> None:
        """Steps ``(time, channels, *space)`` through the network."""
        self.steps += len(x)
        for start in range(0, len(x), self._block):
            piece = torch.from_numpy(x[start : start + self._block])[None]
            features = self.encoder(Seq(piece, torch.tensor([piece.shape[1]])), self.state)
            self.state = features.state
            self._hear(features)

    def _hear(self, features: Features) -> None:
        """What the head says of the encoder's steps, perhaps none."""
        if not features.last.x.shape[1]:
            return
        said = self.head(features).x[0].numpy()
        if self.task.reading.beam:
            self._said.append(said)
        known = len(self.path.numbers)
        self.path.push(said)
        numbers = self.path.numbers
        if len(numbers) > known:
            alphabet = self.task.alphabet
            whole = alphabet.direction == "rtl"  # what comes last may stand in the middle
            self._text = alphabet.decode(numbers) if whole else self._text + alphabet.decode(numbers[known:])


def _check(bundle: Bundle) -> None:
    """Raises ``SettingsError`` for what cannot listen."""
    task, kind, encoder = bundle.task, bundle.kind, bundle.net.encoder
    if not hasattr(kind, "pieces"):
        given = f"the network reads the kind {kind.spec.kind!r}" if hasattr(kind.spec, "kind") else "several inputs"
        raise SettingsError(given, expected="sound, to listen to a stream", do="Give it files: crnn predict.")
    if not hasattr(task, "written"):
        given = f"the network was trained to {task.name}"
        raise SettingsError(given, expected="transcribe, to listen to a stream", do="Give it files: crnn predict.")
    if not getattr(encoder, "streams", getattr(encoder, "causal", False)):
        raise SettingsError(
            f"the network ({bundle.encoder['name']}) must hear the whole before it answers",
            expected="one that hears the past and at most a little of the future",
            do="Train one: --model deepspeech2 --set encoder.bidirectional=false",
        )
