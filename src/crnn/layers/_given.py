"""Looks at what a layer was given, and says in one sentence which argument does not fit.

Nothing is looked at while a graph is traced, exported or compiled: there sizes may be symbols.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from crnn.errors import ShapeError

SPACE = ("height", "width", "depth")


def time_first(space: int) -> tuple[str, ...]:
    """Axes of what recurs over time, with ``space`` axes of space."""
    return ("batch", "time", "channels", *SPACE[:space])


def channels_first(axes: int) -> tuple[str, ...]:
    """Axes of what convolves over ``axes`` axes, time the first of them."""
    return ("batch", "channels", "time", *SPACE[: axes - 1])


def check_axes(name: str, x: Tensor, axes: Sequence[str], channels: int | None = None) -> None:
    """``x`` has these axes, and ``channels`` channels."""
    if traced():
        return
    wanted = f"({', '.join(axes)})"
    if not isinstance(x, Tensor):
        raise ShapeError(f"{name} is {kind_of(x)}", expected=f"a tensor {wanted}", do="Convert it: torch.as_tensor.")
    if x.dim() != len(axes):
        raise ShapeError(
            f"{name} has {x.dim()} axes, {tuple(x.shape)}",
            expected=f"{len(axes)}: {wanted}",
            do="Add, drop or reorder axes; a single sample needs a batch axis of 1.",
        )
    if channels is not None and x.shape[list(axes).index("channels")] != channels:
        found = x.shape[list(axes).index("channels")]
        raise ShapeError(
            f"{name} has {found} channels, {tuple(x.shape)}",
            expected=f"{channels} channels in {wanted}",
            do="Build the layer for as many channels as it is given, or move the channels to their axis.",
        )


def check_type(x: Tensor, weight: Tensor) -> None:
    """``x`` is multiplied with ``weight``; autocast makes the two alike, if they are no whole numbers."""
    if traced() or x.dtype == weight.dtype or (autocasts(x.device.type) and x.is_floating_point()):
        return
    raise ShapeError(
        f"x is {word(x.dtype)}",
        expected=f"{word(weight.dtype)}, the type of the weights",
        do="Convert one of them with .to(), or run under autocast.",
    )


def check_steps(x: Tensor) -> None:
    """``x`` has at least one step of time."""
    if not traced() and x.shape[1] < 1:
        raise ShapeError(
            f"x has no steps, {tuple(x.shape)}", expected="at least one step on axis 1", do="Leave empty samples out."
        )


def check_lengths(lengths: Tensor | None, batch: int, steps: int) -> None:
    """``lengths`` is ``(batch,)`` whole numbers from 0 to ``steps``, in any order."""
    if lengths is None or traced():
        return
    # of small or unsigned types differences would wrap around
    fits = isinstance(lengths, Tensor) and lengths.shape == (batch,) and lengths.dtype in (torch.int64, torch.int32)
    if not fits:
        found = f"{word(lengths.dtype)} {tuple(lengths.shape)}" if isinstance(lengths, Tensor) else kind_of(lengths)
        raise ShapeError(
            f"lengths is {found}",
            expected=f"a tensor of whole numbers (int64), one for each of the {batch} samples of the batch",
            do="Give the true steps of each sample.",
        )
    if batch and lengths.device.type == "cpu" and not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps:
        wrong = lengths.max() if lengths.max() > steps else lengths.min()
        raise ShapeError(
            f"lengths holds {int(wrong)}",
            expected=f"0 to {steps}, the steps of x",
            do="Count steps of the tensor that is given, after any stride before it.",
        )


def check_state(state: Any, shapes: Sequence[tuple[int, ...]]) -> None:
    """``state`` is a tuple of tensors of these shapes."""
    if state is None or traced():
        return
    wanted = ", ".join(map(str, shapes))
    if not isinstance(state, (tuple, list)) or not all(isinstance(s, Tensor) for s in state):
        raise ShapeError(
            f"state is {kind_of(state)}",
            expected=f"a tuple of tensors {wanted}",
            do="Give what the layer gave, or None to start anew.",
        )
    if [tuple(s.shape) for s in state] != [tuple(shape) for shape in shapes]:
        found = ", ".join(str(tuple(s.shape)) for s in state)
        raise ShapeError(
            f"state has the shapes {found}",
            expected=wanted,
            do="Give the state that this layer gave for the same batch and picture size, or None to start anew.",
        )


def check_step(cell: Any, x: Tensor, state: Any) -> None:
    """``x`` and ``state`` are those of one step of ``cell``."""
    check_axes("x", x, ("batch", "channels", *SPACE[: cell.space]), cell.inputs)
    check_type(x, next(cell.parameters()))
    if not traced():
        check_state(state, cell.state_shapes(x.shape[0], tuple(x.shape[2:])))


def check_window(kernel: Sequence[int], sizes: Sequence[int], names: Sequence[str]) -> None:
    """A window of ``kernel`` fits into ``sizes``, its padding counted in."""
    if traced():
        return
    for k, size, name in zip(kernel, sizes, names, strict=True):
        if k > size:
            raise ShapeError(
                f"the kernel covers {k} places of {name}",
                expected=f"at most the {size} that x has there, padding counted in",
                do="Take a smaller kernel, less dilation or a larger input.",
            )


def traced() -> bool:
    """Whether a graph is being made of what runs, or a function of it (``torch.func``)."""
    made = torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.onnx.is_in_onnx_export()
    return made or torch._C._are_functorch_transforms_active()


def autocasts(kind: str) -> bool:
    """Whether torch chooses the precision now, on a device of this kind (not every kind knows autocast)."""
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def word(dtype: torch.dtype) -> str:
    """A type of numbers as people write it."""
    return str(dtype).removeprefix("torch.")


def kind_of(value: Any) -> str:
    """What ``value`` is, and what it holds if it is a list."""
    held = f" of {', '.join(sorted({type(v).__name__ for v in value}))}" if isinstance(value, (tuple, list)) else ""
    return f"a {type(value).__name__}{held}"
