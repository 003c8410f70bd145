"""Recurrent cells, dense or convolutional from one definition.

Every cell is ``state' = f(W x, U h, state)``: a map of the input and a map of the state, dense by default and
convolutional with a ``Window``, and gates between them that act on each place by itself. So an Elman cell with a window
is a ConvRNN, and a ConvLSTM on a grid of 1 x 1 is an LSTM. ``scan`` runs any of them over time.

Gates stand in the order of torch.nn (LSTM: input, forget, candidate, output; GRU: reset, update, candidate), with one
bias a gate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from crnn.errors import SettingsError
from crnn.layers._axes import positive
from crnn.layers._given import check_step
from crnn.layers.norm import BatchNorm
from crnn.layers.window import NoInput, Window

State = tuple[Tensor, ...]
Norm = Callable[[int], nn.Module]


def layer_norm(channels: int) -> nn.Module:
    """Layer normalisation (Ba et al. 2016, arXiv 1607.06450) over ``(batch, channels, *space)`` of any size: one mean
    and variance a sample, one scale and shift a channel."""
    return nn.GroupNorm(1, channels)


class Cell(nn.Module):
    """What all cells share. A new cell says how many ``gates`` it has, how many tensors its state (``parts``), and
    writes ``update``.

    ``cell(x, state)`` is one step: ``x`` ``(batch, inputs, *space)`` to ``(y, state)``, ``y`` ``(batch, size,
    *space)``. ``norm`` makes a normalisation for a number of channels (``layer_norm``, or ``partial(nn.GroupNorm, 8)``)
    that is put on the mapped input and the mapped state, each by itself (Ba et al. 2016). One over the batch is refused
    with ``SettingsError``: a cell does not know which samples have ended. A cell of 0 ``inputs`` runs by itself: its
    ``x`` has no channels.
    """

    gates: ClassVar[int] = 1
    parts: ClassVar[int] = 1
    recurs = True

    def __init__(
        self,
        inputs: int,
        size: int,
        *,
        window: Window | None = None,
        norm: Norm | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.inputs, self.size, self.window = positive("inputs", inputs, least=0), positive("size", size), window
        outputs = self.gates * size
        bias = bias and norm is None  # a norm brings its own
        self.input: Any
        self.recurrent: Any
        if not inputs:
            self.input = NoInput(outputs, bias=bias)
            self.recurrent = nn.Linear(size, outputs, bias=False) if window is None else window.of_state(size, outputs)
        elif window is None:
            self.input, self.recurrent = nn.Linear(inputs, outputs, bias=bias), nn.Linear(size, outputs, bias=False)
        else:
            self.input, self.recurrent = window.of_input(inputs, outputs, bias=bias), window.of_state(size, outputs)
        self.input_norm = _made(norm, outputs)
        self.recurrent_norm = _made(norm, outputs)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier's uniform for the input, orthogonal for each gate of the state, zero biases; the rest as torch begins
        it."""
        for module in self.modules():
            begin: Any = getattr(module, "reset_parameters", None)
            if module is not self and begin is not None:
                begin()
        if self.inputs:
            nn.init.xavier_uniform_(self.input.weight)
        with torch.no_grad():
            for gate in self.recurrent.weight.chunk(self.gates):
                nn.init.orthogonal_(gate.flatten(1))
            if self.input.bias is not None:
                self.input.bias.zero_()

    @property
    def space(self) -> int:
        """Axes of space."""
        return 0 if self.window is None else self.window.space

    def project(self, x: Tensor) -> Tensor:
        """The input's part of the gates, ``(any, gates * size, *space)``, for any number of frames at once."""
        z = self.input(x)
        return z if self.input_norm is None else self.input_norm(z)

    def recall(self, zx: Tensor, state: State) -> Tensor:
        """The state's part of the gates."""
        z = self.recurrent(self.remembered(state))
        return z if self.recurrent_norm is None else self.recurrent_norm(z)

    def remembered(self, state: State) -> Tensor:
        """What of the state is fed back."""
        return state[0]

    def start(self, zx: Tensor, state: State | None = None) -> State:
        """The state to begin with, for what ``project`` gave for one step: zeros, or ``state`` in its precision."""
        if state is not None:
            return tuple(s.to(zx.dtype) for s in state)
        return (zx.new_zeros(zx.shape[0], self.size, *zx.shape[2:]),) * self.parts

    def state_shapes(self, batch: int, size: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Shapes of the state for pictures of ``size``."""
        places = size if self.window is None or not self.inputs else self.window.out_size(size)
        return [(batch, self.size, *places)] * self.parts

    def draw(self, zx: Tensor) -> Tensor | None:
        """Noise that is the same at each step of a sequence, in training."""
        return None

    def step(self, zx: Tensor, state: State, noise: Tensor | None = None) -> State:
        """The next state, of which the first tensor is the output; ``noise`` multiplies what is recalled."""
        seen = state if noise is None else (state[0] * noise, *state[1:])
        return self.update(zx, self.recall(zx, seen), state)

    def update(self, zx: Tensor, zh: Tensor, state: State) -> State:
        """The next state from the two parts of the gates."""
        raise NotImplementedError

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        check_step(self, x, state)
        zx = self.project(x)
        state = self.step(zx, self.start(zx, state), self.draw(zx))
        return state[0], state


class ElmanCell(Cell):
    """``h' = tanh(W x + U h + b)`` (Elman 1990); with a window, a ConvRNN."""

    def update(self, zx: Tensor, zh: Tensor, state: State) -> State:
        return (torch.tanh(zx + zh),)


class JordanCell(Cell):
    """Feeds back its output (Jordan 1986): ``s' = decay s + y``, ``h = tanh(W x + U s' + b)``, ``y' = tanh(V h + c)``.

    Its state is ``(y, s)``; ``decay`` 0 is the plain form.
    """

    parts = 2

    def __init__(
        self,
        inputs: int,
        size: int,
        *,
        window: Window | None = None,
        norm: Norm | None = None,
        bias: bool = True,
        decay: float = 0.0,
    ) -> None:
        super().__init__(inputs, size, window=window, norm=norm, bias=bias)
        self.decay = decay
        conv = None if window is None else Window(space=window.space, kernel_size=1)
        self.output = nn.Linear(size, size, bias=bias) if conv is None else conv.of_input(size, size, bias=bias)

    def remembered(self, state: State) -> Tensor:
        y, context = state
        return self.decay * context + y

    def update(self, zx: Tensor, zh: Tensor, state: State) -> State:
        return torch.tanh(self.output(torch.tanh(zx + zh))), self.remembered(state)


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000), with a window a ConvLSTM
    (Shi et al. 2015, arXiv 1506.04214)::

        i = s(Wi x + Ui h + pi c + bi)    f = s(Wf x + Uf h + pf c + bf)    g = tanh(Wg x + Ug h + bg)
        c' = f c + i g                    o = s(Wo x + Uo h + po c' + bo)   h' = o tanh(c')

    Its state is ``(h, c)``. ``peepholes`` are one number a gate and channel, so a network fits pictures of any size.
    The forget gate starts open: its bias is 1 (Jozefowicz et al. 2015).
    """

    gates, parts = 4, 2

    def __init__(
        self,
        inputs: int,
        size: int,
        *,
        window: Window | None = None,
        norm: Norm | None = None,
        bias: bool = True,
        peepholes: bool = False,
    ) -> None:
        super().__init__(inputs, size, window=window, norm=norm, bias=bias)
        self.peepholes = nn.Parameter(torch.zeros(3, size)) if peepholes else None
        """Rows: input, forget, output gate."""

    def reset_parameters(self) -> None:
        super().reset_parameters()
        bias = getattr(self.input if self.input_norm is None else self.input_norm, "bias", None)
        peepholes = getattr(self, "peepholes", None)  # not there yet when all begins
        with torch.no_grad():
            if bias is not None:
                bias[self.size : 2 * self.size] = 1.0
            if peepholes is not None:
                peepholes.zero_()

    def update(self, zx: Tensor, zh: Tensor, state: State) -> State:
        _, c = state
        i, f, g, o = (zx + zh).chunk(4, 1)
        if self.peepholes is None:
            c = torch.addcmul(f.sigmoid() * c, i.sigmoid(), g.tanh())
            return o.sigmoid() * c.tanh(), c
        pi, pf, po = self.peepholes.to(c.dtype).view(3, -1, *[1] * (c.dim() - 2))
        c = torch.addcmul((f + pf * c).sigmoid() * c, (i + pi * c).sigmoid(), g.tanh())
        return (o + po * c).sigmoid() * c.tanh(), c


class GRUCell(Cell):
    """Gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), the reset gate behind the state's map as in torch.nn
    and in the ConvGRU of Shi et al. (2017, arXiv 1706.03458)::

        r = s(Wr x + Ur h + br)   z = s(Wz x + Uz h + bz)   n = tanh(Wn x + r (Un h) + bn)   h' = (1 - z) n + z h
    """

    gates = 3

    def update(self, zx: Tensor, zh: Tensor, state: State) -> State:
        xr, xz, xn = zx.chunk(3, 1)
        hr, hz, hn = zh.chunk(3, 1)
        n = torch.addcmul(xn, (xr + hr).sigmoid(), hn).tanh()
        return (torch.lerp(n, state[0], (xz + hz).sigmoid()),)


class MinimalCell(Cell):
    """Minimal gated unit (Zhou et al. 2016, arXiv 1603.09420), the gate behind the state's map::

    f = s(Wf x + Uf h + bf)   n = tanh(Wn x + f (Un h) + bn)   h' = (1 - f) h + f n
    """

    gates = 2

    def update(self, zx: Tensor, zh: Tensor, state: State) -> State:
        (xf, xn), (hf, hn) = zx.chunk(2, 1), zh.chunk(2, 1)
        f = (xf + hf).sigmoid()
        return (torch.lerp(state[0], torch.addcmul(xn, f, hn).tanh(), f),)


def _made(norm: Norm | None, channels: int) -> nn.Module | None:
    """The normalisation that ``norm`` makes, unless it looks at other samples too."""
    made = None if norm is None else norm(channels)
    if isinstance(made, (BatchNorm, nn.modules.batchnorm._BatchNorm)):
        raise SettingsError(
            f"a cell's norm is {type(made).__name__}",
            expected="one that looks at each sample by itself: steps behind a sample's end would count",
            do="Take layer_norm, or partial(nn.GroupNorm, 8).",
        )
    return made
