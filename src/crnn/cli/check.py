"""``crnn check``: what is wrong with data, before a training run finds out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from crnn.cli.options import Data, DataOptions, Horizon, Model, RecipeName, Settings, recipe_of, settings_with
from crnn.files import write_aside
from crnn.recipe import Recipe

if TYPE_CHECKING:
    from crnn.bundle import Bundle
    from crnn.findings import Finding
    from crnn.train.check import Checked

HEADINGS = {
    "error": ("red", "errors: training leaves these out"),
    "warning": ("yellow", "warnings: training uses these, but they look wrong"),
    "note": ("cyan", "notes"),
}


def check(
    recipe: RecipeName = None,
    data: Data = None,
    *,
    model: Model = None,
    horizon: Horizon = None,
    start: Annotated[str | None, Parameter(help="Bundle to fine-tune: a run, a file or zoo:NAME.")] = None,
    most: Annotated[int, Parameter(help="Findings of each kind that are shown.")] = 20,
    all: Annotated[bool, Parameter(help="Show all findings.", negative="")] = False,
    out: Annotated[Path | None, Parameter(help="Write all findings as JSON lines.")] = None,
    settings: Settings = None,
    others: DataOptions = None,  # type: ignore[valid-type]
) -> int:
    """Look at data before training: unreadable files, odd answers, wrong pairs, doubles, leaks between splits.

    crnn check transcribe lines/
    crnn check classify pictures/
    crnn check recipes/transcribe-handwriting.toml lines/ --all --out findings.jsonl
    """
    values = settings_with(settings, horizon)
    made = recipe_of(recipe, data=data, model=model, settings=values, train=None, others=others)
    bundle = None
    if start is not None:
        from crnn.bundle import load

        bundle = load(start)
    return report(made, Console(), most=0 if all else most, out=out, bundle=bundle)


def report(
    recipe: Recipe, console: Console, *, most: int = 20, out: Path | None = None, bundle: Bundle | None = None
) -> int:
    """Check the data of ``recipe`` and say on ``console`` what was found: 1 if training would fail, else 0.

    ``most`` findings of a kind are shown, 0 shows all; ``out`` gets every one as JSON lines. ``bundle`` is the one to
    fine-tune, if any.
    """
    from crnn.train.check import check as look

    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        row = bar.add_task("reading", total=None)
        checked = look(recipe, bundle=bundle, progress=lambda done, of: bar.update(row, completed=done, total=of))
    if out is not None:
        with write_aside(out, "wb") as file:
            for finding in checked.findings:
                line = json.dumps(asdict(finding), ensure_ascii=False) + "\n"
                file.write(line.encode("utf-8", "backslashreplace"))  # a name that is not UTF-8
    _print_figures(checked.summary, console)
    for severity, (style, heading) in HEADINGS.items():
        kinds: dict[str, list[Finding]] = {}
        for finding in checked.findings:
            if finding.severity == severity:
                kinds.setdefault(finding.kind, []).append(finding)
        if kinds:
            console.print(f"\n{heading}", style=f"bold {style}", highlight=False)
        for kind, findings in kinds.items():
            _print_kind(kind, findings, most, console)
    if out is not None and checked.findings:
        console.print(f"\nall findings: {out}", highlight=False, markup=False)
    console.print()
    console.print(_plain(_verdict(checked)), style="bold", highlight=False, markup=False)
    return int(checked.fails)


def _print_figures(summary: Mapping[str, Any], console: Console) -> None:
    """A column for each split, a row for each figure."""
    splits = {split: dict(_rows(figures)) for split, figures in summary["splits"].items()}
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("")
    for split in splits:
        table.add_column(split, justify="right")
    for name in dict.fromkeys(name for figures in splits.values() for name in figures):
        table.add_row(name, *(figures.get(name, "") for figures in splits.values()))
    if splits:
        console.print(table)
    for name, value in summary.items():
        if name != "splits":
            console.print(f"{name}: {_number(value)}", highlight=False, markup=False)


def _rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in figures.items():
        if isinstance(value, tuple):
            for part, number in zip(("least", "median", "most"), value, strict=True):
                yield f"{name}, {part}", _number(number)
        else:
            yield name, _number(value)


def _number(value: float) -> str:
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


def _print_kind(kind: str, findings: Sequence[Finding], most: int, console: Console) -> None:
    """A kind with its count, its advice (once, if it is the same for all) and the first of its findings."""
    shown = findings[:most] if most > 0 else findings
    heading = Text.assemble("  ", (_plain(kind), "bold"), f" ({len(findings):,})")
    common = len({_advice(finding) for finding in findings}) == 1
    if common:
        heading.append(f": {_advice(findings[0])}")
    console.print(heading, highlight=False, soft_wrap=True)
    for finding in shown:
        name = "the data" if finding.file is None else finding.file
        line = Text.assemble("    ", (_plain(name), "cyan"), f" {_plain(finding.sentence)}")
        if not common:
            line.append(f". {_advice(finding)}")
        console.print(line, highlight=False, soft_wrap=True)
    if len(shown) < len(findings):
        console.print(f"    and {len(findings) - len(shown):,} more (--all shows them)", style="dim", highlight=False)


def _advice(finding: Finding) -> str:
    return _plain(f"Expected: {finding.expected}. {finding.do}" if finding.expected else finding.do)


def _verdict(checked: Checked) -> str:
    """Whether training would work, and what to do first."""
    first = _first(checked.findings)
    advice = "" if first is None else f" First ({first.kind}): {first.do}"
    if checked.fails:
        return f"Training would fail: {'; '.join(checked.reasons)}.{advice}"
    splits = checked.summary["splits"]
    said = f"Training would work: {splits['train']['usable']:,} samples to learn from, "
    choosing = splits["valid"]["usable"]
    said += (
        f"{choosing:,} to choose the best network by" if choosing else "none to choose by, so the last epoch's is kept"
    )
    if first is None:
        return f"{said}; nothing looks wrong."
    counts = Counter(finding.severity for finding in checked.findings)
    found = [f"{counts[s]:,} {s}{'s' if counts[s] > 1 else ''}" for s in ("error", "warning") if counts[s]]
    return f"{said}; {' and '.join(found)}.{advice}"


def _first(findings: Sequence[Finding]) -> Finding | None:
    """What to look at first: errors before warnings, what holds for the whole before what is most frequent."""
    worst = [f for f in findings if f.severity == findings[0].severity and f.severity != "note"]
    counts = Counter(f.kind for f in worst)
    return max(worst, key=lambda f: (f.file is None, counts[f.kind]), default=None)


def _plain(text: str) -> str:
    """``text`` without what could steer a terminal or cannot be printed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
