"""``crnn predict``: answers for files nobody prepared."""

from __future__ import annotations

import json as _json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from crnn.cli.job import Job
from crnn.cli.options import (
    BUNDLES,
    Arithmetic,
    BatchSize,
    Format,
    Outside,
    Reader,
    ReadOptions,
    Threads,
    look_ahead,
    read_as_told,
    say_left_out,
)
from crnn.cli.options import threads as use_threads
from crnn.cli.pages import page_reader, reads_pages, write_pages
from crnn.errors import SettingsError


def predict(
    bundle: Annotated[str, Parameter(help=BUNDLES)],
    sources: Annotated[
        list[str], Parameter(help="Files or folders (or texts); - reads them from standard input, a line each.")
    ],
    /,
    *,
    out: Annotated[
        Path | None,
        Parameter(
            help="Write the answers: .jsonl, .csv, .txt (texts), or a folder for label maps, PAGE and ALTO files. "
            "[default: print]"
        ),
    ] = None,
    json: Annotated[bool, Parameter(help="Print JSON lines: the answer, its score, its parts.", negative="")] = False,
    top: Annotated[
        int | None,
        Parameter(
            help="Labels to print for each file (or texts, with --json), likeliest first; pictures, with --find. "
            "[default: 1; with --find 10]"
        ),
    ] = None,
    csv: Annotated[bool, Parameter(help="Print CSV: file, answer, score.", negative="")] = False,
    explain: Annotated[Path | None, Parameter(help="Write a page with the moments that made each answer.")] = None,
    of: Annotated[
        str | None, Parameter(help="What --explain looks for instead of the answer: a label, a number (2), a text.")
    ] = None,
    find: Annotated[
        str | None, Parameter(help="Print the pictures of a folder that this sentence fits best, for match; see --top.")
    ] = None,
    index: Annotated[
        Path | None, Parameter(help="Where --find keeps what it knows of them. [default: in the folder, hidden]")
    ] = None,
    live: Annotated[
        bool,
        Parameter(help="Listen: 16-bit samples or a WAV on standard input, text as it is spoken.", negative=""),
    ] = False,
    rate: Annotated[int, Parameter(help="Samples a second for --live; 0 takes a WAV's, or the network's own.")] = 0,
    future: Annotated[int, Parameter(help="Frames to foretell, for nowcast; 0 as many as in training.")] = 0,
    reader: Reader = None,
    xml: Annotated[Literal["page", "alto"], Parameter(help="What --out FOLDER writes for pages.")] = "page",
    format: Format = "auto",
    outside: Outside = False,
    batch_size: BatchSize = 16,
    precision: Arithmetic = "auto",
    threads: Threads = 0,
    reading: ReadOptions = None,  # type: ignore[valid-type]
) -> int:
    """Answer for files: pictures, recordings, folders of them, tables, PAGE and ALTO pages.

    crnn predict zoo:typewritten scans/*.png
    crnn predict runs/animals photo.jpg --top 3
    crnn predict runs/mine page.xml --out read/
    crnn predict zoo:page page.jpg --out read/
    crnn predict runs/sounds bark.wav --explain why.html
    crnn predict runs/prices prices.csv --out next.csv
    crnn predict runs/rain radar/ --future 12 --out next.gif
    crnn predict runs/match photos/ --find "a dog in the snow"
    find . -name '*.png' | crnn predict runs/mine - --csv > texts.csv
    arecord -f S16_LE -r 16000 | crnn predict runs/listener - --live
    """
    from crnn.deploy.asked import asked
    from crnn.deploy.ready import is_exported
    from crnn.deploy.ready import predictor as ready

    if top is not None and top < 1:
        raise SettingsError(f"--top is {top}", expected="at least 1", do="Say how many answers.")
    if out is not None:
        _refuse(f"with --out {out}: the name says in which form it is written", json=json, csv=csv)
    use_threads(0 if is_exported(bundle) else threads)
    console = Console(stderr=True)
    predictor: Any = ready(bundle, precision=precision, batch_size=batch_size, threads=threads)
    if reads_pages(predictor, reader):
        _refuse(
            "for pages", live=live, explain=explain, of=of, find=find, index=index, top=top, rate=rate, future=future
        )
        finder, options = predictor, {"precision": precision, "batch_size": batch_size}
        predictor = page_reader(finder, reader, reading, options)
        job = Job(sources, format, asked(finder, outside=outside, truths=False), finder.kind.source)
        kind, many = (
            "json" if json else "csv" if csv else "",
            len(sources) > 1 or sources == ["-"] or Path(sources[0]).is_dir(),
        )
        write_pages(job.answers(predictor), out, kind=kind, xml=xml, many=many)
        say_left_out(console, job.left_out, most=10)
        return 1 if job.left_out else 0
    if find is not None:
        from crnn.cli.find import USUAL
        from crnn.cli.find import find as find_files

        _refuse("with --find", out=out, live=live, of=of, future=future, rate=rate, beam=reading)
        kind = "json" if json else "csv" if csv else ""
        most = top or USUAL
        return find_files(predictor, sources, find, top=most, index=index, kind=kind, page=explain, console=console)
    if index is not None:
        raise SettingsError("--index is given", expected="--find with it", do='Write: --find "a dog"')
    read_as_told(predictor, reading, best=top or 1)
    if future:
        look_ahead(predictor, future)
    _check_options(sources, live=live, rate=rate, explain=explain, of=of)
    into = out is not None and not out.suffix and hasattr(predictor.task, "write_into")
    if into:
        _refuse(f"with --out {out}, into which files are written", explain=explain)
    job = Job(sources, format, asked(predictor, outside=outside, truths=False), predictor.kind.source)
    if live:
        from crnn.cli.live import listen

        show = out is None and not json and not csv
        answers: Iterator[Any] = iter([listen(predictor, rate, show=show)])
        if show:
            return 0
    else:
        answers = job.answers(predictor) if explain is None else job.explained(predictor, explain, of)
    if out is not None and out.suffix:
        predictor.task.write(answers, out)
    elif out is not None and into:
        job.write_files(predictor, out)
    elif out is not None:
        job.write_pages(answers, out)
    else:
        for answer in answers:
            sys.stdout.write(_line(predictor.task, answer, "json" if json else "csv" if csv else "", top or 1))
            sys.stdout.flush()
    say_left_out(console, job.left_out, most=10)
    return 1 if job.left_out else 0


