"""``crnn test``: the figures of a bundle on data with known answers."""

from __future__ import annotations

import json as _json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from crnn.cli.options import (
    BUNDLES,
    Answer,
    Arithmetic,
    BatchSize,
    Format,
    Group,
    Outside,
    Reader,
    ReadOptions,
    Threads,
    read_as_told,
    say_left_out,
)
from crnn.cli.options import threads as use_threads
from crnn.cli.pages import page_reader, reads_pages, test_pages
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.recipe import DataSettings

if TYPE_CHECKING:
    from crnn.types import Sample


def test(
    bundle: Annotated[str, Parameter(help=BUNDLES)],
    data: Annotated[str, Parameter(help="Folder or table with known answers, in any known format.")],
    /,
    *,
    split: Annotated[
        str | None, Parameter(help="Part of the data: train, valid or test. [default: test where there is one]")
    ] = None,
    format: Format = "auto",
    group: Group = None,
    answer: Answer = None,
    outside: Outside = False,
    json: Annotated[Path | None, Parameter(help="Write the figures as a results file.")] = None,
    html: Annotated[Path | None, Parameter(help="Write a page with the worst samples first.")] = None,
    explain: Annotated[int, Parameter(help="Samples of the page, the worst, with the moments that counted.")] = 12,
    name: Annotated[str | None, Parameter(help="Name of the results. [default: the JSON file's]")] = None,
    baseline: Annotated[
        list[str] | None,
        Parameter(help="Answers of another program to stand in the table: NAME=FILE.jsonl (id, answer).", negative=""),
    ] = None,
    predictions: Annotated[Path | None, Parameter(help="Write each answer: .jsonl, .csv or .txt (texts).")] = None,
    live: Annotated[
        bool,
        Parameter(help="Hear each sound in pieces, too: a row of the table, and how fast that is.", negative=""),
    ] = False,
    reader: Reader = None,
    batch_size: BatchSize = 16,
    precision: Arithmetic = "auto",
    threads: Threads = 0,
    reading: ReadOptions = None,  # type: ignore[valid-type]
) -> int:
    """Test a bundle: its figures with 95 % intervals, a JSON of results, a page with the worst samples first.

    Of data that were dealt into folds for training, the fold that was not learned from is tested.

    crnn test runs/mine lines-test/ --html report.html
    crnn test zoo:typewritten pages/ --json results/mine.json
    crnn test runs/listener speech/ --live --html report.html
    crnn test zoo:page pages/ --json results/pages.json
    """
    from crnn.data.formats import page
    from crnn.deploy.branches import Branches
    from crnn.deploy.ready import is_exported
    from crnn.deploy.ready import predictor as ready
    from crnn.train.evaluate import evaluate, write_page
    from crnn.train.prepare import held_back

    use_threads(threads)
    console = Console(stderr=True)
    predictor: Any = ready(bundle, precision=precision, batch_size=batch_size, threads=threads)
    if reads_pages(predictor, reader) and page.recognise(Path(data)):
        told = {"baseline": baseline, "group": group, "answer": answer, "live": live}
        told["format"] = format not in ("auto", "page")
        if wrong := [name for name, value in told.items() if value]:
            raise SettingsError(f"--{wrong[0]} is given for pages", expected="lines or labels", do="Leave it out.")
        pages = page_reader(predictor, reader, reading, {"precision": precision, "batch_size": batch_size})
        where: Any = {"json": json, "html": html, "name": name, "answers": predictions}
        return test_pages(pages, data, bundle=bundle, split=split, outside=outside, **where)
    read_as_told(predictor, reading)
    if live:
        from crnn.deploy.stream import Stream

        Stream(predictor)  # which says whether it can listen before anything is tested
    left_out: list[CrnnError] = []
    settings = DataSettings(train=data, format=format, group=group, answer=answer, outside=outside)
    samples, part = held_back(predictor, settings, left_out, split=split)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        apart = json is not None or html is not None
        passes = 1 + len(Branches(predictor).names) * apart
        row = bar.add_task("testing", total=passes * len(samples))
        others = dict(read_answers(text) for text in baseline or [])
        tested = evaluate(predictor, samples, progress=lambda: bar.advance(row), others=others, apart=apart)
        if live:
            from crnn.train.listen import heard_live

            row = bar.add_task("listening", total=len(tested.samples))
            tested = heard_live(predictor, tested, progress=lambda: bar.advance(row))
    say_left_out(console, [*left_out, *tested.left_out], most=5)
    _say_unknown(console, predictor.task, tested.samples)
    _print(tested, f"{bundle} on {data}" + (f" ({part})" if part else ""))
    _say_seen(console, predictor.bundle.card.get("data"), data, part)
    result = result_of(predictor, tested, data, part or "all", name or (json.stem if json else Path(bundle).name))
    if json is not None:
        from crnn.train.report import write_json

        write_json(json, result)
    if html is not None:
        summary = {"bundle": bundle, "data": data, "part": part or "all", "samples": len(tested.samples)}
        summary |= {"left out": len(left_out) + len(tested.left_out), "model": result.model, "date": result.date}
        title = f"{predictor.task.name}: {Path(data).name}"
        # of several, which would be explained? and of an exported one torch knows nothing
        explained = explain if len(predictor.voters) == 1 and not is_exported(bundle) else 0
        write_page(html, tested, predictor, title=title, summary=summary, explained=explained)
        console.print(f"page: {html}", highlight=False)
    if predictions is not None:
        predictor.task.write(tested.predictions, predictions)
    return 0


