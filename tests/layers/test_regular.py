"""Zoneout and recurrent dropout: what stays, what goes, how often, and that they go together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
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
    scan,
)

INNER: dict[str, Callable[..., Any]] = {
    "elman": ElmanCell,
    "jordan": partial(JordanCell, decay=0.5),
    "lstm": partial(LSTMCell, peepholes=True),
    "gru": GRUCell,
    "minimal": MinimalCell,
}
every_cell = pytest.mark.parametrize("name", list(INNER))


def both(cell: Any) -> Zoneout:
    return Zoneout(RecurrentDropout(cell, 0.4), [0.3] * cell.parts)


def other_way(cell: Any) -> RecurrentDropout:
    return RecurrentDropout(Zoneout(cell, [0.3] * cell.parts), 0.4)


WRAPPED: dict[str, Callable[[Any], Any]] = {
    "zoneout": lambda cell: Zoneout(cell, [0.3] * cell.parts),
    "dropout": lambda cell: RecurrentDropout(cell, 0.4),
    "both": both,
    "the other way round": other_way,
}
every_wrapping = pytest.mark.parametrize("how", list(WRAPPED))


# zoneout


@every_cell
@pytest.mark.parametrize("window", [None, Window(space=1)])
def test_zoned_numbers_are_old_ones_to_the_bit_and_as_many_as_asked_for(name: str, window: Window | None) -> None:
    """A peer's mask is ``dropout(zeros)``: always zero."""
    inner = INNER[name](3, 32, window=window)
    shares = [0.2, 0.7][: inner.parts]
    cell = Zoneout(inner, shares)
    x = torch.randn(64, 3, *[16][: inner.space])
    state = tuple(torch.randn(n) for n in inner.state_shapes(64, tuple(x.shape[2:])))
    _, new = inner(x, state)
    y, mixed = cell(x, state)
    assert y is mixed[0]
    for before, after, found, share in zip(state, new, mixed, shares, strict=True):
        kept = found == before
        assert torch.equal(found, torch.where(kept, before, after)), "nothing in between, nothing rounded"
        deviation = (share * (1 - share) / kept.numel()) ** 0.5
        assert abs(kept.float().mean() - share) < 5 * deviation + 1e-3
        assert kept.flatten(1).float().mean(1).std() < 0.15, "every place by itself"


def test_zoned_numbers_differ_from_step_to_step() -> None:
    cell = Zoneout(ElmanCell(2, 50), [0.5])
    y = scan(cell, torch.randn(1, 9, 2))[0][0]
    kept = y[1:] == y[:-1]
    assert 0.35 < kept.float().mean() < 0.65
    assert len({tuple(row) for row in kept.tolist()}) == 8


def test_zoneout_keeps_large_old_numbers_exactly_in_bfloat16() -> None:
    cell = Zoneout(LSTMCell(2, 64), [0.0, 0.5]).bfloat16()
    state = (torch.zeros(1, 64, dtype=torch.bfloat16), torch.full((1, 64), 1e-3, dtype=torch.bfloat16))
    with torch.no_grad():
        cell.cell.input.bias[128:192] = 9.0
        cell.cell.input.bias[:64] = 9.0
    _, (_, c) = cell(torch.zeros(1, 2, dtype=torch.bfloat16), state)
    assert set(c.flatten().tolist()) == {state[1][0, 0].item(), c.max().item()}


@every_cell
def test_evaluated_zoneout_is_what_is_expected_of_it(name: str) -> None:
    inner = INNER[name](3, 4)
    shares = [0.2, 0.7][: inner.parts]
    cell = Zoneout(inner, shares)
    x, state = torch.randn(1, 3), tuple(torch.randn(n) for n in inner.state_shapes(1, ()))
    new = inner(x, state)[1]
    many = cell(x.expand(4000, 3), tuple(s.expand(4000, 4) for s in state))[1]
    cell.eval()
    for before, after, found, mean, share in zip(state, new, cell(x, state)[1], many, shares, strict=True):
        torch.testing.assert_close(found, share * before + (1 - share) * after)
        torch.testing.assert_close(mean.mean(0, keepdim=True), found, rtol=0.05, atol=0.06)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_zoneout_of_nothing_and_of_all(share: float) -> None:
    inner, x = LSTMCell(2, 3), torch.randn(2, 5, 2)
    state = (torch.randn(2, 3), torch.randn(2, 3))
    expected = scan(inner, x, state) if share == 0 else (state[0][:, None].expand(2, 5, 3), state)
    for cell in (Zoneout(inner, [share] * 2), Zoneout(inner, [share] * 2).eval()):
        torch.testing.assert_close(scan(cell, x, state), expected)


