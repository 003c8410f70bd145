"""One forward pass watched: what each module of a network is given and gives, computes and has seen of the input.

Hooks see each module's input and output, torch's own counter the arithmetic, and every tensor is followed from function
to function with what it has seen of the input and whose output it is, so that branches, loops and layers nobody foresaw
are described as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakTensorKeyDictionary

from crnn.layer_kinds import ADAPTIVE, CELLS, NORMS, RECURRENT, TRANSPOSED, WINDOWS


@dataclass(frozen=True, slots=True)
class Sight:
    """What a step of a tensor has seen of the input, how many steps there are, and whose output it is."""

    field: float
    stride: Fraction
    steps: int
    after: frozenset[nn.Module | None] = frozenset((None,))
    """The last layers that it came through; ``None`` is the input."""


@dataclass(slots=True)
class Seen:
    """What was seen of one module."""

    sight: Sight
    after: frozenset[nn.Module | None] = frozenset()
    shape: tuple[int, ...] = ()
    layer: bool = False
    """Whether it is worth a row, even if its weights were counted before."""
    calls: int = 0
    stepwise: bool = False
    """Whether each call was one step."""
    multiply_adds: int = 0


class Watch(TorchFunctionMode):
    """Follows one forward pass."""

    def __init__(self, net: nn.Module, x: Tensor, space: int) -> None:
        super().__init__()
        self.net, self.space = net, space
        cells = [m for m in net.modules() if isinstance(m, CELLS)]
        # an outer cell comes last, and has what is inside a cell inside it
        self.cells: dict[nn.Module, Any] = {part: cell for cell in reversed(cells) for part in cell.modules()}
        self.start = Sight(1.0, Fraction(1), x.shape[1])
        self.sights = WeakTensorKeyDictionary()
        self.sights[x] = self.start
        self.seen: dict[nn.Module, Seen] = {}
        self.counter = FlopCounterMode(display=False)
        self.open: list[list[int]] = []  # for each module at work: count at its start, count of the modules inside

    def run(self, inputs: Any) -> None:
        handles = [m.register_forward_pre_hook(self._enter) for m in self.net.modules()]
        handles += [m.register_forward_hook(self._leave) for m in self.net.modules()]
        training = [m for m in self.net.modules() if m.training]
        learned = [p for p in self.net.parameters() if p.requires_grad]
        self.net.eval().requires_grad_(False)  # torch's counter does not bear views of weights that learn
        try:
            # attention by plain products, which torch counts
            with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), self.counter, self:
                self.net(inputs)
        finally:
            for handle in handles:
                handle.remove()
            for module in training:
                module.training = True
            for parameter in learned:
                parameter.requires_grad_()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        sights = [self.sights[t] for t in _tensors((args, kwargs)) if t in self.sights]
        if sights:
            for tensor in _tensors(args[:1] if result is None else result):  # x[i] = y gives None
                self.sights[tensor] = _together(sights)
        return result

    def _sight(self, value: Any) -> Sight:
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
        before, inside_of = self._sight(inputs), self._sight(outputs)
        leaf, cell = next(module.children(), None) is None, self.cells.get(module)
        module = cell or module
        seen = self.seen.setdefault(module, Seen(before))
        seen.calls += 1
        if isinstance(module, nn.RNNBase):  # torch does not count what it hands to a library
            vectors = outputs[0].numel() // outputs[0].shape[-1]
            seen.multiply_adds += vectors * sum(p.numel() for p in module.parameters() if p.dim() > 1)
        elif not isinstance(module, NORMS):
            seen.multiply_adds += (spent - inside) // 2
        if not (inputs and outputs):
            return
        x, y = inputs[0], outputs[0]
        if cell is not None:  # a step, or the map of all inputs at once: (any, gates * size, *space)
            seen.layer, seen.stepwise, seen.sight = True, True, replace(before, field=math.inf)
            seen.shape = seen.shape or (1, before.steps, cell.size, *y.shape[2:])
        else:
            seen.layer |= _is_layer(module, seen, leaf and x.shape != y.shape)
            whole = x.shape[0] == 1 and x.dim() > 2 and (x.dim() == 3 or x.shape[2] == before.steps)
            over_time = x.dim() - 2 > self.space or whole
            seen.stepwise = y.shape[0] == 1 and seen.calls == before.steps and (y.dim() == 2 or not over_time)
            seen.sight = _look(module, before, inside_of, y, over_time)
            if seen.stepwise or not seen.shape:
                seen.shape = _shape(module, y, seen, over_time)
        seen.after = seen.after or (before if leaf or cell else inside_of).after
        # a pool that works again elsewhere is no longer where it stands in the table
        if seen.layer and (seen.calls == 1 or next(module.parameters(), None) is not None):
            seen.sight = replace(seen.sight, after=frozenset((module,)))
        for tensor in outputs:
            if tensor.is_floating_point() and seen.sight is not inside_of:  # else each has its own already
                self.sights[tensor] = seen.sight


def _is_layer(module: nn.Module, seen: Seen, changes_shape: bool) -> bool:
    own = next(module.parameters(recurse=False), None) is not None
    return own or changes_shape or bool(seen.multiply_adds) or isinstance(module, (*NORMS, *WINDOWS))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _together(sights: list[Sight]) -> Sight:
    after = frozenset[nn.Module | None]().union(*(s.after for s in sights))
    return Sight(max(s.field for s in sights), max(s.stride for s in sights), max(s.steps for s in sights), after)


def _look(module: nn.Module, before: Sight, inside: Sight, y: Tensor, over_time: bool) -> Sight:
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
            return Sight(before.field + float((reach - 1) * before.stride), before.stride / stride, y.shape[2])
        reach = dilation * (kernel - 1)
        return Sight(before.field + float(reach * before.stride), before.stride * stride, y.shape[2])
    if isinstance(m, ADAPTIVE) and over_time and y.shape[2] != before.steps:
        return Sight(math.inf, before.stride * Fraction(before.steps, max(1, y.shape[2])), y.shape[2])
    return inside


def _first(value: Any) -> int:
    return value[0] if isinstance(value, tuple) else value


def _shape(module: nn.Module, y: Tensor, seen: Seen, over_time: bool) -> tuple[int, ...]:
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
    if seen.stepwise and (channels_first or y.dim() == 2):
        return 1, seen.calls, *shape[1:]
    # the sample is one, so what lies along the first axis are its steps: frames, or a packed sequence
    return (1, *shape) if channels_first or (y.dim() == 2 and shape[0] > 1) else shape
