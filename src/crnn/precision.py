"""Which number format is fast here: found out by measuring, once a process."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from functools import cache

import torch
from torch import nn

from crnn.config import Precision


@cache
def fastest(device: str = "cpu") -> Precision:
    """``bfloat16`` where a convolution in it is at least 1.2 times as fast as in float32, else ``float32``."""
    if device != "cpu":
        return "bfloat16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "float32"
    state = torch.get_rng_state()
    conv = channels_last(nn.Conv2d(64, 64, 3, padding=1))
    x = torch.randn(8, 64, 128, 16).to(memory_format=torch.channels_last)
    torch.set_rng_state(state)
    times = {}
    with torch.no_grad():
        for kind in ("float32", "bfloat16"):
            with autocast(kind):
                conv(x)
                times[kind] = min(_seconds(conv, x) for _ in range(5))
    return "bfloat16" if times["bfloat16"] * 1.2 < times["float32"] else "float32"


def channels_last(net: nn.Module) -> nn.Module:
    """``net`` with its filters laid out for the fast convolutions; it takes its activations along."""
    for parameter in net.parameters():
        if parameter.dim() in (4, 5):
            layout = torch.channels_last if parameter.dim() == 4 else torch.channels_last_3d
            parameter.data = parameter.data.contiguous(memory_format=layout)
    return net


def _seconds(net: nn.Module, x: torch.Tensor) -> float:
    start = time.perf_counter()
    net(x)
    return time.perf_counter() - start


def resolve(precision: Precision, device: str = "cpu") -> Precision:
    """``auto`` answered for this machine."""
    return fastest(device) if precision == "auto" else precision


def autocast(precision: str, device: str = "cpu") -> AbstractContextManager[None]:
    """Arithmetic in ``precision`` inside the block."""
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")
