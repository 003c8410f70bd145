"""The layers against what people use now: ConvLSTM, ConvGRU, BiLSTM, RCL, MDLSTM, and what recomputing saves.

    python benchmarks/layers.py --json results/layers.json

In one run, contestants taking turns, medians. Beside each convolutional layer stands its ceiling: the same convolutions
over all frames at once, by themselves, in the layout of memory that is fastest. In training every layer gives the
gradients of its input and of all its parameters. Inputs are float32; bfloat16 means autocast. "Usual" is

- for a ConvLSTM: input and state concatenated, one convolution a step, plain autograd, no peepholes; the same function;
- for a ConvGRU: the same with two convolutions, the reset gate before the second; ours has it behind (another function,
  as many multiplications), so a loop over our equations stands there too;
- for a BiLSTM: a packed ``nn.LSTM(bidirectional=True)``; for an RCL: the loop that convolves its input once;
- for an MDLSTM: the loop over its cells.

Keras is timed where it is installed (``pip install keras``; it uses the torch that is there), each time in the layout
that is faster for it. It is no dependency of crnn. ``--only convlstm`` (or convgru, bilstm, rcl, mdlstm, recompute)
runs a part; figures for ``results/`` want an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import layers_parts as parts
import torch
from layers_peers import keras
from layers_timing import FORWARD, Row, matrix_products
from rich.console import Console
from rich.table import Table

from crnn.precision import resolve
from crnn.train.report import Result, write_json

PARTS = ("convlstm", "convgru", "bilstm", "rcl", "mdlstm", "recompute")
LARGE = ("B", "D")
"""Shapes of which a share of the ceiling is promised."""
AGAINST = {"RCL": "rcl_vs_loop", "MDLSTM": "mdlstm_vs_loop", "BiLSTM": "bilstm_vs_packed_min"}
Memory = Mapping[str, Mapping[str, float]]
COLUMNS = {
    "ours ms": "ours_ms",
    "usual ms": "usual_ms",
    "Keras ms": "keras_ms",
    "usual / ours": "vs_usual",
    "Keras / ours": "vs_keras",
    "of ceiling": "share_of_ceiling",
}


def table(rows: Sequence[Row]) -> Table:
    """All that was timed."""
    made = Table("layer", "shape", "work", "precision")
    for name in COLUMNS:
        made.add_column(name, justify="right")
    for row in rows:
        figures = row.figures()
        cells = [say(key, figures.get(key)) for key in COLUMNS.values()]
        made.add_row(row.layer, row.shape, row.work, row.precision, *cells)
    return made


def say(key: str, value: float | None) -> str:
    """One cell: milliseconds to three digits, ratios to two places, shares in per cent."""
    if value is None:
        return ""
    if key.endswith("_ms"):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{100 * value:.0f} %" if key.startswith("share") else f"{value:.2f}"


def metrics(rows: Sequence[Row], memory: Memory, auto: str) -> dict[str, float]:
    """The figures that are claimed: of each kind the worst over all shapes and works; only those that were measured.

    Against the usual layers at equal precision. Against Keras in its own default, float32, and against its
    ``mixed_bfloat16`` where that is faster; ours in ``auto``, the precision that crnn chooses on this machine. Shares
    of the ceiling in ``auto``, over the larger shapes. The RCL's forward pass alone has a figure of its own.
    Memory is the peak of a step; what is held before its backward pass counts where many layers stand on each other.
    """
    found: dict[str, list[float]] = {}

    def claim(name: str, value: float | None) -> None:
        if value is not None:
            found.setdefault(name, []).append(value)

    best = {(r.layer, r.shape, r.work): r.ours for r in rows if r.precision == auto}
    keras_at_all: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        figures, key = row.figures(), (row.layer, row.shape, row.work)
        kind, _, more = row.layer.partition(", ")
        if more == "recompute":
            claim("rcl_recompute_time" if kind == "RCL" else "recompute_time", 1 / figures["vs_usual"])
            continue
        convolutional = "convgru" if kind.startswith("ConvGRU") else "convlstm"
        end = "_forward" if kind == "RCL" and row.work == FORWARD else ""
        claim(AGAINST.get(kind, f"{convolutional}_vs_pattern_min") + end, figures.get("vs_usual"))
        if row.keras is not None and key in best:
            keras_at_all.setdefault(key, []).append(row.keras)
            if row.precision == "float32":
                claim("convlstm_vs_keras_min", row.keras / best[key])
        if kind in ("ConvLSTM", "ConvGRU") and row.shape[0] in LARGE and row.precision == auto:
            claim(f"{convolutional}_share_of_ceiling", figures.get("share_of_ceiling"))
        claim(f"convolution_tflops_{row.precision}", figures.get("ceiling_tflops"))
        if kind == "RCL" and row.precision == auto:
            claim("rcl_share_of_ceiling", figures.get("share_of_ceiling"))
    for key, times in keras_at_all.items():
        claim("convlstm_vs_fastest_keras_min", min(times) / best[key])
    for label, needed in memory.items():
        if label.endswith(", recompute"):
            plain = memory[label.removesuffix("recompute") + "plain"]
            name = "rcl_recompute" if label.startswith("RCL") else "recompute"
            claim(f"{name}_memory_vs_own", needed["peak_mb"] / plain["peak_mb"])
            claim(f"{name}_memory_held_vs_own", needed["held_mb"] / plain["held_mb"])
            if usual := memory.get(f"the usual {label.removesuffix(', recompute')}"):
                claim(f"{name}_memory", needed["peak_mb"] / usual["peak_mb"])
    most = ("recompute_memory", "recompute_time", "tflops")  # where the largest is the worst, or the ceiling
    return {n: max(values) if any(m in n for m in most) else min(values) for n, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=PARTS, action="append", help="this part alone; may be given more than once")
    parser.add_argument("--shapes", default="ABCD", help="of the convolutional cells, such as AC")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    auto = resolve("auto", options.device)
    console = Console(width=None if sys.stdout.isatty() else 160)
    products = matrix_products(options.rounds, options.device)
    told = ", ".join(f"{tera:.2f} TFLOP/s in {precision}" for precision, tera in products.items())
    console.print(f"{options.threads} threads, precision auto is {auto}; matrix products: {told}")
    if keras() is None:
        console.print("Keras is not installed and is left out: pip install keras")
    else:
        console.print(f"Keras {keras().__version__} on torch {torch.__version__}")
    course = parts.Course(options.rounds, options.device, lambda row: console.print(row.label, f"{row.ours:.3g} ms"))
    films = [film for film in parts.FILMS if film.name in options.shapes]
    rows: list[Row] = []
    memory: Memory = {}
    for part in options.only or PARTS:
        if part in ("convlstm", "convgru"):
            rows += getattr(parts, part)(course, films)
        elif part == "recompute":
            more, memory = parts.recompute(course)
            rows += more
        else:
            rows += getattr(parts, part)(course)
    console.print(table(rows))
    for label, figures in memory.items():
        console.print(f"{label}: peak {figures['peak_mb']:.0f} MB, held {figures['held_mb']:.0f} MB")
    claimed = metrics(rows, memory, auto)
    claimed |= {f"matrix_tflops_{precision}": tera for precision, tera in products.items()}
    for name, value in claimed.items():
        console.print(f"{name:32} {value:.3g}")
    if options.json:
        result = Result(
            name="layers",
            task="layers",
            model="crnn.layers",
            data="random numbers",
            split="none",
            metrics=claimed,
            baselines={**{row.label: row.figures() for row in rows}, **memory},
            command=f"python {os.path.relpath(sys.argv[0])} " + " ".join(sys.argv[1:]),
            seed=0,
            threads=options.threads,
            precision=f"float32 and bfloat16; auto is {auto}",
            parameters=0,
        )
        write_json(options.json, result)


if __name__ == "__main__":
    main()
