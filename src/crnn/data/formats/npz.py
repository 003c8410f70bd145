"""Arrays in one .npz file: ``x`` (one entry a sample), ``y``, and if there are any ``lengths``, ``groups``, ``split``.

``y`` holds labels, numbers, or a label for each step; ``lengths`` how many steps of each entry of ``x`` count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crnn.data.arrays import BROKEN, open_npz
from crnn.data.formats._files import SPLITS
from crnn.errors import CrnnError, DataError
from crnn.types import Sample

WANTED = "a .npz file with the arrays x and y"
ANSWERS = ("label", "numbers", "events", "picture")
EACH = ("y", "lengths", "groups", "split")


def recognise(path: Path) -> bool:
    """Whether ``path`` is named like one."""
    return path.is_file() and path.suffix.lower() == ".npz"


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each entry of ``x``; its id is its place. Raises ``DataError``."""
    try:
        with open_npz(path) as stored:
            names = stored.names
            arrays = {name: stored[name] for name in ("x", *EACH) if name in names}
    except BROKEN as error:
        do = "Write it with numpy.savez(path, x=..., y=...); arrays of objects are not read."
        raise DataError(f"cannot be read ({error})", expected=WANTED, do=do, file=path) from error
    if "x" not in arrays:
        do = "Write it with numpy.savez(path, x=..., y=...)."
        raise DataError(f"holds the arrays {', '.join(names) or 'none'}", expected=WANTED, do=do, file=path)
    yield from samples_of(arrays, path, left_out)


def samples_of(
    arrays: Mapping[str, Any], file: Path | str | None = None, left_out: list[CrnnError] | None = None
) -> Iterator[Sample]:
    """A sample for each entry of ``arrays["x"]`` with what the other arrays say of it. One of a length that it cannot
    have goes to ``left_out``. Raises ``DataError``, for such a one without that list."""
    x = arrays["x"]
    for name in EACH:
        if name in arrays and arrays[name] is not None and len(arrays[name]) != len(x):
            raise DataError(
                f"has {len(x)} entries of x and {len(arrays[name])} of {name}",
                expected="as many of both",
                do="Write them anew.",
                file=file,
            )
    lengths, groups, split, y = (arrays.get(name) for name in ("lengths", "groups", "split", "y"))
    if lengths is not None and not (isinstance(lengths, Sequence) or np.asarray(lengths).dtype.kind in "iu"):
        do = "Write whole numbers."
        raise DataError("has lengths that are no numbers", expected="the steps of each entry", do=do, file=file)
    digits = len(str(max(0, len(x) - 1)))
    for i in range(len(x)):
        try:
            steps = slice(None) if lengths is None else slice(_length(lengths[i], x[i], i, file))
        except DataError as error:
            if left_out is None:
                raise
            left_out.append(error)
            continue
        answer = None if y is None else _plain(y[i])
        if lengths is not None and isinstance(answer, list) and len(answer) == len(x[i]):
            answer = answer[steps]
        part = None if split is None else _split(str(split[i]), i, file)
        source = x[i] if not isinstance(x[i], np.ndarray) else x[i][steps]
        yield Sample(f"{i:0{digits}}", source, answer, None if groups is None else str(groups[i]), part)


def _length(length: Any, entry: Any, i: int, file: Path | str | None) -> int:
    """How many steps of an entry count, if it is an array. Raises ``DataError``."""
    if isinstance(entry, np.ndarray) and not 1 <= length <= len(entry):
        given, do = f"entry {i} has the length {length}", "Correct the array lengths."
        raise DataError(given, expected=f"1 to {len(entry)}, the steps of the entry", do=do, file=file)
    return int(length)


def _plain(value: Any) -> Any:
    """A number, word or list of Python's own of an entry of an array; pictures and frames stay arrays."""
    return value.tolist() if hasattr(value, "tolist") and value.ndim < 2 else value


def _split(name: str, i: int, file: Path | str | None) -> str:
    if name.lower() not in SPLITS:
        given = f"entry {i} has the split {name!r}"
        raise DataError(given, expected="train, valid or test", do="Correct the array split.", file=file)
    return SPLITS[name.lower()]
