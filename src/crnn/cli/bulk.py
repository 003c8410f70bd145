"""``crnn bulk``: answers for millions of files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress

from crnn.cli.options import BUNDLES, Arithmetic, BatchSize, names_piped
from crnn.errors import DataError


def bulk(
    bundle: Annotated[str, Parameter(help=BUNDLES)],
    sources: Annotated[
        str,
        Parameter(
            help="A folder, a text file with a path on each line, or - for standard input.", allow_leading_hyphen=True
        ),
    ],
    out: Annotated[Path, Parameter(help="Folder of the answers, part-000000.jsonl and so on.")],
    /,
    *,
    workers: Annotated[int, Parameter(help="Processes that answer, each with a bundle of its own.")] = 1,
    part: Annotated[int, Parameter(help="Sources of a part: what is done again if a process is stopped.")] = 1000,
    ray: Annotated[
        bool, Parameter(help="Deal the parts to the machines of a Ray cluster (the extra ray).", negative="")
    ] = False,
    batch_size: BatchSize = 16,
    precision: Arithmetic = "auto",
    threads: Annotated[int, Parameter(help="Processor threads of each process; 0 takes all.")] = 1,
) -> int:
    """Answer for very many files, in parts that are written once and whole; the same command goes on after a stop.

    crnn bulk zoo:typewritten scans/ answers/ --workers 8
    find /archive -name '*.flac' | crnn bulk runs/listener - answers/ --workers 32 --part 500
    crnn bulk zoo:page pages.txt answers/ --ray --workers 64
    """
    from crnn.deploy.bulk import Done, Job, answer_all

    console = Console(stderr=True)
    names = _names(sources, bundle)
    job = Job(bundle, out, part, batch_size, precision, threads)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        row = bar.add_task("answering", total=len(names))

        def advance(done: Done) -> None:
            bar.advance(row, done.answered + done.failed)

        done = answer_all(job, names, workers=workers, ray=ray, progress=advance)
    before = len(names) - done.answered - done.failed
    said = f"{done.answered:,} answered, {done.failed:,} could not be read"
    console.print(f"{said}, {before:,} were there before: {out}", highlight=False)
    return 1 if done.failed else 0


def _names(sources: str, bundle: str) -> list[str]:
    """The paths of all sources. Raises ``DataError``."""
    if sources == "-":
        return [name for name in names_piped() if name]
    path = Path(sources)
    if path.is_dir():
        from crnn.data.formats import walk
        from crnn.deploy.asked import asked
        from crnn.deploy.ready import predictor

        wanted = asked(predictor(bundle, precision="float32"), truths=False).suffixes
        return [str(file) for file in walk(path) if file.suffix.lower() in wanted]
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        return [name for name in text.split("\n") if name]
    except OSError as error:
        given = f"cannot be read ({error.strerror})"
        raise DataError(given, expected="a folder, or a list of paths", do="Check the path.", file=path) from error
