"""``crnn check``: what is wrong with data, before a training run finds out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from crnn.files import write_aside

if TYPE_CHECKING:
    from crnn.config import Recipe
    from crnn.findings import Finding
    from crnn.train.check import Checked

HEADINGS = {
    "error": ("red", "errors: training leaves these out"),
    "warning": ("yellow", "warnings: training uses these, but they look wrong"),
    "note": ("cyan", "notes"),
}


def check(recipe: Recipe, console: Console, *, most: int = 20, out: Path | None = None, bundle: Any = None) -> int:
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
    splits: Mapping[str, Mapping[str, Any]] = summary["splits"]
    names = list(dict.fromkeys(name for figures in splits.values() for name in figures))
    if not names:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for name in names:
        middle = any(isinstance(figures.get(name), tuple) for figures in splits.values())
        table.add_column(f"{name}\nleast / median / most" if middle else name, justify="right", vertical="bottom")
    for split, figures in splits.items():
        table.add_row(split, *(_number(figures.get(name, "")) for name in names))
    console.print(table)
    for name, value in summary.items():
        if name != "splits":
            console.print(f"{name}: {_number(value)}", highlight=False, markup=False)


def _number(value: Any) -> str:
    if isinstance(value, tuple):
        return " / ".join(map(_number, value))
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _print_kind(kind: str, findings: Sequence[Finding], most: int, console: Console) -> None:
    """A kind with its count, its advice (once, if it is the same for all) and the first of its findings."""
    shown = findings[:most] if most > 0 else findings
    advice = {finding.do for finding in findings}
    heading = Text.assemble("  ", (_plain(kind), "bold"), f" ({len(findings):,})")
    if len(advice) == 1 and (do := advice.pop()):
        heading.append(f": {_plain(do)}")
    console.print(heading, highlight=False)
    for finding in shown:
        line = Text(_plain(finding.file), style="cyan") if finding.file is not None else Text("the data")
        line.append(f" {_plain(finding.sentence)}", style="default")
        if len(advice) > 1:
            line.append(f". {_plain(finding.do)}", style="default")
        console.print(Padding(line, (0, 0, 0, 4)), highlight=False)
    if len(shown) < len(findings):
        console.print(f"    and {len(findings) - len(shown):,} more (--all shows them)", style="dim", highlight=False)


def _verdict(checked: Checked) -> str:
    """Whether training would work, and what to do first."""
    first = next((f for f in checked.findings if f.severity != "note"), None)
    then = f" First: {first.do or 'look at ' + first.kind}" if first is not None else ""
    if checked.fails:
        return f"Training would fail: {'; '.join(checked.reasons)}.{then}"
    splits = checked.summary["splits"]
    counts = Counter(finding.severity for finding in checked.findings)
    said = f"Training would work: {splits['train']['usable']:,} samples to learn from, {splits['valid']['usable']:,} "
    said += "to choose by"
    if not counts["error"] and not counts["warning"]:
        return f"{said}; nothing is wrong with them."
    found = [f"{counts[s]:,} {s}{'s' if counts[s] > 1 else ''}" for s in ("error", "warning") if counts[s]]
    assert first is not None
    return f"{said}, with {' and '.join(found)}. First ({first.kind}): {first.do}"


def _plain(text: str) -> str:
    """``text`` without what could steer a terminal or cannot be printed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
