"""Make docs/results.md of the JSON files in results/: ``python docs/make_results.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RATES = ("cer", "wer")


def table(results: list[dict[str, Any]]) -> str:
    """The page: a section for each result, its figures beside those of its baselines, and how to get it again."""
    lines = [
        "# Results",
        "",
        "Made of the files in `results/` by `python docs/make_results.py`; do not edit. The test part was read once, "
        "at the end; choices were made on the validation part.",
    ]
    for r in results:
        rows = {r["model"]: r["metrics"], **r["baselines"]}
        keys = [
            k
            for k in r["metrics"]
            if not k.endswith(("_low", "_high")) and any(k in m for m in r["baselines"].values())
        ]
        keys = keys or list(r["metrics"])
        lines += ["", f"## {r['name']}", "", f"Data `{r['data']}`, split `{r['split']}`, task {r['task']}.", ""]
        lines += ["| | " + " | ".join(keys) + " |", "|---|" + "---:|" * len(keys)]
        lines += [f"| {name} | " + " | ".join(say(row, k) for k in keys) + " |" for name, row in rows.items()]
        seconds = f", trained in {r['train_seconds'] / 60:.0f} minutes" if r.get("train_seconds") else ""
        lines += [
            "",
            f"`{r['command']}`, seed {r['seed']}, {r['parameters']:,} parameters{seconds}; {r['machine']}, "
            f"{r['threads']} threads, {r['precision']}; commit {r['commit']}, {r['date']}.",
        ]
    return "\n".join(lines) + "\n"


def say(row: dict[str, Any], key: str) -> str:
    """One cell: rates in per cent, with their interval where there is one."""
    value = row.get(key)
    if value is None:
        return ""
    if key not in RATES:
        return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    interval = f" ({100 * low:.2f} to {100 * high:.2f})" if low is not None and high is not None else ""
    return f"{100 * value:.2f} %{interval}"


def read() -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "results").glob("*.json"))]


if __name__ == "__main__":
    (ROOT / "docs" / "results.md").write_text(table(read()), encoding="utf-8")
