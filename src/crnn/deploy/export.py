"""A bundle as an ONNX file, checked against torch at sizes that were not traced."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crnn.bundle import Bundle, fold
from crnn.deploy import _onnx_graph, onnx
from crnn.deploy.ready import SUFFIX
from crnn.errors import CrnnError, SettingsError
from crnn.files import write_aside
from crnn.types import InputSpec, Seq

MOST = 1e-4
"""The greatest difference to torch that is let pass, in units of the largest answer if that is more than 1."""
TRACED = {False: (47, 33), True: (5, 3)}
"""Steps of the samples of the run that is followed; fewer where each is a picture."""
CHECKED = {
    False: ((90,), (61, 7, 33), (1, 2), (120, 5, 64, 64, 13)),
    True: ((1,), (7, 2, 4), (1, 2), (9, 1, 3)),
}
"""Steps of the samples of the batches that are compared."""
SIZES = ((0, 0), (13, 6), (-4, 9), (32, 0))
"""Rows and columns that the pictures of these batches have more than in training, where they may have any size."""
TASKS_REFUSED = {
    "caption": "its words are chosen one after the other by a search in Python",
    "nowcast": "its frames are foretold one after the other by a head that takes the encoder's states",
    "match": "it compares pictures with sentences, which are two networks",
    "detect": "its boxes are chosen among overlapping ones by code in Python",
    "restore": "its pictures are put together from tiles by code in Python",
}
"""Tasks that no ONNX file can do, and why."""
MODELS_REFUSED = {
    "pyramid": "how it brings a picture to its layers' sizes is decided in Python",
    "mdlstm_htr": "its recurrence goes over the diagonals of a picture, whose number ONNX wants to know beforehand",
}
"""Networks that no graph of ONNX can say for inputs of any length, and why."""


@dataclass(frozen=True, slots=True)
class Done:
    """What was written: bytes, and the greatest difference to torch (and what int8 adds to it)."""

    size: int
    difference: float
    rounding: float | None = None


def refusal(task: str, model: str) -> SettingsError | None:
    """Why networks for ``task`` with the encoder ``model`` are not exported, or ``None`` if they are."""
    why = TASKS_REFUSED.get(task) or MODELS_REFUSED.get(model)
    if why is None:
        return None
    what = f"the task {task!r}" if task in TASKS_REFUSED else f"the model {model!r}"
    return SettingsError(f"{what} cannot be exported: {why}", expected="another one", do="See docs/export.md.")


def export(bundle: Bundle, path: str | Path, *, opset: int = 17, int8: bool = False) -> Done:
    """Write ``bundle`` as the ONNX file ``path``: batches of any number, samples of any length, and in its metadata all
    that prediction needs. ``int8`` makes matrices and LSTMs smaller, see ``onnx.quantised``.

    Raises ``SettingsError`` for what ONNX cannot say, and where the graph answers otherwise than torch.
    """
    path = Path(path)
    refused = refusal(bundle.task.name, str(bundle.encoder["name"]))
    if refused is not None:
        raise refused
    if path.suffix.lower() != SUFFIX:
        raise SettingsError(f"the file {path.name!r}", expected=f"a name in {SUFFIX}", do="Rename it.")
    if not _onnx_graph.OLDEST <= opset <= _onnx_graph.NEWEST:
        expected = f"{_onnx_graph.OLDEST} to {_onnx_graph.NEWEST}"
        raise SettingsError(f"--opset is {opset}", expected=expected, do="Leave it out.")
    onnx.available()
    if len(getattr(bundle.task.settings, "scales", ())) > 0:
        given = "task.scales is set, by which pictures are seen at several sizes"
        raise SettingsError(
            given, expected="one size, where torch does not resize", do="Export it without: scales = []."
        )
    net = bundle.task.exported(fold(deepcopy(bundle.net).eval().cpu().float())).eval()
    model = graph_of(net, bundle.kind.spec, opset)
    graph = {
        **{"names": names_of(bundle.kind.spec), "levels": _levels(net), "opset": opset},
        **{"parameters": sum(p.numel() for p in net.parameters()), "precision": "int8" if int8 else "float32"},
    }
    values = {**bundle.description(), "graph": graph}
    plain = _onnx_graph.with_metadata(model, onnx.written(values, bundle.task.arrays()))
    difference = compared(net, bundle.kind.spec, plain, str(path))
    rounding = None
    if int8:
        plain = onnx.quantised(plain)
        rounding = _difference(net, bundle.kind.spec, plain)
    with write_aside(path, "wb") as file:
        file.write(plain)
    return Done(len(plain), difference, rounding)


def names_of(spec: InputSpec | Mapping[str, InputSpec]) -> list[str]:
    """Names of a network's inputs, none for the only one."""
    return list(spec) if isinstance(spec, Mapping) else []


