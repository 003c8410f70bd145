"""Steps with gradients written out by hand: the numbers of the plain loop under autograd, whatever is asked of them."""

from __future__ import annotations

import copy
import importlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from crnn.layers import ConvLSTM, GRUCell, LSTMCell, Recurrent, Window, Zoneout, layer_norm, scan
from crnn.layers.cells import Cell
from crnn.layers.linear_map import LinearMap
from crnn.layers.unroll import precision_of, unrolls
from crnn.layers.unrolled import tanh

loop = importlib.import_module("crnn.layers.scan")
quick = importlib.import_module("crnn.layers.unroll")

CELLS: dict[str, Callable[..., Cell]] = {
    "lstm": LSTMCell,
    "lstm with peepholes": lambda *a, **o: LSTMCell(*a, peepholes=True, **o),
    "gru": GRUCell,
}
WINDOWS: dict[str, Window | None] = {
    "dense": None,
    "line": Window(space=1),
    "line, even": Window(space=1, kernel_size=4, dilation=3),
    "picture": Window(),
    "picture, even": Window(kernel_size=(2, 4)),
    "picture, one axis even": Window(kernel_size=(3, 2), state_kernel_size=(4, 1)),
    "picture, wider than itself": Window(kernel_size=9, state_kernel_size=6),
    "picture, stride": Window(stride=2, kernel_size=3),
    "picture, stride of one axis, even": Window(stride=(1, 3), kernel_size=4),
    "picture, dilation": Window(dilation=2, state_dilation=(2, 3), state_kernel_size=2),
    "picture, 1 x 1": Window(kernel_size=1),
    "solid": Window(space=3, kernel_size=(1, 2, 3)),
    "solid, stride": Window(space=3, stride=(2, 1, 2)),
}
SIZES = {0: (), 1: (5,), 2: (4, 5), 3: (3, 4, 2)}
every_cell = pytest.mark.parametrize("name", list(CELLS))
every_window = pytest.mark.parametrize("window", list(WINDOWS.values()), ids=list(WINDOWS))
RAGGED = [3, 5, 0, 1]


@contextmanager
def plain() -> Iterator[None]:
    """The loop that autograd follows."""
    unrolled = loop.unrolls
    loop.unrolls = lambda cell: False
    try:
        yield
    finally:
        loop.unrolls = unrolled


def made(name: str, window: Window | None, *, kind: torch.dtype = torch.float64, **options: Any) -> Cell:
    cell = CELLS[name](2, 3, window=window, **options).to(kind)
    with torch.no_grad():
        for p in cell.parameters():
            p.normal_(std=0.5)
    return cell


