"""How recurrent weights begin: orthogonal matrices (Saxe et al. 2013, arXiv 1312.6120), open forget gates (Gers et al.
2000) and chrono (Tallec & Ollivier 2018, arXiv 1804.11188).

Functions on modules reach the cells of ``crnn.layers`` and all that names its parameters as ``torch.nn`` does, inside
``nn.Sequential`` and the like too: ``weight_hh...`` ``(gates * size, size, *kernel)`` with its ``bias_ih...``,
``bias_hh...`` or ``bias...``, and the gates in torch's order: LSTM input, forget, cell, output; GRU reset, update, new.
They change the module in place and give it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

from crnn.errors import ShapeError
from crnn.layers.cells import Cell

M = TypeVar("M", bound=nn.Module)
KEEP = 1
"""The gate that holds on to what was: an LSTM's forget gate, a GRU's update gate."""


@torch.no_grad()
def orthogonal_gates_(weight: Tensor, gates: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Make the recurrent ``weight`` ``(gates * size, size, *kernel)`` orthogonal, each gate's block by itself.

    Of a convolution's kernel only the place that sees its own place is filled, the others are zero ("delta orthogonal",
    Xiao et al. 2018, arXiv 1806.05393): so the map keeps the length of every state, whatever the picture, as an
    orthogonal matrix does. An orthogonal matrix spread over all places would not: it blows up some spatial frequencies
    and damps others. The place is ``(k - 1) // 2``, the centre of an odd kernel, and for an even one under torch's
    ``padding="same"``. Raises ``ShapeError``.
    """
    if weight.dim() < 2 or not gates or weight.shape[0] % gates:
        raise ShapeError(
            f"weight is {tuple(weight.shape)} for {gates} gates",
            expected="(gates * size, size, *kernel)",
            do="Give the recurrent weight of all gates, and how many there are.",
        )
    weight.zero_()
    own = weight
    for k in weight.shape[2:]:
        own = own.select(2, (k - 1) // 2)
    for block in own.chunk(gates):
        # QR wants float32 at least
        exact = torch.empty_like(block, dtype=torch.promote_types(block.dtype, torch.float32))
        block.copy_(nn.init.orthogonal_(exact, generator=generator))
    return weight


def orthogonal_(module: M, *, generator: torch.Generator | None = None) -> M:
    """Make all recurrent weights of ``module`` orthogonal, each gate by itself. Raises ``ShapeError`` if
    it has none."""
    for weight, gates, _ in _recurrent(module):
        orthogonal_gates_(weight, gates, generator=generator)
    return module


@torch.no_grad()
def forget_bias_(module: M, value: float = 1.0) -> M:
    """Let the forget gates of all LSTMs in ``module`` begin at ``value``, so that they remember before they have
    learned to (Gers et al. 2000; Jozefowicz et al. 2015). Where there are two biases, as in torch, their sum is
    ``value``. Raises ``ShapeError`` if there is no LSTM with a bias."""
    found = [biases for _, gates, biases in _recurrent(module) if gates == 4 and biases]
    if not found:
        raise _nothing(module, "an LSTM with a bias")
    for biases in found:
        _begin(biases, 4, KEEP, value)
    return module


@torch.no_grad()
def chrono_(module: M, longest: int, *, generator: torch.Generator | None = None) -> M:
    """Let the gates of all LSTMs and GRUs in ``module`` begin with memories of 1 to ``longest`` steps (Tallec &
    Ollivier 2018): ``b_f = log(u)``, ``b_i = -b_f`` with ``u`` uniform in ``[1, longest - 1]``; a GRU's update gate,
    which in torch holds on to the state, begins as ``b_f``. Raises ``ShapeError`` if there is no gate with a bias."""
    if longest < 2:
        raise ShapeError(f"longest is {longest}", expected="2 steps or more", do="Give the longest memory wanted.")
    found = [(gates, biases) for _, gates, biases in _recurrent(module) if gates in (3, 4) and biases]
    if not found:
        raise _nothing(module, "an LSTM or a GRU with a bias")
    for gates, biases in found:
        size = biases[0].shape[0] // gates
        kept = biases[0].new_empty(size).uniform_(1, longest - 1, generator=generator).log_()
        _begin(biases, gates, KEEP, kept)
        if gates == 4:
            _begin(biases, gates, 0, -kept)
    return module


def _recurrent(module: nn.Module) -> Iterator[tuple[Tensor, int, list[Tensor]]]:
    """Each recurrent weight in ``module``, its number of gates, and its biases."""
    found = False
    for part in module.modules():
        if isinstance(part, Cell):
            found = True
            maps = (part.input if part.input_norm is None else part.input_norm, part.recurrent_norm)
            shifts = [getattr(each, "bias", None) for each in maps]
            yield part.recurrent.weight, part.gates, [bias for bias in shifts if bias is not None]
        own = dict(part.named_parameters(recurse=False))
        for name, weight in own.items():
            if name.startswith("weight_hh"):
                found = True
                ending = name.removeprefix("weight_hh")
                biases: list[Tensor] = [
                    own[kind + ending] for kind in ("bias_ih", "bias_hh", "bias") if kind + ending in own
                ]
                # with a projection a state is narrower than its gates
                size = getattr(part, "hidden_size", weight.shape[1])
                yield weight, weight.shape[0] // size, biases
    if not found:
        raise _nothing(module, "a recurrent layer: a cell of crnn.layers, or one with a parameter weight_hh...")


def _begin(biases: list[Tensor], gates: int, gate: int, value: float | Tensor) -> None:
    """Put ``value`` into a gate's bias; where there are two, it is their sum."""
    for bias, own in zip(biases, [value, *[0.0] * (len(biases) - 1)], strict=True):
        bias.chunk(gates)[gate].copy_(torch.as_tensor(own))


def _nothing(module: nn.Module, wanted: str) -> ShapeError:
    return ShapeError(
        f"there is none in {type(module).__name__}", expected=wanted, do="Give the layer itself, or what it stands in."
    )