def graph_of(net: Any, spec: InputSpec | Mapping[str, InputSpec], opset: int) -> Any:
    """The ONNX model of ``net``. Raises ``SettingsError`` for what cannot be said in one."""
    specs = list(spec.values()) if isinstance(spec, Mapping) else [spec]
    given = [part for one in specs for part in drawn(one, TRACED[_films(spec)])]
    with torch.no_grad():
        answer = net(_inputs(spec, given))
    inputs = onnx.input_names(names_of(spec))
    axes: dict[str, dict[int, str]] = {}
    for one, x, lengths in zip(specs, inputs[::2], inputs[1::2], strict=True):
        axes[x] = {0: "batch", 1: "time" if len(specs) == 1 else f"{x}.time", **_places(one)}
        axes[lengths] = {0: "batch"}
    axes["answer"] = {0: "batch"}
    if isinstance(answer, Seq):
        axes["answer"][1] = "steps"
        axes["steps"] = {0: "batch"}
    elif not isinstance(answer, Tensor):
        given_text = f"the head gives a {type(answer).__name__}"
        raise SettingsError(given_text, expected="a tensor, or one with lengths", do="See docs/export.md.")
    outputs = ["answer", "steps"] if isinstance(answer, Seq) else ["answer"]
    try:
        flat = _onnx_graph.Flat(net, names_of(spec))
        return _onnx_graph.graph(flat, given, inputs=inputs, outputs=outputs, axes=axes, opset=opset)
    except CrnnError:
        raise
    except Exception as error:  # whatever the exporter meets in a network of somebody's own
        line = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
        raise SettingsError(
            f"the network cannot be written as a graph ({type(error).__name__}: {line})",
            expected="one whose operators ONNX knows",
            do="See docs/export.md.",
        ) from error


def compared(net: Any, spec: InputSpec | Mapping[str, InputSpec], model: bytes, name: str) -> float:
    """The greatest difference between ``net`` and ``model``. Raises ``SettingsError`` if it is too great."""
    do = "Please report it, with the recipe; predict with the bundle meanwhile."
    try:
        difference = _difference(net, spec, model)
    except Exception as error:  # the library's errors have no common base
        line = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        given = f"the graph cannot run at other sizes than those it was traced with ({line})"
        raise SettingsError(given, expected="the answers of torch", do=do, file=name) from error
    if not difference <= MOST:
        given = f"the graph's answers differ from torch's by {difference:.1e}"
        raise SettingsError(given, expected=f"no more than {MOST:.0e}", do=do, file=name)
    return difference


def _difference(net: Any, spec: InputSpec | Mapping[str, InputSpec], model: bytes) -> float:
    session = onnx.session_of(model)
    run = onnx.OnnxNet(session, {"names": names_of(spec), "levels": [], "parameters": 0, "precision": ""})
    specs = list(spec.values()) if isinstance(spec, Mapping) else [spec]
    worst = 0.0
    for steps, more in zip(CHECKED[_films(spec)], SIZES, strict=True):
        given = [part for one in specs for part in drawn(one, steps, more)]
        with torch.no_grad():
            right = net(_inputs(spec, given))
        found = run(_inputs(spec, [part.numpy() for part in given]))
        for one, other in zip(_rows(right), _rows(found), strict=True):
            if one.shape != other.shape:
                return float("inf")
            largest = max(1.0, float(np.abs(one).max(initial=0.0)))
            worst = max(worst, float(np.abs(one - other).max(initial=0.0)) / largest)
            if not np.isfinite(other).all():
                return float("inf")
    return worst


def drawn(spec: InputSpec, steps: tuple[int, ...], more: tuple[int, int] = (0, 0)) -> tuple[Tensor, Tensor]:
    """Samples of so many ``steps`` that no data look like, the same each time, and 9 behind each's end."""
    chance = torch.Generator().manual_seed(sum(steps))
    space = tuple(max(8, size + m) for size, m in zip(spec.space, more, strict=True)) if _places(spec) else spec.space
    shape = (len(steps), max(steps), spec.channels, *space)
    if spec.vocabulary:
        x = torch.randint(spec.vocabulary, shape, generator=chance)
    else:
        x = torch.randn(shape, generator=chance)
    lengths = torch.tensor(steps)
    behind = torch.arange(shape[1]) >= lengths[:, None]
    x[behind] = min(9, (spec.vocabulary or 10) - 1)
    return x, lengths


def _films(spec: InputSpec | Mapping[str, InputSpec]) -> bool:
    """Whether steps are pictures."""
    return any(len(one.space) == 2 for one in (spec.values() if isinstance(spec, Mapping) else [spec]))


def _places(spec: InputSpec) -> dict[int, str]:
    """Axes of space that may have any size."""
    return {3: "height", 4: "width"} if spec.kind == "scene" else {}


def _inputs(spec: InputSpec | Mapping[str, InputSpec], given: Any) -> Any:
    seqs = [Seq(x, lengths) for x, lengths in zip(given[::2], given[1::2], strict=True)]
    return dict(zip(spec, seqs, strict=True)) if isinstance(spec, Mapping) else seqs[0]


def _rows(answer: Any) -> list[np.ndarray]:
    """What is said of each sample, without padding."""
    if isinstance(answer, Seq):
        return [np.asarray(row)[:count] for row, count in zip(answer.x, answer.lengths.tolist(), strict=True)]
    return list(np.asarray(answer))


def _levels(net: Any) -> list[Any]:
    return [[level.channels, list(level.space), level.stride] for level in net.encoder.levels]
