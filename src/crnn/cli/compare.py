"""``crnn compare``: several models on one data set under one budget, or one model on every fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from crnn.cli.options import Data, DataOptions, RecipeName, Settings, TrainOptions, recipe_of, say_left_out
from crnn.cli.test import read_answers, result_of
from crnn.errors import SettingsError

if TYPE_CHECKING:
    from crnn.recipe import Recipe
    from crnn.train.compare import Compared, Comparison


WIDE = 120  # columns of the table in a file or a pipe, where nobody knows a width


def compare(
    recipe: RecipeName = None,
    *,
    data: Data = None,
    models: Annotated[
        str | None,
        Parameter(help="Models or recipes (.toml) to compare, with commas between. [default: the recipe's]"),
    ] = None,
    variant: Annotated[
        list[str] | None,
        Parameter(
            help="Compare with the recipe what it becomes by these settings, TABLE.KEY=VALUE, several with semicolons "
            "between.",
            negative="",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        Parameter(help="Minutes of training for each model and fold. [default: the recipe's epochs for each]"),
    ] = None,
    out: Annotated[
        Path | None,
        Parameter(help="Folder of the runs; a stopped comparison goes on there. [default: runs/compare and the name]"),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        Parameter(help="Answers of another program to stand in the table: NAME=FILE.jsonl (id, answer).", negative=""),
    ] = None,
    json: Annotated[Path | None, Parameter(help="Write the figures as a results file.")] = None,
    html: Annotated[Path | None, Parameter(help="Write a page with plots and the first model's worst samples.")] = None,
    settings: Settings = None,
    others: DataOptions = None,  # type: ignore[valid-type]
    training: TrainOptions = None,  # type: ignore[valid-type]
) -> int:
    """Train and test several models on one data set under one budget, on all folds if there are any.

    crnn compare classify --data sounds/ --models cascade,parallel,tcn,transformer --minutes 5 --html compared.html
    crnn compare recipes/mine.toml --data recordings/ --group speaker --folds 5 --json results/mine.json
    crnn compare recipes/mine.toml --data recordings/ --variant encoder.layers=1 --variant encoder.layers=3
    """
    from crnn.train.compare import compare as run

    console = Console(stderr=True)
    given: Any = {"data": data, "settings": settings, "train": training, "others": others}
    recipes = _recipes(recipe, models, variant or [], given)
    out = out or Path("runs") / f"compare-{Path(recipe or 'transcribe').stem}"
    strangers = dict(read_answers(text) for text in baseline or [])
    comparison = run(recipes, out, minutes=minutes, others=strangers, said=lambda text: _say(console, text))
    first = comparison.models[0]
    say_left_out(console, first.tested.left_out, most=5)
    _print(comparison, f"{next(iter(recipes.values())).data.train} ({comparison.part})")
    if json is None and html is None:
        return _code(comparison)
    source = str(next(iter(recipes.values())).data.train)
    result = result_of(
        first.predictor, first.tested, source, comparison.part, (json or out).stem, seconds=first.seconds
    )
    rows = {m.name: {**m.tested.report.metrics, **_costs(m)} for m in comparison.models[1:]}
    result = replace(result, metrics={**result.metrics, **_costs(first)}, baselines={**rows, **result.baselines})
    if json is not None:
        from crnn.train.report import write_json

        write_json(json, result)
    if html is not None:
        _page(html, comparison, rows, result, title=f"{first.predictor.task.name}: {Path(source).name}")
        console.print(f"page: {html}", highlight=False)
    return _code(comparison)


def _recipes(
    recipe: str | None, models: str | None, variants: Sequence[str], given: Mapping[str, Any]
) -> dict[str, Recipe]:
    """By name: the recipe with each of ``models``, or recipes in its place; and each of its ``variants``."""
    own = recipe_of(recipe, model=None, **given)
    named: dict[str, Recipe] = {}
    if models is None:
        named[str(own.encoder.get("name") or "the default model")] = own
        models = ""
    for name in (n.strip() for n in models.split(",") if n.strip()):
        if name.endswith(".toml"):
            named[Path(name).stem] = recipe_of(name, model=None, **given)
        else:
            named[name] = recipe_of(recipe, model=name, **given)
    for text in variants:
        settings = [*(given["settings"] or []), *(s.strip() for s in text.split(";") if s.strip())]
        named[text] = recipe_of(recipe, model=None, **{**given, "settings": settings})
    if not named:
        raise SettingsError("--models names none", expected="names with commas between", do="See crnn models.")
    return named


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _code(comparison: Comparison) -> int:
    return 1 if comparison.failed else 0


def _costs(model: Compared) -> dict[str, float]:
    """What a model's figures cost, and how they differ between the folds."""
    costs: dict[str, float] = {"parameters": model.parameters, "train_minutes": model.seconds / 60}
    costs |= {"latency_ms": 1000 * model.latency}
    if len(model.folds) > 1:
        costs |= {"mean_of_folds": sum(model.folds) / len(model.folds)}
        costs |= {"least_fold": min(model.folds), "most_fold": max(model.folds)}
    return costs


