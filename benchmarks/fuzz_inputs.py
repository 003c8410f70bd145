"""Files made wrong: bits, lengths and ends of any file, numbers and words of a text, values of a tree of JSON."""

from __future__ import annotations

import io
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

NUMBERS = (
    *("0", "-1", "1", "255", "65536", "2147483647", "2147483648", "-9223372036854775808", "99999999999999999999"),
    *("1e308", "1e999", "-1e999", "nan", "inf", "0.0000000001", "1e-320", "-0", "9" * 400, "٣", "1_000", "0x10", "1,5"),
)
WORDS = (
    *("", " ", "\0", "\t", '"', "'", ";", ",", "..", "../../etc/passwd", "/etc/passwd", "C:\\a.png", "http://a/b.png"),
    *("con", "a" * 300, "x" * 5000, "\\ud800", "&lt;", "<", ">", "&a;", "]]>", "<!ENTITY a 'b'>", "\u202e", "\ufeff"),
    *("é", "e\u0301", "😀", "\\", "[", "{", "}", "]", "null", "true", "__class__", "%s", "{0}", "${HOME}", "name"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 3, 255, 65536, 2**31, 2**63, 10**30, 0.5, -0.5, 1e308, float("inf"), float("nan")),
    *("", "a", "name", "../../etc/passwd", "x" * 2000, [], [[]], [0], [None], {}, {"": 0}, {"name": "a"}),
)


def spoiled(data: bytes, suffix: str, rng: random.Random) -> bytes:
    """``data``, the content of a file of that ending, made wrong in a way that such a file can be."""
    structured = BY_SUFFIX.get(suffix)
    if structured is not None and (suffix == ".request" or rng.random() < 0.7):
        try:
            return structured(data, rng)
        except (ValueError, KeyError, struct.error, zlib.error, zipfile.BadZipFile):
            pass  # not of the structure that its ending says
    return bent(data, rng)


