"""Make a page and a drawing for each model of docs/models/, of its file, its layers and the results that used it:
``python docs/make_models.py``, or with names only those of some models."""

from __future__ import annotations

import math
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch
from make_results import figures, read

from crnn.bundle import build, combinations
from crnn.describe import NOT_RUN, Description, describe
from crnn.drawing import draw, short
from crnn.models import MODELS
from crnn.tasks import TASKS

ROOT = Path(__file__).resolve().parent.parent
OUTPUTS = 80
STEPS = {"line": 400, "picture": 32, "sound": 300, "series": 200, "film": 16, "frames": 10, "sentence": 30, "scene": 1}
"""Kind of input to the steps of a sample that is drawn."""


@cache
def made(name: str) -> tuple[str, str, Description]:
    """Kind of input, task, and the layers of the model with the task's head."""
    kind, task = next((k, t) for m, k, t in combinations() if m == name)
    tables: dict[str, dict[str, Any]] = {"encoder": {"name": name}, "input": {"name": kind}}
    height = getattr(MODELS[name], "height", None)
    if height is not None:
        tables["input"]["height"] = height
    for device in ("meta", "cpu"):  # sizes without numbers, where the network never looks at its numbers
        torch.manual_seed(0)
        try:
            with torch.device(device):
                blank = TASKS[task].blank(TASKS[task].Settings(), OUTPUTS)
                bundle = build(blank, tables["input"], tables["encoder"])
                return kind, task, describe(bundle, bundle.kind.spec, STEPS[kind])
        except (RuntimeError, NotImplementedError):
            if device == "cpu":
                raise
    raise AssertionError


def page(name: str, results: list[dict[str, Any]]) -> str:
    """The page of the model ``name``."""
    kind, task, description = made(name)
    totals = description.totals
    lines = [
        said(name),
        f"| parameters | {totals.parameters:,} with input `{kind}` and the head of `{task}` for {OUTPUTS} outputs |",
        f'| settings | [`[encoder]`, name = "{name}"](../recipes.md#encoder-name--{name}) |',
        "",
        f"![{name}, layer by layer]({name}.svg)",
        "",
        f"For one sample of {_times(totals.input)} (time × channels × space) that is {short(totals.multiply_adds)} "
        f"multiply-adds; the weights take {short(totals.bytes)}B. `sees` is how many steps of the input one step of "
        "the layer sees, `stride` how many lie between two.",
        "",
        "| layer | kind | time × channels × space | parameters | multiply-adds | sees | stride |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for row in description.rows:
        sees = "∞" if math.isinf(row.field) else f"{row.field:,.0f}"
        work = short(row.multiply_adds).strip() if row.multiply_adds else ""
        weights = f"{row.parameters:,}" if row.parameters else ""
        rest = f"{_times(row.shape)} | {weights} | {work} | {sees} | {row.stride}"
        rest = rest if row.shape else f"not run here | {weights} | | |"
        lines.append(f"| `{row.name}` | {row.words} | {rest} |")
    if not all(row.shape for row in description.rows):
        lines += ["", NOT_RUN]
    lines += [
        "",
        "```",
        f"crnn show {name} --svg {name}.svg",
        f"crnn train {task} --data mine/ --model {name} --out runs/mine",
        "```",
        "",
        *figures(name, results),
    ]
    return "\n".join(lines) + "\n"


def said(name: str) -> str:
    """The beginning of the page: what the model's file says of it, what it reads and what it is for."""
    summary, _, more = (sys.modules[MODELS[name].__module__].__doc__ or "").strip().partition("\n")
    able = [(k, t) for m, k, t in combinations() if m == name]
    kinds, tasks = (", ".join(dict.fromkeys(words)) for words in zip(*able, strict=True))
    text = _sentence(summary, name) + (f"\n\n{_markdown(more.strip())}" if more.strip() else "")
    shapes = _markdown(" ".join((MODELS[name].__doc__ or "").strip().split("\n\n")[0].split()))
    return f"# {name}\n\n{text}\n\n| | |\n|---|---|\n| reads | {kinds} |\n| for | {tasks} |\n| shapes | {shapes} |"


def drawing(name: str) -> str:
    """The layers as SVG."""
    return draw(made(name)[2])


def _sentence(summary: str, name: str) -> str:
    text = summary.removeprefix(f"{name}: ")
    for each in MODELS:
        text = re.sub(rf"(?<![`\w]){each}(?=[,:])", f"`{each}`", text)
    return _linked(_markdown(text[0].upper() + text[1:]))


def _markdown(text: str) -> str:
    """A docstring's marks as Markdown's."""
    return _linked(text.replace("``", "`"))


def _linked(text: str) -> str:
    return re.sub(r"(?<!\[)arXiv (\d{4}\.\d{4,5})(?!\])", r"[arXiv \1](https://arxiv.org/abs/\1)", text)


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{n:,}" for n in shape[1:])


def main(names: list[str]) -> None:
    results = read()
    for name in names or MODELS:
        (ROOT / "docs" / "models" / f"{name}.md").write_text(page(name, results), encoding="utf-8")
        (ROOT / "docs" / "models" / f"{name}.svg").write_text(drawing(name), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
