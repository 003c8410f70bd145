"""Why gates: a tanh RNN, LSTM and GRU on the adding problem, and what reaches their early states of the gradient.

    python benchmarks/adding_problem.py --json results/adding_problem.json --plot docs/gradients.svg

The adding problem (Hochreiter & Schmidhuber 1997; as in Le, Jaitly & Hinton 2015, arXiv 1504.00941): each step shows a
number from 0 to 1 and a mark; two steps are marked, one in each half, and the answer after the last step is the sum of
their numbers. Who always says 1 has a mean squared error of 1/6. Each learning step draws new sequences, so nothing can
be learned by heart. One thread is enough; on one core all takes two minutes. The plot needs matplotlib.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from crnn.files import write_aside
from crnn.layers import Recurrent
from crnn.train.report import Result, write_json

LENGTHS, SIZE, BATCH, RATE, CLIP, SEED = (50, 100, 200), 32, 32, 0.01, 1.0, 0
MOST_STEPS, WINDOW, SOLVED = 2000, 50, 0.002  # learning ends when the mean of the last losses is below SOLVED
ALWAYS_ONE = 1 / 6  # the variance of the sum of two numbers, each even over 0 to 1
RADIUS, EXPLODING_LENGTH, EXPLODING_STEPS, EXPLODING_RATE = 1.5, 50, 300, 0.05


@dataclass(frozen=True, slots=True)
class Kind:
    """A network of the comparison; ``remember`` is the bias that the LSTM's forget gate starts with."""

    label: str
    cell: str
    colour: str
    remember: float = 0.0


Lines = dict[Kind, list[float]]
KINDS = (
    Kind("tanh RNN", "rnn", "#D55E00"),
    Kind("LSTM, forget bias 1", "lstm", "#56B4E9", 1.0),
    Kind("LSTM, forget bias 3", "lstm", "#0072B2", 3.0),
    Kind("GRU", "gru", "#009E73"),
)
EXPLODING = Kind(f"tanh RNN, spectral radius {RADIUS}", "rnn", "#CC79A7")