def _print(comparison: Comparison, title: str) -> None:
    """The table of models on standard output; rates in per cent."""
    first = comparison.models[0]
    explained = first.tested.report.details["figures"]
    keys = [key for key in first.predictor.task.figures if key in explained]
    leading, several = keys[0], len(first.folds) > 1
    table = Table(title=f"{title}, {len(first.tested.samples):,} samples", title_justify="left", box=None)
    table.add_column("model", no_wrap=True)
    for key in keys:
        label, _, unit = explained[key]
        table.add_column(f"{label} {unit}".strip(), justify="right")
        for more in ["95 % interval", *(["folds"] if several else [])] if key == leading else []:
            table.add_column(more, justify="right")
    for column in ("weights", "epochs", "minutes", "ms alone"):
        table.add_column(column, justify="right")
    for m in comparison.models:
        metrics, cells = m.tested.report.metrics, [m.name]
        for key in keys:
            unit = explained[key][2]
            cells.append(_cell(metrics.get(key), unit))
            if key == leading:
                ends = [metrics.get(f"{key}{end}") for end in ("_low", "_high")]
                cells.append(_span([e for e in ends if e is not None], unit))
                cells += [_span(m.folds, unit)] if several else []
        table.add_row(*cells, _size(m.parameters), str(m.epochs), f"{m.seconds / 60:.1f}", f"{1000 * m.latency:.1f}")
    for name, figures in first.tested.report.baselines.items():
        gap = [""] * (1 + several)
        cells = [c for k in keys for c in (_cell(figures.get(k), explained[k][2]), *(gap if k == leading else []))]
        table.add_row(name, *cells)
    screen = Console(width=None if Console().is_terminal else WIDE)
    screen.print(table)
    for name, error in comparison.failed.items():
        _say(screen, f"{name} failed: {error}")
    if comparison.part == "valid":
        screen.print("There is no test part: these are figures of the validation part, which chose the epochs.")


def _cell(value: float | None, unit: str) -> str:
    return "" if value is None else f"{100 * value:.2f}" if unit == "%" else f"{value:.3g}"


def _span(values: Sequence[float], unit: str) -> str:
    return f"{_cell(min(values), unit)}\N{EN DASH}{_cell(max(values), unit)}" if values else ""


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"


def _page(path: Path, comparison: Comparison, rows: Mapping[str, Any], result: Any, *, title: str) -> None:
    """The report of the first model, with the others beside it and plots of all."""
    from crnn.train.evaluate import write_page
    from crnn.train.plots import plot_svg

    first = comparison.models[0]
    report = first.tested.report
    leading = first.predictor.task.best[0]
    label, _, unit = report.details["figures"].get(leading, (leading, "", ""))
    value = {m.name: m.tested.report.metrics[leading] for m in comparison.models}
    plots: dict[str, tuple[dict[str, Any], str]] = {
        "over training": ({m.name: m.curve for m in comparison.models}, "seconds of training"),
        "and size": ({m.name: [(m.parameters, value[m.name])] for m in comparison.models}, "parameters"),
        "and speed": (
            {m.name: [(1000 * m.latency, value[m.name])] for m in comparison.models},
            "milliseconds for one sample alone, one thread",
        ),
    }
    charts = [
        (f"{label[:1].upper()}{label[1:]} {what}", plot_svg(series, across, label, percent=unit == "%"))
        for what, (series, across) in plots.items()
        if len(comparison.models) > 1 or what == "over training"
    ]
    details = {**report.details, "charts": [*charts, *report.details.get("charts", ())]}
    if len(comparison.models) > 1:
        details["network"] = first.name
        details["tables"] = [("What it costs", _cost_rows(comparison)), *report.details.get("tables", ())]
    report = replace(report, baselines={**rows, **report.baselines}, details=details)
    summary = {"data": result.data, "part": comparison.part, "samples": len(first.tested.samples)}
    summary |= {"model": first.name, "machine": result.machine, "date": result.date}
    write_page(path, replace(first.tested, report=report), first.predictor, title=title, summary=summary)


def _cost_rows(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {
            "model": m.name,
            "parameters": m.parameters,
            "epochs": m.epochs,
            "minutes of training": f"{m.seconds / 60:.1f}",
            "milliseconds alone": f"{1000 * m.latency:.1f}",
        }
        for m in comparison.models
    ]
