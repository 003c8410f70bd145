"""Tasks, one a file: what is asked of a network. The table below is all there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from crnn.data.formats import Answer
from crnn.errors import CrnnError
from crnn.findings import Doubts, Seen
from crnn.late import Tensor, nn
from crnn.registry import Late
from crnn.tasks._common import cell, columns_of
from crnn.tasks._lines.placing import Placing, words_of
from crnn.tasks._lines.reading import Reading
from crnn.types import Batch, Prediction, Sample

__all__ = ["TASKS", "Placing", "Reading", "Task", "cell", "columns_of", "words_of"]

TASKS: dict[str, Any] = Late(
    {
        "transcribe": "crnn.tasks.transcribe:Transcribe",
        "classify": "crnn.tasks.classify:Classify",
        "regress": "crnn.tasks.regress:Regress",
        "tag": "crnn.tasks.tag:Tag",
        "forecast": "crnn.tasks.forecast:Forecast",
        "nowcast": "crnn.tasks.nowcast:Nowcast",
        "caption": "crnn.tasks.caption:Caption",
        "match": "crnn.tasks.match:Match",
        "segment": "crnn.tasks.segment:Segment",
        "detect": "crnn.tasks.detect:Detect",
        "restore": "crnn.tasks.restore:Restore",
    }
)
"""Each is imported when it is first asked for, so that some do without torch; see ``crnn.late``."""


class Task(Protocol):
    """Everything that differs from task to task; training, testing and serving ask nothing else.

    Built by ``Class.learn(settings, samples)`` from the training part, by ``Class.restore(settings, learned)`` from
    what ``learned()`` and ``arrays()`` gave, or by ``Class.blank(settings, outputs)`` for a network without data.
    Scores are asked of pairs ``(truth, prediction)``. ``tasks._common.Common`` answers what most tasks answer alike.
    """

    name: str
    answer: Answer
    """What its answers are in data; formats that can give it are recognised."""
    kinds: tuple[str, ...]
    """Kinds of input that make sense for it; the first that reads the first sample is taken where none is named."""
    model: str
    """Name of the model that is taken where none is named."""
    models: Mapping[str, str]
    """The same for kinds of input that want another one."""
    best: tuple[str, Callable[..., float]]
    """The figure that chooses the bundle, and ``min`` or ``max``."""
    figures: tuple[str, ...]
    """The figures that a person looks at first."""
    aligned: bool
    """Whether targets belong to single steps of the input, and move with them when it is varied."""
    averages: bool
    """Whether answers for several views of a sample can be averaged."""
    varies: bool
    """Whether its inputs may be varied in training while their answers stay as they are."""
    votes: bool
    """Whether answers of several bundles can become one."""
    compares: bool
    """Whether an answer is about a sample and what is known of it, so that both are given where it is asked."""
    of_columns: bool
    """Whether its outputs are columns of what it reads, so that a network without data reads as many as it has."""
    follows: bool
    """Whether answers that have come true lately move the next."""
    explains: bool
    """Whether moments of the input speak for an answer, so that ``evidence`` can be asked."""
    stratum: Callable[[Sample], Any] | None
    """The class of a sample, of which each part of the data gets its share, if there are classes."""
    outputs: int
    """Only where networks may read their own answers (of the kind ``answer``): how many numbers are said of a place."""
    settings: Any

    @classmethod
    def asks(cls, settings: Any) -> dict[str, Any]: ...
    def learned(self) -> dict[str, Any]: ...
    def arrays(self) -> dict[str, np.ndarray]: ...
    def facts(self) -> dict[str, str]: ...
    def extend(self, samples: Sequence[Sample]) -> Task: ...
    def with_input(self, kind: Any) -> Task: ...
    def opened(self, file: Path) -> Sample | None: ...
    def earlier(self, sample: Sample) -> list[Sample]: ...
    def moved(self, answer: Prediction, known: Sequence[tuple[Any, Prediction]]) -> Prediction: ...
    def settle(self, pairs: Sequence[tuple[Any, Prediction]]) -> Task: ...
    def problem(self, sample: Sample, steps: int | None = None) -> CrnnError | None: ...
    def doubts(self, seen: Sequence[Seen]) -> Doubts: ...
    def along(self, y: Any, steps: int, scale: float) -> np.ndarray: ...
    def encode(self, sample: Sample) -> Sample: ...
    def head(self, encoder: Any, others: Mapping[str, Any] | None = None) -> nn.Module: ...
    def grow_head(self, head: nn.Module, old: Any, weights: Mapping[str, Tensor]) -> dict[str, Tensor]: ...
    def loss(self, net: nn.Module, batch: Batch) -> Tensor: ...
    def weight(self, batch: Batch) -> float:
        """What the mean of the loss is over, so that batches can be brought together: samples, letters, steps."""

    def exported(self, net: nn.Module) -> nn.Module:
        """Of ``net``, what a graph of ONNX is to say: its answer, or what is made of it by torch at once."""

    def predict(self, net: nn.Module, batch: Batch) -> list[Prediction]:
        """What is answered to each sample. ``net`` and ``batch`` may be an exported network and arrays."""

    def vote(self, answers: Sequence[Prediction]) -> Prediction:
        """One answer for several that bundles of this task gave to a sample, one at least."""

    def evidence(self, net: nn.Module, inputs: Any, prediction: Prediction, of: Any = None) -> Tensor:
        """How strongly each row of ``inputs`` speaks for ``prediction`` (places in steps), or for the label, number or
        text ``of``: ``(rows,)``, which a gradient can go through. All rows are as long. Raises ``SettingsError``."""

    def truth(self, sample: Sample) -> Any: ...
    def so_far(self, sample: Sample) -> Any:
        """What ``show`` is given where nothing is compared: the truth, or as much of it as there is."""

    def given(self, id: str, value: Any, truth: Any) -> Prediction: ...
    def score(
        self, pairs: Sequence[tuple[Any, Prediction]], groups: Sequence[str | None] | None = None
    ) -> dict[str, float]: ...
    def row(self, truth: Any, prediction: Prediction) -> dict[str, Any]: ...
    def details(self, pairs: Sequence[tuple[Any, Prediction]]) -> dict[str, Any]: ...
    def by_label(self, pairs: Sequence[tuple[Any, Prediction]]) -> Mapping[Any, float]: ...
    def diagnose(self, pairs: Sequence[tuple[Any, Prediction]]) -> str | None: ...
    def baselines(self, samples: Sequence[Sample]) -> dict[str, dict[str, float]]: ...
    def say(self, figures: Mapping[str, float]) -> str: ...
    def word(self, value: Any) -> str: ...
    def line(self, prediction: Prediction, *, top: int = 1) -> str: ...
    def plain(self, prediction: Prediction, *, top: int = 1) -> dict[str, Any]: ...
    def rows(self, prediction: Prediction) -> list[dict[str, Any]]: ...
    def show(self, prediction: Prediction, truth: Any, picture: str = "") -> str: ...
    def write(self, predictions: Iterable[Prediction], path: Path) -> None: ...
