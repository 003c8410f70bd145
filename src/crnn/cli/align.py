"""``crnn align``: where the letters or words of known texts lie in their sources."""

from __future__ import annotations

import csv as _csv
import json as _json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from crnn.cli.options import Format, Threads, say_left_out
from crnn.cli.options import threads as use_threads
from crnn.errors import CrnnError, DataError, SettingsError, named

if TYPE_CHECKING:
    from crnn.types import Prediction

COLUMNS = ("file", "value", "start", "stop", "score")


def align(
    bundle: Annotated[str, Parameter(help="A run folder, a .safetensors file or zoo:NAME that reads text.")],
    data: Annotated[str, Parameter(help="Lines or sounds with their texts, in any format of transcribe.")],
    /,
    *,
    words: Annotated[bool, Parameter(help="Places of words in the place of letters.", negative="")] = False,
    out: Annotated[Path | None, Parameter(help="Write them, .csv or .jsonl. [default: print]")] = None,
    json: Annotated[bool, Parameter(help="Print JSON lines, one for each source.", negative="")] = False,
    format: Format = "auto",
    threads: Threads = 0,
) -> int:
    """Say where each letter or word of a text that is known lies, in seconds of a sound or pixels of a picture.

    crnn align zoo:typewritten lines/ --words
    crnn align runs/listener speech.csv --words --out words.csv
    """
    from crnn.api import align as place
    from crnn.api import predictor as ready
    from crnn.data.formats import open_data
    from crnn.deploy.asked import asked
    from crnn.files import write_aside

    if out is not None and out.suffix.lower() not in (".csv", ".jsonl"):
        raise SettingsError(f"the file {out.name!r}", expected="a name in .csv or .jsonl", do="Rename it.")
    use_threads(threads)
    reader: Any = ready(bundle)
    left_out: list[CrnnError] = []
    place(reader, [], [])  # which says whether it reads text before anything is looked for
    # groups of training need not be there
    samples = open_data(data, format, left_out, asked=replace(asked(reader), group=None))
    as_json = json if out is None else out.suffix.lower() == ".jsonl"
    with nullcontext(sys.stdout) if out is None else write_aside(out, "w") as file:
        table = _csv.writer(file, lineterminator="\n")
        if not as_json:
            table.writerow(COLUMNS)
        for sample in samples:
            text = reader.task.truth(sample)
            try:
                if text is None:
                    raise DataError("has no text", expected="one to be found in it", do="Write it.")
                placed = place(reader, sample, text, words=words)
            except CrnnError as error:
                left_out.append(named(error, sample.id))
                continue
            if as_json:
                file.write(_line(placed, "words" if words else "letters"))
            else:
                table.writerows((placed.id, *row.values()) for row in _rows(placed))
    say_left_out(Console(stderr=True), left_out, most=10)
    return 1 if left_out else 0


def _rows(placed: Prediction) -> Iterator[dict[str, Any]]:
    for part in placed.parts:
        start, stop, score = round(part.start, 3), round(part.stop, 3), round(part.score, 4)
        yield {"value": part.value, "start": start, "stop": stop, "score": score}


def _line(placed: Prediction, name: str) -> str:
    """One source as JSON, its parts under ``name``."""
    values = {"id": placed.id, "text": placed.value, "score": round(placed.score, 4), name: list(_rows(placed))}
    return _json.dumps(values, ensure_ascii=False) + "\n"
