"""Mean and spread of the results of several seeds, as one result.

    python benchmarks/spread.py rates-0.json rates-1.json rates-2.json --json results/rates.json

The files are those of ``crnn test --json``. Each figure becomes its mean, and ``FIGURE_spread`` is the standard
deviation over the seeds (with one degree of freedom less than there are seeds); baselines, which know no seed, are
those of the first.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np


def spread(results: list[dict[str, Any]]) -> dict[str, Any]:
    """One result for ``results``, which must be of the same data, part and model."""
    for key in ("task", "model", "data", "split"):
        if len({str(r[key]) for r in results}) > 1:
            raise SystemExit(f"the files differ in {key!r}: {', '.join(sorted({str(r[key]) for r in results}))}")
    metrics = {}
    for name in results[0]["metrics"]:
        if not name.endswith(("_low", "_high")):  # intervals of one network say nothing of the mean of several
            values = [r["metrics"][name] for r in results]
            metrics |= {name: float(np.mean(values)), f"{name}_spread": float(np.std(values, ddof=1))}
    return results[0] | {"metrics": metrics, "train_seconds": sum(r["train_seconds"] for r in results)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="two or more results")
    parser.add_argument("--json", type=Path, required=True, help="file to write")
    given = parser.parse_args()
    if len(given.files) < 2:
        parser.error("two results at least")
    found = spread([json.loads(file.read_text(encoding="utf-8")) for file in given.files])
    found["name"], found["seed"] = given.json.stem, f"0 to {len(given.files) - 1}"
    found["command"] = f"python benchmarks/spread.py {' '.join(f.name for f in given.files)} --json {given.json}"
    given.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
