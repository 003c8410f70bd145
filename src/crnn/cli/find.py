"""``crnn predict --find``: the pictures of a folder that a sentence fits best."""

from __future__ import annotations

import json as _json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from crnn.cli.options import say_left_out
from crnn.errors import SettingsError

USUAL = 10  # pictures that are told where nobody says how many
NOTE = "Words of one colour are matched with the frame of this colour; one as large as the picture is the whole of it."


def find(
    predictor: Any,
    sources: list[str],
    sentence: str,
    *,
    top: int,
    index: Path | None,
    kind: str,
    page: Path | None,
    console: Console,
) -> int:
    """Print the best files with their scores, as ``kind`` says (json, csv, or for people), and write a ``page`` of them
    if one is named. Gives the command's exit code. Raises ``SettingsError``."""
    from crnn.deploy.index import search

    if len(sources) != 1 or sources == ["-"]:
        given = f"--find is given with {len(sources)} sources"
        raise SettingsError(given, expected="one folder", do="Name the folder in which pictures are looked for.")
    found, made, strange = search(predictor, sources[0], sentence, top=top, index=index)
    if strange:
        said = f"not known, and passed over as such: {', '.join(dict.fromkeys(strange))}"
        console.print(said, style="yellow", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{len(made):,} files, of which {made.new:,} were looked at now", highlight=False)
    for each in found:
        sys.stdout.write(_line(each, kind) + "\n")
    if page is not None:
        _write(page, predictor, sentence, found)
    say_left_out(console, made.left_out, most=10)
    return 1 if made.left_out else 0


def _line(found: Any, kind: str) -> str:
    if kind == "json":
        places = [{"words": words, "box": [round(edge, 4) for edge in box]} for words, box in found.places]
        values = {"id": str(found.path), "score": round(found.score, 4), "matched": places}
        return _json.dumps(values, ensure_ascii=False)
    if kind == "csv":
        import csv
        import io

        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow([str(found.path), f"{found.score:.4f}"])
        return text.getvalue()
    return f"{found.path}\t{found.score:.3f}"


def _write(page: Path, predictor: Any, sentence: str, found: list[Any]) -> None:
    """A page of the files that were found, with the regions of the sentence's snippets."""
    from crnn.train.evaluate import write_answers

    fragments = {
        str(each.path): predictor.task.show_found(each.places, predictor.kind.shown(each.path)) for each in found
    }
    summary = {"bundle": predictor.name, "sentence": sentence, "files": len(found)}
    write_answers(page, fragments, title=f"{predictor.task.name}: {sentence}", summary=summary, note=NOTE)
