"""Whom the layers are compared with: what people write themselves, and Keras.

The usual ConvLSTM concatenates input and state and takes one convolution a step, under plain autograd. The loops were
written for this comparison; none leaves out what a user would not.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from crnn.layers import Recurrent
from crnn.layers.cells import GRUCell, LSTMCell


class UsualConvLSTM(nn.Module):
    """``i, f, g, o = W * [x, h]``, no peepholes, over ``(batch, time, inputs, height, width)``."""

    def __init__(self, inputs: int, size: int, kernel: int) -> None:
        super().__init__()
        self.size = size
        self.gates: Any = nn.Conv2d(inputs + size, 4 * size, kernel, padding=kernel // 2)

    @torch.no_grad()
    def take(self, cell: LSTMCell) -> None:
        """The weights of ``cell``."""
        self.gates.weight.copy_(torch.cat([cell.input.weight, cell.recurrent.weight], dim=1))
        self.gates.bias.copy_(cell.input.bias)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(x.shape[0], self.size, *x.shape[3:])
        ys = []
        for t in range(x.shape[1]):
            i, f, g, o = self.gates(torch.cat([x[:, t], h], dim=1)).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            ys.append(h)
        return torch.stack(ys, dim=1)


class UsualConvGRU(nn.Module):
    """``r, z = W * [x, h]``, ``n = V * [x, r h]``: the reset gate before the convolution, as most write it. Another
    function than ours, whose reset gate stands behind it; as many multiplications."""

    def __init__(self, inputs: int, size: int, kernel: int) -> None:
        super().__init__()
        self.size = size
        self.gates = nn.Conv2d(inputs + size, 2 * size, kernel, padding=kernel // 2)
        self.candidate = nn.Conv2d(inputs + size, size, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(x.shape[0], self.size, *x.shape[3:])
        ys = []
        for t in range(x.shape[1]):
            r, z = torch.sigmoid(self.gates(torch.cat([x[:, t], h], dim=1))).chunk(2, dim=1)
            n = torch.tanh(self.candidate(torch.cat([x[:, t], r * h], dim=1)))
            h = (1 - z) * n + z * h
            ys.append(h)
        return torch.stack(ys, dim=1)


class SameConvGRU(nn.Module):
    """The equations of ours (Shi et al. 2017), a step at a time: one convolution of the input, one of the state."""

    def __init__(self, inputs: int, size: int, kernel: int) -> None:
        super().__init__()
        self.size = size
        self.of_input = nn.Conv2d(inputs, 3 * size, kernel, padding=kernel // 2)
        self.of_state = nn.Conv2d(size, 3 * size, kernel, padding=kernel // 2, bias=False)

    @torch.no_grad()
    def take(self, cell: GRUCell) -> None:
        """The weights of ``cell``."""
        self.of_input.weight.copy_(cell.input.weight)
        self.of_input.bias.copy_(cell.input.bias)  # type: ignore[union-attr]
        self.of_state.weight.copy_(cell.recurrent.weight)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(x.shape[0], self.size, *x.shape[3:])
        ys = []
        for t in range(x.shape[1]):
            xr, xz, xn = self.of_input(x[:, t]).chunk(3, dim=1)
            hr, hz, hn = self.of_state(h).chunk(3, dim=1)
            z = torch.sigmoid(xz + hz)
            h = (1 - z) * torch.tanh(xn + torch.sigmoid(xr + hr) * hn) + z * h
            ys.append(h)
        return torch.stack(ys, dim=1)


class KerasConvLSTM(nn.Module):
    """Keras 3's ``ConvLSTM2D`` on its torch backend, in either of its layouts; takes its input in that layout."""

    def __init__(self, like: UsualConvLSTM, x: Tensor, *, channels_first: bool, policy: str) -> None:
        super().__init__()
        self.channels_first = channels_first
        self.layer: Any = keras().layers.ConvLSTM2D(
            like.size,
            like.gates.kernel_size,
            padding="same",
            data_format="channels_first" if channels_first else "channels_last",
            return_sequences=True,
            dtype=policy,
        )
        with keras().device(x.device.type), torch.no_grad():
            self.layer(self.given(x[:, :1]))  # its weights are made by its first call
            weight = like.gates.weight.permute(2, 3, 1, 0)  # -> (height, width, inputs, outputs)
            inputs = x.shape[2]
            values = weight[:, :, :inputs], weight[:, :, inputs:], like.gates.bias
            self.layer.set_weights([v.detach().cpu().numpy() for v in values])
        self.values = [v.value for v in self.layer.trainable_variables]

    def given(self, x: Tensor) -> Tensor:
        """``x`` as this layer takes it."""
        return x if self.channels_first else x.movedim(2, -1).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        with keras().device(x.device.type):
            return self.layer(x, training=torch.is_grad_enabled())