# recurrent dropout


@every_cell
@pytest.mark.parametrize("window", [None, Window()])
def test_noise_drops_whole_channels_and_keeps_the_mean(name: str, window: Window | None) -> None:
    inner = INNER[name](3, 200, window=window)
    cell = RecurrentDropout(inner, 0.3)
    zx = torch.zeros(50, 200 * inner.gates, *[4, 4][: inner.space])
    noise = cell.draw(zx)
    assert noise is not None and noise.shape == (50, 200, *[1, 1][: inner.space]), "at all places the same"
    assert set(noise.flatten().tolist()) <= {0.0, torch.tensor(1 / 0.7).item()}
    assert abs((noise == 0).float().mean() - 0.3) < 0.02
    assert abs(noise.mean() - 1) < 0.03
    assert len({tuple(row) for row in noise.flatten(1).tolist()}) == 50, "each sample has its own"


@pytest.mark.parametrize("given", [True, False], ids=["state", "zeros"])
def test_noise_is_the_same_at_each_step_with_or_without_a_state_given(given: bool) -> None:
    cell = RecurrentDropout(ElmanCell(2, 40), 0.5).double()
    state = (torch.randn(3, 40, dtype=torch.float64),) if given else None
    x = torch.randn(3, 6, 2, dtype=torch.float64)
    seed = torch.random.get_rng_state()
    y, _ = scan(cell, x, state)
    torch.random.set_rng_state(seed)
    noise = cell.draw(torch.zeros(3, 40, dtype=torch.float64))
    assert noise is not None and 0.3 < (noise == 0).double().mean() < 0.7
    h = torch.zeros(3, 40, dtype=torch.float64) if state is None else state[0]
    for t in range(6):
        h = torch.tanh(cell.cell.input(x[:, t]) + cell.cell.recurrent(h * noise))
        torch.testing.assert_close(y[:, t], h)


@every_cell
def test_only_the_way_back_into_the_maps_is_dropped(name: str) -> None:
    """What a gate carries over (the cell of an LSTM, the old part of a GRU) is whole."""
    cell = RecurrentDropout(INNER[name](2, 8), 1.0)
    state = tuple(torch.randn(n) for n in cell.state_shapes(3, ()))
    x = torch.randn(3, 2)
    forgotten = (torch.zeros(3, 8), *state[1:])
    inner = cell.cell
    zx = inner.project(x)
    expected = inner.update(zx, inner.recall(zx, forgotten), state)
    torch.testing.assert_close(cell(x, state)[1], expected)


@every_cell
@every_wrapping
def test_evaluated_there_is_no_noise(name: str, how: str) -> None:
    cell = WRAPPED[how](INNER[name](2, 8)).eval()
    x = torch.randn(3, 5, 2)
    assert torch.equal(scan(cell, x)[0], scan(cell, x)[0])
    if how == "dropout":
        assert torch.equal(scan(cell, x)[0], scan(cell.cell, x)[0]) or torch.allclose(
            scan(cell, x)[0], scan(cell.cell, x)[0], atol=1e-6
        )


# together


@every_cell
def test_both_orders_do_the_same(name: str) -> None:
    inner = INNER[name](2, 8)
    x = torch.randn(3, 5, 2)
    torch.manual_seed(5)
    one = scan(both(inner), x)
    torch.manual_seed(5)
    two = scan(other_way(inner), x)
    assert torch.equal(one[0], two[0])
    torch.testing.assert_close(one[1], two[1])


