"""ConvRNN, ConvLSTM and ConvGRU: short names for the common stacks of convolutional cells.

``Recurrent`` with a cell of your own is the long way, for whatever is not an argument here: norms, dilation, stride,
zoneout, trajectories.
"""

from __future__ import annotations

from functools import partial

from crnn.layers._axes import Size
from crnn.layers.cells import ElmanCell, GRUCell, LSTMCell
from crnn.layers.recurrent import Recurrent
from crnn.layers.window import Window


class _Windowed(Recurrent):
    """Layers of ``make``, a cell that needs no more than its window."""

    make: type[ElmanCell | GRUCell]

    def __init__(
        self,
        inputs: int,
        size: int,
        kernel_size: Size = 3,
        *,
        space: int = 2,
        layers: int = 1,
        bidirectional: bool = False,
        recompute: bool = False,
    ) -> None:
        cell = partial(self.make, window=Window(space=space, kernel_size=kernel_size))
        super().__init__(inputs, size, layers=layers, cell=cell, bidirectional=bidirectional, recompute=recompute)


class ConvRNN(_Windowed):
    """Layers of ``ElmanCell`` with a window; arguments and result as of ``ConvLSTM``."""

    make = ElmanCell


class ConvGRU(_Windowed):
    """ConvGRU in the form of Shi et al. (2017, arXiv 1706.03458); arguments and result as of ``ConvLSTM``."""

    make = GRUCell


class ConvLSTM(Recurrent):
    """ConvLSTM (Shi et al. 2015, arXiv 1506.04214) over ``(batch, time, inputs, *space)`` with 1, 2 or 3 axes of
    ``space``; ``y, state = layer(x, state, lengths)`` as of ``Recurrent``, ``y`` ``(batch, time, outputs, *space)``.

    ``kernel_size`` is that of input and state, one number for all axes or one for each, odd or even. ``peepholes`` are
    those of the paper, one number a gate and channel.
    """

    def __init__(
        self,
        inputs: int,
        size: int,
        kernel_size: Size = 3,
        *,
        space: int = 2,
        layers: int = 1,
        bidirectional: bool = False,
        peepholes: bool = True,
        recompute: bool = False,
    ) -> None:
        cell = partial(LSTMCell, window=Window(space=space, kernel_size=kernel_size), peepholes=peepholes)
        super().__init__(inputs, size, layers=layers, cell=cell, bidirectional=bidirectional, recompute=recompute)
