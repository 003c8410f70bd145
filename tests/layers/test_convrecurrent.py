"""ConvRNN, ConvLSTM and ConvGRU: what they are made of, the counts of Shi et al., and every peer's mistake."""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crnn.layers import ConvGRU, ConvLSTM, ConvRNN, ElmanCell, GRUCell, LSTMCell, Recurrent, Window, scan

KINDS: dict[str, Any] = {"rnn": ConvRNN, "lstm": ConvLSTM, "gru": ConvGRU}
every_kind = pytest.mark.parametrize("kind", list(KINDS))


def film(space: int = 2, *, batch: int = 2, steps: int = 3) -> Tensor:
    return torch.randn(batch, steps, 3, *(5, 4, 2)[:space])


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


# what they are


@every_kind
@pytest.mark.parametrize("space", [1, 2, 3])
@pytest.mark.parametrize("both", [False, True])
def test_short_for_a_stack_of_cells(kind: str, space: int, both: bool) -> None:
    cell: Any = {"rnn": ElmanCell, "lstm": partial(LSTMCell, peepholes=True), "gru": GRUCell}[kind]
    torch.manual_seed(0)
    short = KINDS[kind](3, 4, kernel_size=2, space=space, layers=2, bidirectional=both)
    torch.manual_seed(0)
    window = Window(space=space, kernel_size=2)
    long = Recurrent(3, 4, layers=2, bidirectional=both, cell=partial(cell, window=window))
    assert list(short.state_dict()) == list(long.state_dict()) and short.space == space
    x = film(space)
    y, state = short(x)
    torch.testing.assert_close((y, state), long(x))
    assert y.shape == (2, 3, 4 * (1 + both), *x.shape[3:]) and short.outputs == y.shape[2]


@every_kind
def test_a_kernel_has_a_size_for_each_axis(kind: str) -> None:
    layer = KINDS[kind](3, 4, kernel_size=(3, 5))
    weights = [p.shape[2:] for p in layer.parameters() if p.dim() == 4]
    assert weights == [(3, 5)] * 2


# counts


def shi(layers: Sequence[int], of_input: int, of_state: int) -> tuple[list[nn.Module], nn.Module]:
    """Encoder, forecaster and readout for films of 16 x 16 x 16; the forecaster's first layer has no input."""
    window = Window(kernel_size=of_input, state_kernel_size=of_state)
    cell = partial(LSTMCell, window=window, peepholes=True)
    encoder = [Recurrent(i, h, cell=cell) for i, h in zip((16, *layers), layers, strict=False)]
    forecaster = [Recurrent(i, h, cell=cell) for i, h in zip((0, *layers), layers, strict=False)]
    return [*encoder, *forecaster], nn.Conv2d(sum(layers), 16, 1)


@pytest.mark.parametrize(
    "layers, of_input, of_state, printed",
    [
        ((256,), 5, 5, 13_524_496),
        ((128, 128), 5, 5, 10_042_896),
        ((128, 64, 64), 5, 5, 7_585_296),
        ((128, 128), 9, 1, 11_550_224),
        ((128, 64, 64), 9, 1, 8_830_480),
    ],
)
def test_counts_of_the_convlstm_networks_of_shi_et_al(
    layers: tuple[int, ...], of_input: int, of_state: int, printed: int
) -> None:
    with torch.device("meta"):
        stack, readout = shi(layers, of_input, of_state)
    assert count(*stack, readout) == printed


def test_count_of_the_dense_lstm_of_shi_et_al() -> None:
    """FC-LSTM-2048-2048 on whole frames of 64 x 64; it reads out its top layer only."""
    cell = partial(LSTMCell, peepholes=True)
    with torch.device("meta"):
        encoder = Recurrent(64 * 64, 2048, layers=2, cell=cell)
        forecaster = Recurrent(0, 2048, layers=2, cell=cell)
        readout = nn.Linear(2048, 64 * 64)
    assert count(encoder, forecaster, readout) == 142_667_776


