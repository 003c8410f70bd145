"""Make docs/results.md, and the figures on the pages of models, of the JSON files in results/:
``python docs/make_results.py``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIRST_FIGURES = 3
RATES = ("cer", "wer", "error", "accuracy", "balanced_accuracy", "macro_f1", "segment_f1", "event_f1")
RATES += (
    "coverage",
    "promised",
    "cer_gain",
    "wer_gain",
    "cer_surest_90",
    "calibration_error",
    "mean_of_folds",
    "least_fold",
    "most_fold",
)


def table(results: list[dict[str, Any]]) -> str:
    """The page: a section for each result, its figures beside those of its baselines, and how to get it again."""
    lines = [
        "# Results",
        "",
        "Made of the files in `results/` by `python docs/make_results.py`; do not edit. The test part was read once, "
        "at the end; choices were made on the validation part.",
    ]
    for r in results:
        lines += ["", f"## {r['name']}", "", f"Data `{r['data']}`, split `{r['split']}`, task {r['task']}.", ""]
        shared = [k for k in own(r["metrics"]) if any(k in row for row in r["baselines"].values())]
        if shared or not r["baselines"]:
            lines += rows_of({r["model"]: r["metrics"], **r["baselines"]}, shared or own(r["metrics"]))
        else:  # figures of another kind than what they were made of
            lines += ["| figure | |", "|---|---:|", *(f"| {k} | {say(r['metrics'], k)} |" for k in r["metrics"])]
            for keys in dict.fromkeys(tuple(row) for row in r["baselines"].values()):
                lines += ["", *rows_of({n: row for n, row in r["baselines"].items() if tuple(row) == keys}, keys)]
        took = r.get("train_seconds") or 0
        seconds = f", trained in {f'{took / 60:.0f} minutes' if took > 100 else f'{took:.0f} seconds'}" if took else ""
        lines += [
            "",
            f"`{r['command']}`, seed {r['seed']}, {r['parameters']:,} parameters{seconds}; {r['machine']}, "
            f"{r['threads']} threads, {r['precision']}; commit {r['commit']}, {r['date']}.",
        ]
    return "\n".join(lines) + "\n"


def own(metrics: dict[str, Any]) -> list[str]:
    """Names of figures without the ends of their intervals and without spreads."""
    return [k for k in metrics if not k.endswith(("_low", "_high", "_spread"))]


def rows_of(rows: dict[str, dict[str, Any]], keys: Iterable[str]) -> list[str]:
    """A table with a line for each row."""
    keys = list(keys)
    head = ["| | " + " | ".join(keys) + " |", "|---|" + "---:|" * len(keys)]
    return head + [f"| {name} | " + " | ".join(say(row, k) for k in keys) + " |" for name, row in rows.items()]


def say(row: dict[str, Any], key: str) -> str:
    """One cell: rates in per cent, with their interval or their spread where there is one; else four digits."""
    value = row.get(key)
    if value is None:
        return ""
    if key not in RATES:
        if key.startswith("share"):
            return f"{100 * value:.0f} %"
        wide = row.get(f"{key}_spread")
        spread = "" if wide is None else f" ± {wide:.1g}"
        return (f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}") + spread
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    interval = f" ({100 * low:.2f} to {100 * high:.2f})" if low is not None and high is not None else ""
    return f"{100 * value:.2f} %{interval}"


def read() -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "results").glob("*.json"))]


def figures(name: str, results: list[dict[str, Any]]) -> list[str]:
    """What was measured with the model ``name``."""
    rows = []
    for result in results:
        own = {k: v for k, v in result["metrics"].items() if v is not None and not k.endswith(("_low", "_high"))}
        if name in re.split(r"[\s,+]+", result["model"]):
            said = ", ".join(f"{key} {value:.4g}" for key, value in list(own.items())[:FIRST_FIGURES])
            link = f"[{result['name']}](../results.md#{result['name']})"
            rows.append(f"| {link} | {result['task']} | `{result['data']}` | {said} |")
    if not rows:
        return [
            "## Figures",
            "",
            "None stands in [results](../results.md) yet: its layers and sizes are tested, no more.",
        ]
    return ["## Figures", "", "| result | task | data | figures |", "|---|---|---|---|", *rows]


def main() -> None:
    results = read()
    (ROOT / "docs" / "results.md").write_text(table(results), encoding="utf-8")
    for page in (ROOT / "docs" / "models").glob("*.md"):
        before, _, _ = page.read_text(encoding="utf-8").partition("## Figures\n")
        page.write_text(
            "\n".join([before + figures(page.stem, results)[0], *figures(page.stem, results)[1:], ""]), "utf-8"
        )


if __name__ == "__main__":
    main()
