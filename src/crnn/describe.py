"""What a network is made of: a row for each layer with sizes, weights and arithmetic, and what its steps see.

Nothing here knows a particular model. One forward pass of one sample is watched: hooks see each module's input and
output, torch's own counter the arithmetic, and every tensor is followed from function to function with what it has
seen of the input, so that branches, loops and layers nobody foresaw are described as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakTensorKeyDictionary

from crnn.errors import SettingsError
from crnn.layer_kinds import ADAPTIVE, NORMS, RECURRENT, TRANSPOSED, WINDOWS, Role, role_of, words_for
from crnn.layers import Recurrent
from crnn.types import InputSpec, Seq

if TYPE_CHECKING:
    from crnn.bundle import Bundle


@dataclass(frozen=True, slots=True)
class Row:
    """One layer. ``field`` is how many input steps one of its steps sees, ``stride`` how many lie between two."""

    name: str
    kind: str
    """In words: conv 3×3, stride 2×2. Sizes are time × space."""
    role: Role
    shape: tuple[int, ...]
    """Of the output, ``(batch, time, channels, *space)``; empty where the layer gives no tensor or is not used."""
    parameters: int
    multiply_adds: int
    """For the whole sample; what convolutions, matrix products and recurrences do, biases and norms left out."""
    field: float
    stride: Fraction
    direction: Literal["", "forward", "backward", "both"] = ""


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

    Activations and dropout are left out, as is whatever neither holds weights, computes nor changes the shape. A
    layer that loops over time without torch's recurrent modules says so by a class attribute ``recurs = True``.
    Weights that several layers share are counted once. Raises ``SettingsError`` if ``steps`` is not positive.
    """
    if steps < 1:
        raise SettingsError(f"steps is {steps}", expected="1 or more", do="Give a usual length: --steps 1000.")
    specs = spec if isinstance(spec, Mapping) else {"": spec}
    net = network if isinstance(network, nn.Module) else network.net
    weights = next(net.parameters(), torch.zeros(()))
    inputs = {name: _blank(each, steps, weights) for name, each in specs.items()}
    first = next(iter(inputs.values()))
    watch = _Watch(net, first.x, first.x.dim() - 3)
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


@dataclass(frozen=True, slots=True)
class _Sight:
    """What a step of a tensor has seen of the input, and how many steps there are."""

    field: float
    stride: Fraction
    steps: int


@dataclass(slots=True)
class _Seen:
    """What was seen of one module."""

    sight: _Sight
    shape: tuple[int, ...] = ()
    changes_shape: bool = False
    calls: int = 0
    multiply_adds: int = 0


class _Watch(TorchFunctionMode):
    """Follows one forward pass."""

    def __init__(self, net: nn.Module, x: Tensor, space: int) -> None:
        super().__init__()
        self.net, self.space = net, space
        self.start = _Sight(1.0, Fraction(1), x.shape[1])
        self.sights = WeakTensorKeyDictionary()
        self.sights[x] = self.start
        self.seen: dict[nn.Module, _Seen] = {}
        self.counter = FlopCounterMode(display=False)
        self.open: list[list[int]] = []  # for each module at work: count at its start, count of the modules inside

    def run(self, inputs: Any) -> None:
        handles = [m.register_forward_pre_hook(self._enter) for m in self.net.modules()]
        handles += [m.register_forward_hook(self._leave) for m in self.net.modules()]
        training = [m for m in self.net.modules() if m.training]
        self.net.eval()
        try:
            # attention by plain products, which torch counts
            with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), self.counter, self:
                self.net(inputs)
        finally:
            for handle in handles:
                handle.remove()
            for module in training:
                module.training = True

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        sights = [self.sights[t] for t in _tensors((args, kwargs)) if t in self.sights]
        if sights:
            for tensor in _tensors(args[:1] if result is None else result):  # x[i] = y gives None
                self.sights[tensor] = _together(sights)
        return result

    def _sight(self, value: Any) -> _Sight:
        sights = [self.sights[t] for t in _tensors(value) if t in self.sights]
        return _together(sights) if sights else self.start

    def _enter(self, module: nn.Module, args: Any) -> None:
        self.open.append([self.counter.get_total_flops(), 0])

    def _leave(self, module: nn.Module, args: Any, result: Any) -> None:
        start, inside = self.open.pop()
        spent = self.counter.get_total_flops() - start
        if self.open:
            self.open[-1][1] += spent
        inputs, outputs = list(_tensors(args)), list(_tensors(result))
        before = self._sight(inputs)
        seen = self.seen.setdefault(module, _Seen(before))
        seen.calls += 1
        if isinstance(module, nn.RNNBase):  # torch does not count what it hands to a library
            vectors = outputs[0].numel() // outputs[0].shape[-1]
            seen.multiply_adds += vectors * sum(p.numel() for p in module.parameters() if p.dim() > 1)
        else:
            seen.multiply_adds += (spent - inside) // 2
        if not (inputs and outputs):
            return
        x, y = inputs[0], outputs[0]
        over_time = x.dim() - 2 > self.space or (x.dim() > 2 and x.shape[2] == before.steps)
        seen.sight = _look(module, before, self._sight(outputs), y, over_time)
        seen.changes_shape = x.shape != y.shape
        seen.shape = _shape(module, y, seen, over_time)
        for tensor in outputs:
            if tensor.is_floating_point():
                self.sights[tensor] = seen.sight


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _together(sights: list[_Sight]) -> _Sight:
    return _Sight(max(s.field for s in sights), max(s.stride for s in sights), max(s.steps for s in sights))