def test_encoder_and_forecaster_run_and_all_of_them_learns() -> None:
    stack, readout = shi((6, 4, 4), 3, 3)
    layers = [(layer, 16 if n == 0 else 0) for n, layer in enumerate(stack)]
    x, states = torch.randn(2, 4, 16, 5, 4), []
    for layer, _ in layers[:3]:
        x, state = layer(x)
        states.append(state)
    x, maps = x.new_zeros(2, 6, 0, 5, 4), []
    for (layer, _), state in zip(layers[3:], states, strict=True):
        x, _ = layer(x, state)
        maps.append(x)
    y = readout(torch.cat(maps, 2).flatten(0, 1)).sigmoid().unflatten(0, (2, 6))
    assert y.shape == (2, 6, 16, 5, 4)
    y.square().sum().backward()
    for module in (*stack, readout):
        for key, p in module.named_parameters():
            assert p.grad is not None and p.grad.any(), key


def test_peepholes_are_three_numbers_a_channel_and_one_bias_a_gate() -> None:
    with_them, without = ConvLSTM(3, 8, 5), ConvLSTM(3, 8, 5, peepholes=False)
    assert count(with_them) - count(without) == 3 * 8
    assert count(without) == 4 * 8 * (3 + 8) * 25 + 4 * 8


# peers' mistakes, each by its name


@every_kind
def test_output_has_the_layout_that_was_given_batch_then_time(kind: str) -> None:
    x = film(batch=5, steps=7)
    y, state = KINDS[kind](3, 4)(x)
    assert y.shape == (5, 7, 4, 5, 4) and state[0][0].shape == (5, 4, 5, 4)
    layer = KINDS[kind](3, 4)
    torch.testing.assert_close(layer(x)[0][2:3], layer(x[2:3])[0], rtol=1e-4, atol=1e-5)


