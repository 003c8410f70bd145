"""What is known of the training part's sentences: which there are, the most frequent, and that of the nearest picture.

The nearest picture is that whose thumbnail is nearest (Euclidean distance of 8 x 8 pixels); one that is the same is not
looked at. Of a large training part, every so many pictures are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from PIL import Image

from crnn.data.described import Described
from crnn.errors import CrnnError
from crnn.tasks._texts.vocabulary import Vocabulary
from crnn.types import Sample

SIDE = 8
MOST = 2000  # pictures whose thumbnails are kept


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """``usual`` is the most frequent sentence, ``digests`` int64 ``(sentences,)`` are sorted, ``thumbnails`` uint8
    ``(pictures, values)`` belong to the sentences ``near``."""

    usual: str = ""
    digests: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    thumbnails: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    near: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()
    """Those of the training part, until their thumbnails are known."""
    kind: Any = None

    @classmethod
    def learn(cls, vocabulary: Vocabulary, samples: Sequence[Sample]) -> Known:
        """The sentences of ``samples``, as ``vocabulary`` writes them."""
        counts = Counter(vocabulary.clean(text) for s in samples for text in sentences_of(s.y))
        usual = min(counts, key=lambda text: (-counts[text], text))
        some = [replace(s, y=tuple(map(vocabulary.clean, sentences_of(s.y)))) for s in samples if sentences_of(s.y)]
        digests = np.array(sorted(map(digest, counts)), np.int64)
        return cls(usual, digests, samples=tuple(some[:: max(1, -(-len(some) // MOST))]))

    @classmethod
    def restore(cls, learned: Mapping[str, Any]) -> Known:
        """What ``learned`` and ``arrays`` gave."""
        arrays = {name: learned[name] for name in ("digests", "thumbnails") if name in learned}
        return cls(str(learned.get("usual", "")), near=tuple(learned.get("near", ())), **arrays)

    def learned(self) -> dict[str, Any]:
        """As plain values for the bundle."""
        return {"usual": self.usual, "near": list(self.near)}

    def arrays(self) -> dict[str, np.ndarray]:
        """What is too large for plain values."""
        return {"digests": self.digests} | ({"thumbnails": self.thumbnails} if len(self.thumbnails) else {})

    def with_input(self, kind: Any) -> Known:
        """The same with thumbnails, if ``kind`` reads pictures."""
        if getattr(kind.spec, "kind", "") != "picture":
            return replace(self, samples=(), kind=kind)
        pairs = [(thumbnail(kind, s.x), s.y[0]) for s in self.samples]
        good = [(small, text) for small, text in pairs if small is not None]
        if not good:
            return replace(self, samples=(), kind=kind)
        thumbnails = np.stack([small for small, _ in good])
        return replace(self, thumbnails=thumbnails, near=tuple(t for _, t in good), samples=(), kind=kind)

    def has(self, text: str) -> bool:
        """Whether a sentence of the training part is ``text``."""
        wanted = digest(text)
        place = int(np.searchsorted(self.digests, wanted))
        return place < len(self.digests) and int(self.digests[place]) == wanted

    def nearest(self, sources: Sequence[Any]) -> list[str] | None:
        """The sentence of the training picture nearest to each of ``sources``; ``None`` where there are no pictures."""
        if not len(self.thumbnails) or self.kind is None:
            return None
        table, found = self.thumbnails.astype(np.float32), []
        for source in sources:
            small = thumbnail(self.kind, source)
            if small is None:
                found.append(self.usual)
                continue
            distance = np.square(table - small.astype(np.float32)).sum(1)
            distance[distance == 0] = np.inf
            found.append(self.near[int(distance.argmin())])
        return found


NOTHING = Known()


def digest(text: str) -> int:
    """A number that stands for a sentence."""
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little", signed=True)


def sentences_of(y: Any) -> tuple[str, ...]:
    """The sentences of a sample that are not empty: one text, or several, or those of a ``Described``."""
    y = y.sentences if isinstance(y, Described) else y
    texts = (y,) if isinstance(y, str) else y if isinstance(y, (list, tuple)) else ()
    return tuple(text for text in texts if isinstance(text, str) and text.strip())


def thumbnail(kind: Any, source: Any) -> np.ndarray | None:
    """A picture as ``SIDE * SIDE * channels`` numbers, or ``None`` if it cannot be read."""
    try:
        x = kind.decode(source)
    except CrnnError:
        return None
    small = Image.fromarray(x[..., 0] if x.shape[2] == 1 else x).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.uint8).reshape(-1)
