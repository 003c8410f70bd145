"""Kinds of layers: the part that a torch module plays in a network, and what it is in words."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn
from torch.nn.modules import conv as convolutions
from torch.nn.modules import pooling as pools

from crnn.layers import BatchNorm, Cell
from crnn.layers._axes import each
from crnn.layers.regular import Wrapped

Role = Literal["conv", "norm", "pool", "recurrent", "linear", "other"]

NORMS = (BatchNorm, nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)
POOLS = (pools._MaxPoolNd, pools._AvgPoolNd, pools._LPPoolNd)
ADAPTIVE = (pools._AdaptiveMaxPoolNd, pools._AdaptiveAvgPoolNd)
CELLS = (Cell, Wrapped)
RECURRENT = (nn.RNNBase, nn.RNNCellBase, *CELLS)
ROLES: tuple[tuple[Any, Role], ...] = (
    (convolutions._ConvNd, "conv"),
    (NORMS, "norm"),
    ((*POOLS, *ADAPTIVE), "pool"),
    (RECURRENT, "recurrent"),
    (nn.Linear, "linear"),
)
WINDOWS = (convolutions._ConvNd, *POOLS)
TRANSPOSED = convolutions._ConvTransposeNd
ARROWS = {"forward": " →", "backward": " ←", "both": " ↔"}


def role_of(module: nn.Module) -> Role:
    """The part that ``module`` plays."""
    return next((role for classes, role in ROLES if isinstance(module, classes)), "other")


def words_for(module: Any, direction: str) -> str:
    """What a layer is, in words."""
    if isinstance(module, WINDOWS):
        return _window(module)
    if isinstance(module, ADAPTIVE):
        return f"{'average' if 'Avg' in type(module).__name__ else 'max'} pool to {_times(module.output_size)}"
    if isinstance(module, CELLS):
        return _cell(module, direction)
    if isinstance(module, RECURRENT):
        layers = getattr(module, "num_layers", 1)
        stack = f", {layers} layers" if layers > 1 else ""
        return f"{type(module).__name__.removesuffix('Cell')} {module.hidden_size}{ARROWS[direction]}{stack}"
    words = {"BatchNorm": "batch norm", "LayerNorm": "layer norm", "GroupNorm": "group norm", "Linear": "linear"}
    name = type(module).__name__
    return words.get(name.rstrip("123d"), name)


def _cell(module: Any, direction: str) -> str:
    """One of our own cells: units, and what a convolutional one sees of its input and of its state."""
    while isinstance(module, Wrapped):
        module = module.cell
    text = f"{type(module).__name__.removesuffix('Cell')} {module.size}{ARROWS[direction]}"
    if module.window is None:
        return text
    window = module.window
    sizes = (window.kernel_size, window.state_kernel_size or window.kernel_size)
    kernels = [_times(each("kernel_size", size, window.space)) for size in sizes[not module.inputs :]]
    return f"{text}, conv {kernels[0]}" + (f", state {kernels[1]}" if len(set(kernels)) == 2 else "")


def _window(module: Any) -> str:
    """A convolution or pool: kernel, and what is not usual of it."""
    pool = isinstance(module, POOLS)
    name = ("average pool" if "Avg" in type(module).__name__ else "max pool") if pool else "conv"
    if isinstance(module, TRANSPOSED):
        name = "transposed conv"
    axes = int(type(module).__name__.rstrip("d")[-1])
    kernel, stride, dilation = (
        value if isinstance(value, tuple) else (value,) * axes
        for value in (module.kernel_size, module.stride, getattr(module, "dilation", 1))
    )
    text = f"{name} {_times(kernel)}"
    if stride != (kernel if pool else (1,) * axes):
        text += f", stride {_times(stride)}"
    if any(d != 1 for d in dilation):
        text += f", dilation {_times(dilation)}"
    groups = getattr(module, "groups", 1)
    return text + (f", {groups} groups" if groups > 1 else "")


def _times(sizes: Any) -> str:
    return "×".join(map(str, sizes)) if isinstance(sizes, tuple) else str(sizes)
