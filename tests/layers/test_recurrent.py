"""Recurrence on padded batches: the numbers and gradients of packed sequences in torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from crnn.errors import SettingsError, ShapeError
from crnn.layers import GRUCell, LSTMCell, Recurrent, mask, zero_padding
from crnn.layers.recurrent import CELLS

LENGTHS = torch.tensor([4, 9, 1, 7])


def twins(cell: str, layers: int, both: bool) -> tuple[Recurrent, Any]:
    """Ours, and torch's module with the same weights."""
    ours = Recurrent(5, 6, layers=layers, cell=cell, bidirectional=both)
    theirs = CELLS[cell](5, 6, num_layers=layers, batch_first=True, bidirectional=both)
    with torch.no_grad():
        for name, value in named(ours):
            getattr(theirs, name).copy_(value)
    return ours, theirs


def named(ours: Recurrent) -> list[tuple[str, Tensor]]:
    """Our weights under torch's names."""
    pairs = []
    for i, layer in enumerate(ours.layers):
        suffix = f"_l{i // ours.ways}" + "_reverse" * (i % ours.ways)
        pairs += [(name.removesuffix("_l0") + suffix, value) for name, value in layer.named_parameters()]
    return pairs


def packed(theirs: nn.Module, x: Tensor) -> tuple[Tensor, Any]:
    y, state = theirs(pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False))
    return pad_packed_sequence(y, batch_first=True)[0], state


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("both", [True, False])
def test_equals_packed_sequences(cell: str, layers: int, both: bool) -> None:
    ours, theirs = twins(cell, layers, both)
    assert ours.outputs == 6 * (1 + both)
    x = torch.randn(4, 9, 5)
    here, there = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, expected = ours(here, None, LENGTHS)[0], packed(theirs, there)[0]
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(y, zero_padding(y, LENGTHS, axis=1)), "padding comes out zero"

    slope = torch.randn_like(y)
    (y * slope).sum().backward()
    (expected * slope).sum().backward()
    assert here.grad is not None and there.grad is not None
    torch.testing.assert_close(here.grad, there.grad, rtol=1e-4, atol=1e-6)
    assert not here.grad[~mask(LENGTHS, 9)].any()
    for name, value in named(ours):
        torch.testing.assert_close(value.grad, getattr(theirs, name).grad, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("both", [True, False])
def test_alone_equals_in_a_batch_whatever_stands_in_the_padding(both: bool) -> None:
    layer = Recurrent(5, 6, layers=2, bidirectional=both)
    x = torch.where(mask(LENGTHS, 9)[:, :, None], torch.randn(4, 9, 5), 99.0)
    y, _ = layer(x, None, LENGTHS)
    for row, given, length in zip(y, x, LENGTHS.tolist(), strict=True):
        torch.testing.assert_close(row[None, :length], layer(given[None, :length])[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cell", list(CELLS))
def test_pieces_with_carried_state_equal_the_whole(cell: str) -> None:
    layer = Recurrent(5, 6, layers=2, cell=cell)
    x = torch.randn(2, 9, 5)
    whole, _ = layer(x)
    state, pieces = None, []
    for start, stop in ((0, 4), (4, 5), (5, 9)):
        y, state = layer(x[:, start:stop], state)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=1e-5, atol=1e-6)


def test_both_directions_have_no_state_to_go_on_from() -> None:
    assert Recurrent(5, 6, bidirectional=True)(torch.randn(2, 3, 5))[1] is None


@pytest.mark.parametrize("cell", list(CELLS))
def test_state_of_a_padded_sample_is_that_of_its_last_true_step(cell: str) -> None:
    ours, theirs = twins(cell, 2, False)
    x = torch.randn(4, 9, 5)
    _, state = ours(x, None, LENGTHS)
    _, expected = packed(theirs, x)
    assert state is not None
    parts = expected if cell == "lstm" else (expected,)
    for here, there in zip(zip(*state, strict=True), parts, strict=True):
        torch.testing.assert_close(torch.stack(here), there, rtol=1e-5, atol=1e-6)


def test_dropout_stands_between_layers_only() -> None:
    x = torch.randn(2, 9, 5)
    one = Recurrent(5, 6, dropout=0.9)
    assert torch.equal(one(x)[0], one(x)[0])
    two = Recurrent(5, 6, layers=2, dropout=0.9)
    assert not torch.equal(two(x)[0], two(x)[0])
    two.eval()
    assert torch.equal(two(x)[0], two(x)[0])


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("value", [99.0, float("inf"), float("nan")])
def test_what_stands_in_the_padding_spoils_no_gradient(cell: str, both: bool, value: float) -> None:
    layer = Recurrent(5, 6, layers=2, cell=cell, bidirectional=both)
    lengths = torch.tensor([4, 9, 0, 7])
    x = torch.randn(4, 9, 5)
    found = []
    for filled in (x, torch.where(mask(lengths, 9)[:, :, None], x, value)):
        layer.zero_grad()
        filled = filled.clone().requires_grad_()
        y, state = layer(filled, None, lengths)
        (y.square().sum() + sum(s.sum() for part in state or () for s in part)).backward()
        found.append([y, filled.grad, *(p.grad for p in layer.parameters())])
    assert all(part.isfinite().all() for part in found[1])
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


@pytest.mark.parametrize("cell", list(CELLS))
def test_a_sample_without_steps_keeps_the_state_that_it_came_with(cell: str) -> None:
    layer = Recurrent(5, 6, cell=cell)
    given = [tuple(torch.randn(3, 6) for _ in range(2 if cell == "lstm" else 1))]
    y, state = layer(torch.randn(3, 4, 5), given, torch.tensor([0, 4, 2]))
    assert state is not None and not y[0].any()
    for before, after in zip(given[0], state[0], strict=True):
        assert torch.equal(before[0], after[0]) and not torch.equal(before[1:], after[1:])
    _, state = layer(torch.randn(3, 4, 5), None, torch.tensor([0, 4, 2]))
    assert state is not None and not any(s[0].any() for s in state[0])


@pytest.mark.parametrize("cell", list(CELLS))
def test_torch_kernels_and_our_cells_are_the_same_family(cell: str) -> None:
    """A state that one gives the other takes."""
    ours = {"lstm": LSTMCell, "gru": GRUCell}.get(cell)
    if ours is None:
        return
    kernel, own = Recurrent(5, 6, cell=cell), Recurrent(5, 6, cell=ours)
    theirs = kernel.layers[0]
    with torch.no_grad():
        own.layers[0].input.weight.copy_(theirs.weight_ih_l0)
        own.layers[0].recurrent.weight.copy_(theirs.weight_hh_l0)
        own.layers[0].input.bias.copy_(theirs.bias_ih_l0)
        theirs.bias_hh_l0.zero_()
    x = torch.randn(4, 9, 5)
    y, state = kernel(x, None, LENGTHS)
    expected, last = own(x, None, LENGTHS)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(state, last)
    torch.testing.assert_close(kernel(x, last), own(x, state))


def test_a_kernel_that_there_is_not() -> None:
    with pytest.raises(SettingsError, match=r"cell 'lstmm' is not known; .* Did you mean 'lstm'"):
        Recurrent(5, 6, cell="lstmm")


@pytest.mark.parametrize("option", [{"truncate": 3}, {"recompute": True}])
def test_what_kernels_of_torch_cannot_do_is_refused_not_ignored(option: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"(truncate|recompute) .*expected .*cell of crnn.layers"):
        Recurrent(5, 6, cell="gru", **option)
    Recurrent(5, 6, cell=GRUCell, **option)


def test_kernels_in_two_directions_take_no_state() -> None:
    layer = Recurrent(5, 6, bidirectional=True)
    with pytest.raises(ShapeError, match="state is given; expected none"):
        layer(torch.randn(2, 3, 5), [(torch.zeros(2, 6),) * 2] * 2)


@pytest.mark.parametrize("cell", ["lstm", LSTMCell])
def test_a_stack_has_at_least_one_layer(cell: Any) -> None:
    with pytest.raises(SettingsError, match="layers is 0; expected 1 or more"):
        Recurrent(5, 6, cell=cell, layers=0)
