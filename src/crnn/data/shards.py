"""Shards: tars of many samples each, as WebDataset has them, with an index by which any sample is found at once.

In a tar the files of a sample stand side by side and share a name up to the first dot: ``000000012.png`` is what is
seen, ``000000012.txt`` the answer in words, ``000000012.json`` id, group, split and answer. A film that is a folder of
frames is a file for each; a label map or a clean picture is ``000000012.answer.file.png``. Beside each tar lies its
``.index``, a line of JSON for each sample with the place of its files; ``shards.index`` says what there is in all.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crnn.data.inputs import INPUTS, choose
from crnn.data.inputs._film_files import SUFFIXES as FILMS
from crnn.data.inputs._film_files import frames_in
from crnn.data.inputs._film_files import header_of as film_of
from crnn.data.inputs._pictures import SUFFIXES as PICTURES
from crnn.data.inputs._pictures import opened, pixels, size_of
from crnn.data.inputs._sound_files import SUFFIXES as SOUNDS
from crnn.data.inputs._sound_files import header_of
from crnn.data.label_maps import Painted
from crnn.data.shard_answers import plain
from crnn.data.shard_index import INDEX, MARK
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.files import write_aside
from crnn.types import Region, Sample, Spoilt

BLOCK = 512


@dataclass(slots=True)
class Packing:
    """What was packed: samples and bytes of each shard, and what could not be."""

    shards: dict[str, dict[str, int]] = field(default_factory=dict)
    left_out: list[CrnnError] = field(default_factory=list)


def write_shards(
    samples: Iterable[Sample],
    folder: Path,
    *,
    answer: str,
    megabytes: float,
    progress: Callable[[], None],
    kinds: Sequence[str] = tuple(INPUTS),
) -> Packing:
    """Write ``samples`` to tars of about so many ``megabytes`` in ``folder``, which is new, those of a split together.

    Sources are packed as they are, lines of pages as pictures cut out of them, arrays as files that the first of
    ``kinds`` that reads them will read, too. Raises ``SettingsError`` for a folder that holds something, and for
    sources and answers that cannot be packed; the first error if none could be.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SettingsError(f"the folder {folder} holds something", expected="a new folder", do="Name another.")
    packing, room = Packing(), megabytes * 1e6
    with ExitStack() as open_ones:  # which vanish if anything goes wrong
        shards: dict[str, _Shard] = {}

        def close(split: str) -> None:
            shard = shards.pop(split)
            packing.shards[shard.path.name] = shard.close()

        for count, sample in enumerate(samples):
            split = sample.split or "all"
            try:
                files, row = _files_of(sample, f"{count:09}", kinds)
            except DataError as error:
                packing.left_out.append(error)
                continue
            finally:
                progress()
            if split in shards and shards[split].size + sum(BLOCK + len(data) for _, data in files) > room:
                close(split)
            if split not in shards:
                number = sum(name.startswith(f"{split}-") for name in packing.shards)
                shards[split] = _Shard(folder / f"{split}-{number:06}.tar", open_ones)
            shards[split].add(files, row)
        for split in list(shards):
            close(split)
    if packing.left_out and not packing.shards:
        raise packing.left_out[0]
    with write_aside(folder / INDEX) as file:
        json.dump({MARK: 1, "answer": answer, "shards": packing.shards}, file, indent=1)
    return packing


def _files_of(sample: Sample, key: str, kinds: Sequence[str]) -> tuple[list[tuple[str, bytes]], dict[str, Any]]:
    """Names and bytes of the files of ``sample`` in a tar, and its row in the index, still without places."""
    if isinstance(sample.x, Spoilt):
        sample = replace(sample, x=sample.x.source, y=None)  # it is made worse anew when it is read
    files, facts = list[tuple[str, bytes]](), dict[str, list[float]]()

    def add(source: Any, name: str = "") -> str:
        suffix, data, said = _source(source, sample.id, kinds)
        if isinstance(source, str):  # which comes back as a text, and a file of the same ending as a file
            suffix = f"{name}.in.{suffix}".lstrip(".")
        elif name or suffix in ("txt", "json"):  # which without a name are the answer
            suffix = f"{name or 'file'}.{suffix}"
        files.append((f"{key}.{suffix}", data))
        facts[files[-1][0]] = said
        return files[-1][0]

    names, parts = dict[str, Any](), list[str]()
    for name, source in (sample.x if isinstance(sample.x, Mapping) else {"": sample.x}).items():
        part = _unlike(re.sub(r"[^A-Za-z0-9_-]", "_", name), {"in", *parts})
        parts.append(part)
        if isinstance(source, Path) and source.is_dir():
            names[name] = [add(frame, f"{part}.{n:06}".lstrip(".")) for n, frame in enumerate(frames_in(source))]
        else:
            names[name] = add(source, part)
    legend = getattr(sample.y, "legend", None)
    row = {"id": sample.id, "group": sample.group, "split": sample.split, "answer": None, "inputs": names}
    answer = sample.y.path if isinstance(sample.y, Painted) else sample.y
    if isinstance(answer, Path):
        row["truth"] = add(answer, "answer.file")  # names of inputs have no dot
    else:
        row["answer"] = answer = plain(answer)
        words = [answer] if isinstance(answer, str) else answer if isinstance(answer, list) else []
        if words and all(isinstance(word, str) for word in words):
            files.append((f"{key}.txt", "\n".join(words).encode("utf-8", "replace")))
    said = {name: row[name] for name in ("id", "group", "split", "answer")}
    files.append((f"{key}.json", json.dumps(said, ensure_ascii=False).encode("utf-8", "backslashreplace")))
    return files, {**row, "facts": facts, "legend": legend and [legend.names, legend.colours]}