def _look(module: nn.Module, before: _Sight, inside: _Sight, y: Tensor, over_time: bool) -> _Sight:
    """What the output of ``module`` has seen; ``inside`` is what its own functions and modules make of it."""
    m: Any = module
    if isinstance(m, (*RECURRENT, nn.MultiheadAttention)) or getattr(m, "recurs", False):
        return replace(inside, field=math.inf)
    if isinstance(m, WINDOWS):
        if not over_time:
            return before
        kernel, stride, dilation = (_first(getattr(m, n, 1)) for n in ("kernel_size", "stride", "dilation"))
        if isinstance(m, TRANSPOSED):
            reach = -(-(dilation * (kernel - 1) + 1) // stride)
            return _Sight(before.field + float((reach - 1) * before.stride), before.stride / stride, y.shape[2])
        reach = dilation * (kernel - 1)
        return _Sight(before.field + float(reach * before.stride), before.stride * stride, y.shape[2])
    if isinstance(m, ADAPTIVE) and over_time and y.shape[2] != before.steps:
        return _Sight(math.inf, before.stride * Fraction(before.steps, max(1, y.shape[2])), y.shape[2])
    return inside


def _first(value: Any) -> int:
    return value[0] if isinstance(value, tuple) else value


def _shape(module: nn.Module, y: Tensor, seen: _Seen, over_time: bool) -> tuple[int, ...]:
    """The shape of ``y`` by the axis rule; a layer that sees one time step at a time is given its time axis back."""
    shape = tuple(y.shape)
    if isinstance(module, nn.RNNBase) and not module.batch_first and y.dim() == 3:
        return shape[1], shape[0], shape[2]
    if y.dim() < 2:
        return shape
    norm = isinstance(module, NORMS) and not isinstance(module, nn.LayerNorm)
    channels_first = norm or isinstance(module, (*WINDOWS, *ADAPTIVE))
    if not channels_first and y.dim() > 2:
        channels_first = shape[1] != seen.sight.steps == shape[2]
    if channels_first and y.dim() > 2 and over_time:
        return shape[0], shape[2], shape[1], *shape[3:]
    if channels_first or (y.dim() == 2 and seen.calls > 1):
        return (1, shape[0] * seen.calls, *shape[1:])
    return shape


def _rows(net: nn.Module, watch: _Watch) -> Iterator[Row]:
    names = {module: name for name, module in net.named_modules()}
    backward = {layer for m in names if isinstance(m, Recurrent) and m.ways == 2 for layer in m.layers[1::2]}
    counted: set[nn.Parameter] = set()
    for module in [*watch.seen, *(m for m in names if m not in watch.seen)]:
        whole = isinstance(module, nn.MultiheadAttention)  # which never calls the module inside it
        own = set(module.parameters(recurse=whole)) - counted
        counted |= own
        seen = watch.seen.get(module, _Seen(watch.start))
        leaf = next(module.children(), None) is None
        if own or seen.multiply_adds or (leaf and seen.changes_shape):
            role = role_of(module)
            direction = _direction(module, module in backward) if role == "recurrent" else ""
            yield Row(
                names.get(module, "") or type(module).__name__,
                words_for(module, direction),
                role,
                seen.shape,
                sum(p.numel() for p in own),
                seen.multiply_adds,
                seen.sight.field,
                seen.sight.stride,
                direction,
            )


def _direction(module: Any, backward: bool) -> Literal["forward", "backward", "both"]:
    if getattr(module, "bidirectional", False):
        return "both"
    return "backward" if backward else "forward"
