"""A test's figures as files: JSON for ``results/``, and one HTML page to look at, the worst samples first."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from crnn.files import write_aside
from crnn.types import Report

UNKNOWN = "unknown"
LONG = 12  # letters of a label from which confusions stand in one column
MOST_SHOWN = 60  # letters of a confused label
NO_FIGURE = "\N{EN DASH}"
LOW, HIGH = "_low", "_high"
SHEET = Path(__file__).parent.parent / "deploy" / "serving" / "page"  # the folder of the sheet that all pages share
MOST_SEARCHED = 2000  # letters of one value of a row that the filter looks at


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One claimed figure with all that is needed to get it again. Rates are fractions: 0.0118, not 1.18."""

    name: str
    task: str
    model: str
    data: str
    split: str
    metrics: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    command: str
    seed: int
    machine: str = field(default_factory=lambda: machine())
    threads: int
    precision: str
    commit: str = field(default_factory=lambda: commit())
    date: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat())
    parameters: int
    train_seconds: float | None = None


def write_json(path: str | Path, result: Result) -> None:
    """Write ``result`` as JSON; a figure that is not finite becomes ``null``."""
    text = json.dumps(_plain(asdict(result)), indent=2, ensure_ascii=False, allow_nan=False)
    with write_aside(path, "wb") as file:
        file.write((text + "\n").encode("utf-8", "replace"))