def _unlike(name: str, taken: Collection[str]) -> str:
    """``name``, with a number if it is ``taken``."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}{number}"
    return free


def _source(source: Any, sample: str, kinds: Sequence[str]) -> tuple[str, bytes, list[float]]:
    """Ending, bytes and facts of what is seen."""
    if isinstance(source, Path) and source.is_file():
        suffix = source.suffix.lower()
        try:
            data = source.read_bytes()
        except OSError as error:
            given = f"cannot be read ({error.strerror})"
            raise DataError(given, expected="a file", do="Check the disk.", file=source) from error
        said: list[float] = []
        if suffix in PICTURES:
            said = list(size_of(source))
        elif suffix in SOUNDS:
            header = header_of(source)
            said = [header.rate, header.samples]
        elif suffix in FILMS:
            film = film_of(source)
            said = [film.frames, *film.size, *([film.rate] if film.rate else [])]
        return suffix[1:] or "bin", data, said
    if isinstance(source, str):
        return "txt", source.encode(), []
    buffer = io.BytesIO()
    if isinstance(source, (Region, Image.Image)):
        picture, size = opened(source, (0, 0), "RGB")
        picture.save(buffer, "PNG")
        return "png", buffer.getvalue(), list(size)
    if isinstance(source, np.ndarray):
        kind = INPUTS[choose(Sample(sample, source), kinds)]
        if kind.reads(Path("a.png")) and source.ndim < 4:
            picture = Image.fromarray(np.squeeze(pixels(source), 2) if source.shape[2:] == (1,) else pixels(source))
            picture.save(buffer, "PNG")
            return "png", buffer.getvalue(), list(picture.size)
        if not kind.reads(Path("a.npy")):
            given = f"samples are arrays of shape {source.shape}, as {sample}, which cannot be read from a .npy file"
            raise SettingsError(
                given, expected="pictures or series", do="Write them as files, or train without shards."
            )
        np.save(buffer, source, allow_pickle=False)
        return "npy", buffer.getvalue(), []
    if isinstance(source, Path):
        raise DataError("is not there", expected="a file", do="Check the path.", file=sample)
    given = f"samples are a {type(source).__name__} of something longer, as {sample}"
    raise SettingsError(given, expected="files, texts or arrays", do="Train on the folder itself.")


class _Shard:
    """A tar that is being written, and its index."""

    def __init__(self, path: Path, open_ones: ExitStack) -> None:
        self.path, self.rows, self.stack = path, list[dict[str, Any]](), ExitStack()
        self.legend: Any = None
        open_ones.push(self.stack)
        file = self.stack.enter_context(write_aside(path, "wb"))
        tar = tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        self.tar = self.stack.enter_context(tar)

    @property
    def size(self) -> int:
        return self.tar.offset

    def add(self, files: list[tuple[str, bytes]], row: dict[str, Any]) -> None:
        places = {}
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            places[name] = [self.size + BLOCK, len(data), *row["facts"].get(name, [])]
            self.tar.addfile(info, io.BytesIO(data))
        found = {name: [name, *place] for name, place in places.items()}
        kept = {key: row[key] for key in ("id", "group", "split", "answer")}
        kept["inputs"] = {
            name: [found[n] for n in file] if isinstance(file, list) else found[file]
            for name, file in row["inputs"].items()
        }
        if "truth" in row:
            kept["truth"] = found[row["truth"]]
        if row["legend"] != self.legend:  # said once, and true until another is
            kept["legend"] = self.legend = row["legend"]
        self.rows.append(kept)

    def close(self) -> dict[str, int]:
        """Samples and bytes."""
        self.stack.close()
        size = self.path.stat().st_size
        self.rows[0]["shard"] = size  # by which one that was changed is known
        with write_aside(self.path.with_suffix(".index")) as index:
            index.writelines(json.dumps(row) + "\n" for row in self.rows)
        return {"samples": len(self.rows), "bytes": size}
