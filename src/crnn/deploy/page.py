"""Whole pages: a finder labels what lies above, on and below baselines, a reader reads the lines cut out along them.

A finder is a bundle for ``segment`` with the labels of ``crnn.data.page_lines``; it names its readers in its settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crnn.config import Precision
from crnn.data.formats import alto, page
from crnn.data.inputs.line import is_inverted
from crnn.data.page_cut import cut
from crnn.data.page_lines import NAMES, TextLine, lines_in
from crnn.data.reading_order import in_order
from crnn.deploy.answering import Answering
from crnn.deploy.ready import predictor
from crnn.errors import CrnnError, SettingsError
from crnn.tasks import words_of
from crnn.types import Part, Prediction, Sample

PIXELS = 1_000_000
"""Pixels at most of the first look at a page."""
COARSE = 3.0
"""How many times smaller a page is looked at, too, for large letters."""
HEIGHT = 42.0
"""Pixels of a line's height at which the finder sees best."""
GOOD = (34.0, 52.0)
"""Heights at which it need not look again."""
LEAST = 10.0
"""Height of a line below which a look says little of it."""
MOST = 6_000_000
"""Pixels at most of the second look."""
ASKED = 8
"""Lines of a page by which the surest of several readers is chosen."""


@dataclass(frozen=True, slots=True)
class ReadPage:
    """What was found and read on a page of ``size`` (width, height): blocks of lines in reading order."""

    id: str
    size: tuple[int, int]
    blocks: tuple[tuple[TextLine, ...], ...]
    reader: str | None = None
    """The bundle that read the lines; ``None`` where none did."""

    @property
    def lines(self) -> tuple[TextLine, ...]:
        """All lines in reading order."""
        return tuple(line for block in self.blocks for line in block)

    @property
    def text(self) -> str:
        """A line each, an empty one between blocks."""
        return "\n\n".join("\n".join(line.text or "" for line in block) for block in self.blocks)

    def plain(self) -> dict[str, Any]:
        """As plain values; points are in pixels of the picture."""
        lines = [
            {
                "block": i,
                "text": line.text,
                "score": None if line.score is None else round(line.score, 4),
                "baseline": _rounded(line.baseline),
                "polygon": _rounded(line.polygon),
                "words": [_plain_word(word) for word in line.words],
            }
            for i, block in enumerate(self.blocks, 1)
            for line in block
        ]
        width, height = self.size
        return {
            "id": self.id,
            "width": width,
            "height": height,
            "reader": self.reader,
            "text": self.text,
            "lines": lines,
        }

    def write(self, target: str | Path, *, kind: str = "page") -> None:
        """Write PAGE XML, or ALTO if ``kind`` is ``alto``. Raises ``DataError`` where it cannot be written."""
        (alto if kind == "alto" else page).create(self.blocks, Path(self.id), self.size, Path(target))


