"""A network as an ONNX graph: what torch's exporter must be told of this package."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import BytesIO, StringIO
from typing import Any

import torch
from torch import Tensor, nn
from torch.onnx import symbolic_helper as helper

from crnn.errors import MissingExtra
from crnn.layers.exported import DOMAIN, NODE, Recurrence, recurrences
from crnn.types import Seq

OLDEST, NEWEST = 17, 20
"""Versions of ONNX's operators that are written."""


class Flat(nn.Module):
    """A net whose inputs and answers are tensors side by side: ``x`` and ``lengths`` of each input, in order."""

    def __init__(self, net: nn.Module, names: Sequence[str], told: Any = None) -> None:
        super().__init__()
        self.net, self.names, self.told = net, tuple(names), told
        self.eval()

    def forward(self, *given: Tensor) -> Any:
        seqs = [Seq(x, lengths) for x, lengths in zip(given[::2], given[1::2], strict=True)]
        inputs: Any = dict(zip(self.names, seqs, strict=True)) if self.names else seqs[0]
        y = self.net(inputs) if self.told is None else self.net(inputs, self.told)
        return (y.x, y.lengths) if isinstance(y, Seq) else y


def graph(
    flat: Flat,
    given: Sequence[Tensor],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    axes: Mapping[str, Mapping[int, str]],
    opset: int,
) -> Any:
    """The ONNX model (``onnx.ModelProto``) of ``flat``, traced with ``given``; ``axes`` are those that may have any
    size. What the exporter cannot say raises its error.

    It is the exporter that follows a run of the network (``dynamo=False``): the newer one cannot write a torch LSTM
    over any number of steps (torch 2.13).
    """
    torch.onnx.register_custom_op_symbolic("aten::movedim", _movedim, OLDEST)
    try:
        with recurrences() as found:
            model = _traced(flat, given, inputs, outputs, axes, opset)
        bodies = [_body(recurrence, opset) for recurrence in found]
    finally:
        torch.onnx.unregister_custom_op_symbolic("aten::movedim", OLDEST)
    for i, node in enumerate(model.graph.node):
        if node.domain == DOMAIN and node.op_type == NODE:
            (number,) = (a.i for a in node.attribute if a.name == "number")
            model.graph.node[i].CopyFrom(_repeated(node, bodies[number], f"steps{i}/"))
    kept = [one for one in model.opset_import if one.domain != DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return model


def with_metadata(model: Any, metadata: Mapping[str, str]) -> bytes:
    """The file of ``model`` with ``metadata``."""
    _onnx().helper.set_model_props(model, dict(metadata))
    model.producer_name = DOMAIN
    data: bytes = model.SerializeToString()
    return data


def _traced(
    module: nn.Module,
    given: Sequence[Tensor],
    inputs: Sequence[str],
    outputs: Sequence[str],
    axes: Mapping[str, Mapping[int, str]],
    opset: int,
) -> Any:
    file = BytesIO()
    with warnings.catch_warnings(), redirect_stdout(StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")  # it doubts every size that is a number; the check afterwards does not
        torch.onnx.export(
            module,
            tuple(given),
            file,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=opset,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes,
        )
    return _onnx().load_from_string(file.getvalue())


def _body(recurrence: Recurrence, opset: int) -> Any:
    """One step of a cell, for pictures and batches of any size."""
    parts = recurrence.step.parts
    before, after = ([f"{when}{i}" for i in range(parts)] for when in ("before", "after"))
    inputs, outputs = [*before, "z", "goes_on"], [*after, "y"]
    places = {axis: f"place{axis}" for axis in range(2, recurrence.given[0].dim())}
    axes = {name: {0: "batch", **(places if name != "goes_on" else {})} for name in [*inputs, *outputs]}
    return _traced(recurrence.step, recurrence.given, inputs, outputs, axes, opset).graph


def _repeated(node: Any, body: Any, prefix: str) -> Any:
    """``node`` as the operator Scan, which repeats ``body``."""
    zx, goes_on, *state = node.input
    y, *ends = node.output
    onnx = _onnx()
    named = onnx.compose.add_prefix_graph(body, prefix)  # names within may not be those of the graph around
    return onnx.helper.make_node(
        "Scan", [*state, zx, goes_on], [*ends, y], name=node.name, num_scan_inputs=2, body=named
    )


def _onnx() -> Any:
    try:
        import onnx
        import onnx.compose
    except ImportError as error:
        raise MissingExtra("onnx", "export") from error
    return onnx


def _movedim(g: Any, x: Any, source: Any, destination: Any) -> Any:
    """``torch.movedim`` as a transposition; the exporter's own takes no axes counted from the end."""
    rank = helper._get_tensor_rank(x)
    assert rank is not None, "the rank is known"
    moved = [[axis % rank for axis in _numbers(value)] for value in (source, destination)]
    rest = [axis for axis in range(rank) if axis not in moved[0]]
    order = []
    for place in range(rank):
        order.append(moved[0][moved[1].index(place)] if place in moved[1] else rest.pop(0))
    return g.op("Transpose", x, perm_i=order)


def _numbers(value: Any) -> list[int]:
    """Axes, one or several, of a constant of the graph."""
    return [int(n) for n in torch.as_tensor(helper._get_const(value, "t", "axes")).view(-1)]
