"""Every cell against its formula, written out by loops over places in float64; torch's own modules; its start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crnn.errors import SettingsError
from crnn.layers import (
    BatchNorm,
    Cell,
    ElmanCell,
    GRUCell,
    JordanCell,
    LSTMCell,
    MinimalCell,
    TrajectoryGRUCell,
    Window,
    layer_norm,
    scan,
)

State = tuple[Tensor, ...]
CELLS: dict[str, Callable[..., Cell]] = {
    "elman": ElmanCell,
    "jordan": JordanCell,
    "jordan with decay": partial(JordanCell, decay=0.6),
    "lstm": LSTMCell,
    "lstm with peepholes": partial(LSTMCell, peepholes=True),
    "gru": GRUCell,
    "minimal": MinimalCell,
}
WINDOWS: dict[str, Window | None] = {
    "dense": None,
    "line": Window(space=1),
    "line, even": Window(space=1, kernel_size=4),
    "line, stride and dilation": Window(space=1, kernel_size=2, stride=2, dilation=3, state_dilation=2),
    "picture": Window(),
    "picture, even": Window(kernel_size=(2, 4)),
    "picture, dilation": Window(dilation=(2, 1), state_dilation=(1, 2)),
    "picture, dilation, even": Window(kernel_size=2, dilation=3, state_dilation=3),
    "picture, stride": Window(stride=(2, 3)),
    "picture, stride, even": Window(stride=2, kernel_size=4, state_kernel_size=3),
    "picture, other kernel of the state": Window(state_kernel_size=(1, 2)),
    "picture, 1 x 1": Window(kernel_size=1),
    "solid": Window(space=3, kernel_size=(1, 2, 3), state_kernel_size=2),
    "solid, stride": Window(space=3, stride=(1, 2, 1), state_dilation=(2, 1, 1)),
}
SIZES = {0: (), 1: (5,), 2: (3, 4), 3: (3, 2, 2)}
every_cell = pytest.mark.parametrize("name", list(CELLS))
every_window = pytest.mark.parametrize("window", list(WINDOWS.values()), ids=list(WINDOWS))


def made(make: Callable[..., Cell], window: Window | None, *, inputs: int = 2, size: int = 3, **options: Any) -> Cell:
    """A cell in float64 whose every number is random."""
    cell = make(inputs, size, window=window, **options).double()
    with torch.no_grad():
        for p in cell.parameters():
            p.normal_(std=0.5)
    return cell


def pictures(cell: Cell, *, batch: int = 2, steps: int = 3) -> Tensor:
    return torch.randn(batch, steps, cell.inputs, *SIZES[cell.space], dtype=torch.float64)


def states(cell: Cell, x: Tensor) -> State:
    return tuple(torch.randn(shape, dtype=x.dtype) for shape in cell.state_shapes(x.shape[0], tuple(x.shape[3:])))


# formulas


def places(size: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """All places of a grid."""
    yield from [()] if not size else [(i, *rest) for i in range(size[0]) for rest in places(size[1:])]


def each(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def seen(x: Tensor, weight: Tensor, stride: Any = 1, dilation: Any = 1) -> Tensor:
    """``weight`` over ``x`` ``(batch, channels, *space)``, place by place; zeros outside. A window of ``k`` places lies
    around its own place, an even one with one more behind than before it; strides begin at the first place."""
    space = x.shape[2:]
    stride, dilation, kernel = each(stride, len(space)), each(dilation, len(space)), weight.shape[2:]
    y = x.new_zeros(x.shape[0], len(weight), *(-(-n // s) for n, s in zip(space, stride, strict=True)))
    for place in places(y.shape[2:]):
        for offset in places(kernel):
            each_axis = zip(place, stride, offset, dilation, kernel, strict=True)
            source = tuple(p * s + o * d - d * (k - 1) // 2 for p, s, o, d, k in each_axis)
            if all(0 <= i < n for i, n in zip(source, space, strict=True)):
                y[(..., *place)] += x[(..., *source)] @ weight[(..., *offset)].t()
    return y


def along(vector: Tensor, x: Tensor) -> Tensor:
    """A number a channel, in a shape that goes with ``x``."""
    return vector.view(-1, *[1] * (x.dim() - 2))


def s(z: Tensor) -> Tensor:
    return 1 / (1 + (-z).exp())


def normed(z: Tensor, norm: Any) -> Tensor:
    """Ba et al.: of one sample, over channels and places."""
    if norm is None:
        return z
    axes = tuple(range(1, z.dim()))
    mean = z.mean(axes, keepdim=True)
    deviation = (z - mean).square().mean(axes, keepdim=True)
    return (z - mean) / (deviation + norm.eps).sqrt() * along(norm.weight, z) + along(norm.bias, z)


def by_formula(cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
    """``scan`` in plain words."""
    w = cell.window
    of_input, of_state = ({}, {}) if w is None else ({"stride": w.stride, "dilation": w.dilation}, {})
    if w is not None:
        of_state = {"dilation": w.state_dilation}

    def gates_of_input(frame: Tensor) -> tuple[Tensor, ...]:
        z = seen(frame, cell.input.weight, **of_input)
        if cell.input.bias is not None:
            z = z + along(cell.input.bias, z)
        return normed(z, cell.input_norm).chunk(cell.gates, 1)

    def gates_of_state(h: Tensor) -> tuple[Tensor, ...]:
        return normed(seen(h, cell.recurrent.weight, **of_state), cell.recurrent_norm).chunk(cell.gates, 1)

    ys = []
    for frame in x.unbind(1):
        if isinstance(cell, ElmanCell):
            (a,), (b,) = gates_of_input(frame), gates_of_state(state[0])
            state = ((a + b).tanh(),)
        elif isinstance(cell, JordanCell):
            y, context = state
            context = cell.decay * context + y
            (a,), (b,) = gates_of_input(frame), gates_of_state(context)
            h = (a + b).tanh()
            state = ((seen(h, cell.output.weight) + along(cell.output.bias, h)).tanh(), context)
        elif isinstance(cell, LSTMCell):
            h, c = state
            (xi, xf, xg, xo), (hi, hf, hg, ho) = gates_of_input(frame), gates_of_state(h)
            pi, pf, po = (0, 0, 0) if cell.peepholes is None else (along(p, c) for p in cell.peepholes)
            i, f = s(xi + hi + pi * c), s(xf + hf + pf * c)
            c = f * c + i * (xg + hg).tanh()
            state = (s(xo + ho + po * c) * c.tanh(), c)
        elif isinstance(cell, GRUCell):
            (h,) = state
            (xr, xz, xn), (hr, hz, hn) = gates_of_input(frame), gates_of_state(h)
            r, z = s(xr + hr), s(xz + hz)
            state = ((1 - z) * (xn + r * hn).tanh() + z * h,)
        else:
            assert isinstance(cell, MinimalCell)
            (h,) = state
            (xf, xn), (hf, hn) = gates_of_input(frame), gates_of_state(h)
            f = s(xf + hf)
            state = ((1 - f) * h + f * (xn + f * hn).tanh(),)
        ys.append(state[0])
    return torch.stack(ys, 1), state


@every_cell
@every_window
def test_equals_its_formula(name: str, window: Window | None) -> None:
    cell = made(CELLS[name], window)
    x = pictures(cell)
    given = states(cell, x)
    expected = by_formula(cell, x, given)
    torch.testing.assert_close(scan(cell, x, given), expected)
    if window is not None:
        places_out = tuple(-(-n // st) for n, st in zip(x.shape[3:], each(window.stride, cell.space), strict=True))
        assert expected[0].shape == (2, 3, 3, *places_out), "the picture's size is kept, divided by the stride"
    state, ys = given, []
    for frame in x.unbind(1):
        y, state = cell(frame, state)
        ys.append(y)
    torch.testing.assert_close((torch.stack(ys, 1), state), expected)
    zeros = tuple(torch.zeros_like(part) for part in given)
    torch.testing.assert_close(scan(cell, x), by_formula(cell, x, zeros))
    torch.testing.assert_close(cell(x[:, 0])[1], by_formula(cell, x[:, :1], zeros)[1])


@every_cell
@pytest.mark.parametrize("window", [None, Window(space=1), Window(kernel_size=2, stride=2)])
def test_equals_its_formula_with_layer_norm(name: str, window: Window | None) -> None:
    cell = made(CELLS[name], window, norm=layer_norm)
    assert cell.input.bias is None, "a norm brings its own bias"
    x = pictures(cell)
    given = states(cell, x)
    torch.testing.assert_close(scan(cell, x, given), by_formula(cell, x, given))


@pytest.mark.parametrize("name", ["elman", "lstm", "lstm with peepholes", "gru", "minimal"])
@pytest.mark.parametrize("window", [None, Window(kernel_size=2)])
def test_equals_its_formula_without_bias(name: str, window: Window | None) -> None:
    cell = made(CELLS[name], window, bias=False)
    assert not any(key.endswith("bias") for key, _ in cell.named_parameters())
    x = pictures(cell)
    given = states(cell, x)
    torch.testing.assert_close(scan(cell, x, given), by_formula(cell, x, given))


@every_cell
@pytest.mark.parametrize(
    "window",
    [None, Window(space=1, kernel_size=2), Window(stride=2, state_kernel_size=2), Window(space=3, dilation=2)],
    ids=["dense", "line", "picture", "solid"],
)
@pytest.mark.parametrize("norm", [None, layer_norm], ids=["", "norm"])
def test_gradients(name: str, window: Window | None, norm: Any) -> None:
    """Through ``scan``, of the input, the state and every parameter, by differences."""
    cell = made(CELLS[name], window, size=2, norm=norm)
    sizes = {0: (), 1: (3,), 2: (3, 2), 3: (2, 1, 2)}[cell.space]
    x = torch.randn(2, 3, 2, *sizes, dtype=torch.float64, requires_grad=True)
    given = tuple(torch.randn(n, dtype=x.dtype, requires_grad=True) for n in cell.state_shapes(2, sizes))
    names, values = zip(*cell.named_parameters(), strict=True)
    lengths = torch.tensor([2, 3])

    def run(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        y, last = scan(cell, x, rest[: cell.parts], lengths)
        return y, *last

    assert torch.autograd.gradcheck(run, (x, *given, *values), fast_mode=True), names


# torch's own


@pytest.mark.parametrize("make, theirs", [(LSTMCell, nn.LSTM), (GRUCell, nn.GRU), (ElmanCell, nn.RNN)])
@pytest.mark.parametrize("bias", [True, False])
def test_dense_cells_are_those_of_torch(make: Any, theirs: Any, bias: bool) -> None:
    ours = made(make, None, inputs=4, size=5, bias=bias)
    layer = theirs(4, 5, batch_first=True, bias=bias).double()
    with torch.no_grad():
        layer.weight_ih_l0.copy_(ours.input.weight)
        layer.weight_hh_l0.copy_(ours.recurrent.weight)
        if bias:
            layer.bias_ih_l0.copy_(ours.input.bias)
            layer.bias_hh_l0.zero_()
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    given = states(ours, x)
    start = tuple(part[None] for part in given)
    y, state = layer(x, start if theirs is nn.LSTM else start[0])
    mine, last = scan(ours, x, given)
    torch.testing.assert_close(mine, y)
    torch.testing.assert_close(torch.stack(last), torch.cat(state) if theirs is nn.LSTM else state)
    mine.square().sum().backward()
    y.square().sum().backward()
    torch.testing.assert_close(ours.input.weight.grad, layer.weight_ih_l0.grad)
    torch.testing.assert_close(ours.recurrent.weight.grad, layer.weight_hh_l0.grad)
    step = getattr(nn, theirs.__name__ + "Cell")(4, 5, bias=bias).double()
    step.load_state_dict({key.removesuffix("_l0"): value for key, value in layer.state_dict().items()})
    expected = step(x[:, 0], given if theirs is nn.LSTM else given[0])
    torch.testing.assert_close(ours(x[:, 0], given)[1], expected if theirs is nn.LSTM else (expected,))


@every_cell
@pytest.mark.parametrize("space", [1, 2, 3])
def test_on_a_grid_of_one_place_a_window_is_a_dense_cell(name: str, space: int) -> None:
    """So a ConvLSTM on 1 x 1 is the dense LSTM with peepholes."""
    dense = made(CELLS[name], None)
    wide = made(CELLS[name], Window(space=space, kernel_size=3))
    with torch.no_grad():
        middle = (..., *[1] * space)
        wide.input.weight[middle] = dense.input.weight
        wide.recurrent.weight[middle] = dense.recurrent.weight
        for key, value in dense.named_parameters():
            if key.endswith("bias") or key == "peepholes":
                wide.get_parameter(key.replace("bias", "conv.bias")).copy_(value)
        if isinstance(dense, JordanCell):
            wide.output.weight[(..., *[0] * space)] = dense.output.weight  # type: ignore[index]
    x = pictures(dense)
    y, state = scan(wide, x[(..., *[None] * space)])
    expected, last = scan(dense, x)
    torch.testing.assert_close(y.flatten(2), expected)
    torch.testing.assert_close(tuple(part.flatten(1) for part in state), last)


# how they begin


@every_cell
@pytest.mark.parametrize("window", [None, Window(), Window(space=1, kernel_size=4)])
def test_weights_begin_orthogonal_gate_by_gate(name: str, window: Window | None) -> None:
    cell = CELLS[name](4, 6, window=window)
    for gate in cell.recurrent.weight.chunk(cell.gates):
        rows = gate.flatten(1)
        torch.testing.assert_close(rows @ rows.t(), torch.eye(6), rtol=1e-4, atol=1e-5)
    for of_input in cell.input.weight.chunk(cell.gates):
        assert of_input.std() > 0


@pytest.mark.parametrize("norm", [None, layer_norm])
@pytest.mark.parametrize("window", [None, Window()])
def test_forget_bias_is_really_applied(norm: Any, window: Window | None) -> None:
    """A peer has the number and never adds it."""
    cell = LSTMCell(4, 6, window=window, norm=norm)
    bias = cell.input.bias if norm is None else cell.input_norm.bias  # type: ignore[union-attr]
    torch.testing.assert_close(bias, torch.tensor([0.0, 1, 0, 0]).repeat_interleave(6))
    with torch.no_grad():
        cell.input.weight.zero_()
        cell.recurrent.weight.zero_()
    x = torch.zeros(1, 4, *[3, 3][: 2 * cell.space])
    start = tuple(torch.ones(n) for n in cell.state_shapes(1, tuple(x.shape[2:])))
    kept = cell(x, start)[1][1]
    torch.testing.assert_close(kept, torch.sigmoid(torch.ones_like(kept)))


@every_cell
def test_weights_begin_anew_as_they_began(name: str) -> None:
    torch.manual_seed(3)
    cell = CELLS[name](2, 3, window=Window())
    torch.manual_seed(3)
    other = CELLS[name](2, 3, window=Window())
    assert all(map(torch.equal, cell.parameters(), other.parameters()))
    with torch.no_grad():
        for p in cell.parameters():
            p.fill_(9)
    cell.reset_parameters()
    assert not any((p == 9).any() for p in cell.parameters())


def test_trajectories_begin_anew_as_they_began() -> None:
    cell = TrajectoryGRUCell(2, 3, links=4)
    for again in (False, True):
        if again:
            cell.reset_parameters()
        for gate in cell.recurrent.weight.chunk(3):
            rows = gate.flatten(1)
            torch.testing.assert_close(rows @ rows.t(), torch.eye(3), rtol=1e-4, atol=1e-5)


# no input


@every_cell
@pytest.mark.parametrize("space", [0, 1, 2, 3])
def test_a_cell_without_input_counts_steps_and_places_by_an_empty_one(name: str, space: int) -> None:
    """The first layer of a forecaster (Shi et al. 2015) is driven by its state alone."""
    window = Window(space=space) if space else None
    cell = made(CELLS[name], window, inputs=0)
    other = made(CELLS[name], window, inputs=2)
    values = {key.replace("conv.", ""): p for key, p in cell.named_parameters()}
    with torch.no_grad():
        for key, value in other.named_parameters():
            if key.replace("conv.", "") in values:
                value.copy_(values[key.replace("conv.", "")])
    x = pictures(other)
    given = states(other, x)
    y, last = scan(cell, x[:, :, :0], given)
    torch.testing.assert_close((y, last), scan(other, torch.zeros_like(x), given))
    y.square().sum().backward()
    assert sum(p.numel() for p in other.parameters()) - sum(p.numel() for p in cell.parameters()) == (
        other.input.weight.numel()
    )
    for key, p in cell.named_parameters():
        assert p.grad is not None and p.grad.any(), key


@every_cell
def test_a_cell_without_input_has_no_stride(name: str) -> None:
    cell = CELLS[name](0, 3, window=Window(stride=2))
    assert cell.state_shapes(1, (4, 5)) == [(1, 3, 4, 5)] * cell.parts
    y, state = scan(cell, torch.zeros(1, 2, 0, 4, 5))
    assert scan(cell, torch.zeros(1, 2, 0, 4, 5), state)[0].shape == y.shape == (1, 2, 3, 4, 5)


# settings


@pytest.mark.parametrize("space", [0, 4, -1])
def test_a_window_has_one_to_three_axes(space: int) -> None:
    with pytest.raises(SettingsError, match=f"space is {space}; expected 1, 2 or 3"):
        Window(space=space)


@pytest.mark.parametrize("what", ["kernel_size", "stride", "dilation", "state_kernel_size", "state_dilation"])
def test_a_size_speaks_of_as_many_axes_as_there_are(what: str) -> None:
    with pytest.raises(SettingsError, match=rf"{what} \(3, 3, 3\) speaks of 3 axes; expected one number, or 2"):
        LSTMCell(2, 3, window=Window(**{what: (3, 3, 3)}))


@pytest.mark.parametrize("norm", [BatchNorm, nn.BatchNorm1d])
def test_a_norm_over_the_batch_is_refused(norm: type) -> None:
    with pytest.raises(SettingsError, match=r"norm is BatchNorm.*each sample by itself.*layer_norm"):
        LSTMCell(2, 3, norm=norm)


@every_cell
def test_says_what_it_is(name: str) -> None:
    cell = CELLS[name](2, 3, window=Window(space=1))
    assert cell.space == 1 and cell.inputs == 2 and cell.size == 3
    assert cell.state_shapes(4, (7,)) == [(4, 3, 7)] * cell.parts
    assert CELLS[name](2, 3, window=Window(space=1, stride=2)).state_shapes(4, (7,)) == [(4, 3, 4)] * cell.parts
    assert CELLS[name](2, 3).state_shapes(4, ()) == [(4, 3)] * cell.parts
