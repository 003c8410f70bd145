"""``crnn models`` and ``crnn show``: what networks there are, and what one is made of."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crnn.cli.options import Settings
from crnn.errors import SettingsError
from crnn.registry import suggest

if TYPE_CHECKING:
    from crnn.bundle import Bundle
    from crnn.describe import Description

TABLES = ("encoder", "input")
OUTPUTS, MOST_OUTPUTS = 80, 100_000
STEPS = {"picture": 64, "film": 16, "frames": 10, "sentence": 30, "scene": 1}
"""Steps of a typical input: columns of a picture, frames, words; any other has 1000."""
ROOM_FOR_NAMES = 110  # columns of a screen
Screen = Annotated[Console | None, Parameter(parse=False)]


def models(
    *,
    kind: Annotated[str | None, Parameter(help="Only what reads this kind of input.")] = None,
    task: Annotated[str | None, Parameter(help="Only what can do this task.")] = None,
    console: Screen = None,
) -> None:
    """The encoders there are, with what they read, for which tasks, and their size."""
    import torch

    from crnn.bundle import combinations
    from crnn.data.inputs import INPUTS
    from crnn.models import MODELS
    from crnn.registry import pick
    from crnn.tasks import TASKS

    for given, known, what in ((kind, INPUTS, "kind of input"), (task, TASKS, "task")):
        if given is not None:
            pick(given, known, what)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, caption_justify="left")
    table.caption = f"Parameters with {OUTPUTS} outputs, at the height of input that the model was made for."
    table.add_column("model", no_wrap=True)
    table.add_column("reads", max_width=16)
    table.add_column("height", justify="right")
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("for", max_width=16)
    table.add_column("")
    for name, model in MODELS.items():
        able = [(k, t) for m, k, t in combinations() if m == name and kind in (None, k) and task in (None, t)]
        if not able:
            continue
        with torch.device("meta"):  # sizes without numbers
            net = _fresh(name).net
        parameters = sum(p.numel() for p in net.parameters())
        kinds, tasks = (", ".join(dict.fromkeys(names)) for names in zip(*able, strict=True))
        height = str(getattr(model, "height", ""))
        table.add_row(name, kinds, height, f"{parameters:,}", tasks, _summary(name))
    (console or Console()).print(table)


def show(
    name: Annotated[str, Parameter(help="A model, a run folder, a .safetensors file or zoo:NAME.")],
    /,
    *,
    task: Annotated[str | None, Parameter(help="Task whose head it has. [default: the first that makes sense]")] = None,
    kind: Annotated[str | None, Parameter(help="Kind of input. [default: the first that it reads]")] = None,
    height: Annotated[int | None, Parameter(help="Height of the input. [default: what the model was made for]")] = None,
    outputs: Annotated[int, Parameter(help="Outputs of the head: letters and the blank, or classes.")] = OUTPUTS,
    steps: Annotated[
        int | None,
        Parameter(
            help="Time steps of a typical input. [default: 1000 columns of a line or moments of a sound or series, "
            "64 columns of a picture, 16 frames of a film, 30 words]"
        ),
    ] = None,
    svg: Annotated[Path | None, Parameter(help="Write a drawing of the network.")] = None,
    settings: Settings = None,
    console: Screen = None,
) -> None:
    """A network layer by layer: sizes, parameters, multiply-adds, receptive field, stride; and a drawing.

    crnn show crnn_vgg --height 32 --outputs 37
    crnn show runs/mine --svg network.svg
    """
    from crnn.describe import describe
    from crnn.drawing import draw
    from crnn.files import write_aside
    from crnn.models import MODELS

    console = console or Console()
    if name in MODELS:
        bundle = _fresh(name, task=task, kind=kind, height=height, outputs=outputs, settings=settings)
        facts = {"model": _summary(name), **_values(bundle.encoder)}
    else:
        bundle = _trained(name, fixed=task is kind is height is None and outputs == OUTPUTS and not settings)
        facts = _card(bundle)
    typical = STEPS.get(getattr(bundle.kind.spec, "kind", ""), 1000)
    description = describe(bundle, bundle.kind.spec, typical if steps is None else steps)
    console.print(name, style="bold", markup=False, highlight=False)
    console.print(_facts(facts))
    console.print(_layers(description, console.width))
    if svg is not None:
        with write_aside(svg) as file:
            file.write(draw(description))
        console.print(f"drawing: {svg}", markup=False, highlight=False)


def _fresh(
    name: str,
    *,
    task: str | None = None,
    kind: str | None = None,
    height: int | None = None,
    outputs: int = OUTPUTS,
    settings: list[str] | None = None,
) -> Bundle:
    """The model ``name`` with the head of ``task`` for that many outputs, on inputs of ``kind``."""
    from crnn.bundle import build, combinations
    from crnn.config import assign
    from crnn.data.inputs import INPUTS
    from crnn.models import MODELS
    from crnn.registry import pick
    from crnn.tasks import TASKS

    if not 2 <= outputs <= MOST_OUTPUTS:
        raise SettingsError(
            f"outputs is {outputs}",
            expected=f"2 (the blank and a letter) to {MOST_OUTPUTS:,}",
            do="Give the number of letters and one more.",
        )
    model = MODELS[name]
    if kind is not None and kind not in model.accepts:
        pick(kind, INPUTS, "kind of input")
        raise SettingsError(
            f"{name} is asked to read the kind {kind!r}",
            expected=f"what it reads: {', '.join(model.accepts)}",
            do=f"Leave --kind out, or see what reads it: crnn models --kind {kind}",
        )
    able = [(k, t) for m, k, t in combinations() if m == name]
    kind = kind or next((k for k, t in able if task in (None, t)), model.accepts[0])
    task = task or next((t for k, t in able if k == kind), "classify")
    tables: dict[str, Any] = {"encoder": {"name": name}, "input": {"name": kind}}
    height = getattr(model, "height", None) if height is None else height
    if height is not None:
        tables["input"]["height"] = height
    tables = assign(tables, settings or [])
    if unknown := set(tables) - set(TABLES):
        table = min(unknown)
        raise SettingsError(f"--set {table}", expected="a value of encoder or input", do=suggest(table, TABLES))
    if tables["encoder"]["name"] != name:
        other = tables["encoder"]["name"]
        raise SettingsError(f"--set encoder.name={other}", expected=f"settings of {name}", do=f"Use: crnn show {other}")
    task_class = pick(task, TASKS, "task")
    if task_class.of_columns:
        tables["input"].setdefault("channels", outputs)
    return build(task_class.blank(task_class.Settings(), outputs), tables["input"], tables["encoder"])


def _trained(name: str, *, fixed: bool) -> Bundle:
    """The bundle ``name``; ``fixed`` says that its sizes are left alone."""
    from crnn.bundle import load
    from crnn.models import MODELS

    path = Path(name)
    if not (name.startswith("zoo:") or path.exists() or path.suffix or len(path.parts) > 1):
        raise SettingsError(
            f"{name!r} is neither a model nor a file", expected="a model or a bundle", do=suggest(name, MODELS)
        )
    if not fixed:
        raise SettingsError(
            f"{name} is a trained network, whose sizes are fixed",
            expected="no --task, --kind, --height, --outputs or --set",
            do="Leave them out, or show the model: crnn models.",
        )
    return load(name)


def _summary(name: str) -> str:
    """What the model's file says of itself in its first line."""
    from crnn.models import MODELS

    text = (sys.modules[MODELS[name].__module__].__doc__ or "").split("\n")[0]
    return text.removeprefix(f"{name}: ")


