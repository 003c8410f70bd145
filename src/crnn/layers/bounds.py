"""Networks built of settings that a stranger wrote: never larger than the weights that came with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as modules
from torch.overrides import TorchFunctionMode

SPARE = 1000
"""Parts without weights that any network may have."""
PARTS = 16
"""Parts (modules, weights) for each array of weights."""
BUFFERS = 1 << 26
"""Numbers that are not learned, beyond as many as are."""


class _Undrawn(TorchFunctionMode):
    """No normal numbers are drawn: where there is no memory, torch loads its compiler to do so, for seconds."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (nn.init.normal_, torch.Tensor.normal_):
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


@contextmanager
def unreal(arrays: int) -> Iterator[None]:
    """What is built inside takes no memory, and at most ``PARTS`` for each of ``arrays``: ``ValueError`` otherwise."""
    own, left = get_ident(), SPARE + PARTS * arrays

    def count(*_: object) -> None:
        nonlocal left
        if get_ident() == own:
            left -= 1
            if left < 0:
                raise ValueError(f"a network of more than {SPARE + PARTS * arrays:,} parts for {arrays} weights")

    hooks = [modules.register_module_parameter_registration_hook(count)]
    hooks.append(modules.register_module_module_registration_hook(count))
    try:
        with torch.device("meta"), _Undrawn():
            yield
    finally:
        for hook in hooks:
            hook.remove()


def check_buffers(net: nn.Module, weights: int) -> None:
    """Raises ``ValueError`` if what ``net`` keeps beside its weights is far more than its ``weights`` numbers."""
    count = sum(buffer.numel() for buffer in net.buffers())
    if count > weights + BUFFERS:
        raise ValueError(f"{count:,} numbers beside {weights:,} weights")
