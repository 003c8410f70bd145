"""How the layers are timed: contestants take turns, medians count; and what the machine can do at best.

A contestant is a function without arguments. All of a race run once to warm up, then one after the other, round by
round, so that whatever else the machine does meets all of them alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from crnn.precision import autocast

Contestant = Callable[[], object]
FORWARD, TRAINING = "forward", "forward + backward"
WORKS = (FORWARD, TRAINING)
KINDS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
OURS, CEILING = "ours", "ceiling"  # names of contestants are these, then the precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: milliseconds of ours and of whom it is compared with, and of the work at the ceiling."""

    layer: str
    shape: str
    work: str
    precision: str
    ours: float
    usual: float | None = None
    keras: float | None = None
    ceiling: float | None = None
    flops: float | None = None
    """Of the work at the ceiling."""

    @property
    def label(self) -> str:
        return f"{self.layer}, {self.shape}, {self.work}, {self.precision}"

    def figures(self) -> dict[str, float]:
        """What there is of times in ms, of ratios of speed, and the share of the ceiling."""
        times = {"ours_ms": self.ours, "usual_ms": self.usual, "keras_ms": self.keras, "ceiling_ms": self.ceiling}
        ratios = {name: None if ms is None else ms / self.ours for name, ms in times.items() if name != "ours_ms"}
        found = {
            **times,
            "vs_usual": ratios["usual_ms"],
            "vs_keras": ratios["keras_ms"],
            "share_of_ceiling": ratios["ceiling_ms"],
            "ceiling_tflops": self.flops / self.ceiling / 1e9 if self.flops and self.ceiling else None,
        }
        return {name: value for name, value in found.items() if value is not None}


def race(contestants: Mapping[str, Contestant], rounds: int, device: str = "cpu") -> dict[str, float]:
    """Median milliseconds of each contestant."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for i in range(-1, rounds):
        for name, contestant in contestants.items():
            wait(device)
            start = time.perf_counter()
            contestant()
            wait(device)
            if i >= 0:
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(found) for name, found in times.items()}


def wait(device: str) -> None:
    """Until ``device`` has done what it was given."""
    if device != "cpu":
        torch.accelerator.synchronize()


def contestant(
    layer: Callable[[Tensor], Tensor], x: Tensor, parameters: Iterable[Tensor], work: str, precision: str = "float32"
) -> Contestant:
    """``layer(x)``, in training with the gradients of its input and of all parameters, under autocast in bfloat16."""
    device = x.device.type
    if work == FORWARD:

        def forward() -> None:
            with torch.no_grad(), autocast(precision, device):
                layer(x)

        return forward
    x = x.detach().requires_grad_()
    wanted = [x, *parameters]
    with torch.no_grad(), autocast(precision, device):
        y = layer(x)
    gradient = torch.randn_like(y)

    def training() -> None:
        with autocast(precision, device):
            y = layer(x)
        torch.autograd.grad(y, wanted, gradient)

    return training


def faster(contestants: Mapping[str, Contestant], device: str = "cpu") -> str:
    """The name of the fastest in a short trial, to choose among settings of one and the same contestant."""
    times = race(contestants, 2, device)
    return min(times, key=lambda name: times[name])


@dataclass(frozen=True, slots=True)
class Convolution:
    """The convolutions of a layer over all its frames at once: ``frames`` pictures of ``places``."""

    frames: int
    inputs: int
    outputs: int
    kernel: int
    places: tuple[int, int]

    def flops(self, work: str) -> float:
        forward = 2 * self.frames * self.places[0] * self.places[1] * self.inputs * self.outputs * self.kernel**2
        return forward * (1 if work == FORWARD else 3)

    def contestants(self, work: str, precision: str, device: str = "cpu") -> dict[str, Contestant]:
        """The one convolution, in both layouts of memory, all frames at once and in pieces that fit the caches
        better; the fastest of them is the ceiling."""
        kind = KINDS[precision]
        pieces = max(1, self.frames // 8)
        found: dict[str, Contestant] = {}
        for layout in (torch.contiguous_format, torch.channels_last):
            x = torch.randn(self.frames, self.inputs, *self.places, dtype=kind, device=device)
            weight = torch.randn(self.outputs, self.inputs, self.kernel, self.kernel, dtype=kind, device=device)
            x, weight = x.to(memory_format=layout), weight.to(memory_format=layout).requires_grad_()
            for parts in {1, pieces}:
                some = [part.contiguous(memory_format=layout) for part in x.chunk(parts)]
                runs = [contestant(self._convolve(weight), part, [weight], work) for part in some]
                found[f"{CEILING} {precision} {layout} {parts}"] = partial(_all, runs)
        return found

    def _convolve(self, weight: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda x: F.conv2d(x, weight, padding=self.kernel // 2)


def _all(contestants: Iterable[Contestant]) -> None:
    for run in contestants:
        run()


def at_best(times: Mapping[str, float], precision: str) -> float:
    """The least time of the convolutions of ``Convolution.contestants`` in a race."""
    return min(ms for name, ms in times.items() if name.startswith(f"{CEILING} {precision} "))


def matrix_products(rounds: int, device: str = "cpu") -> dict[str, float]:
    """TFLOP/s of the best matrix product, by precision."""
    best: dict[str, float] = {}
    for size in (1024, 2048, 4096):
        found: dict[str, Contestant] = {}
        for precision, kind in KINDS.items():
            a, b = (torch.randn(size, size, dtype=kind, device=device) for _ in range(2))
            found[precision] = partial(torch.mm, a, b)
        for precision, ms in race(found, rounds, device).items():
            best[precision] = max(best.get(precision, 0.0), 2 * size**3 / ms / 1e9)
    return best
