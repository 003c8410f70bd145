"""The labels of a training part: in sorted order, and how often each is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crnn.errors import DataError, SettingsError
from crnn.metrics.labels import ordered
from crnn.registry import suggest


@dataclass(frozen=True, slots=True)
class Labels:
    """``names`` by their numbers, and ``counts`` in the training part."""

    names: tuple[Any, ...]
    counts: tuple[int, ...]
    number: Mapping[Any, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "number", {name: i for i, name in enumerate(self.names)})

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def learn(cls, values: Iterable[Any]) -> Labels:
        """The labels among ``values``. Raises ``DataError`` for fewer than two."""
        counts = Counter(values)
        if not counts:
            do = "Put each class into a folder of its own, or give a table a column label."
            raise DataError("no sample has a label", expected="labelled samples", do=do)
        if len(counts) == 1:
            raise DataError(
                f"all samples are of the class {next(iter(counts))!r}",
                expected="two classes or more",
                do="Add samples of another class, or check that the right folder is given.",
            )
        names = ordered(counts)
        return cls(tuple(names), tuple(counts[name] for name in names))

    @classmethod
    def restore(cls, learned: Mapping[str, Any]) -> Labels:
        """The labels that ``learned`` gave."""
        return cls(tuple(learned["labels"]), tuple(int(count) for count in learned["counts"]))

    def learned(self) -> dict[str, Any]:
        """As plain values for the bundle."""
        return {"labels": list(self.names), "counts": list(self.counts)}

    def extend(self, values: Iterable[Any]) -> Labels:
        """The same numbers, new labels behind the known ones; counts of ``values``."""
        counts = Counter(values)
        names = (*self.names, *ordered(counts.keys() - self.number.keys()))
        return Labels(names, tuple(counts[name] for name in names))

    @property
    def usual(self) -> Any:
        """The most frequent label."""
        return self.names[max(range(len(self)), key=self.counts.__getitem__)]


def find(value: Any, names: Sequence[Any]) -> Any:
    """The one of ``names`` that ``value`` means: itself, or as it is written. Raises ``SettingsError``."""
    found = next((name for name in names if name == value or str(name) == str(value)), None)
    if found is None:
        raise SettingsError(
            f"the label {value!r}", expected="a label of the training part", do=suggest(str(value), map(str, names))
        )
    return found