def _say_unknown(console: Console, task: Any, samples: Sequence[Sample]) -> None:
    """Words and labels that the network has never learned to give: often the wrong data, and errors in any case."""
    if task.answer not in ("text", "label", "events"):
        return
    problems = [problem for sample in samples if (problem := task.problem(sample)) is not None]
    if problems:
        share = f"{len(problems):,} of {len(samples):,} samples have"
        said = f"{share} an answer that the network cannot give, and count as errors; the first: {problems[0]}"
        console.print(said, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _say_seen(console: Console, learned: str | None, data: str, part: str | None) -> None:
    """That figures are of what the network learned from, where they are."""
    if part in (None, "train") and learned is not None and Path(learned).resolve() == Path(data).resolve():
        said = (
            "The network learned from these data, so the figures do not say how good it is on others. Name a part of "
            "them test (a column split, a folder test), or train with --folds 5, and it is held back."
        )
        console.print(said, style="yellow", markup=False, highlight=False, soft_wrap=True)


ANSWERS = ("answer", "text", "label", "value", "sentence", "events", "boxes")
"""What an answer may be called, also in files that ``--predictions`` writes."""


def read_answers(text: str) -> tuple[str, dict[str, Any]]:
    """``NAME=FILE.jsonl`` as the name and the answers by id."""
    name, equals, file = text.partition("=")
    expected = "NAME=FILE, a file of JSON lines with id and answer"
    if not equals:
        raise SettingsError(f"--baseline {text!r}", expected=expected, do="Write: --baseline tesseract=texts.jsonl")
    try:
        rows = [_json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]
        return name, {str(row["id"]): next(row[key] for key in ANSWERS if key in row) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise DataError(f"cannot be read ({error})", expected=expected, do="Mend the file.", file=file) from error


def _print(tested: Any, title: str) -> None:
    """The table of figures on standard output, and that of what stands beside the network, a column each."""
    from crnn.train.report import beside

    print_figures(
        tested.report.metrics, tested.report.details.get("figures", {}), f"{title}, {len(tested.samples):,} samples"
    )
    others = beside(tested.report)
    if others["rows"]:
        table = Table(title="Compared with other answers", title_justify="left")
        table.add_column("figure")
        for name in others["rows"]:
            table.add_column(Text(name), justify="right")
        for label, *cells in zip(others["labels"], *others["rows"].values(), strict=True):
            table.add_row(Text(label), *cells)
        Console().print(table)


def print_figures(metrics: Any, explained: Any, title: str) -> None:
    """A table of ``metrics``, of what is ``explained``: ``{name: (label, meaning, unit)}``."""
    table = Table(title=title, title_justify="left")
    for column, side in (("figure", "left"), ("value", "right"), ("95 % interval", "right"), ("meaning", "left")):
        table.add_column(column, justify=side)  # type: ignore[arg-type]
    for key, (label, meaning, unit) in explained.items():
        if key not in metrics:
            continue
        low, high = metrics.get(f"{key}_low"), metrics.get(f"{key}_high")
        interval = f"{_said(low, unit)} to {_said(high, unit)}" if low is not None and high is not None else ""
        table.add_row(label, _said(metrics[key], unit), interval, meaning)
    Console().print(table)


def _said(value: float, unit: str) -> str:
    """A figure: a share as per cent, or else four digits, since units differ by powers of ten."""
    return f"{100 * value:.2f} %" if unit == "%" else f"{value:.4g}"


def result_of(predictor: Any, tested: Any, data: str, part: str, name: str, *, seconds: float | None = None) -> Any:
    """The figures of a test as they stand in a results file; ``seconds`` of training if the bundle does not say it."""
    import torch

    from crnn.train.report import Result

    card = predictor.bundle.card
    return Result(
        name=name,
        task=predictor.task.name,
        model=predictor.name,
        data=Path(data).name,
        split=part,
        metrics=tested.report.metrics,
        baselines=tested.report.baselines,
        command="crnn " + shlex.join(sys.argv[1:]),
        seed=card.get("train", {}).get("seed", 0),
        threads=getattr(predictor, "threads", 0) or torch.get_num_threads(),
        precision=predictor.precision,
        parameters=sum(voter.parameters for voter in predictor.voters),
        train_seconds=seconds or card.get("train_seconds"),
    )
