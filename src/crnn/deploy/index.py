"""Search: the pictures of a folder that a sentence fits best, by vectors of their regions that are kept in a file.

The file lies in the folder, hidden, unless another is named. It belongs to one network: for another, or where a
picture is new or was changed (by its size and time), vectors are made anew. It takes two bytes for each number: at 64
regions of 128 numbers 16 KB a picture.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from crnn.bundle import Bundle
from crnn.data.described import Rectangle, box_of
from crnn.data.formats._files import unreadable, walk
from crnn.decode.snippets import assign, snippets
from crnn.deploy.predict import Predictor
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.files import write_aside
from crnn.types import Sample

NAME = ".crnn-index.safetensors"
FORMAT = 1
BLOCK = 512  # pictures that are compared at once


@dataclass(frozen=True, slots=True)
class Found:
    """A file, how well the sentence fits it (the mean over its words), and of each snippet of the sentence its words
    and their box: left, top, right, bottom as shares of the picture."""

    path: Path
    score: float
    places: tuple[tuple[str, Rectangle], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Vectors of regions of the files ``names``: ``regions`` ``(regions, size)`` and ``spans`` ``(regions, axes, 2)``,
    float16, ``counts`` ``(files,)`` of each. ``new`` were made now; ``left_out`` could not be read."""

    folder: Path
    names: tuple[str, ...]
    stamps: tuple[tuple[int, int], ...]
    counts: np.ndarray
    regions: np.ndarray
    spans: np.ndarray
    new: int = 0
    left_out: tuple[CrnnError, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def find(self, words: np.ndarray, texts: Sequence[str], *, top: int, stay: float) -> list[Found]:
        """The ``top`` files that the words ``(words, size)`` fit best, the best first."""
        starts = np.concatenate([[0], np.cumsum(self.counts)])
        fits = np.zeros(len(self), np.float32)
        for first in range(0, len(self), BLOCK):
            stop = min(first + BLOCK, len(self))
            rows = self.regions[starts[first] : starts[stop]].astype(np.float32) @ words.T
            fits[first:stop] = np.maximum.reduceat(rows, starts[first:stop] - starts[first], axis=0).mean(1)
        best = np.argsort(-fits, kind="stable")[:top]
        return [
            Found(self.folder / self.names[i], float(fits[i]), self._places(i, starts, words, texts, stay))
            for i in best
        ]

    def _places(
        self, i: int, starts: np.ndarray, words: np.ndarray, texts: Sequence[str], stay: float
    ) -> tuple[tuple[str, Rectangle], ...]:
        own = slice(starts[i], starts[i + 1])
        chosen = assign((words @ self.regions[own].astype(np.float32).T)[None], stay)[0]
        spans = self.spans[own].astype(np.float32)
        return tuple((" ".join(texts[s.start : s.stop]), box_of(spans[s.region])) for s in snippets(chosen))


def search(
    predictor: Predictor, folder: str | Path, sentence: str, *, top: int = 10, index: str | Path | None = None
) -> tuple[list[Found], Index, list[str]]:
    """The ``top`` files of ``folder`` that ``sentence`` fits best, the index that they were found in, and the words
    that are not known. Raises ``SettingsError`` for a network that does not match, or a sentence without a known word,
    and ``DataError`` for a folder without a file that can be read."""
    task: Any = predictor.task
    if not isinstance(predictor, Predictor) or not hasattr(task, "words_of"):
        given = f"a sentence is looked for with a bundle of the task {task.name!r}"
        raise SettingsError(given, expected="one of the task match", do="Train one: crnn train match.")
    words, texts, strange = task.words_of(predictor.net, sentence)
    made = refreshed(predictor, Path(folder), None if index is None else Path(index))
    return made.find(words, texts, top=top, stay=task.settings.stay), made, strange


def refreshed(predictor: Predictor, folder: Path, file: Path | None = None) -> Index:
    """The index of the files in ``folder``, read from ``file`` as far as it still holds, and written there if anything
    was made anew. A folder that cannot be written to is searched all the same, each time anew."""
    if not folder.is_dir():
        raise DataError("is no folder", expected="a folder of pictures", do="Check the path.", file=folder)
    files = [path for path in walk(folder) if path.suffix.lower() in predictor.kind.suffixes]
    if not files:
        wanted = ", ".join(sorted(predictor.kind.suffixes))
        raise DataError("holds no file to look at", expected=f"files of the kinds {wanted}", do="Check.", file=folder)
    owner = fingerprint(predictor.bundle)
    place = file or folder / NAME
    old = _read(place, owner)
    left_out: list[CrnnError] = []
    stamped = [(path, stamp) for path in files if (stamp := _stamp(path, left_out)) is not None]
    files, stamps = [path for path, _ in stamped], [stamp for _, stamp in stamped]
    names = [path.relative_to(folder).as_posix() for path in files]
    known = {} if old is None else {key: i for i, key in enumerate(zip(old.names, old.stamps, strict=True))}
    missing = [i for i, key in enumerate(zip(names, stamps, strict=True)) if key not in known]
    rows: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for i, made in zip(missing, _looked(predictor, [files[i] for i in missing]), strict=True):
        if isinstance(made, CrnnError):
            left_out.append(made)
        elif len(made[0]):
            rows[i] = made
    if old is not None:
        starts = np.concatenate([[0], np.cumsum(old.counts)])
        for i, key in enumerate(zip(names, stamps, strict=True)):
            if (j := known.get(key)) is not None:
                own = slice(starts[j], starts[j + 1])
                rows[i] = old.regions[own], old.spans[own]
    if not rows:
        first = f" ({left_out[0]})" if left_out else ""
        given = f"holds {len(files)} files, and none has a region{first}"
        raise DataError(given, expected="files that can be read", do="Look at them.", file=folder)
    kept = sorted(rows)
    index = Index(
        folder,
        tuple(names[i] for i in kept),
        tuple(stamps[i] for i in kept),
        np.array([len(rows[i][0]) for i in kept], np.int64),
        np.concatenate([rows[i][0] for i in kept]),
        np.concatenate([rows[i][1] for i in kept]),
        sum(i in rows for i in missing),
        tuple(left_out),
    )
    if missing or old is None or index.names != old.names:
        try:
            _write(index, place, owner)
        except DataError:
            if file is not None:  # the place was asked for
                raise
    return index


def _stamp(path: Path, left_out: list[CrnnError]) -> tuple[int, int] | None:
    """Size and time of a file; what has none goes to ``left_out``."""
    try:
        stat = path.stat()
    except OSError as error:  # a link to nowhere
        left_out.append(unreadable(path, error))
        return None
    return stat.st_size, stat.st_mtime_ns


def fingerprint(bundle: Bundle) -> str:
    """What tells one network from another: its settings, what it learned, its weights."""
    digest = blake2b(digest_size=16)
    values = {key: value for key, value in bundle.description().items() if key != "card"}
    digest.update(json.dumps(values, sort_keys=True).encode())
    for name, tensor in sorted(bundle.net.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _looked(predictor: Predictor, files: Sequence[Path]) -> Iterator[tuple[np.ndarray, np.ndarray] | CrnnError]:
    """Regions and spans of each file, those that are compared."""
    options: Any = {"precision": predictor.precision, "device": predictor.device}
    own = Predictor(predictor.bundle, batch_size=predictor.batch_size, **options)
    own.task = own.task.silent()
    for answer in own.stream(Sample(str(path), path) for path in files):
        if isinstance(answer, CrnnError):
            yield answer
        else:
            seen = answer.vectors
            yield seen.regions[seen.first :].astype(np.float16), seen.spans[seen.first :].astype(np.float16)


def _write(index: Index, file: Path, owner: str) -> None:
    files = [[name, *stamp] for name, stamp in zip(index.names, index.stamps, strict=True)]
    values = {"format": FORMAT, "bundle": owner, "files": files}
    arrays = {"regions": index.regions, "spans": index.spans, "counts": index.counts}
    with write_aside(file, "wb") as out:
        out.write(save(arrays, metadata={"crnn-index": json.dumps(values, ensure_ascii=False)}))


def _read(file: Path, owner: str) -> Index | None:
    """The index in ``file``, if it is one, whole, and of the network ``owner``; else ``None``."""
    try:
        with safe_open(file, framework="np") as stored:
            values: Mapping[str, Any] = json.loads((stored.metadata() or {})["crnn-index"])
            if values["format"] != FORMAT or values["bundle"] != owner:
                return None
            regions, spans, counts = (stored.get_tensor(name) for name in ("regions", "spans", "counts"))
        names = tuple(str(row[0]) for row in values["files"])
        stamps = tuple((int(row[1]), int(row[2])) for row in values["files"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    if len(names) != len(counts) or not len(regions) == len(spans) == int(counts.sum()):
        return None
    return Index(file.parent, names, stamps, counts, regions, spans)
