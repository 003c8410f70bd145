"""What a forecaster of frames costs: a training step and a forecast, against length and size of the frames.

    python benchmarks/nowcast_cost.py --json results/nowcast_cost.json --plot docs/nowcast-cost.svg

The network is ``convlstm`` (patches of 4 x 4, layers of 32 and 16 channels, 5 x 5) on batches of 4, float32, one
thread. Lengths and sizes are timed in turns, so that other work on the machine meets all of them; a figure is the
median. Memory is what a training step holds beside the weights, with and without ``recompute``. ``slope`` is the
exponent of a power law through the points: 1 is linear growth.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crnn.bundle import Bundle, build
from crnn.data.inputs import restore
from crnn.files import write_aside
from crnn.svg import LINE, picture, text
from crnn.tasks import TASKS
from crnn.train.report import Result, write_json
from crnn.types import Batch, Seq

LENGTHS, SIZES = (4, 8, 16, 32), (32, 64, 96, 128)  # frames seen, and as many foretold; pixels each way
LENGTH, SIZE, BATCH = 8, 64, 4  # what stays where the other changes
Point = dict[str, float]


def network(length: int, size: int, *, recompute: bool = False) -> Bundle:
    kind = restore({"name": "frames", "scale": "unit"}, {"scale": "unit", "shape": [1, size, size]})
    task = TASKS["nowcast"](TASKS["nowcast"].Settings(past=length, future=length))
    torch.manual_seed(0)
    return build(task, kind, {"name": "convlstm", "hidden": [32, 16], "recompute": recompute})


def batch(length: int, size: int) -> Batch:
    x, lengths = torch.rand(BATCH, 2 * length, 1, size, size), torch.full((BATCH,), length)
    return Batch(tuple(map(str, range(BATCH))), Seq(x[:, :length], lengths), Seq(x[:, length:], lengths))


def step(bundle: Bundle, data: Batch) -> None:
    bundle.net.train()
    bundle.net.zero_grad()
    bundle.task.loss(bundle.net, data).backward()


def forecast(bundle: Bundle, data: Batch) -> None:
    bundle.net.eval()
    with torch.inference_mode():
        bundle.task.predict(bundle.net, data)


def held(bundle: Bundle, data: Batch) -> float:
    """Megabytes that are kept for the gradient, each tensor once."""
    kept: dict[int, int] = {}

    def note(x: torch.Tensor) -> torch.Tensor:
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    weights = {p.untyped_storage().data_ptr() for p in bundle.net.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        loss = bundle.task.loss(bundle.net, data)
    total = sum(size for place, size in kept.items() if place not in weights)
    del loss
    gc.collect()
    return total / 2**20


def measure(rounds: int) -> list[Point]:
    """A point for each length and size: seconds of a training step and of a forecast, megabytes."""
    shapes = [(length, SIZE) for length in LENGTHS] + [(LENGTH, size) for size in SIZES if size != SIZE]
    nets = {shape: network(*shape) for shape in shapes}
    data = {shape: batch(*shape) for shape in shapes}
    times: dict[Any, dict[str, list[float]]] = {shape: {"train": [], "forecast": []} for shape in shapes}
    for turn in range(rounds + 1):  # the first is not counted
        for shape in shapes:
            for name, work in (("train", step), ("forecast", forecast)):
                start = time.perf_counter()
                work(nets[shape], data[shape])
                if turn:
                    times[shape][name].append(time.perf_counter() - start)
    points = []
    for shape in shapes:
        point: Point = {"frames": 2 * shape[0], "side": shape[1], "pixels": shape[1] ** 2}
        point |= {name: statistics.median(values) for name, values in times[shape].items()}
        point["mb"] = held(nets[shape], data[shape])
        point["mb_recompute"] = held(network(*shape, recompute=True), data[shape])
        points.append(point)
    return points


def slope(points: list[Point], across: str, up: str) -> float:
    """The exponent of ``up`` against ``across``."""
    x, y = (np.log([point[name] for point in points]) for name in (across, up))
    return float(np.polyfit(x, y, 1)[0])


def of_length(points: list[Point]) -> list[Point]:
    return sorted((p for p in points if p["side"] == SIZE), key=lambda p: p["frames"])


def of_size(points: list[Point]) -> list[Point]:
    return sorted((p for p in points if p["frames"] == 2 * LENGTH), key=lambda p: p["pixels"])


def figures(points: list[Point]) -> dict[str, float]:
    found = {}
    for name, some, across in (("length", of_length(points), "frames"), ("pixels", of_size(points), "pixels")):
        found |= {f"{up}_by_{name}": slope(some, across, up) for up in ("train", "forecast", "mb")}
    last = of_length(points)[-1]
    return {**found, "recompute_memory": last["mb_recompute"] / last["mb"]}


def plot(points: list[Point]) -> str:
    """Milliseconds against frames and against pixels, side by side."""
    pieces = []
    for left, (some, across, label) in zip(
        (60, 400),
        ((of_length(points), "frames", "frames"), (of_size(points), "pixels", "pixels of a frame")),
        strict=True,
    ):
        pieces.append(f'<rect x="{left}" y="20" width="280" height="200" {LINE}/>')
        widest, highest = some[-1][across], 1.1 * max(p["train"] for p in some)
        for name, colour in (("train", "#2457c5"), ("forecast", "#e5484d")):
            spots = [(left + 280 * p[across] / widest, 220 - 200 * p[name] / highest) for p in some]
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
            pieces.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
            pieces += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in spots]
            words = "training step" if name == "train" else "forecast"
            pieces.append(text(left + 10, 38 if name == "train" else 54, words, "start", f' fill="{colour}"'))
            pieces.append(
                f'<rect x="{left + 96}" y="{30 if name == "train" else 46}" width="18" height="4" fill="{colour}"/>'
            )
        for share in (0.5, 1.0):
            pieces.append(text(left - 6, 224 - 200 * share / 1.1, f"{1000 * share * highest / 1.1:.0f} ms", "end"))
        for point in some:
            pieces.append(text(left + 280 * point[across] / widest, 236, f"{point[across]:.0f}", "middle"))
        pieces.append(text(left + 140, 254, label, "middle"))
    return picture(700, 262, "Cost of a training step and of a forecast", "".join(pieces))


def main(arguments: Mapping[str, Any]) -> None:
    torch.set_num_threads(1)
    points = measure(arguments["rounds"])
    found = figures(points)
    for point in points:
        print("  ".join(f"{name} {value:.4g}" for name, value in point.items()))
    print("  ".join(f"{name} {value:.3f}" for name, value in found.items()))
    if arguments["plot"]:
        with write_aside(arguments["plot"]) as file:
            file.write(plot(points) + "\n")
    if arguments["json"]:
        result = Result(
            name="nowcast_cost",
            task="nowcast",
            model="convlstm",
            data="made",
            split="all",
            metrics=found,
            baselines={f"{p['frames']:.0f} frames of {p['side']:.0f} x {p['side']:.0f}": p for p in points},
            command="python benchmarks/nowcast_cost.py",
            seed=0,
            threads=1,
            precision="float32",
            parameters=sum(p.numel() for p in network(LENGTH, SIZE).net.parameters()),
            train_seconds=None,
        )
        write_json(arguments["json"], result)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    main(vars(parser.parse_args()))
