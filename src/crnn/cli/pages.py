"""Whole pages on the command line: ``crnn predict`` and ``crnn test`` where a bundle finds lines, others read them."""

from __future__ import annotations

import csv
import io
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import Progress

from crnn.cli.options import read_as_told, say_left_out
from crnn.errors import CrnnError, DataError, SettingsError

COLUMNS = ("id", "line", "block", "text", "score", "left", "top", "right", "bottom")


def reads_pages(predictor: Any, reader: str | None) -> bool:
    """Whether whole pages are to be read: a reader is given, or the bundle names one."""
    return reader is not None or bool(getattr(predictor.task.settings, "reader", ()))


def page_reader(finder: Any, reader: str | None, reading: Any, options: dict[str, Any]) -> Any:
    """The ``PageReader`` of a command; ``reader`` names bundles with commas between them, ``none`` none of them."""
    from crnn.deploy.page import PageReader

    names = [name.strip() for name in (reader or "").split(",") if name.strip()]
    made = PageReader(finder, None if reader is None else [] if names == ["none"] else names, **options)
    for one in made.readers.values():
        read_as_told(one, reading)
    return made


def write_pages(pages: Iterator[Any], out: Path | None, *, kind: str, xml: Literal["page", "alto"], many: bool) -> None:
    """Print the answers, or write them to ``out``: a file of texts, JSON lines or a table, or a folder of XML. Raises
    ``SettingsError`` for a file of another kind."""
    from crnn.files import FreeNames, make_folder, write_aside

    if out is None:
        for i, page in enumerate(pages):
            sys.stdout.write(_said(page, kind, many=many, first=i == 0))
            sys.stdout.flush()
        return
    if not out.suffix:
        make_folder(out)
        names = FreeNames()
        for page in pages:
            page.write(out / f"{names.of(Path(page.id))}.xml", kind=xml)
        return
    kinds = {".txt": "", ".jsonl": "json", ".csv": "csv"}
    if out.suffix.lower() not in kinds:
        expected = "a name in .txt, .jsonl or .csv, or a folder"
        raise SettingsError(f"the file {out.name!r}", expected=expected, do="Rename it.")
    with write_aside(out) as file:
        for i, answer in enumerate(pages):
            file.write(_said(answer, kinds[out.suffix.lower()], many=many, first=i == 0))


def _said(page: Any, kind: str, *, many: bool, first: bool) -> str:
    """A page as it is printed: JSON, rows of CSV (with a header first), or its text, under its name if there are
    ``many``."""
    if kind == "json":
        return json.dumps(page.plain(), ensure_ascii=False) + "\n"
    if kind == "csv":
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        if first:
            table.writerow(COLUMNS)
        blocks = [(i, line) for i, block in enumerate(page.blocks, 1) for line in block]
        for number, (block, line) in enumerate(blocks, 1):
            score = "" if line.score is None else f"{line.score:.4f}"
            table.writerow([page.id, number, block, line.text or "", score, *map(round, line.box)])
        return text.getvalue()
    head = f"{'' if first else chr(10)}==> {page.id} <==\n" if many else ""
    return head + (page.text + "\n" if page.lines else "")


def test_pages(
    reader: Any,
    data: str,
    *,
    bundle: str,
    split: str | None,
    outside: bool,
    json: Path | None,
    html: Path | None,
    name: str | None,
    answers: Path | None,
) -> int:
    """Test a reader of pages on PAGE files: figures, a results file, a page with the worst first."""
    import torch

    from crnn.cli.test import print_figures
    from crnn.data.formats import leading, page
    from crnn.metrics.baselines import FIGURES
    from crnn.train.pages import evaluate_pages, write_page
    from crnn.train.report import Result, write_json

    console, left_out = Console(stderr=True), list[CrnnError]()
    with leading(outside):
        samples = list(page.whole(Path(data), left_out))
    splits = {s.split for s in samples}
    part = split or ("test" if "test" in splits else None)
    samples = [s for s in samples if part is None or s.split == part]
    if not samples:
        say_left_out(console, left_out, most=5)
        found = ", ".join(sorted(map(str, splits)))
        given = f"has no pages of the part {part!r} (its parts: {found})" if found else "has no page that can be read"
        do = "Name another part." if found else "See docs/page.md."
        raise DataError(given, expected="PAGE files with their pictures", do=do, file=data)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        row = bar.add_task("testing", total=len(samples))
        tested = evaluate_pages(reader, samples, progress=lambda: bar.advance(row))
    say_left_out(console, [*left_out, *tested.left_out], most=5)
    title = f"{bundle} on {data}" + (f" ({part})" if part else "") + f", {len(tested.samples):,} pages"
    print_figures(tested.report.metrics, FIGURES, title)
    if json is not None:
        finder, card = reader.finder, reader.finder.bundle.card
        readers = reader.readers.values()
        result = Result(
            name=name or json.stem,
            task="page",
            model=" + ".join([finder.name, *dict.fromkeys(one.name for one in readers)]),
            data=Path(data).name,
            split=part or "all",
            metrics=tested.report.metrics,
            baselines=tested.report.baselines,
            command="crnn " + shlex.join(sys.argv[1:]),
            seed=card.get("train", {}).get("seed", 0),
            threads=torch.get_num_threads(),
            precision=finder.precision,
            parameters=sum(one.parameters for one in (finder, *readers)),
            train_seconds=card.get("train_seconds"),
        )
        write_json(json, result)
    if html is not None:
        summary = {"finder": bundle, "readers": ", ".join(reader.readers), "data": data, "part": part or "all"}
        write_page(html, tested, reader, title=f"pages: {Path(data).name}", summary=summary)
        console.print(f"page: {html}", highlight=False)
    if answers is not None:
        write_pages(iter(tested.pages), answers, kind="", xml="page", many=len(samples) > 1)
    return 0
