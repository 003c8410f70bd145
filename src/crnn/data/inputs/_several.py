"""Several inputs of one sample: a kind for each name, behind the methods of a single kind."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from html import escape
from typing import Any

import numpy as np

from crnn.data.inputs._kind import Kind, cannot_move
from crnn.errors import DataError
from crnn.findings import Look


class Several(Kind):
    """A sample's ``x`` is a mapping name -> source, and so is what comes out. The first kind is the one that counts
    steps and gives the places of answers."""

    def __init__(self, kinds: Mapping[str, Any]) -> None:
        self.kinds = dict(kinds)
        self.first = next(iter(self.kinds))
        self.spec = {name: kind.spec for name, kind in self.kinds.items()}  # type: ignore[assignment]
        self.settings = {name: kind.settings for name, kind in self.kinds.items()}
        self.unit = self.kinds[self.first].unit
        self.view_sizes = {name: kind.view_count for name, kind in self.kinds.items()}

    def learned(self) -> dict[str, Any]:
        return {name: kind.learned() for name, kind in self.kinds.items()}

    def steps(self, source: Any) -> int:
        steps = {name: kind.steps(self._part(source, name)) for name, kind in self.kinds.items()}
        return steps[self.first]

    def decode(self, source: Any) -> Any:
        return self.decode_scaled(source)[0]

    def decode_scaled(self, source: Any) -> tuple[Any, float]:
        pairs = {name: kind.decode_scaled(self._part(source, name)) for name, kind in self.kinds.items()}
        return {name: x for name, (x, _) in pairs.items()}, pairs[self.first][1]

    def vary(self, x: Any, y: np.ndarray | None, augment: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        """``augment`` is a mapping name -> variations of that input, for those that vary."""
        if y is not None and augment:
            raise cannot_move("several inputs")
        varied = {
            name: kind.vary(x[name], None, augment[name], rng)[0] if name in augment else kind.plain(x[name], None)[0]
            for name, kind in self.kinds.items()
        }
        return varied, y

    def plain(self, x: Any, y: np.ndarray | None) -> tuple[Any, Any]:
        return {name: kind.plain(x[name], y if name == self.first else None)[0] for name, kind in self.kinds.items()}, y

    def finish(self, x: Any) -> Any:
        return {name: kind.finish(x[name]) for name, kind in self.kinds.items()}

    @property
    def view_count(self) -> int:
        return max(self.view_sizes.values())

    def views(self, x: Any) -> list[Any]:
        """Views of that input which has several; the others are the same in each."""
        shown = {name: list(kind.views(x[name])) for name, kind in self.kinds.items()}
        return [{name: v[i % len(v)] for name, v in shown.items()} for i in range(self.view_count)]

    def look(self, source: Any) -> Look:
        looks = [kind.look(self._part(source, name)) for name, kind in self.kinds.items()]
        digests = [look.digest for look in looks]
        whole = None if None in digests else blake2b(b"".join(d for d in digests if d), digest_size=16).digest()
        return Look(looks[0].steps, whole, tuple(finding for look in looks for finding in look.findings))

    def shown(self, source: Any, heat: Any = None) -> str:
        """One below the other; ``heat`` is a mapping name -> that of the input."""
        heat = heat or {}
        return "".join(
            f'<p style="margin:0;opacity:.7">{escape(name)}</p>{kind.shown(self._part(source, name), heat.get(name))}'
            for name, kind in self.kinds.items()
        )

    def _part(self, source: Any, name: str) -> Any:
        if not isinstance(source, Mapping) or name not in source:
            given = f"has the inputs {', '.join(source)}" if isinstance(source, Mapping) else "has one input"
            raise DataError(given, expected=f"the inputs {', '.join(self.kinds)}", do=f"Give {name!r}, too.")
        return source[name]
