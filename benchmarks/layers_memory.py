"""What one training step of a layer needs of memory, measured in a process of its own.

    python benchmarks/layers_memory.py ConvLSTM --recompute --precision float32

prints as JSON ``peak_mb``, by how much the process (on a GPU: the allocator) grew at most during the step beyond what
it held before, and ``held_mb``, what of that it still held between the forward and the backward pass.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch
from layers_peers import UsualConvLSTM
from torch import Tensor, nn

from crnn.layers import ConvGRU, ConvLSTM
from crnn.layers.rcl import RCL, LocalNorm
from crnn.precision import autocast

FILM, PICTURES = (4, 40, 64, 32, 32), (64, 96, 16, 16)  # 40 steps; what CIFAR is after the first pool of RCNN-96
RECOMPUTED = {"ConvLSTM": FILM, "ConvGRU": FILM, "RCL": PICTURES}
"""Layers that can recompute, and the shape of the input."""


def make(name: str, recompute: bool) -> tuple[nn.Module, Tensor]:
    """The layer and its input; as many outputs as inputs, 3 x 3. ``usual`` is the ConvLSTM that people write."""
    x = torch.randn(PICTURES if name == "RCL" else FILM)
    if name == "RCL":
        return RCL(x.shape[1], x.shape[1], norm=LocalNorm, recompute=recompute), x
    if name == "usual":
        return UsualConvLSTM(x.shape[2], x.shape[2], 3), x
    layer = {"ConvLSTM": ConvLSTM, "ConvGRU": ConvGRU}[name]
    return layer(x.shape[2], x.shape[2], recompute=recompute), x


def forward(layer: nn.Module, x: Tensor, precision: str) -> Tensor:
    with autocast(precision, x.device.type):
        y = layer(x)
    return y[0] if isinstance(y, tuple) else y


def backward(y: Tensor) -> None:
    y.backward(torch.ones_like(y))


def resident_mb(key: str) -> float:
    """``VmRSS`` or its highest value so far, ``VmHWM``."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{key}:")) / 1024


def measure(name: str, recompute: bool, precision: str, device: str) -> dict[str, float]:
    """Megabytes beyond what was held before the step."""
    layer, x = make(name, recompute)
    layer, x = layer.to(device), x.to(device).requires_grad_()
    small = x[:1, :2] if x.dim() == 5 else x[:1]
    backward(forward(layer, small.detach().requires_grad_(), precision))  # what libraries take once for themselves
    layer.zero_grad()
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        y = forward(layer, x, precision)
        held = torch.cuda.memory_allocated() - before
        backward(y)
        return {"peak_mb": (torch.cuda.max_memory_allocated() - before) / 2**20, "held_mb": held / 2**20}
    Path("/proc/self/clear_refs").write_text("5")  # sets the highest value back to the present one
    resident = resident_mb("VmRSS")
    y = forward(layer, x, precision)
    held_mb = resident_mb("VmRSS") - resident
    backward(y)
    return {"peak_mb": resident_mb("VmHWM") - resident, "held_mb": held_mb}


def in_a_process(name: str, recompute: bool, precision: str, device: str = "cpu") -> dict[str, float]:
    """The figures of this file from a process that has done nothing else."""
    command = [sys.executable, __file__, name, "--precision", precision, "--device", device]
    done = subprocess.run([*command, *["--recompute"] * recompute], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("layer", choices=[*RECOMPUTED, "usual"])
    parser.add_argument("--recompute", action="store_true")
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    print(json.dumps(measure(options.layer, options.recompute, options.precision, options.device)))


if __name__ == "__main__":
    main()