def _card(bundle: Bundle) -> dict[str, str]:
    """What a bundle says of itself."""
    card = dict(bundle.card)
    facts = {"model": f"{bundle.encoder['name']}: {_summary(bundle.encoder['name'])}", **_values(bundle.encoder)}
    facts["task"] = bundle.task.name
    facts |= bundle.task.facts()
    figures = card.get("valid") or {}
    if figures:
        text = bundle.task.say(figures) if set(bundle.task.figures) <= set(figures) else _join(figures)
        facts["validation"] = text
    for key in ("test", "data", "source", "licence", "samples", "epoch", "train_seconds", "started"):
        if card.get(key):
            value = card[key]
            facts[key.replace("_", " ")] = _join(value) if isinstance(value, Mapping) else str(value)
    facts.setdefault("licence", "not given")
    return facts


def _values(encoder: Mapping[str, Any]) -> dict[str, str]:
    return {"settings": _join({key: value for key, value in encoder.items() if key != "name"})}


def _join(values: Mapping[str, Any]) -> str:
    def say(value: Any) -> str:
        if isinstance(value, (list, tuple)):
            return "-".join(map(say, value))
        if isinstance(value, float):
            return f"{value:.4g}"
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)

    return ", ".join(f"{key} {say(value)}" for key, value in values.items())


def _facts(facts: Mapping[str, str]) -> Table:
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    for key, value in facts.items():
        table.add_row(Text(key, style="dim"), Text(value))
    return table


def _layers(description: Description, width: int) -> Table:
    """The table of layers, ending in the sums; on a narrow screen without the layers' names."""
    from crnn.describe import NOT_RUN
    from crnn.drawing import short

    totals, named = description.totals, width >= ROOM_FOR_NAMES
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_footer=True, caption_justify="left")
    if named:
        table.add_column("layer", "whole network")
    table.add_column("kind", f"{short(totals.bytes)}B of weights")
    table.add_column("time×channels" + ("\n×space" if len(totals.input) > 3 else ""))
    for head, foot in (
        ("parameters", f"{totals.parameters:,}"),
        ("million\nmult-adds", _millions(totals.multiply_adds)),
        ("sees", ""),
        ("stride", ""),
    ):
        table.add_column(head, foot, justify="right", no_wrap=True)
    table.add_row(*["input"][:named], "" if named else "input", _shape(totals.input))
    for row in description.rows:
        sees = "∞" if math.isinf(row.field) else f"{row.field:,.0f}"
        weights = f"{row.parameters:,}" if row.parameters else ""
        work = _millions(row.multiply_adds) if row.multiply_adds else ""
        cells = (row.words, _shape(row.shape), weights, work, sees, str(row.stride))
        if not row.shape:
            cells = (row.words, "not run here", weights, "", "", "")
        table.add_row(*[escape(row.name)][:named], *cells)
    table.caption = (
        "Sizes are time × space, for one sample. sees: input steps that one step of the layer sees; stride: input "
        "steps from one to the next."
    )
    if not all(row.shape for row in description.rows):
        table.caption += f" {NOT_RUN}"
    return table


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape[1:]))


def _millions(number: int) -> str:
    return f"{number / 1e6:,.2f}"
