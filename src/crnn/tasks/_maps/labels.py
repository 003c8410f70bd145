"""The labels of pixels that a training part knows: names, numbers in files, colours, and where each is usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crnn.data.label_maps import Colour, Painted, Polygons, file_of, read_map, size_of_picture, wrong_size
from crnn.errors import CrnnError, DataError, SettingsError, named
from crnn.metrics.maps import IGNORED
from crnn.registry import suggest
from crnn.tasks._given import numbers_of, strange
from crnn.types import Sample

MOST = 254  # labels
LOOKS = 5000  # label maps of the training part that are looked at
GRID = 64  # rows and columns of the map of what is usual
WHITE = 255  # what a label is called in black and white maps


@dataclass(frozen=True, slots=True)
class MapLabels:
    """``names`` by their numbers; ``values`` stand for them in label maps, ``ignored`` for what does not count."""

    names: tuple[str, ...]
    values: tuple[int, ...]
    ignored: tuple[int, ...] = ()
    pixels: tuple[int, ...] = ()
    """Pixels of each label in the training part."""
    there: tuple[int, ...] = ()
    """Pixels of the pictures in which it is."""
    colours: tuple[Colour, ...] = ()
    usual: np.ndarray = field(default_factory=lambda: np.zeros((1, 1), np.uint8), compare=False, repr=False)
    """The most frequent label of each place, of any picture scaled to one size: uint8 ``(rows, columns)``."""

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def learn(cls, settings: Any, samples: Sequence[Sample]) -> MapLabels:
        """The labels of at most ``LOOKS`` maps. Raises ``DataError`` if there are none or too many of them, and
        ``SettingsError`` for names that do not fit."""
        known = [s.y for s in samples if s.y is not None]
        legend = next((y.legend for y in known if isinstance(y, (Painted, Polygons)) and y.legend is not None), None)
        names = settings.names or (legend.names if legend is not None else ())
        seen = _Seen()
        for source in known[:: max(1, len(known) // LOOKS)]:
            seen.look(source)
        if not seen.pixels:
            do = "Give pictures with label maps, see docs/segment.md."
            raise seen.error or DataError("no sample has a label map", expected="at least one", do=do)
        ignored = _ignored(settings.ignore, names, seen.pixels)
        values = tuple(range(len(names))) if names else tuple(sorted(seen.pixels.keys() - set(ignored)))
        strange = sorted(seen.pixels.keys() - set(values) - set(ignored))
        if names and strange:
            raise SettingsError(
                f"label maps hold {', '.join(map(str, strange[:10]))}",
                expected=f"0 to {len(names) - 1}, for which there are names",
                do="Name all labels, or set task.ignore to those that do not count.",
            )
        keep = [v for v in values if v not in ignored]
        if not keep or len(keep) > MOST:
            raise DataError(
                f"label maps hold {len(keep)} labels",
                expected=f"from 1 to {MOST}",
                do="Save label maps without smoothing, as PNG; or set task.ignore.",
            )
        coloured = not names and max(keep) > MOST + 1
        found = tuple(names[v] if names else f"#{v:06x}" if coloured else str(v) for v in keep)
        colours: tuple[Colour, ...] = ()
        if settings.colours:
            colours = _given(settings.colours, found)
        elif legend is not None and legend.colours and legend.names == tuple(names):
            colours = tuple(legend.colours[v] for v in keep)
        elif coloured:
            colours = tuple((v >> 16, v >> 8 & 255, v & 255) for v in keep)
        counts = tuple(seen.pixels.get(v, 0) for v in keep)
        there = tuple(seen.there.get(v, 0) for v in keep)
        return cls(found, tuple(keep), ignored, counts, there, colours, seen.usual(keep))

    @classmethod
    def blank(cls, count: int) -> MapLabels:
        """Labels 0, 1 and so on, without data."""
        ones = (1,) * count
        return cls(tuple(map(str, range(count))), tuple(range(count)), (WHITE,), ones, ones)

    @classmethod
    def restore(cls, learned: Mapping[str, Any]) -> MapLabels:
        """The labels that ``learned`` gave, and an array ``usual`` beside it."""
        numbers = {k: tuple(int(v) for v in learned[k]) for k in ("values", "ignored", "pixels", "there")}
        colours = tuple((int(r), int(g), int(b)) for r, g, b in learned["colours"])
        usual = np.asarray(learned["usual"], np.uint8) if "usual" in learned else np.zeros((1, 1), np.uint8)
        return cls(tuple(map(str, learned["labels"])), **numbers, colours=colours, usual=usual)

    def learned(self) -> dict[str, Any]:
        """As plain values for the bundle."""
        numbers = {k: list(getattr(self, k)) for k in ("values", "ignored", "pixels", "there")}
        return {"labels": list(self.names), **numbers, "colours": [list(c) for c in self.colours]}

    def extend(self, new: MapLabels) -> MapLabels:
        """The same numbers, the labels that only ``new`` has behind the known ones; counts are those of ``new``."""
        more = [i for i, name in enumerate(new.names) if name not in self.names]
        names = (*self.names, *(new.names[i] for i in more))
        place = {name: i for i, name in enumerate(new.names)}
        # what stands in the new maps counts; a label that they lack has a number that no map holds
        values = tuple(new.values[place[name]] if name in place else -1 - i for i, name in enumerate(names))
        pixels = tuple(new.pixels[place[n]] if n in place else 0 for n in names)
        there = tuple(new.there[place[n]] if n in place else 0 for n in names)
        colours = (*self.colours, *(new.colours[i] for i in more)) if self.colours and new.colours else ()
        usual = np.array([names.index(name) for name in new.names], np.uint8)[new.usual]
        return MapLabels(names, values, new.ignored, pixels, there, colours, usual)

    def numbers(self, source: Any, size: tuple[int, int] | None = None) -> np.ndarray:
        """The label map ``source`` as numbers of these labels, uint8 ``(height, width)``, ``IGNORED`` where nothing
        counts. Raises ``DataError`` for labels that are not known, and for another ``size`` (width, height)."""
        x = read_map(source)
        if size is not None and size != x.shape[::-1]:
            raise wrong_size(source, (x.shape[1], x.shape[0]), size)
        order = np.argsort(self.values)
        values = np.array(self.values)[order]
        place = np.clip(np.searchsorted(values, x), 0, len(values) - 1)
        found = order[place].astype(np.uint8)
        odd = values[place] != x
        if odd.any():
            unknown = set(np.unique(x[odd]).tolist()) - set(self.ignored)
            if unknown:
                raise DataError(
                    f"has the labels {', '.join(map(str, sorted(unknown)[:10]))}",
                    expected=f"those of the training part: {', '.join(map(str, self.values[:12]))}"
                    f"{' ...' if len(self.values) > 12 else ''}",
                    do="Correct the map, or set task.ignore to labels that do not count.",
                    file=file_of(source),
                )
            found[odd] = IGNORED
        return found

    def truth(self, sample: Sample) -> np.ndarray:
        """The same of the map of ``sample``, which has the size of its picture."""
        return self.numbers(sample.y, size_of_picture(sample.x))

    def given(self, id: str, value: Any, shape: tuple[int, int]) -> np.ndarray:
        """The same of rows of numbers as they stand in label maps, another program's answer to the sample ``id``."""
        table = numbers_of(id, value, shape)
        if (table != table.astype(np.int64)).any() or table.min(initial=0) < 0:
            raise strange(id, value, "whole numbers, those of label maps")
        try:
            return self.numbers(table.astype(np.int64))
        except DataError as error:
            raise named(error, id) from error

    def palette(self) -> list[Colour]:
        """A colour for each label: the known ones, or such as are far from each other."""
        return list(self.colours) or [_apart(i) for i in range(len(self))]

    def usual_at(self, shape: tuple[int, int]) -> np.ndarray:
        """The most frequent label of each place of a picture of ``shape``."""
        rows, columns = (np.arange(n) * m // n for n, m in zip(shape, self.usual.shape, strict=True))
        return self.usual[rows[:, None], columns]


def check_settings(settings: Any, labels: MapLabels) -> None:
    """Raises ``SettingsError`` for settings that ask for labels which are not there."""
    strange = [name for name in settings.instances if name not in labels.names]
    if strange:
        raise SettingsError(
            f"task.instances names {strange[0]!r}",
            expected=f"one of the labels {', '.join(labels.names[:12])}",
            do="Correct task.instances.",
        )
    if not isinstance(settings.weights, str) and len(settings.weights) != len(labels):
        raise SettingsError(
            f"task.weights has {len(settings.weights)} entries",
            expected=f"one for each of {len(labels)} labels: {', '.join(labels.names[:12])}",
            do="Change task.weights.",
        )
    if 0 in settings.scales:
        raise SettingsError("task.scales has 0", expected="sizes such as 0.75", do="Change task.scales.")


class _Seen:
    """What was counted in label maps."""

    def __init__(self) -> None:
        self.pixels: dict[int, int] = {}
        self.there: dict[int, int] = {}
        self.grids: dict[int, np.ndarray] = {}
        self.error: CrnnError | None = None

    def look(self, source: Any) -> None:
        try:
            x = read_map(source)
        except CrnnError as error:
            self.error = self.error or error
            return
        values, counts = np.unique(x, return_counts=True) if x.max(initial=0) > 0xFFFF else _counted(x)
        rows, columns = ((np.arange(GRID) + 0.5) * side / GRID for side in x.shape)
        grid = x[rows.astype(int)[:, None], columns.astype(int)]
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self.pixels[value] = self.pixels.get(value, 0) + count
            self.there[value] = self.there.get(value, 0) + x.size
            if len(self.grids) <= MOST + 2:
                self.grids[value] = self.grids.get(value, 0) + (grid == value)

    def usual(self, values: Sequence[int]) -> np.ndarray:
        """The number of the most frequent of ``values`` at each place; of places that have none, that of all."""
        table = np.stack([self.grids.get(v, np.zeros((GRID, GRID))) + 0 for v in values])
        overall = int(np.argmax([self.pixels.get(v, 0) for v in values]))
        return np.where(table.any(0), table.argmax(0), overall).astype(np.uint8)


def _counted(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = np.bincount(x.ravel())
    values = np.flatnonzero(counts)
    return values, counts[values]


def _ignored(wanted: Sequence[int | str], names: Sequence[str], seen: Mapping[int, int]) -> tuple[int, ...]:
    """Values that do not count. White on black is a label, whatever is not to count elsewhere."""
    found = []
    for one in wanted:
        if isinstance(one, str) and one not in names:
            known = suggest(one, names) if names else "Give its number."
            raise SettingsError(f"task.ignore names {one!r}", expected="the name of a label", do=known)
        found.append(list(names).index(one) if isinstance(one, str) else int(one))
    black_and_white = not names and seen.keys() <= {0, WHITE}
    return tuple(v for v in found if not (black_and_white and v == WHITE))


def _given(colours: Sequence[Sequence[int]], names: Sequence[str]) -> tuple[Colour, ...]:
    if len(colours) != len(names) or any(len(c) != 3 or not all(0 <= v <= 255 for v in c) for c in colours):
        raise SettingsError(
            f"task.colours has {len(colours)} entries",
            expected=f"three numbers up to 255 for each of {len(names)} labels ({', '.join(names[:12])})",
            do="Change task.colours, or leave it out.",
        )
    return tuple((int(r), int(g), int(b)) for r, g, b in colours)


def _apart(i: int) -> Colour:
    """The colour of label ``i``: bits of the number spread over the three channels, as PASCAL VOC colours its maps,
    only brighter; the first is black."""
    red = green = blue = 0
    for bit in range(8):
        red, green, blue = (v | (i >> (3 * bit + c) & 1) << (7 - bit) for c, v in enumerate((red, green, blue)))
    return (red, green, blue)