def bent(data: bytes, rng: random.Random) -> bytes:
    """Any file: bits, bytes, lengths, ends, pieces twice or lost."""
    x = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        # heads matter most
        place = rng.randrange(min(len(x), 64) if rng.random() < 0.5 else len(x)) if x else 0
        way = rng.randrange(8)
        if way == 0 and x:
            x[place] ^= 1 << rng.randrange(8)
        elif way == 1 and x:
            x[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif way == 2:
            del x[place:]
        elif way == 3:
            del x[place : place + rng.choice((1, 2, 4, 16, 100))]
        elif way == 4:
            piece = x[place : place + rng.choice((1, 4, 64))]
            x[place:place] = piece * rng.choice((1, 2, 1000))
        elif way == 5:
            size = rng.choice((2, 4, 8))
            top = 1 << 8 * size
            number = rng.choice((0, 1, top // 2 - 1, top // 2, top - 1, len(x), len(x) + 1, rng.randrange(top))) % top
            x[place : place + size] = number.to_bytes(size, rng.choice(("little", "big")))
        elif way == 6:
            x[place:place] = rng.randbytes(rng.choice((1, 8, 100)))
        elif x:
            other = rng.randrange(len(x))
            x[place : place + 16] = x[other : other + 16]
    return bytes(x)


def text(data: bytes, rng: random.Random) -> bytes:
    """A text: its numbers and words replaced, its lines lost, doubled and moved, its letters coded otherwise."""
    lines = data.decode().split("\n")
    for _ in range(rng.choice((1, 1, 2, 4))):
        i = rng.randrange(len(lines))
        way = rng.randrange(9)
        if way < 4:
            parts = re.split(r"([-+]?\d[\d.e+-]*|\w+|[^\w\s])", lines[i])
            j = rng.randrange(len(parts))
            known = re.fullmatch(r"[-+]?\d[\d.e+-]*", parts[j] or "x")
            parts[j] = rng.choice(NUMBERS if known or rng.random() < 0.2 else WORDS)
            lines[i] = "".join(parts)
        elif way == 4:
            lines.insert(rng.randrange(len(lines)), lines[i])
        elif way == 5 and len(lines) > 1:
            del lines[i]
        elif way == 6:
            other = rng.randrange(len(lines))
            lines[i], lines[other] = lines[other], lines[i]
        elif way == 7:
            lines[i] += rng.choice((",", ";", "\t", '"', "\r", " ", lines[i]))
        else:
            sign = rng.choice(("[", "{", "(", "<a>", '"', "[[", "a.", "-"))
            lines[i] = lines[i][: rng.randrange(len(lines[i]) + 1)] + sign * rng.choice((1, 50, 20_000))
    joined = rng.choice(("\n", "\n", "\n", "\r\n", "\r")).join(lines)
    coded = rng.choice(("utf-8",) * 8 + ("utf-16", "utf-8-sig", "latin-1", "utf-32"))
    return joined.encode(coded, "replace")


def tree(values: Any, rng: random.Random) -> Any:
    """Plain values (of JSON) with one of them lost, doubled, or of another kind or size."""
    if isinstance(values, dict) and values and rng.random() < 0.9:
        key = rng.choice(list(values))
        way = rng.random()
        rest = {k: v for k, v in values.items() if k != key}
        if way < 0.05:
            return rest
        if way < 0.1:
            return {**rest, rng.choice((*WORDS, key + "x")): values[key]}
        return {**values, key: tree(values[key], rng)}
    if isinstance(values, list) and values and rng.random() < 0.9:
        i = rng.randrange(len(values))
        way = rng.random()
        if way < 0.07:
            return values[:i] + values[i + 1 :]
        if way < 0.14:
            return values[:i] + [values[i]] * rng.choice((2, 3, 300)) + values[i + 1 :]
        return [*values[:i], tree(values[i], rng), *values[i + 1 :]]
    if isinstance(values, (int, float)) and rng.random() < 0.5:
        return rng.choice((values + 1, values - 1, -values, values * 1000, values / 3, str(values), 0))
    return rng.choice(VALUES)


def tree_text(data: bytes, rng: random.Random) -> bytes:
    """JSON: a value of its tree, or its text."""
    return json.dumps(tree(json.loads(data), rng)).encode() if rng.random() < 0.7 else text(data, rng)


def tree_lines(data: bytes, rng: random.Random) -> bytes:
    """JSON lines likewise."""
    lines = data.decode().strip().split("\n")
    i = rng.randrange(len(lines))
    lines[i] = tree_text(lines[i].encode(), rng).decode("utf-8", "surrogateescape")
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def png(data: bytes, rng: random.Random) -> bytes:
    """A PNG's chunks, with checksums that are right again."""
    chunks, at = [], 8
    while at + 8 <= len(data):
        size = struct.unpack(">I", data[at : at + 4])[0]
        chunks.append([data[at + 4 : at + 8], data[at + 8 : at + 8 + size]])
        at += 12 + size
    i = rng.randrange(len(chunks))
    if rng.random() < 0.2:
        chunks.insert(i, list(rng.choice(chunks)))
    else:
        chunks[i][1] = bent(chunks[i][1], rng)
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def zipped(data: bytes, rng: random.Random) -> bytes:
    """An archive's members (arrays of .npz), zipped again."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    name = rng.choice(list(members))
    way = rng.random()
    if way < 0.1:
        del members[name]
    elif way < 0.2:
        members[rng.choice(("x.npy", "y.npy", "../x.npy", "lengths.npy", "x", "/x.npy"))] = members.pop(name)
    else:
        members[name] = npy(members[name], rng)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, body in members.items():
            file.writestr(name, body)
    return out.getvalue()


def npy(data: bytes, rng: random.Random) -> bytes:
    """An array's header, whose length is right again, or its values."""
    if rng.random() < 0.3:
        return bent(data, rng)
    size = struct.unpack("<H", data[8:10])[0]
    head = data[10 : 10 + size].decode("latin-1")
    if rng.random() < 0.3:
        head = re.sub(
            r"'descr': '[^']*'", f"'descr': '{rng.choice(('|O', '<f8', '|b1', '<U5', '|S3', '<M8[s]'))}'", head
        )
    else:
        head = text(head.encode(), rng).decode("latin-1")
    head = head[:65000]
    return data[:8] + struct.pack("<H", len(head)) + head.encode("latin-1", "replace") + data[10 + size :]


def safetensors(data: bytes, rng: random.Random) -> bytes:
    """The header of a bundle, mostly what it says of the network, or its weights."""
    size = struct.unpack("<Q", data[:8])[0]
    head, rest = json.loads(data[8 : 8 + size]), data[8 + size :]
    way = rng.random()
    said = head.get("__metadata__", {})
    if way < 0.7 and said:
        key = rng.choice(list(said))
        said[key] = tree_text(said[key].encode(), rng).decode("utf-8", "replace")
    elif way < 0.9:
        head = tree(head, rng)
    else:
        rest = bent(rest, rng)
    packed = json.dumps(head).encode()
    return struct.pack("<Q", len(packed)) + packed + rest


BY_SUFFIX: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".json": tree_text,
    ".jsonl": tree_lines,
    ".png": png,
    ".npz": zipped,
    ".npy": npy,
    ".safetensors": safetensors,
    **dict.fromkeys((".csv", ".tsv", ".txt", ".xml", ".toml", ".arpa", ".pgm"), text),
}