def keras() -> Any:
    """Keras on torch, ``None`` where it is not installed."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras as found
    except ModuleNotFoundError:
        return None
    assert found.backend.backend() == "torch", "KERAS_BACKEND must be torch"
    return found


class PackedLSTM(nn.Module):
    """torch's own way over padded batches: packed, two directions at once; takes the weights of ``ours``."""

    def __init__(self, ours: Recurrent, layers: int) -> None:
        super().__init__()
        size = ours.outputs // ours.ways
        self.lstm = nn.LSTM(ours.inputs, size, layers, batch_first=True, bidirectional=True)
        with torch.no_grad():
            for i, layer in enumerate(ours.layers):
                end = f"_l{i // 2}{'_reverse' * (i % 2)}"
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                    getattr(self.lstm, name + end).copy_(getattr(layer, f"{name}_l0"))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class RCLLoop(nn.Module):
    """An RCL as it is usually written: the input convolved once and added at each step, under plain autograd. ``norm``
    makes the norm of each step of a number of channels."""

    def __init__(self, ours: Any, norms: list[nn.Module]) -> None:
        super().__init__()
        self.of_input, self.of_state = ours.of_input.conv, ours.of_state.conv
        self.norms = nn.ModuleList(norms)

    def forward(self, x: Tensor) -> Tensor:
        driven = self.of_input(x)
        y = self.norms[0](torch.relu(driven))
        for norm in list(self.norms)[1:]:
            y = norm(torch.relu(driven + self.of_state(y)))
        return y


def mdlstm_by_the_cell(layer: Any, x: Tensor) -> Tensor:
    """The usual MDLSTM: four scans, in each a step for each cell; the input's share of the gates in one product."""
    batch, _, columns, rows = x.shape
    answers = []
    for way, corner in enumerate(layer.corners):
        weight, zero = layer.weight_hidden[way], x.new_zeros(batch, layer.size)
        given = (x.permute(0, 2, 3, 1) @ layer.weight_input[way] + layer.bias[way]).permute(1, 2, 0, 3)
        h: dict[tuple[int, int], Tensor] = {}
        c: dict[tuple[int, int], Tensor] = {}
        right, down = (1 if "left" in corner else -1), (1 if "top" in corner else -1)
        for t in range(columns)[::right]:
            for r in range(rows)[::down]:
                one, two = (t - right, r), (t, r - down)
                near = torch.cat([h.get(one, zero), h.get(two, zero)], dim=1)
                gates = torch.addmm(given[t, r], near, weight)
                f1, i, f2, o = gates[:, : 4 * layer.size].sigmoid().chunk(4, dim=1)
                g = gates[:, 4 * layer.size :].tanh()
                c[t, r] = i * g + f1 * c.get(one, zero) + f2 * c.get(two, zero)
                h[t, r] = o * c[t, r].tanh()
        answers.append(torch.stack([h[t, r] for t in range(columns) for r in range(rows)], dim=2))
    return torch.cat(answers, dim=1).unflatten(2, (columns, rows))
