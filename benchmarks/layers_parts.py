"""The parts of ``layers.py``: each makes contestants, sees that they compute the same, and lets them race."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from layers_memory import RECOMPUTED, in_a_process, make
from layers_peers import (
    KerasConvLSTM,
    PackedLSTM,
    RCLLoop,
    SameConvGRU,
    UsualConvGRU,
    UsualConvLSTM,
    keras,
    mdlstm_by_the_cell,
)
from layers_timing import (
    CEILING,
    KINDS,
    OURS,
    TRAINING,
    WORKS,
    Contestant,
    Convolution,
    Row,
    at_best,
    contestant,
    faster,
    race,
)
from torch import Tensor, nn

from crnn.layers import ConvGRU, ConvLSTM, Recurrent
from crnn.layers.rcl import RCL, LocalNorm, StepNorm
from crnn.layers.scan2d import MDLSTM
from crnn.precision import autocast

Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Film:
    """A shape of the table of convolutional cells."""

    name: str
    steps: int
    batch: int
    inputs: int
    size: int
    side: int
    kernel: int

    @property
    def label(self) -> str:
        k = self.kernel
        return f"{self.name}: T{self.steps} B{self.batch} {self.inputs}->{self.size} {self.side}x{self.side} {k}x{k}"

    def convolution(self, gates: int) -> Convolution:
        places = (self.side, self.side)
        return Convolution(self.steps * self.batch, self.inputs + self.size, gates * self.size, self.kernel, places)


FILMS = tuple(
    Film(*film)
    for film in (
        ("A", 10, 4, 16, 64, 16, 5),
        ("B", 10, 4, 64, 64, 32, 3),
        ("C", 20, 2, 1, 32, 64, 3),
        ("D", 20, 8, 64, 64, 32, 3),
    )
)
SENTENCES = ((16, 160, 768, 256, 1), (16, 160, 768, 256, 2), (32, 60, 256, 128, 1), (4, 400, 512, 256, 1))
"""Batch, steps, inputs, size, layers of the BiLSTM."""
PICTURES = ((64, 96, 16), (64, 96, 8), (16, 96, 32))
"""Batch, channels, height and width of the RCL; the first two are those of RCNN-96 on CIFAR."""
GRIDS = ((1, 6, 10), (1, 6, 50), (8, 6, 50))
"""Batch, inputs, size of the MDLSTM, over 32 x 128 (height x time)."""


@dataclass(frozen=True, slots=True)
class Course:
    """What all races of a run have in common."""

    rounds: int
    device: str
    tell: Callable[[Row], None]

    def race(self, contestants: Mapping[str, Contestant]) -> dict[str, float]:
        return race(contestants, self.rounds, self.device)


def equal(found: Tensor, wanted: Tensor, what: str, within: float = 1e-3) -> None:
    """Contestants must compute the same; ``within`` is a share of the largest value."""
    far = (found.float() - wanted.float()).abs().max() / wanted.float().abs().max()
    if not far <= within:
        sys.exit(f"{what}: results differ by {far:.2g} of the largest value")


def first(layer: nn.Module, x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """``y`` of a layer that gives more."""
    return layer(x, lengths=lengths)[0]


def convlstm(course: Course, films: Sequence[Film] = FILMS) -> list[Row]:
    """ConvLSTM without peepholes against the usual one and Keras."""
    rows = []
    for film in films:
        x = torch.randn(film.batch, film.steps, film.inputs, film.side, film.side, device=course.device)
        ours = ConvLSTM(film.inputs, film.size, film.kernel, peepholes=False).to(course.device)
        usual = UsualConvLSTM(film.inputs, film.size, film.kernel).to(course.device)
        usual.take(ours.layers[0])  # type: ignore[arg-type]
        with torch.no_grad():
            equal(first(ours, x), usual(x), film.label)
        for work in WORKS:
            contestants = {}
            for precision in KINDS:
                contestants[f"{OURS} {precision}"] = contestant(
                    partial(first, ours), x, ours.parameters(), work, precision
                )
                contestants[f"usual {precision}"] = contestant(usual, x, usual.parameters(), work, precision)
                contestants |= film.convolution(4).contestants(work, precision, course.device)
                contestants |= by_keras(usual, x, work, precision)
            rows += told(
                course, course.race(contestants), "ConvLSTM", film.label, work, flops=film.convolution(4).flops(work)
            )
    return rows


def by_keras(usual: UsualConvLSTM, x: Tensor, work: str, precision: str) -> dict[str, Contestant]:
    """Keras in its faster layout, if it is there."""
    if keras() is None:
        return {}
    ways: dict[str, Contestant] = {}
    for channels_first in (True, False):
        policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision]
        layer = KerasConvLSTM(usual, x, channels_first=channels_first, policy=policy)
        given = layer.given(x)
        with torch.no_grad():
            y = layer(given)
            equal(y if channels_first else y.movedim(-1, 2), usual(x), "Keras", 1e-3 if policy == "float32" else 0.05)
        ways[str(channels_first)] = contestant(layer, given, layer.values, work)
    return {f"keras {precision}": ways[faster(ways, x.device.type)]}


def convgru(course: Course, films: Sequence[Film] = FILMS) -> list[Row]:
    """ConvGRU against the usual one, which is another function, and against a loop over its own equations."""
    rows = []
    for film in films:
        x = torch.randn(film.batch, film.steps, film.inputs, film.side, film.side, device=course.device)
        ours = ConvGRU(film.inputs, film.size, film.kernel).to(course.device)
        usual = UsualConvGRU(film.inputs, film.size, film.kernel).to(course.device)
        same = SameConvGRU(film.inputs, film.size, film.kernel).to(course.device)
        same.take(ours.layers[0])  # type: ignore[arg-type]
        with torch.no_grad():
            equal(first(ours, x), same(x), film.label)
        for work in WORKS:
            contestants = {}
            for precision in KINDS:
                contestants[f"{OURS} {precision}"] = contestant(
                    partial(first, ours), x, ours.parameters(), work, precision
                )
                contestants[f"usual {precision}"] = contestant(usual, x, usual.parameters(), work, precision)
                contestants[f"same {precision}"] = contestant(same, x, same.parameters(), work, precision)
                contestants |= film.convolution(3).contestants(work, precision, course.device)
            times = course.race(contestants)
            for layer, peer in (("ConvGRU", "usual"), ("ConvGRU (same equations)", "same")):
                flops = film.convolution(3).flops(work)
                rows += told(course, times, layer, film.label, work, usual=peer, flops=flops)
    return rows


def told(
    course: Course,
    times: Mapping[str, float],
    layer: str,
    shape: str,
    work: str,
    *,
    usual: str = "usual",
    flops: float | None = None,
) -> list[Row]:
    """A row for each precision of a race; ``flops`` of its ceiling."""
    rows = []
    for precision in KINDS:
        row = Row(
            layer=layer,
            shape=shape,
            work=work,
            precision=precision,
            ours=times[f"{OURS} {precision}"],
            usual=times.get(f"{usual} {precision}"),
            keras=times.get(f"keras {precision}"),
            ceiling=None if flops is None else at_best(times, precision),
            flops=flops,
        )
        course.tell(row)
        rows.append(row)
    return rows


def bilstm(course: Course) -> list[Row]:
    """A BiLSTM over padded batches against packed ``nn.LSTM``; shortest sample 0.4 of the longest, in no order."""
    rows = []
    for batch, steps, inputs, size, layers in SENTENCES:
        x = torch.randn(batch, steps, inputs, device=course.device)
        lengths = torch.linspace(0.4 * steps, steps, batch).long()[torch.randperm(batch)]
        ours = Recurrent(inputs, size, layers=layers, bidirectional=True).to(course.device)
        packed = PackedLSTM(ours, layers).to(course.device)
        shape = f"B{batch} T{steps} {inputs}->{size}" + f", {layers} layers" * (layers > 1)
        runs: dict[str, Run] = {
            OURS: partial(first, ours, lengths=lengths.to(course.device)),
            "usual": partial(packed, lengths=lengths),
        }
        modules: dict[str, nn.Module] = {OURS: ours, "usual": packed}
        for precision, within in (("float32", 1e-3), ("bfloat16", 0.05)):
            answers = [answer(run, x, precision) for run in runs.values()]
            for found, wanted in zip(*answers, strict=True):
                equal(found, wanted, f"BiLSTM {shape} {precision}", within)
        for work in WORKS:
            contestants = {
                f"{name} {precision}": contestant(run, x, modules[name].parameters(), work, precision)
                for precision in KINDS
                for name, run in runs.items()
            }
            rows += told(course, course.race(contestants), "BiLSTM", shape, work)
    return rows


def answer(run: Run, x: Tensor, precision: str) -> tuple[Tensor, Tensor]:
    """What ``run`` gives for ``x``, and the gradient of the input."""
    x = x.detach().requires_grad_()
    with autocast(precision, x.device.type):
        y = run(x)
    return y.detach(), torch.autograd.grad(y.float().square().sum(), x)[0]


def rcl(course: Course) -> list[Row]:
    """RCL of three steps with each of its norms against the loop, each in the layout that is faster for it."""

    def local(channels: int) -> nn.Module:
        return nn.LocalResponseNorm(channels // 8 + 1, alpha=1e-3, beta=0.75, k=1.0)

    rows = []
    for batch, channels, side in PICTURES:
        for name, norm, usual_norm in (("LRN", LocalNorm, local), ("batch norm", StepNorm, nn.BatchNorm2d)):
            ours = RCL(channels, channels, norm=norm).to(course.device)
            loop = RCLLoop(ours, [usual_norm(channels) for _ in range(ours.steps + 1)]).to(course.device)
            layouts = (torch.contiguous_format, torch.channels_last)
            x = torch.randn(batch, channels, side, side, device=course.device)
            equal(first(ours, x), loop(x), f"RCL {name}")
            once = Convolution(batch, channels, channels, 3, (side, side))
            for work in WORKS:
                contestants: dict[str, Contestant] = {}
                for precision in KINDS:
                    for kind, run, module in ((OURS, partial(first, ours), ours), ("usual", loop, loop)):
                        ways = {
                            str(layout): contestant(
                                run, x.to(memory_format=layout), module.parameters(), work, precision
                            )
                            for layout in layouts
                        }
                        contestants[f"{kind} {precision}"] = ways[faster(ways, course.device)]
                    contestants |= once.contestants(work, precision, course.device)
                times = course.race(contestants)
                all_steps = 1 + ours.steps
                times = {n: ms * all_steps if n.startswith(CEILING) else ms for n, ms in times.items()}
                shape, flops = f"B{batch} {channels} {side}x{side}", all_steps * once.flops(work)
                rows += told(course, times, f"RCL, {name}", shape, work, flops=flops)
    return rows


def mdlstm(course: Course) -> list[Row]:
    """MDLSTM from four corners over 32 x 128 against the loop over its cells, which takes seconds: few rounds."""
    rows = []
    for batch, inputs, size in GRIDS:
        ours = MDLSTM(inputs, size).to(course.device)
        x = torch.randn(batch, inputs, 128, 32, device=course.device)
        by_cells = partial(mdlstm_by_the_cell, ours)
        with torch.no_grad():
            equal(ours(x), by_cells(x), "MDLSTM")
        for work in WORKS:
            contestants = {
                OURS: contestant(ours, x, ours.parameters(), work),
                "usual": contestant(by_cells, x, ours.parameters(), work),
            }
            times = race(contestants, max(1, course.rounds // 3), course.device)
            row = Row(
                layer="MDLSTM",
                shape=f"B{batch} {inputs}->4x{size} 32x128",
                work=work,
                precision="float32",
                ours=times[OURS],
                usual=times["usual"],
            )
            course.tell(row)
            rows.append(row)
    return rows


def recompute(course: Course) -> tuple[list[Row], dict[str, dict[str, float]]]:
    """Training with and without ``recompute``: times in turns (ours: with it, usual: without), and memory in processes
    of their own, that of the usual ConvLSTM beside it."""
    rows, memory = [], {}
    for name, shape in RECOMPUTED.items():
        at = " x ".join(map(str, shape))
        contestants: dict[str, Contestant] = {}
        for precision in KINDS:
            for label, again in ((OURS, True), ("usual", False)):
                layer, x = make(name, again)
                layer, x = layer.to(course.device), x.to(course.device)
                contestants[f"{label} {precision}"] = contestant(
                    partial(first, layer), x, layer.parameters(), TRAINING, precision
                )
                key = f"{name}, {at}, {precision}, {'recompute' if again else 'plain'}"
                memory[key] = in_a_process(name, again, precision, course.device)
            if name == "ConvLSTM":
                memory[f"the usual {name}, {at}, {precision}"] = in_a_process("usual", False, precision, course.device)
        rows += told(course, course.race(contestants), f"{name}, recompute", at, TRAINING)
    return rows, memory
