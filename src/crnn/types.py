"""The five nouns that travel through the package, and what an encoder says of its input and output.

``Sample -> Batch -> Seq -> Prediction -> Report``: whoever knows these can read any file of ``crnn``.

Between collation and head every tensor is ``(batch, time, channels, *space)``; lengths are integers ``(batch,)`` and
always speak of axis 1.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a page picture: what lies inside ``polygon`` (points ``(x, y)`` in pixels of the page)."""

    page: Path
    polygon: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of a film (a file, or a folder of its frames): ``count`` frames from number ``start`` on."""

    film: Path
    start: int
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Spoilt:
    """A ``source`` that is to be made worse in the way ``how``; in testing always alike for the same ``id``."""

    source: Any
    how: str
    id: str


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One example: ``x`` is what is seen, ``y`` what is to be said of it (``None`` where it is not known).

    A format gives ``x`` as a source (``Path``, ``Region``, ``Clip`` or array), or as a mapping name -> source where a
    network sees several things at once; the input kind turns each into a numpy array ``(time, channels, *space)``.
    ``group`` names what must not cross splits: a writer, a page, a speaker, a patient.
    """

    id: str
    x: Any
    y: Any = None
    group: str | None = None
    split: str | None = None
    scale: float = 1.0
    """Steps of the input for each unit of the source (a pixel, a second); known once ``x`` is an array."""


class Seq(NamedTuple):
    """A padded batch ``x`` of shape ``(batch, time, ...)`` and the true integer ``lengths`` ``(batch,)`` of axis 1."""

    x: torch.Tensor
    lengths: torch.Tensor

    def to(self, device: Any, **options: Any) -> Seq:
        return Seq(self.x.to(device, **options), self.lengths.to(device, **options))


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Samples brought together: ``inputs`` is one ``Seq``, or several by name where a network sees two things.

    In testing a sample may be seen in several ``views``: so many rows of ``inputs``, one after the other, belong to
    each id.
    """

    ids: tuple[str, ...]
    inputs: Any
    targets: Any = None
    views: int = 1
    scales: tuple[float, ...] = ()
    """``scale`` of each sample."""

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: Any, **options: Any) -> Batch:
        """The same on another device."""
        inputs, targets = (_to(part, device, **options) for part in (self.inputs, self.targets))
        return Batch(self.ids, inputs, targets, self.views, self.scales)


def _to(part: Any, device: Any, **options: Any) -> Any:
    if isinstance(part, Mapping):
        return {name: _to(value, device, **options) for name, value in part.items()}
    return part if part is None else part.to(device, **options)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an answer: a letter, word, event or region, from ``start`` to ``stop`` in units of the input."""

    value: Any
    start: float
    stop: float
    score: float


@dataclass(frozen=True, slots=True)
class LabelMap:
    """The number of a label for each pixel of a picture, packed, since thousands of answers may be in memory."""

    shape: tuple[int, int]
    """Height and width."""
    packed: bytes = field(repr=False)

    @classmethod
    def of(cls, numbers: np.ndarray) -> LabelMap:
        """The map of whole numbers from 0 to 255 ``(height, width)``."""
        return cls(numbers.shape, zlib.compress(np.ascontiguousarray(numbers, np.uint8).tobytes(), 1))

    @property
    def numbers(self) -> np.ndarray:
        """uint8 ``(height, width)``."""
        return np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Box:
    """A thing in a picture: its label, its edges in pixels from the picture's upper left corner, how sure one is of
    it."""

    label: str
    left: float
    top: float
    right: float
    bottom: float
    score: float = 1.0
    counts: bool = True
    """Of a truth: whether it is to be found; else it is neither right nor wrong to find it."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """The things in a picture of ``size`` (width, height; 0, 0 where nobody says)."""

    size: tuple[int, int]
    boxes: tuple[Box, ...]
    doubtful: tuple[Box, ...] = field(default=(), repr=False)
    """Of an answer: what may be there, but is not sure enough to be said; figures of all thresholds want it, too."""
    file: Path | None = field(default=None, compare=False, repr=False)
    """Where they stand, for messages."""


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Probabilities of the labels at each step of an answer, ``shares`` ``(steps, labels)``; a step begins ``every``
    units of the input after the one before."""

    shares: Any
    every: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says of one sample, how sure it is (0 to 1), and the pieces of the answer."""

    id: str
    value: Any
    score: float
    parts: tuple[Part, ...] = ()
    track: Track | None = field(default=None, compare=False, repr=False)
    """Where an answer is made of steps: what the network says of each."""
    best: tuple[tuple[Any, float], ...] = ()
    """Where several were asked for: the likeliest answers, with the share of each in all that were thought of."""
    maps: Any = field(default=None, compare=False, repr=False)
    """Where the network looked for each part: an array of shares ``(parts, time, *space)``, each part's 1 in all, in
    the steps and places of the encoder's level."""
    vectors: Any = field(default=None, compare=False, repr=False)
    """Where samples are compared with each other: what they are compared by."""


def in_source(prediction: Prediction, scale: float) -> Prediction:
    """``prediction`` with its places in units of the source, of which one is ``scale`` steps of the input."""
    parts = tuple(replace(p, start=p.start / scale, stop=p.stop / scale) for p in prediction.parts)
    track = prediction.track and replace(prediction.track, every=prediction.track.every / scale)
    return replace(prediction, parts=parts, track=track)


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of a test (rates are fractions: 0.012 is 1.2 %) and one row for each sample."""

    metrics: Mapping[str, float]
    rows: tuple[Mapping[str, Any], ...] = ()
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InputSpec:
    """All that an encoder learns of its input: ``(time, channels, *space)``, steps a second, size of a vocabulary."""

    kind: str
    channels: int
    space: tuple[int, ...] = ()
    rate: float | None = None
    vocabulary: int | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """One output of an encoder: channels, space that is left, and input steps for each step of it."""

    channels: int
    space: tuple[int, ...]
    stride: int


class Features(NamedTuple):
    """What an encoder gives: its levels from fine to coarse, and the state to go on from (``None`` if it has none)."""

    levels: tuple[Seq, ...]
    state: Any = None

    @property
    def last(self) -> Seq:
        return self.levels[-1]