class Adder(nn.Module):
    """One recurrent layer, and a linear map of its last output to one number."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.recurrent = Recurrent(2, SIZE, cell=kind.cell)  # type: ignore[arg-type]
        self.out = nn.Linear(SIZE, 1)
        layer = self.recurrent.layers[0]
        with torch.no_grad():
            if kind.cell == "lstm":
                layer.bias_hh_l0.zero_()  # torch adds two biases
                layer.bias_ih_l0[SIZE : 2 * SIZE].fill_(kind.remember)
            if kind is EXPLODING:
                # a rotation times RADIUS; a weak input, since where tanh is saturated nothing grows
                layer.weight_hh_l0.copy_(RADIUS * torch.linalg.qr(torch.randn(SIZE, SIZE))[0])
                layer.weight_ih_l0.mul_(0.3)
                layer.bias_ih_l0.zero_()
                layer.bias_hh_l0.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.recurrent(x)[0][:, -1])[:, 0]


def draw(count: int, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """``count`` sequences ``(count, steps, 2)`` of numbers and marks, and their sums ``(count,)``."""
    half, each = steps // 2, torch.arange(count)
    numbers, marks = torch.rand(count, steps, generator=generator), torch.zeros(count, steps)
    first = torch.randint(0, half, (count,), generator=generator)
    second = torch.randint(half, steps, (count,), generator=generator)
    marks[each, first] = marks[each, second] = 1.0
    return torch.stack([numbers, marks], dim=-1), numbers[each, first] + numbers[each, second]


def smooth(values: list[float], window: int) -> list[float]:
    """Means of ``values`` over the last ``window`` of each place, fewer at the beginning."""
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    return [(sums[i] - sums[max(0, i - window)]) / min(i, window) for i in range(1, len(sums))]


def learn(net: Adder, optimizer: torch.optim.Optimizer, steps: int, clip: float) -> Iterator[tuple[float, float]]:
    """Loss and the norm of the gradient, before it is clipped to ``clip``, of one learning step after the other."""
    generator = torch.Generator().manual_seed(SEED + 1)
    while True:
        x, wanted = draw(BATCH, steps, generator)
        loss = (net(x) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
        yield loss.item(), norm.item()


def until_solved(net: Adder, steps: int, most: int) -> list[float]:
    """Losses of learning with Adam, until the task is solved or ``most`` steps are done."""
    losses: list[float] = []
    for loss, _ in learn(net, torch.optim.Adam(net.parameters(), RATE), steps, CLIP):
        losses.append(loss)
        solved = len(losses) >= WINDOW and statistics.fmean(losses[-WINDOW:]) < SOLVED
        if solved or len(losses) == most:
            break
    return losses


@torch.no_grad()
def error(net: Adder, steps: int) -> float:
    """Mean squared error on 1000 sequences that nobody has learned from."""
    x, wanted = draw(1000, steps, torch.Generator().manual_seed(SEED + 2))
    return (net(x) - wanted).square().mean().item()


def flow(net: Adder, steps: int) -> list[float]:
    """Norm of the gradient of a sequence's squared error in its state 0, 1, 2 ... steps before the end.

    As a share of that in the last state, the mean of 64 sequences, in double precision. An LSTM's state is its output
    and its cell together.
    """
    x, wanted = draw(64, steps, torch.Generator().manual_seed(SEED + 3))
    net, x = net.double(), x.double()
    states, state = [], None
    for t in range(steps):
        _, state = net.recurrent(x[:, t : t + 1], state)
        states.append(state[0])
    loss = (net.out(states[-1][0])[:, 0] - wanted).square().sum()  # of the state, of which y is a copy
    flat = torch.autograd.grad(loss, [s for state in states for s in state], materialize_grads=True)
    parts = len(states[0])
    norms = torch.stack([torch.cat(flat[i : i + parts], dim=-1).norm(dim=-1) for i in range(0, len(flat), parts)])
    net.float()
    return (norms / norms[-1]).mean(1).flip(0).tolist()


def plot(path: Path, curves: dict[int, Lines], flows: tuple[Lines, Lines], wild: list[tuple[str, list[float]]]) -> None:
    """Learning curves above; below, what is left of the gradient before and after learning, and an explosion."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        sys.exit("the plot needs matplotlib: pip install matplotlib (or leave out --plot)")
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    import matplotlib.ticker

    style: Any = {
        "font.size": 9.5,
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e6e8eb",
        "axes.edgecolor": "#8a929c",
        "lines.linewidth": 1.7,
        "legend.frameon": False,
        "svg.hashsalt": "crnn",  # the same file from the same figures
    }
    with plt.rc_context(style):
        limit: Any = {"color": "#444444", "ls": (0, (4, 3)), "lw": 1}
        figure, axes = plt.subplots(2, 3, figsize=(11.4, 6.6), layout="constrained")
        for axis, (steps, losses) in zip(axes[0], curves.items(), strict=True):
            axis.axhline(ALWAYS_ONE, **limit, label="always 1")
            for kind, values in losses.items():
                means = smooth(values, WINDOW)
                shown = [*range(WINDOW - 1, len(values) - 1, 5), len(values) - 1]
                axis.plot([i + 1 for i in shown], [means[i] for i in shown], color=kind.colour, label=kind.label)
                if len(values) < MOST_STEPS:
                    axis.plot(len(values), means[-1], "o", color=kind.colour, ms=4.5)
            axis.set(title=f"Learning, sequences of {steps}", xlabel="learning steps", yscale="log", ylim=(1e-3, 0.5))
            axis.set(xlim=(0, MOST_STEPS), xticks=range(0, MOST_STEPS + 1, 500))
        axes[0, 0].set_ylabel("mean squared error")
        for axis, shares, when in zip(axes[1], flows, ("before learning", "after learning"), strict=False):
            axis.axhline(1, **limit)
            for kind, values in shares.items():
                axis.plot(values, color=kind.colour, label=kind.label)
            axis.set(title=f"Gradient {when}", xlabel="steps before the last", yscale="log", ylim=(1e-42, 1e6))
            axis.yaxis.set_major_locator(matplotlib.ticker.LogLocator(base=1e6))
        axes[1, 0].set_ylabel("norm, as a share of the last state's")
        axis = axes[1, 2]
        axis.axhline(ALWAYS_ONE, **limit)
        for (label, batches), colour, place in zip(
            wild, (EXPLODING.colour, "#222222"), ((34, 1e9), (34, 3)), strict=True
        ):
            lost = f":\nnot a number any more after step {len(batches)}" if len(batches) < EXPLODING_STEPS else ""
            axis.plot(batches, color=colour, lw=1.3)
            axis.text(*place, label + lost, color=colour, va="center")
        axis.set(title="An explosion, and clipping", xlabel="learning steps", yscale="log", ylim=(0.05, 1e12))
        axis.set(xlim=(0, EXPLODING_STEPS), ylabel="squared error of each batch")
        for axis in axes.flat:
            axis.minorticks_off()
        handles = {
            label: handle
            for axis in (axes[0, 0], axes[1, 0])
            for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles))
        with write_aside(path, "wb") as file:
            undated = {"Date": None} if path.suffix == ".svg" else {}
            figure.savefig(file, format=path.suffix[1:], dpi=110, metadata=undated)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=MOST_STEPS, help="most learning steps of a network")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="a .svg or .png to draw")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    rows: dict[str, dict[str, float | None]] = {kind.label: {} for kind in KINDS}
    curves: dict[int, Lines] = {steps: {} for steps in LENGTHS}
    before: Lines = {}
    after: Lines = {}
    middle = LENGTHS[1]
    for steps in LENGTHS:
        for kind in KINDS:
            torch.manual_seed(SEED)
            net = Adder(kind)
            if steps == middle:
                before[kind] = flow(net, steps)
            losses = curves[steps][kind] = until_solved(net, steps, options.steps)
            if steps == middle:
                after[kind] = flow(net, steps)
            row = rows[kind.label]
            row[f"mse_{steps}"] = error(net, steps)
            row[f"steps_{steps}"] = len(losses) if len(losses) < options.steps else None
            print(f"{steps:4} steps, {kind.label:20} mse {row[f'mse_{steps}']:.4f} after {len(losses)}", flush=True)
    torch.manual_seed(SEED)
    before[EXPLODING] = flow(Adder(EXPLODING), middle)
    wild, extremes = [], {}
    for label, clip in (("not clipped", math.inf), ("clipped to norm 1", 1.0)):
        torch.manual_seed(SEED)
        net = Adder(EXPLODING)
        learning = learn(net, torch.optim.SGD(net.parameters(), EXPLODING_RATE), EXPLODING_LENGTH, clip)
        done = [next(learning) for _ in range(EXPLODING_STEPS)]
        alive = next((i for i, (loss, _) in enumerate(done) if not math.isfinite(loss)), len(done))
        wild.append((label, [loss for loss, _ in done[:alive]]))
        row = {"largest_mse": max(loss for loss, _ in done[:alive]), "finite_steps": alive}
        extremes[f"{EXPLODING.label}, {label}"] = row
        print(f"{label}: loss at most {row['largest_mse']:.3g}, a number for {alive} of {EXPLODING_STEPS} steps")
    for kind in (*KINDS, EXPLODING):
        row = rows.setdefault(kind.label, {})
        for when, shares in (("before", before), ("after", after)):
            if kind in shares:
                row[f"log10_gradient_{when}"] = math.log10(max(shares[kind][-1], 1e-300))
        print(f"{kind.label:32} share of the gradient {middle - 1} steps back: {before[kind][-1]:.1e} before", end="")
        print(f", {after[kind][-1]:.1e} after learning" if kind in after else "")
    seconds = time.process_time() - start
    print(f"{seconds:.0f} s of processor time")
    if options.plot:
        plot(options.plot, curves, (before, after), wild)
    if options.json:
        best = KINDS[2]
        result = Result(
            name="adding_problem",
            task="regress",
            model=best.label,
            data="adding problem, drawn anew",
            split="1000 fresh sequences",
            metrics=rows.pop(best.label),  # type: ignore[arg-type]
            baselines={**rows, "always 1": {f"mse_{n}": ALWAYS_ONE for n in LENGTHS}, **extremes},  # type: ignore[arg-type]
            command=f"python {os.path.relpath(sys.argv[0])} " + " ".join(sys.argv[1:]),
            seed=SEED,
            threads=1,
            precision="float32",
            parameters=sum(p.numel() for p in Adder(best).parameters()),
            train_seconds=seconds,
        )
        write_json(options.json, result)


if __name__ == "__main__":
    main()