@every_cell
@every_wrapping
@pytest.mark.parametrize("given, truncate", [(True, 0), (False, 3)])
def test_recomputing_draws_the_same_numbers_again(name: str, how: str, given: bool, truncate: int) -> None:
    cell = WRAPPED[how](INNER[name](2, 4)).double()
    x = torch.randn(2, 10, 2, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.randn(n, dtype=torch.float64) for n in cell.state_shapes(2, ())) if given else None
    lengths = torch.tensor([10, 7])
    found = []
    for recompute in (False, True):
        torch.manual_seed(7)
        y, last = scan(cell, x, state, lengths, recompute=recompute, truncate=truncate)
        loss = y.square().sum() + sum(s.sum() for s in last)
        torch.rand(13)  # what is drawn in between must not matter
        found.append([y, *last, *torch.autograd.grad(loss, [x, *cell.parameters()])])
    torch.testing.assert_close(found[0], found[1])


@every_wrapping
def test_a_wrapped_cell_says_what_the_inner_one_says(how: str) -> None:
    inner = LSTMCell(2, 4, window=Window(space=1, stride=2))
    cell = WRAPPED[how](inner)
    assert (cell.inputs, cell.size, cell.space, cell.parts, cell.gates) == (2, 4, 1, 2, 4)
    assert cell.state_shapes(3, (5,)) == inner.state_shapes(3, (5,)) == [(3, 4, 3)] * 2
    assert list(cell.state_dict()) and "0." in repr(cell)


@every_wrapping
def test_pictures_and_trajectories(how: str) -> None:
    cells: list[Any] = [GRUCell(1, 3, window=Window(stride=2)), TrajectoryGRUCell(1, 3, links=2, flow_size=4)]
    for inner in cells:
        layer = Recurrent(1, 3, cell=lambda *_, inner=inner: WRAPPED[how](inner))
        y, _ = layer(torch.randn(2, 4, 1, 5, 4), None, torch.tensor([4, 2]))
        y.square().sum().backward()
        for key, p in layer.named_parameters():
            assert p.grad is not None and p.grad.any() and p.grad.isfinite().all(), key


@every_wrapping
def test_each_layer_and_direction_draws_its_own(how: str) -> None:
    layer = Recurrent(2, 4, layers=2, bidirectional=True, cell=lambda i, s: WRAPPED[how](GRUCell(i, s)))
    x = torch.randn(1, 6, 2)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])


def test_noise_under_autocast_and_in_bfloat16() -> None:
    cell = both(LSTMCell(2, 4))
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = scan(cell, torch.randn(2, 3, 2))
    assert y.dtype == torch.bfloat16
    y.sum().backward()
    assert scan(cell.bfloat16(), torch.randn(2, 3, 2, dtype=torch.bfloat16))[0].dtype == torch.bfloat16


# settings


def test_as_many_shares_as_the_state_has_parts() -> None:
    with pytest.raises(SettingsError, match=r"shares has 1 numbers; expected 2, one for each tensor of the state"):
        Zoneout(LSTMCell(2, 3), [0.1])


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_is_a_probability(share: float) -> None:
    with pytest.raises(SettingsError, match=r"expected a share from 0 to 1"):
        Zoneout(GRUCell(2, 3), [share])
    with pytest.raises(SettingsError, match=r"expected a share from 0 to 1"):
        RecurrentDropout(GRUCell(2, 3), share)


def test_wrapping_twice_with_dropout_counts_once() -> None:
    cell = RecurrentDropout(RecurrentDropout(ElmanCell(2, 50), 0.9), 0.0)
    assert cell.draw(torch.zeros(1, 50)) is None, "the outer one decides"


def gradient(cell: Any, x: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(scan(cell, x)[0].sum(), list(cell.parameters())))


@every_cell
@every_wrapping
def test_gradients_by_differences(name: str, how: str) -> None:
    cell = WRAPPED[how](INNER[name](2, 2)).double()
    x = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)

    def run(x: Tensor, *_: Tensor) -> Tensor:
        torch.manual_seed(11)
        return scan(cell, x)[0]

    assert torch.autograd.gradcheck(run, (x, *cell.parameters()), fast_mode=True)
