"""The laws of the one loop over time: padding, lengths, direction, pieces, causality, truncation, recomputation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crnn.errors import SettingsError
from crnn.layers import (
    ElmanCell,
    GRUCell,
    JordanCell,
    LSTMCell,
    MinimalCell,
    Recurrent,
    RecurrentDropout,
    TrajectoryGRUCell,
    Window,
    Zoneout,
    layer_norm,
    reverse,
    scan,
    zero_padding,
)

LINE, PICTURE = Window(space=1, kernel_size=2), Window(kernel_size=(3, 2), stride=(1, 2))
CELLS: dict[str, Callable[[], Any]] = {
    "elman": lambda: ElmanCell(2, 3),
    "convrnn": lambda: ElmanCell(2, 3, window=PICTURE),
    "jordan": lambda: JordanCell(2, 3, decay=0.5),
    "lstm": lambda: LSTMCell(2, 3, peepholes=True),
    "convlstm": lambda: LSTMCell(2, 3, window=PICTURE, peepholes=True),
    "lstm with norm": lambda: LSTMCell(2, 3, window=LINE, norm=layer_norm),
    "gru": lambda: GRUCell(2, 3),
    "convgru": lambda: GRUCell(2, 3, window=PICTURE),
    "minimal": lambda: MinimalCell(2, 3, window=LINE),
    "trajectory": lambda: TrajectoryGRUCell(2, 3, links=2, flow_size=3),
    "zoneout": lambda: Zoneout(LSTMCell(2, 3), [0.2, 0.4]).eval(),
    "dropout": lambda: RecurrentDropout(GRUCell(2, 3), 0.5).eval(),
}
SIZES = {0: (), 1: (4,), 2: (3, 4)}
LENGTHS = torch.tensor([2, 6, 0, 5, 1])
every_cell = pytest.mark.parametrize("name", list(CELLS))


def made(name: str) -> Any:
    cell = CELLS[name]().double()
    with torch.no_grad():
        for p in cell.parameters():
            p.normal_(std=0.5)
    return cell


def pictures(cell: Any, *, batch: int = 5, steps: int = 6) -> Tensor:
    return torch.randn(batch, steps, cell.inputs, *SIZES[cell.space], dtype=torch.float64)


def states(cell: Any, x: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.randn(shape, dtype=x.dtype) for shape in cell.state_shapes(x.shape[0], tuple(x.shape[3:])))


def fill(x: Tensor, value: float) -> Tensor:
    """``x`` with ``value`` in its padding."""
    inside = zero_padding(torch.ones_like(x), LENGTHS, axis=1) > 0
    return torch.where(inside, x, torch.full_like(x, value))


@every_cell
@pytest.mark.parametrize("value, back", [(99.0, False), (float("inf"), False), (float("nan"), True)])
def test_what_stands_in_the_padding_changes_nothing(name: str, back: bool, value: float) -> None:
    cell = made(name)
    x = pictures(cell)
    given = states(cell, x)
    found = []
    for filled in (x, fill(x, value)):
        filled = filled.clone().requires_grad_()
        state = tuple(s.clone().requires_grad_() for s in given)
        cell.zero_grad()
        y, last = scan(cell, filled, state, LENGTHS, reverse=back)
        assert torch.equal(y, zero_padding(y, LENGTHS, axis=1)), "padding comes out zero"
        (y.square().sum() + sum(s.square().sum() for s in last)).backward()
        assert filled.grad is not None
        assert torch.equal(filled.grad, zero_padding(filled.grad, LENGTHS, axis=1)), "nothing learns from padding"
        found.append([y, *last, filled.grad, *(s.grad for s in state), *(p.grad for p in cell.parameters())])
    assert all(part.isfinite().all() for part in found[1])
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


@every_cell
@pytest.mark.parametrize("back", [False, True])
def test_a_sample_alone_is_as_in_a_batch_gradients_included(name: str, back: bool) -> None:
    cell = made(name)
    x = fill(pictures(cell), 99.0).requires_grad_()
    given = states(cell, x)
    y, last = scan(cell, x, given, LENGTHS, reverse=back, truncate=2)
    (slope,) = torch.autograd.grad(y.square().sum() + sum(s.sin().sum() for s in last), x)
    for i, length in enumerate(LENGTHS.tolist()):
        state = tuple(s[i : i + 1] for s in given)
        if not length:
            torch.testing.assert_close(tuple(s[i : i + 1] for s in last), state, rtol=0, atol=0)
            continue
        alone = x[i : i + 1, :length].detach().requires_grad_()
        found, end = scan(cell, alone, state, reverse=back, truncate=2)
        torch.testing.assert_close(y[i : i + 1, :length], found)
        torch.testing.assert_close(tuple(s[i : i + 1] for s in last), end)
        (expected,) = torch.autograd.grad(found.square().sum() + sum(s.sin().sum() for s in end), alone)
        torch.testing.assert_close(slope[i : i + 1, :length], expected)


@every_cell
def test_order_of_the_samples_does_not_matter(name: str) -> None:
    cell = made(name)
    x = pictures(cell)
    y, last = scan(cell, x, None, LENGTHS)
    order = torch.tensor([4, 2, 0, 3, 1])
    other, end = scan(cell, x[order], None, LENGTHS[order])
    torch.testing.assert_close(other, y[order])
    torch.testing.assert_close(end, tuple(s[order] for s in last))


@every_cell
def test_full_lengths_are_as_none(name: str) -> None:
    cell = made(name)
    x = pictures(cell)
    torch.testing.assert_close(scan(cell, x, None, torch.full((5,), 6)), scan(cell, x))
    torch.testing.assert_close(scan(cell, x, None, torch.full((5,), 6, dtype=torch.int32)), scan(cell, x))


@every_cell
def test_no_steps_at_all_leave_the_state(name: str) -> None:
    cell = made(name)
    x = pictures(cell)
    given = states(cell, x)
    y, last = scan(cell, x, given, torch.zeros(5, dtype=torch.long))
    assert not y.any()
    assert all(map(torch.equal, last, given))
    assert not any(s.any() for s in scan(cell, x, None, torch.zeros(5, dtype=torch.long))[1])


@every_cell
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
def test_backwards_is_forwards_on_reversed_steps(name: str, lengths: Tensor | None) -> None:
    cell = made(name)
    x = pictures(cell)
    given = states(cell, x)
    y, last = scan(cell, x, given, lengths, reverse=True)
    other, end = scan(cell, reverse(x, lengths), given, lengths)
    torch.testing.assert_close(y, reverse(other, lengths))
    torch.testing.assert_close(last, end)


@every_cell
def test_pieces_with_carried_state_equal_the_whole(name: str) -> None:
    cell = made(name)
    x = pictures(cell)
    given = states(cell, x)
    whole, end = scan(cell, x, given, LENGTHS)
    state, ys = given, []
    for start, stop in ((0, 1), (1, 4), (4, 6)):
        y, state = scan(cell, x[:, start:stop], state, (LENGTHS - start).clamp(0, stop - start))
        ys.append(y)
    torch.testing.assert_close(torch.cat(ys, 1), whole)
    torch.testing.assert_close(state, end)


@every_cell
@pytest.mark.parametrize("back", [False, True])
def test_nothing_is_known_of_the_future(name: str, back: bool) -> None:
    cell = made(name)
    x = pictures(cell, batch=2).requires_grad_()
    y, _ = scan(cell, x, reverse=back)
    for t in range(6):
        (slope,) = torch.autograd.grad(y[:, t].sum(), x, retain_graph=True)
        seen = slope.flatten(2).abs().sum(2).bool().all(0).tolist()
        assert seen == [s >= t if back else s <= t for s in range(6)], "each step, and once each"


@every_cell
@pytest.mark.parametrize(
    "truncate, recompute, given_state",
    [(1, False, True), (2, True, True), (4, False, False), (4, True, True), (50, True, False)],
)
def test_truncation_cuts_gradients_at_multiples_and_no_values(
    name: str, truncate: int, recompute: bool, given_state: bool
) -> None:
    cell = made(name)
    x = pictures(cell, batch=2).requires_grad_()
    given = tuple(s.requires_grad_() for s in states(cell, x)) if given_state else None
    y, last = scan(cell, x, given, truncate=truncate, recompute=recompute)
    torch.testing.assert_close((y, last), scan(cell, x, given))
    for t in range(6):
        (slope,) = torch.autograd.grad(y[:, t].sum(), x, retain_graph=True)
        seen = slope.flatten(2).abs().sum(2).bool().any(0).tolist()
        assert seen == [t // truncate * truncate <= s <= t for s in range(6)], (t, seen)
    if given is not None:
        slopes = torch.autograd.grad(y[:, 0].sum(), given, retain_graph=True, materialize_grads=True)
        assert slopes[0].any()
        if truncate < 6:
            slopes = torch.autograd.grad(y[:, 5].sum(), given, retain_graph=True, materialize_grads=True)
            assert not any(s.any() for s in slopes)
    # and they are those of pieces whose state was detached by hand
    found = torch.autograd.grad(y.square().sum(), [x, *cell.parameters()])
    state, ys = given, []
    for start in range(0, 6, truncate):
        piece, state = scan(cell, x[:, start : start + truncate], state)
        state = tuple(s.detach() for s in state)
        ys.append(piece)
    expected = torch.autograd.grad(torch.cat(ys, 1).square().sum(), [x, *cell.parameters()])
    torch.testing.assert_close(found, expected)


@every_cell
@pytest.mark.parametrize("steps, back", [(1, False), (6, True), (17, False)])
def test_recomputing_changes_neither_values_nor_gradients(name: str, steps: int, back: bool) -> None:
    cell = made(name)
    x = pictures(cell, batch=3, steps=steps).requires_grad_()
    given = tuple(s.requires_grad_() for s in states(cell, x))
    lengths = torch.tensor([steps, 0, steps // 2])
    found = []
    for recompute in (False, True):
        y, last = scan(cell, x, given, lengths, recompute=recompute, reverse=back)
        loss = y.square().sum() + sum(s.sum() for s in last)
        found.append([y, *last, *torch.autograd.grad(loss, [x, *given, *cell.parameters()])])
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("name", ["trajectory", "minimal", "lstm", "convgru"])
def test_recomputing_needs_less_memory(name: str) -> None:
    cell = made(name)
    x = pictures(cell, batch=1, steps=36)
    kept = []
    for recompute in (False, True):
        alive: dict[int, int] = {}

        def note(t: Tensor, alive: dict[int, int] = alive) -> Tensor:
            alive[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
            return t

        with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
            scan(cell, x, recompute=recompute)
        kept.append(sum(alive.values()))
    assert kept[1] < 0.6 * kept[0], kept


def test_recomputing_without_gradients_does_nothing_more() -> None:
    cell = made("minimal")
    with torch.no_grad():
        assert not scan(cell, pictures(cell), recompute=True)[0].requires_grad


@every_cell
def test_the_state_that_is_given_is_not_written_over(name: str) -> None:
    cell = made(name)
    x = pictures(cell)
    given = states(cell, x)
    before, x_before = [s.clone() for s in given], x.clone()
    _, last = scan(cell, x, given, LENGTHS)
    assert all(map(torch.equal, given, before)) and torch.equal(x, x_before)
    with torch.no_grad():
        for s in last:
            s.add_(1)
    assert all(map(torch.equal, given, before)), "and what comes out is no view of it"


@every_cell
def test_a_state_does_not_keep_all_steps_in_memory(name: str) -> None:
    """A film in pieces, each state kept: no more than the states."""
    cell = made(name)
    x = pictures(cell, steps=40)
    with torch.no_grad():
        for lengths in (None, torch.full((5,), 40)):
            for s in scan(cell, x, None, lengths)[1]:
                assert s.untyped_storage().nbytes() <= 2 * s.numel() * s.element_size()


@every_cell
@pytest.mark.parametrize("lengths", [None, [1]], ids=["", "lengths"])
def test_a_single_sample_and_a_single_step(name: str, lengths: Any) -> None:
    cell = made(name)
    x = pictures(cell, batch=1, steps=1)
    y, last = scan(cell, x, None, None if lengths is None else torch.tensor(lengths))
    expected, state = cell(x[:, 0])
    torch.testing.assert_close(y[:, 0], expected)
    torch.testing.assert_close(last, state)


@every_cell
def test_a_given_state_of_another_precision_is_taken_under_autocast(name: str) -> None:
    cell = CELLS[name]()
    x = pictures(cell).float()
    given = tuple(s.float() for s in states(cell, x))
    exact, _ = scan(cell, x, given, LENGTHS)
    with torch.autocast("cpu", torch.bfloat16):
        y, state = scan(cell, x, given, LENGTHS)
        again, _ = scan(cell, x, state, LENGTHS)
        one, _ = cell(x[:, 0], given)
        zeros, _ = scan(cell, x)
    assert {s.dtype for s in state} == {y.dtype} == {again.dtype} == {zeros.dtype}, "the state's is that of the output"
    torch.testing.assert_close(y.float(), exact, rtol=0.05, atol=0.05)
    torch.testing.assert_close(one[1].float(), exact[1, 0], rtol=0.05, atol=0.05)


@every_cell
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_output_has_the_precision_of_the_weights(name: str, kind: torch.dtype) -> None:
    cell = CELLS[name]().to(kind)
    x = pictures(cell).to(kind).requires_grad_()
    y, state = scan(cell, x, None, LENGTHS)
    assert {y.dtype, *(s.dtype for s in state)} == {kind}
    y.sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


@given(
    name=st.sampled_from(["elman", "jordan", "convlstm", "convgru", "minimal"]),
    batch=st.integers(1, 4),
    steps=st.integers(1, 9),
    truncate=st.integers(0, 5),
    recompute=st.booleans(),
    back=st.booleans(),
    data=st.data(),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_lengths_are_as_each_sample_alone(
    name: str, batch: int, steps: int, truncate: int, recompute: bool, back: bool, data: st.DataObject
) -> None:
    lengths = data.draw(st.lists(st.integers(0, steps), min_size=batch, max_size=batch))
    cell = made(name)
    x = pictures(cell, batch=batch, steps=steps)
    y, last = scan(cell, x, None, torch.tensor(lengths), truncate=truncate, recompute=recompute, reverse=back)
    for i, length in enumerate(lengths):
        assert not y[i, length:].any()
        if length:
            found, end = scan(cell, x[i : i + 1, :length], reverse=back)
            torch.testing.assert_close(y[i : i + 1, :length], found)
            torch.testing.assert_close(tuple(s[i : i + 1] for s in last), end)


# stacks


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("make", [partial(LSTMCell, window=LINE), partial(JordanCell, decay=0.3, window=LINE)])
def test_a_stack_takes_and_gives_all_states(both: bool, make: Any) -> None:
    layer = Recurrent(2, 3, layers=3, bidirectional=both, cell=make).double()
    x = torch.randn(5, 6, 2, 4, dtype=torch.float64)
    given = [tuple(torch.randn(5, 3, 4, dtype=x.dtype) for _ in range(2)) for _ in layer.layers]
    y, states_out = layer(x, given, LENGTHS)
    assert states_out is not None and len(states_out) == len(layer.layers) == (6 if both else 3)
    h, n = x, 0
    for _ in range(3):
        ways = []
        for back in (False, True)[: layer.ways]:
            out, end = scan(layer.layers[n], h, given[n], LENGTHS, reverse=back)
            torch.testing.assert_close(states_out[n], end)
            ways.append(out)
            n += 1
        h = torch.cat(ways, 2)
    torch.testing.assert_close(y, h)
    assert y.shape == (5, 6, layer.outputs, 4)
    if not both:
        first, state = layer(x[:, :2], given, LENGTHS.clamp(max=2))
        second, state = layer(x[:, 2:], state, (LENGTHS - 2).clamp(min=0))
        torch.testing.assert_close(torch.cat([first, second], 1), y)
        torch.testing.assert_close(state, states_out)


# settings


@pytest.mark.parametrize("truncate", [-1, -5])
def test_a_negative_truncation_is_refused(truncate: int) -> None:
    with pytest.raises(SettingsError, match=f"truncate is {truncate}; expected 0 for no limit, or more"):
        scan(made("elman"), torch.randn(1, 3, 2, dtype=torch.float64), truncate=truncate)
    with pytest.raises(SettingsError, match=f"truncate is {truncate}; expected 0 for no limit, or more"):
        scan(made("gru"), torch.randn(1, 3, 2, dtype=torch.float64), truncate=truncate)
