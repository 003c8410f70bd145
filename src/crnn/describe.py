"""What a network is made of: a row for each layer with sizes, weights and arithmetic, and what its steps see.

Nothing here knows a particular model: one forward pass of one sample is watched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from crnn.errors import SettingsError
from crnn.layer_kinds import CELLS, Role, role_of, words_for
from crnn.layers import Recurrent
from crnn.types import InputSpec, Seq
from crnn.watch import Seen, Watch

if TYPE_CHECKING:
    from crnn.bundle import Bundle

NOT_RUN = (
    "Layers that are not run here hold weights for what this sample does not bring, such as the sentence of a pair, or "
    "are only there for training."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One layer. ``field`` is how many input steps one of its steps sees, ``stride`` how many lie between two."""

    name: str
    kind: str
    """In words: conv 3×3, stride 2×2. Sizes are time × space."""
    role: Role
    shape: tuple[int, ...]
    """Of the output, ``(batch, time, channels, *space)``; empty where the layer gives no tensor or is not run: what
    reads the other half of a pair, say, which this sample does not bring."""
    parameters: int
    multiply_adds: int
    """For the whole sample; what convolutions, matrix products and recurrences do, biases and norms left out."""
    field: float
    stride: Fraction
    direction: Literal["", "forward", "backward", "both"] = ""
    after: tuple[str, ...] = ()
    """Names of the rows whose outputs it takes, in the order of the rows; "" is the input."""
    times: int = 1
    """How often it works where that is not once a step; ``multiply_adds`` are those of all times, ``shape`` of one."""

    @property
    def words(self) -> str:
        """``kind``, and how often it works."""
        return f"{self.kind}, {self.times} times" if self.times > 1 else self.kind


@dataclass(frozen=True, slots=True)
class Totals:
    """The whole network on an input of shape ``input``."""

    input: tuple[int, ...]
    parameters: int
    multiply_adds: int
    bytes: int
    """Memory of parameters and buffers."""


@dataclass(frozen=True, slots=True)
class Description:
    """The layers in the order in which they work, and their sums."""

    rows: tuple[Row, ...]
    totals: Totals


def describe(network: nn.Module | Bundle, spec: InputSpec | Mapping[str, InputSpec], steps: int) -> Description:
    """The layers of a network (or an encoder alone) for one sample of ``steps`` steps of what ``spec`` says; of several
    inputs by name, each has so many, and the first is the one whose steps are counted.

    Activations and dropout are left out, as is whatever neither holds weights, computes nor changes the shape. A cell
    of ``crnn.layers`` is one row, with all that is inside it. A layer that loops over time without torch's recurrent
    modules and without these says so by a class attribute ``recurs = True``.
    Weights that several layers share are counted once. Raises ``SettingsError`` if ``steps`` is not positive.
    """
    if steps < 1:
        raise SettingsError(f"steps is {steps}", expected="1 or more", do="Give a usual length: --steps 1000.")
    specs = spec if isinstance(spec, Mapping) else {"": spec}
    net = network if isinstance(network, nn.Module) else network.net
    weights = next(net.parameters(), torch.zeros(()))
    inputs = {name: _blank(each, steps, weights) for name, each in specs.items()}
    first = next(iter(inputs.values()))
    watch = Watch(net, first.x, first.x.dim() - 3)
    watch.run(inputs if specs is spec else first)
    rows = tuple(_rows(net, watch))
    tensors = [*net.parameters(), *net.buffers()]
    return Description(
        rows,
        Totals(
            tuple(first.x.shape),
            sum(row.parameters for row in rows),
            sum(row.multiply_adds for row in rows),
            sum(t.numel() * t.element_size() for t in tensors),
        ),
    )


def _blank(spec: InputSpec, steps: int, weights: Tensor) -> Seq:
    """One empty sample."""
    kind = torch.long if spec.vocabulary else None
    x = torch.zeros(1, steps, spec.channels, *spec.space, device=weights.device, dtype=kind)
    return Seq(x, torch.tensor([steps], device=weights.device))


def _rows(net: nn.Module, watch: Watch) -> Iterator[Row]:
    names = {m: name for name, m in net.named_modules() if watch.cells.get(m, m) is m}
    backward = {layer for m in names if isinstance(m, Recurrent) and m.ways == 2 for layer in m.layers[1::2]}
    order = {module: i for i, module in enumerate(watch.seen)}
    counted: set[nn.Parameter] = set()
    for module in [*watch.seen, *(m for m in names if m not in watch.seen)]:
        whole = isinstance(module, (nn.MultiheadAttention, *CELLS))  # rows for all that is inside them
        own = set(module.parameters(recurse=whole)) - counted
        counted |= own
        seen = watch.seen.get(module, Seen(watch.start))
        if own or seen.layer:
            role = role_of(module)
            direction = _direction(module, module in backward) if role == "recurrent" else ""
            yield Row(
                _name(names, module),
                words_for(module, direction),
                role,
                seen.shape,
                sum(p.numel() for p in own),
                seen.multiply_adds,
                seen.sight.field,
                seen.sight.stride,
                direction,
                tuple(_name(names, m) for m in sorted(seen.after, key=lambda m: -1 if m is None else order[m])),
                1 if seen.stepwise else max(1, seen.calls),
            )


def _name(names: dict[nn.Module, str], module: nn.Module | None) -> str:
    return "" if module is None else names[module] or type(module).__name__


def _direction(module: Any, backward: bool) -> Literal["forward", "backward", "both"]:
    if getattr(module, "bidirectional", False):
        return "both"
    return "backward" if backward else "forward"