class PageReader:
    """A finder of lines with its readers, ready to answer.

    >>> read = PageReader("zoo:page")                           # doctest: +SKIP
    >>> print(read("letter.jpg").text)                          # doctest: +SKIP

    ``readers`` take the place of those that the finder names; without any, lines are found and not read. Of several,
    the one that is surest of some of a page's lines reads it. Raises ``BundleError``, and ``SettingsError`` for bundles
    that find or read no lines.
    """

    def __init__(
        self,
        finder: Answering | str | Path,
        readers: Sequence[Answering | str | Path] | None = None,
        *,
        precision: Precision = "auto",
        batch_size: int = 16,
    ) -> None:
        options: Any = {"precision": precision, "batch_size": batch_size}
        self.finder = finder if isinstance(finder, Answering) else predictor(finder, **options)
        labels = getattr(self.finder.task, "labels", ())
        if tuple(getattr(labels, "names", ())) != NAMES:
            raise SettingsError(
                f"a bundle for {self.finder.task.name} is to find the lines of a page",
                expected=f"one for segment with the labels {', '.join(NAMES)}",
                do="Take zoo:page, or train one: recipes/segment-page.toml.",
            )
        given = self.finder.task.settings.reader if readers is None else readers
        self.readers = {str(r.name if isinstance(r, Answering) else r): _reader(r, options) for r in given}

    def __call__(self, source: Any) -> ReadPage:
        """The page of a picture: a path, an array or a picture of Pillow's. Raises the error of one that cannot be
        read."""
        sample = self.finder._sample(source)
        return self.read(sample)

    def stream(self, samples: Iterable[Sample]) -> Iterator[ReadPage | CrnnError]:
        """The page of each sample, in order, or the error of one that cannot be read."""
        for sample in samples:
            try:
                yield self.read(sample)
            except CrnnError as error:
                yield error

    def read(self, sample: Sample) -> ReadPage:
        """The page of one sample. Raises the error of one that cannot be read."""
        grey = self.grey(sample)
        return self.found(sample.id, grey, in_order(self.find(grey)))

    def grey(self, sample: Sample) -> np.ndarray:
        """The page as grey uint8 ``(height, width)``, dark ink on light paper. Raises ``DataError``."""
        picture = self.finder.kind.decode(sample.x)[-1]
        x = picture[..., 0] if picture.shape[2] == 1 else np.asarray(Image.fromarray(picture).convert("L"))
        return 255 - x if is_inverted(x) else x

    def found(self, id: str, grey: np.ndarray, blocks: Sequence[Sequence[TextLine]]) -> ReadPage:
        """The page ``grey`` with the lines of its ``blocks`` read."""
        strips = [cut(grey, line) for block in blocks for line in block]
        name, texts = self._texts([strip for strip, _ in strips])
        read = iter(zip(texts, strips, strict=True))
        direction = "ltr" if name is None else self.readers[name].task.alphabet.direction
        told = [tuple(_with(line, *next(read), direction) for line in block) for block in blocks]
        return ReadPage(id, (grey.shape[1], grey.shape[0]), tuple(told), name)

    def find(self, grey: np.ndarray) -> list[TextLine]:
        """The lines of a grey page ``(height, width)``, uint8, in no order.

        It is looked at as a whole and again smaller, and once more at the size at which the lines that were found have
        the height that the finder sees best."""
        area = grey.shape[0] * grey.shape[1]
        first = min(1.0, (PIXELS / area) ** 0.5)
        looks = {factor: self._look(grey, factor) for factor in (first, first / COARSE)}
        best = max(looks, key=lambda factor: sum(_area(line) for line in looks[factor] if factor * line.height > LEAST))
        lines = looks[best]
        if not lines:
            return lines
        height = best * _usual_height(lines)
        if not GOOD[0] <= height <= GOOD[1]:
            factor = min(best * HEIGHT / height, (MOST / area) ** 0.5, 2.0)
            lines = self._look(grey, factor) or lines
        return lines

    def _look(self, grey: np.ndarray, factor: float) -> list[TextLine]:
        """The lines that the finder sees on a page made ``factor`` times as large."""
        height, width = grey.shape
        size = max(1, round(width * factor)), max(1, round(height * factor))
        if min(size) < 8:
            return []
        seen = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0))
        found = lines_in(self.finder(seen).value.numbers)
        return [line.scaled(width / size[0], height / size[1]) for line in found]

    def _texts(self, strips: Sequence[np.ndarray]) -> tuple[str | None, list[Prediction | None]]:
        """What the surest reader says of each line, and its name; ``None`` of lines that it cannot read."""
        if not self.readers or not strips:
            return next(iter(self.readers), None), [None] * len(strips)
        names = list(self.readers)
        if len(names) > 1:
            some = [strips[i] for i in np.unique(np.linspace(0, len(strips) - 1, ASKED).round().astype(int))]
            names.sort(key=lambda name: -_sureness(self.readers[name], some))
        return names[0], _answers(self.readers[names[0]], strips)


def _reader(bundle: Answering | str | Path, options: Any) -> Answering:
    reader = bundle if isinstance(bundle, Answering) else predictor(bundle, **options)
    if not hasattr(reader.task, "with_reading") or getattr(reader.kind.spec, "kind", "") != "line":
        raise SettingsError(
            f"a bundle for {reader.task.name} is to read the lines of a page",
            expected="one for transcribe that reads pictures of lines",
            do="Take zoo:typewritten or zoo:handwriting-fr, or train one: docs/transcribe.md.",
        )
    return reader


def _answers(reader: Answering, strips: Sequence[np.ndarray]) -> list[Prediction | None]:
    samples = [Sample(str(i), strip) for i, strip in enumerate(strips)]
    return [None if isinstance(answer, CrnnError) else answer for answer in reader.stream(samples)]


def _sureness(reader: Answering, strips: Sequence[np.ndarray]) -> float:
    """The mean score, each line counting as much as it is wide."""
    wide = [strip.shape[1] / strip.shape[0] for strip in strips]
    scores = [0.0 if answer is None else answer.score for answer in _answers(reader, strips)]
    return float(np.average(scores, weights=wide))


def _with(line: TextLine, answer: Prediction | None, strip: tuple[np.ndarray, float], direction: Any) -> TextLine:
    """The line with its text, the places of words from where its baseline begins."""
    if answer is None:
        return line
    found = words_of(answer.parts, direction)
    words = tuple(Part(w.value, w.start - strip[1], w.stop - strip[1], w.score) for w in found)
    return replace(line, text=answer.value, score=answer.score, words=words)


def _area(line: TextLine) -> float:
    return (line.baseline[-1][0] - line.baseline[0][0]) * line.height


def _usual_height(lines: Sequence[TextLine]) -> float:
    """The median height, lines counting as much as they are long."""
    order = sorted(lines, key=lambda line: line.height)
    lengths = np.cumsum([line.baseline[-1][0] - line.baseline[0][0] for line in order])
    return order[int(np.searchsorted(lengths, lengths[-1] / 2))].height


def _plain_word(word: Part) -> dict[str, Any]:
    start, stop = round(word.start, 1), round(word.stop, 1)
    return {"text": word.value, "start": start, "stop": stop, "score": round(word.score, 4)}


def _rounded(points: Iterable[tuple[float, float]]) -> list[list[float]]:
    return [[round(x, 1), round(y, 1)] for x, y in points]