@every_kind
def test_a_state_is_accepted_and_a_state_is_given(kind: str) -> None:
    layer, x = KINDS[kind](3, 4, layers=2), film(steps=6)
    whole, end = layer(x)
    first, state = layer(x[:, :2])
    second, last = layer(x[:, 2:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    torch.testing.assert_close(last, end)
    assert not torch.equal(layer(x[:, 2:])[0], second)


@every_kind
def test_no_state_at_all_is_fine(kind: str) -> None:
    layer, x = KINDS[kind](3, 4), film()
    assert torch.equal(layer(x)[0], layer(x, None)[0])
    assert torch.equal(layer(x)[0], layer(x, [None])[0])


@every_kind
@pytest.mark.parametrize("space", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 4, 5, 6])
def test_kernels_even_or_odd_or_other_than_three_work(kind: str, space: int, kernel: int) -> None:
    x = film(space).requires_grad_()
    y, _ = KINDS[kind](3, 4, kernel, space=space)(x)
    assert y.shape == (2, 3, 4, *x.shape[3:])
    y.sum().backward()
    assert x.grad is not None and x.grad.shape == x.shape


def test_the_shortest_call_works() -> None:
    y, state = ConvLSTM(3, 64, kernel_size=3, space=2)(film())
    assert y.shape == (2, 3, 64, 5, 4) and [part.shape for part in state[0]] == [(2, 64, 5, 4)] * 2


def test_peepholes_are_registered_learned_saved_and_moved() -> None:
    layer = ConvLSTM(3, 4)
    key = "layers.0.peepholes"
    assert key in dict(layer.named_parameters()) and key in layer.state_dict()
    keys = set(layer.state_dict())
    assert set(copy.deepcopy(layer).double().state_dict()) == keys
    assert set(copy.deepcopy(layer).to("meta").state_dict()) == keys
    assert copy.deepcopy(layer).to("meta").layers[0].peepholes.is_meta  # type: ignore[union-attr]
    optimiser = torch.optim.SGD(layer.parameters(), lr=1.0)
    layer(film())[0].square().sum().backward()
    optimiser.step()
    peepholes: Tensor = layer.get_parameter(key)
    assert isinstance(peepholes, nn.Parameter) and peepholes.is_leaf and peepholes.all(), "zeros that learn"
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = ConvLSTM(3, 4)
    other.load_state_dict(torch.load(file))
    assert torch.equal(other.get_parameter(key), peepholes)
    x = film()
    assert torch.equal(layer(x)[0], other(x)[0])


@every_kind
def test_each_frame_is_fed_once_at_its_own_step(kind: str) -> None:
    layer, x = KINDS[kind](3, 4), film(steps=5)
    y, _ = layer(x)
    changed = x.clone()
    changed[:, 3] += 1
    other, _ = layer(changed)
    assert torch.equal(y[:, :3], other[:, :3]) and not torch.equal(y[:, 3], other[:, 3])
    cell, state = layer.layers[0], None
    for t in range(5):
        found, state = cell(x[:, t], state)
        torch.testing.assert_close(found, y[:, t], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", [ElmanCell, LSTMCell, GRUCell])
def test_no_bias_is_no_error(cell: Any) -> None:
    layer = Recurrent(3, 4, cell=partial(cell, window=Window(), bias=False))
    layer(film())[0].sum().backward()
    assert all(p.dim() == 4 and p.grad is not None for p in layer.parameters())


@every_kind
def test_no_parameter_is_unused(kind: str) -> None:
    layer = KINDS[kind](3, 4, layers=2, bidirectional=True)
    layer(film())[0].square().sum().backward()
    for key, p in layer.named_parameters():
        assert p.grad is not None and p.grad.any(), key


@every_kind
def test_autocast_is_not_forced_to_float32(kind: str) -> None:
    layer, x = KINDS[kind](3, 4), film()
    with torch.autocast("cpu", torch.bfloat16):
        y, state = layer(x)
        assert {y.dtype, *(part.dtype for part in state[0])} == {torch.bfloat16}
        layer(x, state)
    half = KINDS[kind](3, 4).bfloat16()
    assert half(x.bfloat16())[0].dtype == torch.bfloat16
    assert KINDS[kind](3, 4).double()(x.double())[0].dtype == torch.float64


@every_kind
def test_nothing_is_kept_on_the_module_so_a_smaller_last_batch_works(kind: str) -> None:
    layer = KINDS[kind](3, 4)
    x = film(batch=4)
    before = dict(layer.layers[0].__dict__)
    expected, _ = layer(x)
    torch.testing.assert_close(layer(x[:1])[0], expected[:1], rtol=1e-4, atol=1e-5)
    assert torch.equal(layer(x)[0], expected), "no memory of the batch before"
    assert set(layer.layers[0].__dict__) == set(before)


@every_kind
def test_picture_size_is_free_when_called(kind: str) -> None:
    layer = KINDS[kind](3, 4)
    for size in ((5, 4), (1, 1), (2, 9), (8, 3)):
        x = torch.randn(1, 2, 3, *size)
        assert layer(x)[0].shape == (1, 2, 4, *size)


@every_kind
def test_films_of_several_lengths_go_together(kind: str) -> None:
    layer, x = KINDS[kind](3, 4), film(steps=6)
    y, state = layer(x, None, torch.tensor([6, 2]))
    alone, end = layer(x[1:, :2])
    torch.testing.assert_close(y[1:, :2], alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state[0][0][1:], end[0][0], rtol=1e-4, atol=1e-5)
    assert not y[1, 2:].any()


@every_kind
def test_cost_of_the_loop_is_two_convolutions_a_step_not_eight(kind: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    layer, x = KINDS[kind](3, 4, bidirectional=False), film(batch=1, steps=4)
    cell = layer.layers[0]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        cell(x[:, 0])
    per_place = 2 * 9 * (3 + 4) * cell.gates * 4
    assert counter.get_total_flops() == per_place * 20


@every_kind
def test_forecaster_has_no_weights_for_an_input_that_is_not_there(kind: str) -> None:
    with_input, without = KINDS[kind](3, 4), KINDS[kind](0, 4)
    gates = with_input.layers[0].gates
    assert count(with_input) - count(without) == gates * 4 * 3 * 9
    _, state = with_input(film())
    y, _ = without(torch.zeros(2, 7, 0, 5, 4), state)
    assert y.shape == (2, 7, 4, 5, 4) and y.all()


def test_time_goes_with_batch_nowhere() -> None:
    """Two samples never meet: a gradient of one knows nothing of the other."""
    layer, x = ConvLSTM(3, 4, layers=2, bidirectional=True), film().requires_grad_()
    (slope,) = torch.autograd.grad(layer(x)[0][0].sum(), x)
    assert slope[0].any() and not slope[1].any()


def test_one_place_makes_a_convlstm_a_dense_lstm_with_peepholes() -> None:
    layer, dense = ConvLSTM(3, 4, 3).double(), LSTMCell(3, 4, peepholes=True).double()
    cell: Any = layer.layers[0]
    with torch.no_grad():
        cell.peepholes.normal_()
        dense.peepholes.copy_(cell.peepholes)  # type: ignore[union-attr]
        dense.input.weight.copy_(cell.input.weight[..., 1, 1])
        dense.recurrent.weight.copy_(cell.recurrent.weight[..., 1, 1])
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(layer(x[..., None, None])[0][..., 0, 0], scan(dense, x)[0])
