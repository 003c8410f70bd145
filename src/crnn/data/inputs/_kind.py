"""What every kind of input offers; a kind says for itself only what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from crnn.data.inputs._shown import picture_html
from crnn.errors import CrnnError, SettingsError
from crnn.findings import Look
from crnn.types import InputSpec, Sample


class Extent(NamedTuple):
    """How large a source is, as its header says."""

    pixels: int = 0
    """Of a picture, of a frame of a film, or of all frames in a file of arrays."""
    seconds: float = 0.0
    """Of a sound or film."""


class Kind:
    """A kind of input, made by ``learn`` from the training part or by ``restore`` from what ``learned`` gave.

    A source goes ``decode`` (an array as it is kept in memory), ``vary`` (in training), ``finish`` (float32, or int64
    numbers of a vocabulary, ``(time, channels, *space)``). Time is axis ``time`` of what ``decode`` gives.
    """

    suffixes: frozenset[str] = frozenset()
    """Endings of the files that it reads, in lower case with the dot."""
    unit = "steps"
    """What one step of the input is called."""
    time = 0
    spec: InputSpec
    settings: Any

    @classmethod
    def reads(cls, source: Any) -> bool:
        """Whether ``source`` is something that it could read; nothing is opened."""
        return isinstance(source, Path) and source.suffix.lower() in cls.suffixes

    @classmethod
    def learn(cls, settings: Any, samples: Sequence[Sample]) -> Self:
        """A kind with what it must know of the training part: a scale, a vocabulary."""
        return cls.restore(settings, {})

    @classmethod
    def restore(cls, settings: Any, learned: Mapping[str, Any]) -> Self:
        """The same from what ``learned`` gave; of nothing, a kind that leaves values as they are."""
        return cls(settings)  # type: ignore[call-arg]

    def learned(self) -> dict[str, Any]:
        """What was learned, as plain values for the bundle."""
        return {}

    def source(self, given: str) -> Any:
        """What a user means who writes ``given`` where a source is wanted."""
        return Path(given)

    def steps(self, source: Any) -> int:
        """Input steps that ``source`` will have, read with as little work as can be. Raises ``DataError``."""
        raise NotImplementedError

    def extent(self, source: Any) -> Extent:
        """How large ``source`` is, before anything of it is decoded. Raises ``DataError``."""
        return Extent()

    def decode(self, source: Any) -> np.ndarray:
        """``source`` as an array. Raises ``DataError``."""
        raise NotImplementedError

    def decode_scaled(self, source: Any) -> tuple[np.ndarray, float]:
        """The same, and how many steps one unit of the source (a pixel, a second) became."""
        return self.decode(source), self.spec.rate or 1.0

    def places(self, x: Any) -> Any:
        """What labels can belong to in what ``decode`` gave: its steps, or height and width where space has places."""
        return x.shape[self.time]

    def vary(self, x: Any, y: np.ndarray | None, augment: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        """What ``decode`` gave, varied; ``y`` ``(time, ...)`` are labels of its steps and move with them."""
        if y is not None:
            raise cannot_move(self.spec.kind)
        return augment(x, rng), y

    def plain(self, x: Any, y: np.ndarray | None) -> tuple[Any, Any]:
        """The same where nothing is varied."""
        return x, y

    def finish(self, x: np.ndarray) -> np.ndarray:
        """What the network sees, ``(time, channels, *space)``."""
        raise NotImplementedError

    @property
    def view_count(self) -> int:
        """Views of one sample whose answers are averaged."""
        return 1

    def views(self, x: Any) -> Sequence[Any]:
        """``view_count`` variants of what ``decode`` gave, each to be finished."""
        return [self.plain(x, None)[0]]

    def cut(self, source: Any) -> Iterator[tuple[float, Any]] | None:
        """A source that is too long to be read whole, as sources one after the other, each with the place in it where
        it begins; ``None`` for one that is read whole. Raises ``DataError``."""
        return None

    def look(self, source: Any) -> Look:
        """What is to be said of one source before training. Raises ``DataError``."""
        raise NotImplementedError

    def picture(self, source: Any) -> bytes | None:
        """The source for people to look at, as a PNG file's bytes, time to the right, or nothing."""
        return None

    def shown(self, source: Any, heat: Any = None) -> str:
        """The source for people to look at, as HTML; with ``heat`` ``(steps,)``, from -1 (speaks against an answer) to
        1 (speaks for it), it says which moments counted."""
        png = self.picture(source)
        return "" if png is None else picture_html(png, heat)


def cannot_move(kind: str) -> CrnnError:
    """The variations of ``kind`` do not take labels of single steps along."""
    return SettingsError(
        f"labels of single steps are to go along with the variations of the kind {kind!r}",
        expected="a kind that moves both together",
        do="Set train.augment to false.",
    )
