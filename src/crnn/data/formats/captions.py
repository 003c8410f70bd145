"""Sources with the sentences that people wrote of them: a table, COCO's JSON, or a text file beside each picture.

A table (.jsonl .csv .tsv .parquet) has a column of files (or of texts) and one of sentences: a list in each row (in a
.csv as JSON writes it), or one sentence, and then all rows of one file are one sample. COCO's JSON has ``images`` and
``annotations``, or sentences in each image (``dataset_*.json`` of Karpathy's splits); its pictures are looked for in
the JSON's folder, and in the one above if that is named annotations. Beside ``a.jpg`` lies ``a.txt``, a sentence on
each line.

Who asks for ``regions`` is given a ``Described`` of each picture: a table may also have a column ``boxes`` (left, top,
right, bottom in pixels) and one of ``phrases``, pairs of words and the number of their box.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from crnn.data.described import Described, boxes_of, phrases_of
from crnn.data.formats._asked import Asked
from crnn.data.formats._columns import agreed, missing, roles_of, shared_of, source_of, word_of
from crnn.data.formats._files import (
    PICTURES,
    SPLITS,
    Split,
    decode,
    inside,
    name_in,
    passage,
    read_bytes,
    root_of,
    split_of,
    walk,
)
from crnn.data.formats._rows import columns, rows
from crnn.data.formats._tables import choose, holds, part_of
from crnn.data.inputs._pictures import size_of
from crnn.errors import CrnnError, DataError
from crnn.types import Sample

WANTED = (
    "a table (.jsonl .csv .tsv .parquet) with a column of files and one of sentences (captions), COCO's JSON of "
    "captions, or files with their sentences in a .txt beside them"
)
ANSWERS = ("sentences",)
NAMED = re.compile(r"(?:^|[^a-z])(train|val|valid|dev|test)")
NO_SENTENCE = "Write one, or drop the sample."


def recognise(path: Path) -> bool:
    """Whether ``path`` is such a table, JSON or folder."""
    return recognise_for(path, Asked(answer="sentences"))


def recognise_for(path: Path, asked: Asked) -> bool:
    """The same, for sources of the endings that are asked for."""
    if holds(path, _fits(asked)):
        return True
    if path.is_file():
        return path.suffix.lower() == ".json" and _is_coco(path)
    return bool(_jsons(path) or _pairs(path, asked))


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each source that has a sentence."""
    return read_for(path, left_out, Asked(answer="sentences"))


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """A sample for each source, its ``y`` a tuple of sentences, or a ``Described``. A source without one goes to
    ``left_out``, an empty sentence too, unless ``asked.truths`` is false: then it has ``y=None``, or no sentences."""
    if path.is_file() and path.suffix.lower() == ".json":
        found = _of_coco([path], left_out)
    elif path.is_file() or holds(path, _fits(asked)):
        found = _of_tables(path, left_out, asked)
    elif jsons := _jsons(path):
        found = _of_coco(jsons, left_out)
    else:
        found = _of_pairs(path, left_out, asked)
    for sample in found:
        whole = sample.y if isinstance(sample.y, Described) else Described(sample.y)
        described = _cleaned(whole, sample.id, left_out)
        if described.sentences or not asked.truths:
            yield replace(sample, y=described if asked.regions else described.sentences or None)
        else:
            left_out.append(DataError("has no sentence", expected="one or more", do=NO_SENTENCE, file=sample.id))


def _cleaned(described: Described, name: str, left_out: list[CrnnError]) -> Described:
    """The sentences of the sample ``name``; those that are empty are said where there are others."""
    good = described.cleaned()
    found, kept = len(described.sentences), len(good.sentences)
    if kept and kept < found:
        given = f"has {found - kept} empty sentences among {found}"
        left_out.append(DataError(given, expected="a text in each", do="Write or delete them.", file=name))
    return good


# tables