def _refuse(where: str, **given: Any) -> None:
    """Raises ``SettingsError`` for options that say nothing ``where`` they are given."""
    if wrong := [name for name, value in given.items() if value]:
        said = "--beam and its like" if wrong[0] == "beam" else f"--{wrong[0]}"
        raise SettingsError(f"{said} is given {where}", expected="no such option", do="Leave it out.")


def _check_options(sources: list[str], *, live: bool, rate: int, explain: Path | None, of: str | None) -> None:
    """Raises ``SettingsError`` for options that need another."""
    if of is not None and explain is None:
        raise SettingsError("--of is given", expected="--explain with it", do="Write: --explain why.html")
    if rate and not live:
        raise SettingsError("--rate is given", expected="--live with it", do="Leave it out; files say their rate.")
    if live and (sources != ["-"] or explain is not None):
        given = "--live is given with --explain" if explain is not None else f"--live is given with {sources[0]!r}"
        raise SettingsError(given, expected="a sound on standard input", do="Write: crnn predict BUNDLE - --live")


def _line(task: Any, answer: Any, kind: str, top: int) -> str:
    """An answer as it is printed: JSON, CSV or for people."""
    if kind == "json":
        from crnn.deploy.answering import plain

        return _json.dumps(plain(task, answer, top=top), ensure_ascii=False) + "\n"
    if kind == "csv":
        import csv
        import io

        from crnn.tasks import cell, columns_of

        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerows([cell(row[name]) for name in columns_of(row)] for row in task.rows(answer))
        return text.getvalue()
    return task.line(answer, top=top) + "\n"