def _plain(value: Any) -> Any:
    """``value`` in the types of JSON: numpy's and torch's numbers as Python's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def machine() -> str:
    """Processor, cores this process may use, memory, and the first GPU if there is one.

    For example ``AMD EPYC 9654, 8 cores, 32 GiB``.
    """
    words = [_processor()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    words.append(f"{cores} core{'s' * (cores != 1)}")
    if memory := _memory():
        words.append(f"{memory / 2**30:.0f} GiB")
    torch = sys.modules.get("torch")  # who trains has imported it
    if torch is not None and torch.cuda.is_available():
        words.append(torch.cuda.get_device_name(0))
    return ", ".join(words)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    if named:
        return named[0]
    if sys.platform == "darwin" and (name := _run("sysctl", "-n", "machdep.cpu.brand_string")):
        return name
    return platform.processor() or platform.machine() or UNKNOWN


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on this system
        return None


def commit() -> str:
    """The short git commit of the checkout that this package runs from, ``unknown`` for an installed package."""
    here = Path(__file__).resolve()
    # a package that was installed inside somebody else's checkout is not part of it
    if _run("git", "-C", str(here.parent), "ls-files", "--error-unmatch", here.name) is None:
        return UNKNOWN
    return _run("git", "-C", str(here.parent), "rev-parse", "--short", "HEAD") or UNKNOWN


def _run(*command: str) -> str | None:
    """What ``command`` says, ``None`` if it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def write_html(
    path: str | Path,
    report: Report,
    *,
    title: str,
    summary: Mapping[str, Any],
    fragments: Callable[[Mapping[str, Any]], str],
    most: int = 200,
    heading: str = "Samples, worst first",
) -> None:
    """Write one page that needs nothing beside it: no script, style or picture from elsewhere.

    ``summary`` is what the reader should know of the run (model, data, date). ``fragments(row)`` gives the HTML of one
    row, its texts escaped and its pictures as ``data:`` addresses; scripts in it do not run. Rows come by falling
    ``row["badness"]``, at most ``most`` of them. ``report.details`` may hold

    - ``figures``: ``{name: (label, meaning, unit)}``; the unit ``%`` shows a fraction as per cent;
    - ``tabled``: names of figures that stand in a chart or table and not in the list;
    - ``confusions``: ``[(truth, read, count)]``, the most frequent first, ``''`` for nothing; ``confused`` are the
      words between the two;
    - ``charts``: ``[(title, svg)]``, pictures that stand in the page, their texts escaped; no picture, no title;
    - ``tables``: ``[(title, rows)]``, each row ``{column: value}``; fractions are shown as per cent;
    - ``note``: a text above the rows that says what their marks mean.
    """
    rows = sorted(report.rows, key=lambda row: row.get("badness", 0.0), reverse=True)
    explained = report.details.get("figures", {})
    folders = [Path(__file__).parent, SHEET]
    environment = Environment(
        loader=FileSystemLoader(folders), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["sha256"] = lambda text: b64encode(sha256(text.encode()).digest()).decode()
    page = environment.get_template("report.html").render(
        title=title,
        summary=summary,
        figures=_figures(report.metrics, explained, report.details.get("tabled", ())),
        baselines=beside(report),
        confusions=[(_sign(truth), _sign(read), count) for truth, read, count in report.details.get("confusions", ())],
        charts=[(title, Markup(svg)) for title, svg in report.details.get("charts", ()) if svg],
        wide=_wide(report.details.get("confusions", ())),
        confused=report.details.get("confused", "read as"),
        tables=[(title, *_table(rows, explained)) for title, rows in report.details.get("tables", ()) if rows],
        heading=heading,
        note=report.details.get("note", ""),
        rows=[
            {"id": str(row.get("id", "")), "searched": _searched(row), "html": Markup(fragments(row))}
            for row in rows[:most]
        ],
        total=len(rows),
    )
    with write_aside(path, "wb") as file:
        file.write(page.encode("utf-8", "replace"))


def _figures(metrics: Mapping[str, float], explained: Mapping[str, Any], tabled: Sequence[str]) -> list[dict[str, Any]]:
    """What the page says of each figure; the ends of an interval stand with their figure."""
    ends = {name + end for name in metrics for end in (LOW, HIGH)}.union(tabled)
    figures = []
    for name, value in metrics.items():
        if name in ends:
            continue
        label, meaning, unit = explained.get(name, (name, "", ""))
        low, high = metrics.get(name + LOW), metrics.get(name + HIGH)
        interval = None if low is None or high is None else (_show(low, unit), _show(high, unit))
        shown = _show(value, unit)
        figures.append({"name": name, "label": label, "meaning": meaning, "value": shown, "interval": interval})
    return figures


def beside(report: Report) -> dict[str, Any]:
    """A table of this network and the baselines, in the figures that any of the latter has, without intervals:
    ``labels`` of the figures, and ``rows`` of words by name, none where there is nothing to compare. Among others the
    network has its name (``network`` of the details)."""
    explained = report.details.get("figures", {})
    shared = [name for name in report.metrics if any(name in figures for figures in report.baselines.values())]
    names = [name for name in shared if not name.endswith((LOW, HIGH))]
    own = report.details.get("network", "this network")
    rows: dict[str, Mapping[str, float]] = {own: report.metrics, **report.baselines}
    labels = [explained.get(name, (name,))[0] for name in names]
    units = [explained.get(name, ("", "", ""))[2] for name in names]
    cells = {
        row: [_show(figures.get(name), unit) for name, unit in zip(names, units, strict=True)]
        for row, figures in rows.items()
    }
    return {"labels": labels, "rows": cells if names else {}}


def _table(rows: Sequence[Mapping[str, Any]], explained: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and cells of a table."""
    names = list(rows[0])
    return [explained.get(name, (name,))[0] for name in names], [[_cell(row[name]) for name in names] for row in rows]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return _show(value, "%" if 0 <= value <= 1 else "")
    return f"{value:,}" if isinstance(value, int) else str(value)


def _show(value: float | None, unit: str) -> str:
    """``0.0432`` as ``4.32 %``, or a plain number to four digits."""
    if value is None or not math.isfinite(value):
        return NO_FIGURE
    if unit == "%":
        return f"{100 * value:.2f} %"
    digits = 0 if float(value).is_integer() or abs(value) >= 1000 else 4
    number = f"{value:,.0f}" if digits == 0 else f"{value:.{digits}g}"
    return f"{number} {unit}".strip()


def _sign(text: str) -> dict[str, Any]:
    """How a confused letter is shown; what Unicode calls it where that is not plain to see."""
    if text == "":
        return {"sign": "", "name": "nothing", "word": False}
    if len(text) > 1:
        return {"sign": text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]} …", "name": "", "word": True}
    name = unicodedata.name(text, f"U+{ord(text):04X}")
    plain = name.startswith("LATIN ") or (text.isascii() and text.isdigit())
    shown = "␣" if text.isspace() else f"◌{text}" if unicodedata.combining(text) else text
    return {
        "sign": shown if text.isprintable() or text.isspace() else "",
        "name": "" if plain else name if name.startswith("U+") else name.lower(),
        "word": False,
    }


def _wide(confusions: Sequence[tuple[str, str, int]]) -> str:
    """The class of a list of confusions: of letters, of words, or of long ones, which need a line of their own."""
    longest = max((len(text) for truth, read, _ in confusions for text in (truth, read)), default=0)
    return "" if longest < 2 else " words" if longest <= LONG else " long"


def _searched(row: Mapping[str, Any]) -> str:
    """The texts of ``row``, for the filter."""
    return " ".join(value[:MOST_SEARCHED] for value in row.values() if isinstance(value, str))
