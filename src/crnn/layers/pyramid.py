"""Neural Abstraction Pyramid (Behnke 2001; Behnke 2003, LNCS 2766): layers that interpret a picture together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from crnn.errors import SettingsError, ShapeError
from crnn.layers._axes import Size, each
from crnn.layers._given import check_axes, check_lengths, check_state, check_window, time_first, traced
from crnn.layers.padding import zero_padding


class PyramidLayer(nn.Module):
    """One layer ``l`` of a pyramid, one step:

    ``A_l(t) = sigmoid(F A_{l-1}(t) + L A_l(t-1) + B A_{l+1}(t-1) + I X(t) + c)``

    ``F``, forward from ``below`` features of the finer layer: 4 x 4 with stride 2, so that neighbours overlap. ``L``,
    lateral among the ``size`` own features: ``kernel_size`` (odd) with a border that wraps around, and the bias ``c``.
    ``B``, backward from ``above`` features of the coarser layer: 2 x 2, each of its cells fills four here. ``I``, of
    ``inputs`` features of the picture, place by place. A number of 0 leaves its part out.

    ``stride`` is that of ``F``, ``stride_above`` that of ``B``; one other than 2 joins ``stride ** 2`` cells to one and
    no others, as the book's full link from 7 x 7 to 1 x 1 does.
    """

    def __init__(
        self,
        size: int,
        *,
        inputs: int = 0,
        below: int = 0,
        above: int = 0,
        stride: int = 2,
        stride_above: int = 2,
        kernel_size: int = 3,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise SettingsError(
                f"kernel_size is {kernel_size}", expected="an odd number", do="A lateral window has a centre."
            )
        window, border = (4, 1) if stride == 2 else (stride, 0)
        self.forward_in = nn.Conv2d(below, size, window, stride, border, bias=False) if below else None
        self.lateral = nn.Conv2d(size, size, kernel_size, padding=kernel_size // 2, padding_mode="circular")
        self.backward_in = nn.ConvTranspose2d(above, size, stride_above, stride_above, bias=False) if above else None
        self.input = nn.Conv2d(inputs, size, 1, bias=False) if inputs else None

    def forward(
        self, own: Tensor, below: Tensor | None = None, above: Tensor | None = None, x: Tensor | None = None
    ) -> Tensor:
        """``A_l(t)`` from ``A_l(t-1)``, ``A_{l-1}(t)``, ``A_{l+1}(t-1)`` and ``X(t)``, each
        ``(batch, channels, height, width)``; those that the layer is built for must be there."""
        potential = self.lateral(own)
        for project, source in ((self.forward_in, below), (self.backward_in, above), (self.input, x)):
            if project is not None:
                assert source is not None, "the layer is built for it"
                potential = potential + project(source)
        return potential.sigmoid()


class Pyramid(nn.Module):
    """A pyramid as a recurrent layer over ``(batch, time, inputs, height, width)``: ``y, state = pyramid(x, state,
    lengths)``. In each step every layer is updated once, from fine to coarse.

    ``sizes`` are the features of the layers, the finest first, which alone sees the picture; ``strides`` (one, or one
    for each link) say how much coarser the next is; ``kernel_size`` is that of all lateral links. ``y`` holds the
    activities of layer ``level`` after each step, ``(batch, time, sizes[level], ...)`` and zero in the padding: level 0
    to restore a picture, -1 to say what it shows. ``state`` is a tuple of the activities of all layers, zeros at the
    start; of a padded sample those after its last true step. Height and width must be multiples of the product of the
    strides. Raises ``ShapeError``, ``SettingsError``.

    A still picture is shown at each step: ``pyramid(picture[:, None].expand(-1, steps, -1, -1, -1))``.
    """

    recurs = True

    def __init__(
        self,
        inputs: int,
        sizes: Sequence[int],
        *,
        strides: Size = 2,
        kernel_size: int = 3,
        level: int = 0,
    ) -> None:
        super().__init__()
        if not -len(sizes) <= level < len(sizes):
            raise SettingsError(
                f"level is {level}", expected=f"one of the {len(sizes)} layers", do="0 is the finest, -1 the coarsest."
            )
        self.inputs, self.sizes, self.level = inputs, tuple(sizes), level
        self.strides, self.reach = each("strides", strides, len(sizes) - 1), kernel_size // 2
        below, above, steps = [0, *sizes[:-1]], [*sizes[1:], 0], [1, *self.strides, 1]
        self.layers = nn.ModuleList(
            PyramidLayer(
                size,
                inputs=0 if i else inputs,
                below=below[i],
                above=above[i],
                stride=steps[i],
                stride_above=steps[i + 1],
                kernel_size=kernel_size,
            )
            for i, size in enumerate(sizes)
        )

    def forward(
        self, x: Tensor, state: tuple[Tensor, ...] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        check_axes("x", x, time_first(2), self.inputs)
        check_lengths(lengths, x.shape[0], x.shape[1])
        shapes = self._shapes(x)
        check_state(state, shapes)
        x = zero_padding(x, lengths, axis=1)
        if state is None:
            state = tuple(x.new_zeros(shape) for shape in shapes)
        seen = []
        for t, picture in enumerate(x.unbind(1)):
            after = self.step(picture, state)
            if lengths is not None:  # a sample that has ended stays as it was
                goes_on = (lengths > t).view(-1, 1, 1, 1)
                kept = (s.to(a.dtype) for s, a in zip(state, after, strict=True))
                after = tuple(torch.where(goes_on, a, s) for a, s in zip(after, kept, strict=True))
            state = after
            seen.append(state[self.level])
        return zero_padding(torch.stack(seen, dim=1), lengths, axis=1), state

    def step(self, picture: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """All layers once: ``picture`` is ``(batch, inputs, height, width)``, ``state`` as ``forward`` gives it."""
        after: list[Tensor] = []
        for i, (layer, own) in enumerate(zip(self.layers, state, strict=True)):
            below = after[-1] if after else None  # of this step: the picture gets to the top at once
            above = state[i + 1] if i + 1 < len(state) else None
            after.append(layer(own, below, above, picture))
        return tuple(after)

    def _shapes(self, x: Tensor) -> list[tuple[int, ...]]:
        """What ``state`` has for ``x``."""
        coarsest = math.prod(self.strides)
        if not traced() and any(n < coarsest or n % coarsest for n in x.shape[3:]):
            raise ShapeError(
                f"x has pictures of {x.shape[3]} x {x.shape[4]}",
                expected=f"multiples of {coarsest}, by which the coarsest layer is smaller",
                do="Scale the pictures, or build the pyramid with fewer layers.",
            )
        height, width = x.shape[3:]
        shapes: list[tuple[int, ...]] = []
        for size, stride in zip(self.sizes, (1, *self.strides), strict=True):
            height, width = height // stride, width // stride
            check_window((self.reach,) * 2, (height, width), ("height", "width"))
            shapes.append((x.shape[0], size, height, width))
        return shapes