def pictures(cell: Cell, *, batch: int = 4, steps: int = 5, kind: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(batch, steps, 2, *SIZES[cell.space], dtype=kind)


def states(cell: Cell, x: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.randn(shape, dtype=x.dtype) for shape in cell.state_shapes(x.shape[0], tuple(x.shape[3:])))


def learned(
    cell: Cell, x: Tensor, state: Any = None, lengths: Any = None, *, loss: str = "all", **how: Any
) -> dict[str, Tensor]:
    """Output, states and all gradients of one run."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    state = None if state is None else tuple(s.detach().clone().requires_grad_() for s in state)
    cell.zero_grad()
    y, last = scan(cell, x, state, lengths, **how)
    torch.manual_seed(1)
    parts = {"y": [y], "last": [last[-1]], "all": [y, *last]}[loss]
    sum((p * torch.randn(p.shape).to(p)).sum() for p in parts).backward()  # type: ignore[union-attr]
    found = {"y": y.detach(), "x": x.grad} | {f"last {i}": s.detach() for i, s in enumerate(last)}
    found |= {f"state {i}": s.grad for i, s in enumerate(state or ())}
    found |= {key: p.grad for key, p in cell.named_parameters()}
    return {key: value.clone() for key, value in found.items() if value is not None}


def assert_same(fast: dict[str, Tensor], slow: dict[str, Tensor], **tolerance: float) -> None:
    assert set(fast) >= set(slow)
    for key in fast:
        expected = slow.get(key, torch.zeros_like(fast[key]))  # what the loss does not reach has no gradient, or zeros
        assert fast[key].dtype == expected.dtype, key
        torch.testing.assert_close(fast[key], expected, msg=lambda text, key=key: f"{key}: {text}", **tolerance)


def assert_as_plain(cell: Cell, *given: Any, tolerance: dict[str, float] | None = None, **how: Any) -> None:
    fast = learned(cell, *given, **how)
    with plain():
        slow = learned(cell, *given, **how)
    assert_same(fast, slow, **(tolerance or {}))


@every_cell
@every_window
@pytest.mark.parametrize("given_state", [True, False], ids=["state", "zeros"])
def test_equals_the_plain_loop(name: str, window: Window | None, given_state: bool) -> None:
    cell = made(name, window)
    assert unrolls(cell)
    x = pictures(cell)
    state = states(cell, x) if given_state else None
    assert_as_plain(cell, x, state)
    assert_as_plain(cell, x, state, torch.tensor(RAGGED))
    assert_as_plain(cell, x, state, torch.tensor(RAGGED), reverse=True, recompute=True)
    assert_as_plain(cell, x, state, torch.tensor(RAGGED), truncate=2)
    assert_as_plain(cell, x, state, truncate=3, recompute=True)


@every_cell
@pytest.mark.parametrize("window", [None, Window(), Window(kernel_size=4, stride=2)], ids=["dense", "picture", "even"])
@pytest.mark.parametrize("loss", ["y", "last"])
def test_a_loss_of_part_of_what_comes_out(name: str, window: Window | None, loss: str) -> None:
    cell = made(name, window)
    x = pictures(cell)
    for lengths in (None, torch.tensor(RAGGED)):
        assert_as_plain(cell, x, states(cell, x), lengths, loss=loss)
        assert_as_plain(cell, x, None, lengths, loss=loss)


@every_cell
@pytest.mark.parametrize("window", [w for n, w in WINDOWS.items() if n.startswith(("dense", "picture"))])
def test_float32(name: str, window: Window | None) -> None:
    cell = made(name, window, kind=torch.float32)
    x = pictures(cell, kind=torch.float32)
    assert_as_plain(cell, x, states(cell, x), torch.tensor(RAGGED), tolerance={"rtol": 1e-4, "atol": 1e-5})


@every_cell
@pytest.mark.parametrize("window", [None, Window(), Window(kernel_size=4, stride=2), Window(space=1)])
def test_bfloat16_by_autocast_is_near_float32(name: str, window: Window | None) -> None:
    cell = made(name, window, kind=torch.float32)
    x = pictures(cell, kind=torch.float32)
    state, lengths = states(cell, x), torch.tensor(RAGGED)
    exact = learned(cell, x, state, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        rough = learned(cell, x, state, lengths)
        with plain():
            slow = learned(cell, x, state, lengths)
    for key, value in exact.items():
        assert rough[key].dtype == slow[key].dtype, key
        for other in (rough, slow):
            error = (other[key].float() - value).norm() / value.norm().clamp(min=1e-3)
            assert error < 0.05, f"{key}: {error}"
    assert rough["y"].dtype == rough["last 0"].dtype == torch.bfloat16
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in cell.parameters())


@every_cell
def test_autocast_leaves_float64_as_it_is(name: str) -> None:
    cell = made(name, None)
    with torch.autocast("cpu", torch.bfloat16):
        assert precision_of(pictures(cell)) == torch.float64, "so do torch's own layers"
        assert_as_plain(cell, pictures(cell))


@every_cell
@pytest.mark.parametrize("window", [None, Window(space=1), Window(kernel_size=2, stride=2)])
@pytest.mark.parametrize("bytes_at_once", [1, 1000])
def test_several_pieces(name: str, window: Window | None, bytes_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = made(name, window)
    x = pictures(cell, steps=7)
    lengths = torch.tensor([6, 7, 0, 2])
    plans: list[Any] = []
    made_plan = quick.Plan
    monkeypatch.setattr(quick, "Plan", lambda *parts: plans.append(made_plan(*parts)) or plans[-1])
    monkeypatch.setattr(quick, "AT_ONCE", bytes_at_once)
    assert_as_plain(cell, x, None, lengths, loss="y")
    for recompute in (False, True):
        assert_as_plain(cell, x, states(cell, x), lengths, recompute=recompute)
        assert_as_plain(cell, x, states(cell, x), lengths, truncate=3, reverse=True, recompute=recompute)
    assert all(len(plan.pieces()) > 2 for plan in plans)


@every_cell
@pytest.mark.parametrize("window", [None, Window(kernel_size=2)], ids=["dense", "picture"])
@pytest.mark.parametrize("batch, steps", [(1, 1), (1, 4), (3, 1)])
def test_a_batch_of_one_and_a_single_step(name: str, window: Window | None, batch: int, steps: int) -> None:
    for kind in (torch.float64, torch.float32):
        cell = made(name, window, kind=kind)
        x = pictures(cell, batch=batch, steps=steps, kind=kind)
        loose = {} if kind == torch.float64 else {"rtol": 1e-4, "atol": 1e-5}
        assert_as_plain(cell, x, states(cell, x), tolerance=loose)
        assert_as_plain(cell, x, tolerance=loose)


@every_cell
@pytest.mark.parametrize("window", [None, Window(), Window(space=1)], ids=["dense", "picture", "line"])
def test_no_bias(name: str, window: Window | None) -> None:
    for kind in (torch.float64, torch.float32):
        cell = made(name, window, bias=False, kind=kind)
        assert cell.input.bias is None
        assert_as_plain(
            cell, pictures(cell, kind=kind), tolerance={} if kind == torch.float64 else {"rtol": 1e-4, "atol": 1e-5}
        )


@every_cell
@pytest.mark.parametrize("window", [None, Window(kernel_size=2), Window(stride=2)], ids=["dense", "picture", "stride"])
@pytest.mark.parametrize("wanted", ["x", "state", "second state", "input.", "recurrent.", "peepholes"])
def test_any_part_may_need_no_gradient(name: str, window: Window | None, wanted: str) -> None:
    """Only one thing learns; all the others are frozen."""
    cell = made(name, window)
    x = pictures(cell)
    given = states(cell, x)
    chosen = [p.requires_grad_(wanted in key) for key, p in cell.named_parameters() if wanted in key]
    for key, p in cell.named_parameters():
        p.requires_grad_(wanted in key)
    if wanted == "x":
        chosen = [x.requires_grad_()]
    elif "state" in wanted:
        chosen = [s.requires_grad_() for s in given[int("second" in wanted) :][:1]]
    if not chosen:
        return
    lengths = torch.tensor(RAGGED)

    def gradients() -> tuple[Tensor, ...]:
        y, last = scan(cell, x, given, lengths)
        return torch.autograd.grad(y.square().sum() + last[-1].sin().sum(), chosen)

    fast = gradients()
    with plain():
        slow = gradients()
    torch.testing.assert_close(fast, slow)


@every_cell
def test_nothing_learns(name: str) -> None:
    cell = made(name, Window(), kind=torch.float32)
    x = pictures(cell, kind=torch.float32)
    with plain():
        expected = scan(cell, x)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            y, last = scan(cell, x)
        assert not y.requires_grad
        torch.testing.assert_close((y, last), (expected[0].detach(), tuple(s.detach() for s in expected[1])))
    y, _ = scan(cell.requires_grad_(False), x)
    assert not y.requires_grad


@every_cell
def test_copies_and_pickled_weights_give_the_same(name: str) -> None:
    cell = made(name, Window(kernel_size=2), peepholes=True) if name == "lstm" else made(name, Window(kernel_size=2))
    x = pictures(cell)
    file = io.BytesIO()
    torch.save(cell.state_dict(), file)
    file.seek(0)
    other = copy.deepcopy(cell)
    with torch.no_grad():
        for p in other.parameters():
            p.zero_()
    other.load_state_dict(torch.load(file))
    assert_same(learned(other, x), learned(cell, x))


@every_cell
@pytest.mark.parametrize("window", [None, Window()], ids=["dense", "picture"])
def test_used_twice_in_one_graph(name: str, window: Window | None) -> None:
    cell = made(name, window)
    one, two = pictures(cell), pictures(cell)

    def gradients() -> tuple[Tensor, ...]:
        first, state = scan(cell, one)
        second, _ = scan(cell, two, state)
        return torch.autograd.grad((first * second).sum(), list(cell.parameters()))

    fast = gradients()
    with plain():
        slow = gradients()
    torch.testing.assert_close(fast, slow)


@every_cell
@pytest.mark.parametrize("window", [None, Window()], ids=["dense", "picture"])
def test_the_same_graph_twice_backwards(name: str, window: Window | None) -> None:
    cell = made(name, window)
    x = pictures(cell).requires_grad_()
    wanted = [x, *cell.parameters()]
    loss = scan(cell, x)[0].square().sum()
    once = [g.clone() for g in torch.autograd.grad(loss, wanted, retain_graph=True)]
    twice = torch.autograd.grad(loss, wanted, retain_graph=True)
    assert all(map(torch.equal, once, twice))


@every_cell
@pytest.mark.parametrize("recompute", [False, True])
def test_a_second_backward_pass_leaves_the_gradients_of_the_first_alone(name: str, recompute: bool) -> None:
    cell = made(name, Window())
    y, last = scan(cell, pictures(cell), recompute=recompute)
    cell.zero_grad()
    y.sum().backward(retain_graph=True)
    once = [p.grad.clone() for p in cell.parameters() if p.grad is not None]
    cell.zero_grad()
    y.sum().backward(retain_graph=True)
    torch.testing.assert_close([p.grad for p in cell.parameters()], once)
    last[0].sum().backward()  # and now they add up, as they should
    for p, value in zip(cell.parameters(), once, strict=True):
        assert p.grad is not None and not torch.equal(p.grad, value)


@every_cell
@pytest.mark.parametrize("recompute", [False, True])
def test_backwards_within_autocast_though_forwards_was_not(name: str, recompute: bool) -> None:
    cell = made(name, Window(), kind=torch.float32)
    x = pictures(cell, kind=torch.float32)
    expected = learned(cell, x)
    cell.zero_grad()
    y, last = scan(cell, x, recompute=recompute)
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        sum((p * torch.randn(p.shape).to(p)).sum() for p in [y, *last]).backward()  # type: ignore[union-attr]
    for key, p in cell.named_parameters():
        torch.testing.assert_close(p.grad, expected[key], rtol=0.02, atol=0.02)


@every_cell
def test_recomputing_keeps_no_gates(name: str) -> None:
    cell = made(name, Window(), kind=torch.float32)
    x = pictures(cell, batch=1, steps=16, kind=torch.float32)
    kept = []
    for recompute in (False, True):
        sizes: dict[int, int] = {}

        def note(t: Tensor, sizes: dict[int, int] = sizes) -> Tensor:
            sizes[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
            return t

        with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
            scan(cell, x, recompute=recompute)
        kept.append(sum(sizes.values()))
    assert kept[1] < 0.5 * kept[0]


@every_cell
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_any_layout_of_memory(name: str, kind: torch.dtype) -> None:
    cell = made(name, Window(kernel_size=(3, 2)), kind=kind)
    x = pictures(cell, kind=kind)
    frames = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, x.shape[:2])
    time_major = x.transpose(0, 1).contiguous().transpose(0, 1)
    turned = x.movedim(-1, 0).contiguous().movedim(0, -1)
    sparse = torch.stack([x, x + 1], -1)[..., 0]
    loose = {} if kind == torch.float64 else {"rtol": 1e-4, "atol": 1e-5}
    state = states(cell, x)
    expected = learned(cell, x, state)
    for other in (frames, time_major, turned, sparse):
        assert torch.equal(other, x) and not other.is_contiguous()
        assert_same(learned(cell, other, state), expected, **loose)
    last = tuple(s.contiguous(memory_format=torch.channels_last) for s in state)
    assert_same(learned(cell, x, last), expected, **loose)
    cell.to(memory_format=torch.channels_last)
    assert_same(learned(cell, frames, last), expected, **loose)
    one = x[:1, :1, :, :1].expand(4, 5, 2, 4, 5)
    assert_same(learned(cell, one, state), learned(cell, one.contiguous(), state), **loose)


@given(
    name=st.sampled_from(list(CELLS)),
    space=st.integers(0, 2),
    batch=st.integers(1, 3),
    steps=st.integers(1, 4),
    sides=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    kernel=st.integers(1, 5),
    state_kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_equals_the_plain_loop_at_any_size(
    name: str,
    space: int,
    batch: int,
    steps: int,
    sides: tuple[int, int],
    kernel: int,
    state_kernel: int,
    stride: int,
    dilation: int,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    options = dict(kernel_size=kernel, state_kernel_size=state_kernel, stride=stride, dilation=dilation)
    window = Window(space=space, state_dilation=dilation, **options) if space else None  # type: ignore[arg-type]
    cell = made(name, window, kind=torch.float32)
    x = torch.randn(batch, steps, 2, *sides[:space])
    lengths = torch.randint(0, steps + 1, (batch,))
    assert_as_plain(cell, x, states(cell, x), lengths, tolerance={"rtol": 1e-3, "atol": 1e-4})


@every_cell
def test_weights_changed_before_the_backward_pass_are_an_error_not_a_wrong_gradient(name: str) -> None:
    for changed in ("input.", "recurrent.", "peepholes"):
        cell = made(name, Window(), kind=torch.float32)
        y, _ = scan(cell, pictures(cell, kind=torch.float32).requires_grad_())
        found = [p for key, p in cell.named_parameters() if key.startswith(changed) and not key.endswith("bias")]
        with torch.no_grad():
            for p in found:
                p.mul_(2)
        if found:
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                y.sum().backward()


@every_cell
def test_output_written_over_is_an_error_not_a_wrong_gradient(name: str) -> None:
    cell = made(name, None)
    y, _ = scan(cell, pictures(cell))
    with pytest.raises(RuntimeError, match=r"in.?place"):
        y.detach().mul_(3)
        y.sum().backward()
    with torch.no_grad():
        y, _ = scan(cell, pictures(cell))
        y.relu_()


def test_a_gradient_of_a_gradient_is_refused_not_wrong() -> None:
    cell = made("lstm", None)
    x = pictures(cell).requires_grad_()
    (slope,) = torch.autograd.grad(scan(cell, x)[0].square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        slope.sum().backward()


def test_only_what_it_knows_is_unrolled() -> None:
    class Other(LSTMCell):
        def update(self, zx: Tensor, zh: Tensor, state: Any) -> Any:
            return super().update(zx, zh, state)

    assert unrolls(LSTMCell(2, 3)) and unrolls(GRUCell(2, 3))
    assert not unrolls(Other(2, 3)), "who inherits may have changed something"
    assert not unrolls(LSTMCell(2, 3, norm=layer_norm))
    assert not unrolls(Zoneout(GRUCell(2, 3), [0.1]))
    swapped = LSTMCell(2, 3)
    swapped.input = nn.Sequential(nn.Linear(2, 12))  # an adapter, a quantised map
    assert not unrolls(swapped)
    assert scan(swapped, torch.randn(1, 2, 2))[0].shape == (1, 2, 3)


def test_weights_made_of_others_learn() -> None:
    cell = made("lstm", Window())
    torch.nn.utils.parametrizations.weight_norm(cell.recurrent.conv)
    assert_as_plain(cell, pictures(cell))
    assert all(p.grad is not None for p in cell.parameters())


def test_what_watches_the_maps_of_a_cell_sees_them() -> None:
    cell, seen = made("lstm", Window()), []
    handle = cell.input.register_forward_hook(lambda *_: seen.append(1))
    scan(cell, pictures(cell))
    assert seen, "describe counts multiply-adds by hooks"
    handle.remove()
    assert unrolls(cell)


@every_cell
def test_transforms_of_functions_take_the_plain_loop(name: str) -> None:
    cell = made(name, None)
    x = pictures(cell)
    values = {key: p.detach() for key, p in cell.named_parameters()}

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = cell

        def forward(self, x: Tensor) -> Tensor:
            return scan(self.cell, x)[0].square().sum()

    net = Net()

    def loss(values: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(net, {f"cell.{k}": v for k, v in values.items()}, (x,))

    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(values, x[:, None])
    net(x).backward()
    for key, p in cell.named_parameters():
        torch.testing.assert_close(each[key].sum(0), p.grad)


def test_tanh_by_the_logistic_function_only_where_rounding_allows() -> None:
    small = torch.tensor([0.0, 1e-3, -0.3, 4.0, -30.0, 200.0])
    for kind, most in ((torch.float32, 2e-7), (torch.float64, 1e-15), (torch.float16, 0.0), (torch.bfloat16, 0.0)):
        x = small.to(kind)
        assert (tanh(x) - torch.tanh(x)).abs().max() <= most, kind
    x = torch.randn(3)
    expected = torch.tanh(x)
    torch.testing.assert_close(tanh(x, out=x), expected)


@pytest.mark.parametrize("kernel", [1, 2, 3, (4, 1)])
def test_without_the_kernels_own_order_of_weights(kernel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor that does not have it."""
    cell = made("lstm with peepholes", Window(kernel_size=kernel), kind=torch.float32)
    x = pictures(cell, kind=torch.float32)
    packed = learned(cell, x)
    monkeypatch.setattr(LinearMap, "_packs", lambda self, x: False)
    assert_same(packed, learned(cell, x), rtol=1e-4, atol=1e-5)


def test_an_old_processor_packs_no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = made("lstm", Window(), kind=torch.bfloat16)
    of_state = LinearMap(cell.recurrent, cell.recurrent.weight)
    monkeypatch.setattr("crnn.layers.linear_map.packs_bfloat16", lambda: False)
    assert not of_state._packs(torch.zeros(1, 4, 4, 3, dtype=torch.bfloat16))


def test_flags_of_torch_are_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    of_state = LinearMap(LSTMCell(2, 3, window=Window()).recurrent, torch.zeros(12, 3, 3, 3))
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    assert not of_state._packs(torch.zeros(1, 4, 4, 3))


def test_a_layer_larger_than_a_piece() -> None:
    """Sizes at which real pieces are cut."""
    layer = ConvLSTM(1, 8, space=2)
    x = torch.randn(1, 20, 1, 96, 96)
    assert quick.AT_ONCE < 20 * 96 * 96 * 8 * 4 * 4
    y, _ = layer(x)
    with plain():
        torch.testing.assert_close(layer(x)[0], y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("both", [True, False])
def test_stack_in_any_direction(both: bool) -> None:
    layer = Recurrent(2, 3, layers=2, bidirectional=both, cell=GRUCell).double()
    x = torch.randn(4, 5, 2, dtype=torch.float64)
    found = []
    for way in (nullcontext, plain):
        layer.zero_grad()
        with way():
            y, _ = layer(x, None, torch.tensor(RAGGED))
            y.square().sum().backward()
        found.append([y.detach(), *(p.grad for p in layer.parameters())])
    torch.testing.assert_close(*found)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("name", ["lstm with peepholes", "gru"])
@pytest.mark.parametrize("window", [None, Window(), Window(kernel_size=4, stride=2), Window(space=3)])
def test_on_a_gpu(name: str, window: Window | None) -> None:
    cell = made(name, window)
    x = pictures(cell)
    state, lengths = states(cell, x), torch.tensor(RAGGED)
    expected = learned(cell, x, state, lengths)
    cell.cuda()
    there = learned(cell, x.cuda(), tuple(s.cuda() for s in state), lengths.cuda())
    assert_same({key: value.cpu() for key, value in there.items()}, expected)
