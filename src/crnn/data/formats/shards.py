"""WebDataset shards: tars of samples, of ``crnn pack`` with an index, or somebody else's; read where they lie.

A folder of tars, one of them, or a pattern: ``"data/train-{000000..000123}.tar"``; or addresses of them, where ``crnn
pack`` made the index. Any sample is found by its place in
the tar, so an epoch is shuffled as a folder is, and nothing is unpacked. In tars without an index the files of a sample
share their names up to the first dot; the answer is in ``.txt``, ``.cls`` or ``.json`` beside the source. The beginning
of a shard's name says the split.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from crnn.data.far import Far
from crnn.data.formats._asked import Asked
from crnn.data.formats._files import SPLITS, line_text
from crnn.data.packed import Packed, PackedFolder, together
from crnn.data.shard_answers import answer_of, legend_of, truth_of
from crnn.data.shard_index import INDEX, MARK, expand, is_pattern, names_in, read_index, scan
from crnn.errors import CrnnError, DataError, Unreachable
from crnn.types import Sample

WANTED = "shards (.tar) of samples, as crnn pack and WebDataset write them"
ANSWERS = ("text", "label", "numbers", "events", "sentences", "boxes", "map", "picture")
NAMED = ("answer", "text", "transcription", "label", "class", "caption", "sentences", "events", "boxes", "value")
"""Keys of somebody else's JSON that may hold an answer."""
TEXTS = ("gt.txt", "txt", "cls", "json")
AT_ONCE = 32
"""Indexes, or texts, that are fetched at once of shards that are far away."""


def recognise(path: Path) -> bool:
    """Whether ``path`` is a tar, or a folder with one at its top."""
    return bool(_shards(path))


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each key of the shards."""
    return read_for(path, left_out, Asked())


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """The same with the answer that is asked for. Raises ``DataError`` for shards that are not there, cut off or hold
    other answers."""
    shards = _shards(path)
    _check_kind(shards, asked)
    if isinstance(path, Far):
        yield from _far(shards, asked, left_out)
        return
    for shard in shards:
        if not shard.is_file():
            raise DataError("is not there", expected="a shard", do="Check the pattern.", file=shard)
        if shard.with_suffix(".index").is_file():
            yield from _indexed(shard, read_index(shard), asked, left_out)
        else:
            yield from _scanned(shard, asked, left_out)


def _shards(path: Path) -> list[Path]:
    if is_pattern(path):
        return [type(path)(name) for name in expand(str(path))]
    if isinstance(path, Far) and path.is_dir():
        return [path / name for name in names_in(path / INDEX)]
    if path.is_dir():
        return sorted(file for file in path.glob("*.tar") if not file.name.startswith("."))
    return [path] if path.suffix.lower() == ".tar" else []


def _far(shards: list[Path], asked: Asked, left_out: list[CrnnError]) -> Iterator[Sample]:
    """The samples of shards that are addresses: nothing of them is fetched but their indexes, and texts."""
    for number in range(0, len(shards), AT_ONCE):
        some = shards[number : number + AT_ONCE]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            indexes = list(pool.map(lambda shard: list(read_index(shard)), some))
        if number == 0:
            some[0].check_ranges()  # type: ignore[attr-defined]
        for shard, rows in zip(some, indexes, strict=True):
            yield from _indexed(shard, rows, asked, left_out)


def _check_kind(shards: list[Path], asked: Asked) -> None:
    """Raises ``DataError`` for answers that are not asked for."""
    for shard in {shard.parent: shard for shard in shards}.values():
        kind = _kind_of(shard.with_name(INDEX))
        if kind not in (asked.answer, None) and asked.truths:
            given, do = f"holds answers of the kind {kind}", "Name the task that they were packed for, or pack again."
            raise DataError(given, expected=asked.answer, do=do, file=shard)


def _indexed(
    shard: Path, rows: Iterable[Mapping[str, Any]], asked: Asked, left_out: list[CrnnError]
) -> Iterator[Sample]:
    rows, legend = iter(rows), None
    while some := list(islice(rows, AT_ONCE)):
        files = [{name: _placed(shard, place) for name, place in row["inputs"].items()} for row in some]
        with together(file for named in files for file in named.values() if _is_text(file)):
            inputs = [{name: _text_or(file) for name, file in named.items()} for named in files]
        for row, named in zip(some, inputs, strict=True):
            try:
                legend = legend_of(row["legend"], shard) if "legend" in row else legend
                y = truth_of(row, asked.answer, shard, legend) if asked.truths else None
                yield Sample(str(row["id"]), named.get("", named), y, row["group"], row["split"])
            except CrnnError as error:
                left_out.append(error)


def _placed(shard: Path, place: list[Any]) -> Packed | PackedFolder:
    """The file of a place in ``shard``, or the folder of several."""
    if isinstance(place[0], list):
        return PackedFolder.of(Packed.at(shard, part) for part in place)
    return Packed.at(shard, place)


def _kind_of(index: Path) -> str | None:
    """The kind of answer that the index of a folder names."""
    try:
        values = json.loads(index.read_text(encoding="utf-8"))
        return str(values["answer"]) if MARK in values else None
    except Unreachable:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError, DataError):
        return None


def _scanned(shard: Path, asked: Asked, left_out: list[CrnnError]) -> Iterator[Sample]:
    split = SPLITS.get(re.split(r"[-_.\d]", shard.name, maxsplit=1)[0].lower())
    for key, places in scan(shard):
        files = {ending: Packed.of(shard, f"{Path(key).name}.{ending}", *place) for ending, place in places.items()}
        sources = {e: f for e, f in files.items() if f.suffix.lower() in asked.suffixes and e not in TEXTS}
        id = f"{shard.stem}/{key}"
        try:
            x = {e.partition(".")[0]: _text_or(f) for e, f in sources.items()} if asked.inputs else None
            if not asked.inputs:
                if len(sources) != 1:
                    given = f"the sample {key!r} has the files {', '.join(sorted(files))}"
                    expected = f"one of them a source ({' '.join(sorted(asked.suffixes))})"
                    raise DataError(given, expected=expected, do="Take it out, or pack the data again.", file=shard)
                x = next(iter(sources.values()))
            yield Sample(id, x, _answer(files, asked, shard, key) if asked.truths else None, split=split)
        except CrnnError as error:
            left_out.append(error)


def _answer(files: dict[str, Packed], asked: Asked, shard: Path, key: str) -> Any:
    """What stands beside the source."""
    ending = next((ending for ending in TEXTS if ending in files), None)
    if ending is None:
        return None
    try:
        text = files[ending].read_bytes().decode("utf-8")
        if ending == "json":
            values = json.loads(text)
            name = next((name for name in NAMED if isinstance(values, dict) and name in values), None)
            return answer_of(values if name is None else values[name], asked.answer, shard)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        given = f"the answer of {key!r} cannot be read ({error})"
        raise DataError(given, expected="UTF-8", do="Pack the data again.", file=shard) from error
    if asked.answer == "sentences":
        return answer_of([line for line in text.splitlines() if line.strip()], "sentences", shard)
    return answer_of(line_text(text, files[ending]) if asked.answer == "text" else text.strip(), asked.answer, shard)


def _is_text(file: Path) -> bool:
    """Whether it is a sentence that was packed as a text; any other file stays where it is."""
    return file.name.partition(".")[2].split(".")[-2:] == ["in", "txt"]


def _text_or(file: Path) -> Any:
    return file.read_bytes().decode("utf-8", "replace") if _is_text(file) else file