def _fits(asked: Asked) -> Any:
    def fits(names: Any, table: Path) -> bool:
        roles = roles_of(names, table, asked)
        answers = [name for role, name in roles.items() if role == "sentences" or role.startswith("answer:")]
        return bool(answers) and roles.get("sentence") not in answers

    return fits


def _of_tables(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    root = root_of(path)
    for table in choose(path, _fits(asked)):
        part = part_of(root, path, table)
        yield from _of_table(table, root, part, left_out, asked)


def _of_table(table: Path, root: Path, part: Split | None, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """The samples of one table, in the order in which their sources first come. A source of which rows name two splits
    goes to ``left_out``, since a sentence would be learned from that is to be tested on."""
    roles = roles_of(columns(table), table, asked)
    answers = [name for role, name in roles.items() if role == "sentences" or role.startswith("answer:")]
    if not answers:
        do = "Rename the column of sentences to caption, or name it with --answer."
        raise missing(columns(table), "one for the sentences", table, do)
    word = "row" if table.suffix.lower() == ".parquet" else "line"
    found: dict[str, Sample] = {}
    splits: dict[str, Split | None] = {}
    torn: set[str] = set()
    for number, row in rows(table, list(dict.fromkeys(roles.values())), left_out):
        where = f"{word} {number} "
        try:
            x, name = _source(row, roles, table, root, where)
            sentences = tuple(text for column in answers for text in _texts(row.get(column), where, table))
            described = _described(row, roles, x, sentences, table, where)
            group, split = shared_of(row, roles, table, where)
        except DataError as error:
            left_out.append(error)
            continue
        before = found.setdefault(name, Sample(name, x, Described(()), group))
        try:
            _, splits[name] = agreed((None, splits.get(name)), (None, split), table, where, grouped=False)
        except DataError as error:
            left_out.append(error)
            torn.add(name)
        found[name] = replace(before, y=before.y.joined(described))
    yield from (replace(found[name], split=splits[name] or part) for name in found if name not in torn)


def _source(row: Mapping[str, Any], roles: Mapping[str, str], table: Path, root: Path, where: str) -> tuple[Any, str]:
    """What is seen, and its name. Raises ``DataError``."""
    several = {role.removeprefix("input:"): name for role, name in roles.items() if role.startswith("input:")}
    if several:
        x = {role: source_of(row.get(name), table, where) for role, name in several.items()}
        return x, " + ".join(name_in(root, path) for path in x.values())
    if "sentence" in roles:
        text = passage(word_of(row.get(roles["sentence"]), where + "has a text that", table), table, where)
        return text, text if len(text) < 80 else f"{table.name}:{where.split()[1]}"
    path = source_of(row.get(roles["source"]), table, where)
    return path, name_in(root, path)


def _described(
    row: Mapping[str, Any], roles: Mapping[str, str], x: Any, sentences: tuple[str, ...], table: Path, where: str
) -> Described:
    """The sentences of a row with the boxes in its picture, if it has any. Raises ``DataError``."""
    value = row.get(roles["boxes"]) if "boxes" in roles else None
    if not value:
        return Described(sentences)
    if not (isinstance(x, Path) and x.suffix.lower() in PICTURES):
        given = f"{where}has boxes in a source that is no picture"
        raise DataError(given, expected="none", do="Leave the column out.", file=table)
    boxes = boxes_of(value, size_of(x), where, table)
    phrases = row.get(roles["phrases"]) if "phrases" in roles else None
    return Described(sentences, boxes, phrases_of(phrases, len(sentences), len(boxes), where, table))


def _texts(value: Any, where: str, table: Path) -> list[str]:
    """The sentences of a cell: a list, also as JSON writes it, a text, or a list of objects with a text."""
    if isinstance(value, (list, tuple)):
        return [text for each in value for text in _texts(each, where, table)]
    if isinstance(value, Mapping):
        value = next((value[key] for key in ("raw", "caption", "sentence", "text") if key in value), None)
    text = word_of(value, where + "has a sentence that", table)
    return _listed(text) or [text]


def _listed(text: str) -> list[str]:
    """The texts of a list that a cell of a .csv writes as JSON does; none of any other text."""
    if text.lstrip().startswith('["'):
        with suppress(ValueError, RecursionError):
            found = json.loads(text)
            return found if all(isinstance(each, str) for each in found) else []
    return []


# COCO


def _is_coco(path: Path) -> bool:
    """A cheap look at the beginning and the end of a JSON file."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
            file.seek(max(0, path.stat().st_size - 4096))
            tail = file.read()
    except OSError:
        return False
    said = head + tail
    return head.lstrip()[:1] == b"{" and (b'"caption"' in said or b'"sentences"' in said or b'"sentids"' in said)


def _jsons(path: Path) -> list[Path]:
    """COCO's files in a folder, or in annotations inside of it."""
    folders = [path, path / "annotations"]
    found = [file for f in folders if f.is_dir() for file in sorted(f.glob("*.json")) if not file.name.startswith(".")]
    return [file for file in found if _is_coco(file)]


def _of_coco(files: list[Path], left_out: list[CrnnError]) -> Iterator[Sample]:
    for file in files:
        root = file.parent.parent if file.parent.name == "annotations" else file.parent
        there: dict[str, list[Path]] = {}
        for path in walk(root):
            there.setdefault(path.name, []).append(path)
        named = NAMED.search(file.stem.lower())
        part = SPLITS.get(named.group(1)) if named else None
        for name, sentences, split in _records(file):
            try:
                path = _find(name, root, there, file)
            except DataError as error:
                left_out.append(error)
                continue
            yield Sample(name_in(root, path), path, sentences, None, split or part)


def _records(file: Path) -> Iterator[tuple[str, tuple[str, ...], Split | None]]:
    """File name, sentences and split of each image. Raises ``DataError``."""
    try:
        whole = json.loads(decode(read_bytes(file), file))
        images, notes = whole["images"], whole.get("annotations", [])
        of: dict[Any, list[str]] = {}
        for note in notes:
            of.setdefault(note["image_id"], []).append(str(note["caption"]))
        for image in images:
            own = [str(s["raw"] if isinstance(s, dict) else s) for s in image.get("sentences", [])]
            name = str(image.get("file_name") or image["filename"])
            name = f"{image['filepath']}/{name}" if image.get("filepath") else name
            split = str(image.get("split", "")).replace("restval", "train").lower()
            yield name, (*own, *of.get(image.get("id"), [])), SPLITS.get(split)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        given = f"cannot be read as captions ({error})"
        expected = "COCO's JSON: images with file_name and id, annotations with image_id and caption"
        raise DataError(given, expected=expected, do="Export it again.", file=file) from error


def _find(name: str, root: Path, there: Mapping[str, list[Path]], file: Path) -> Path:
    """The picture called ``name`` under ``root``: in its place, or the only one of its name. Raises ``DataError``."""
    path = inside(root, name)
    if path.is_file():
        return path
    found = there.get(path.name, [])
    if len(found) != 1:
        given = f"names {name!r}, which is {'not there' if not found else f'there {len(found)} times'}"
        raise DataError(given, expected=f"one picture of that name in {root}", do="Copy it there.", file=file)
    return found[0]


# a text beside each source


def _pairs(path: Path, asked: Asked) -> list[tuple[Path, Path | None]]:
    """Sources and the texts beside them, if there is any such text."""
    if not path.is_dir():
        return []
    files = walk(path)
    texts = {(file.parent, file.stem): file for file in files if file.suffix.lower() == ".txt"}
    sources = [file for file in files if file.suffix.lower() in asked.suffixes - {".txt"}]
    pairs = [(file, texts.get((file.parent, file.stem))) for file in sources]
    return pairs if any(text for _, text in pairs) else []


def _of_pairs(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    for source, text in _pairs(path, asked):
        try:
            lines = () if text is None else tuple(decode(read_bytes(text), text).rstrip("\r\n").splitlines())
        except DataError as error:
            left_out.append(error)
            continue
        yield Sample(name_in(path, source), source, lines, None, split_of(path, source))
