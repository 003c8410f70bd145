"""ARPA files of n-gram language models: written, and read, also those of KenLM and SRILM, plain or compressed."""

from __future__ import annotations

import gzip
import math
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from crnn.decode.ngram import END, NEVER, START, UNKNOWN, Gram, NGram
from crnn.errors import DataError
from crnn.files import write_aside

SPACE = "<space>"
"""How a space between letters is written in a file whose fields are separated by spaces."""
ROUNDED = 1e-3
"""The most that the logarithm of a sure thing may be, where it was rounded."""
BLANKS = " \t\r\n"
"""What is no part of a line at its ends; a token may end in another space, such as U+00A0."""
LONGEST = 1 << 16
"""Bytes of a line."""
IDLE = 10_000
"""Lines that say nothing."""
MOST, RATIO = 1 << 28, 100
"""Bytes to which any file may unpack, and beyond that how many times its size; such files compress to a fifth."""


def write_arpa(model: NGram, path: str | Path) -> None:
    """Write ``model`` as ARPA text, compressed if the name ends in .gz; a space token becomes ``<space>``."""
    by_length: list[list[Gram]] = [[] for _ in range(model.order)]
    for gram in model.grams:
        by_length[len(gram) - 1].append(gram)
    with write_aside(path, "wb") as raw:
        file = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) if str(path).endswith(".gz") else raw

        def say(line: str) -> None:
            file.write(f"{line}\n".encode())

        say("\\data\\")
        for n, grams in enumerate(by_length, 1):
            say(f"ngram {n}={len(grams)}")
        for n, grams in enumerate(by_length, 1):
            say(f"\n\\{n}-grams:")
            for gram in sorted(grams):
                p, weight = model.grams[gram]
                words = " ".join(SPACE if token == " " else token for token in gram)
                say(f"{p:.6f}\t{words}" + (f"\t{weight:.6f}" if weight and n < model.order else ""))
        say("\n\\end\\")
        if file is not raw:
            file.close()


def read_arpa(path: str | Path) -> NGram:
    """The model in an ARPA file, also one of KenLM's or SRILM's, plain or .gz. Raises ``DataError`` with the line."""
    path = Path(path)
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            return _Reader(path).read(_lines(file, path))
    except (OSError, EOFError, zlib.error) as error:
        do = "Check the path, or make one: crnn lm train."
        raise DataError(f"cannot be read ({error})", expected="an ARPA file", do=do, file=path) from error


def _lines(file: Any, path: Path) -> Iterator[bytes]:
    """The lines of an open file. Raises ``DataError`` for a line that is none, and for what unpacks to far more than
    any language model does."""
    total, most = 0, max(MOST, RATIO * path.stat().st_size)
    while line := file.readline(LONGEST):
        total += len(line)
        if len(line) == LONGEST or total > most:
            given = "has a line of more than 64 KB" if total <= most else f"unpacks to more than {most / 1e9:.1f} GB"
            raise DataError(given, expected="an ARPA file", do="Make or fetch it again.", file=path)
        yield line


class _Reader:
    """Reads one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.promised: Counter[int] = Counter()
        self.found: Counter[int] = Counter()
        self.grams: dict[Gram, tuple[float, float]] = {}

    def read(self, file: Iterable[bytes]) -> NGram:
        n, ended, begun, idle = 0, False, False, 0
        for number, raw in enumerate(file, 1):
            try:
                line = raw.decode("utf-8").strip(BLANKS)
                if line == "\\data\\":
                    begun = True
                elif line == "\\end\\":
                    ended = True
                    break
                elif not begun or not line:
                    idle += 1
                    if idle > IDLE:
                        raise ValueError("too many lines that say nothing")
                elif line.startswith("\\"):
                    n = int(line[1:].removesuffix("-grams:"))
                elif n:
                    self._gram(line, n)
                else:
                    length, count = line.removeprefix("ngram ").split("=")
                    self.promised[int(length)] = int(count)
            except ValueError as error:
                what = f"line {number} is {raw[:60]!r}"
                raise (self._damaged(what) if begun else self._foreign()) from error
        if not begun:
            raise self._foreign()
        if not ended:
            raise self._damaged("it ends before \\end\\")
        for order, promised in self.promised.items():
            if self.found[order] != promised:
                raise self._damaged(f"it promises {promised} {order}-grams and has {self.found[order]}")
        if not self.grams:
            raise self._damaged("it holds no n-gram")
        if (END,) not in self.grams:
            raise self._damaged(f"it has no {END}, the end of a text")
        self.grams.setdefault((UNKNOWN,), (NEVER, 0.0))
        return NGram(max(self.found), self.grams)

    def _gram(self, line: str, n: int) -> None:
        p, *fields = line.split("\t") if "\t" in line else line.split(" ", 1)
        if not fields:
            raise ValueError("no tokens")
        words = fields[0].split(" ")
        weight = fields[1] if len(fields) == 2 else None
        if len(words) == n + 1 and weight is None:  # spaces in the place of tabs
            words, weight = words[:n], words[n]
        if len(words) != n:
            raise ValueError("wrong number of tokens")
        gram = tuple(" " if word == SPACE else word for word in words)
        gram = tuple({"<S>": START, "</S>": END, "<UNK>": UNKNOWN}.get(token, token) for token in gram)
        log, behind = float(p), float(weight or 0.0)
        if not log <= ROUNDED or not math.isfinite(behind):
            raise ValueError("no logarithm of a probability")
        if n > 1 and not all((token,) in self.grams for token in gram):
            raise ValueError("a token that is no 1-gram")
        self.grams[gram] = (max(log, NEVER), behind)
        self.found[n] += 1

    def _foreign(self) -> DataError:
        given, do = "holds no line \\data\\", "Texts are counted first: crnn lm train TEXTS --out NAME.arpa.gz"
        return DataError(given, expected="an ARPA file", do=do, file=self.path)

    def _damaged(self, what: str) -> DataError:
        return DataError(f"is damaged: {what}", expected="an ARPA file", do="Make or fetch it again.", file=self.path)
