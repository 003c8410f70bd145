"""Shards made wrong: tars of ``crnn pack``, what lies beside them, and tars of others, read as training reads them."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import fuzz_inputs
from fuzz_targets import MADE, Case, _reads, asking

from crnn.data.formats import open_data
from crnn.data.packed import Packed
from crnn.data.shard_answers import plain
from crnn.data.shards import BLOCK, write_shards
from crnn.deploy.asked import asked_of
from crnn.types import Sample

PACKED = (
    *(("transcribe", "line"), ("classify", "sound"), ("regress", "series"), ("tag", "sound"), ("caption", "picture")),
    *(("detect", "scene"), ("segment", "scene"), ("restore", "scene")),
)
WHOLE = ("transcribe", "classify", "regress", "tag", "caption", "detect")
"""Tasks whose answers a tar without index can hold."""
FIELDS = ((0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (345, 155))
"""Where the fields of a tar's header begin and how long they are (POSIX.1-1988): name, mode, user, group, size, time,
kind, link, magic, prefix; size and kind are what matters most."""
KINDS = b"01234567xgLKSVMD\0"
FEW = 6
"""Samples that are packed."""


def shard_cases(folder: Path) -> Iterator[Case]:
    """Data of several tasks packed, of which the tar, its index or that of the folder is wrong; tars without index."""
    for task, kind in PACKED:
        place, out = folder / f"loose-{task}", folder / f"shards-{task}"
        place.mkdir()
        MADE[task](place, kind)
        asked = asked_of(asking(task, kind))
        samples = open_data(place, asked=asked)
        some = samples[:: max(1, len(samples) // FEW)]
        packed = write_shards(some, out, answer=asked.answer, megabytes=100, progress=lambda: None)
        assert not packed.left_out, packed.left_out
        files = {file.name: file.read_bytes() for file in sorted(out.iterdir())}
        read = _reads(task, kind, out)
        for file in files:
            yield Case(f"shards: {task} {file}", files, file, read, whole=True)
        if task not in WHOLE:
            continue
        theirs = {"train-0.tar": foreign(some)}
        (folder / f"foreign-{task}").mkdir()
        (folder / f"foreign-{task}" / "train-0.tar").write_bytes(theirs["train-0.tar"])
        read = _reads(task, kind, folder / f"foreign-{task}")
        yield Case(f"shards: {task} of others", theirs, "train-0.tar", read, whole=True)


def foreign(samples: list[Sample]) -> bytes:
    """A tar as WebDataset writes it: a source, and its answer in JSON or in a text, under one name in a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for i, sample in enumerate(samples):
            assert isinstance(sample.x, Path) and not isinstance(sample.x, Packed)
            answer = plain(sample.y)
            text = answer.encode() if isinstance(answer, str) else json.dumps({"answer": answer}).encode()
            name = "txt" if isinstance(answer, str) else "json"
            for ending, data in ((sample.x.suffix[1:], sample.x.read_bytes()), (name, text)):
                info = tarfile.TarInfo(f"{'a' * 120 if i == 1 else 'data'}/{i:06}.{ending}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def tar_spoiled(data: bytes, rng: random.Random) -> bytes:
    """A tar of which a header (with a checksum that is right again), a member, or the order of them is wrong."""
    members = list(_members(data))
    if not members:
        return fuzz_inputs.bent(data, rng)
    i = rng.randrange(len(members))
    way = rng.random()
    if way < 0.55:
        head = bytearray(members[i][:BLOCK])
        start, size = rng.choice((*FIELDS, (124, 12), (156, 1)))
        head[start : start + size] = _field(start, size, rng)
        if rng.random() < 0.9:
            head[148:156] = b"        "
            head[148:156] = f"{sum(head):06o}\0 ".encode()
        members[i] = bytes(head) + members[i][BLOCK:]
    elif way < 0.75:
        members[i] = members[i][:BLOCK] + fuzz_inputs.bent(members[i][BLOCK:], rng)[: len(members[i]) - BLOCK]
    elif way < 0.85:
        members[i : i + 1] = [members[i]] * rng.choice((0, 2, 300))
    elif way < 0.95:
        rng.shuffle(members)
    else:
        return b"".join(members)[: rng.randrange(len(data))]
    return b"".join(members) + bytes(rng.choice((0, 1, BLOCK, 2 * BLOCK)))


def _field(start: int, size: int, rng: random.Random) -> bytes:
    """What may stand in a field of a header."""
    if size == 1:
        return bytes([rng.choice(KINDS)])
    if size in (8, 12):
        number = rng.choice((0, 1, 511, 512, 8**size // 9, 2**33, -1, -512, 10**6))
        if number < 0 or rng.random() < 0.3:  # as GNU writes what octal digits cannot hold
            return (0x80 if number >= 0 else 0xFF).to_bytes(1, "big") + number.to_bytes(size - 1, "big", signed=True)
        digits = f"{number:0{size - 1}o}\0".encode()
        return rng.choice((digits[-size:], rng.randbytes(size), b"9" * size, b" " * size, bytes(size)))
    return rng.choice(fuzz_inputs.WORDS).encode("utf-8", "replace")[:size].ljust(size, b"\0")


def _members(data: bytes) -> Iterator[bytes]:
    """Each header with what follows it."""
    at = 0
    while at + BLOCK <= len(data) and data[at]:
        size = int(data[at + 124 : at + 135].strip(b"\0 ") or b"0", 8)
        end = at + BLOCK + -(-size // BLOCK) * BLOCK
        yield data[at:end]
        at = end


def index_spoiled(data: bytes, rng: random.Random) -> bytes:
    """What lies beside a tar: a line of JSON for each sample, or one value for the folder."""
    try:
        json.loads(data)
    except ValueError:
        return fuzz_inputs.tree_lines(data, rng)
    return fuzz_inputs.tree_text(data, rng)


fuzz_inputs.BY_SUFFIX[".tar"] = tar_spoiled
fuzz_inputs.BY_SUFFIX[".index"] = index_spoiled
