"""Recurrence inside a convolution: plain formulas, the papers' counts, padding, recomputation, ablations."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from crnn.errors import SettingsError, ShapeError
from crnn.layers.local_norm import LocalResponseNorm
from crnn.layers.padding import zero_padding
from crnn.layers.rcl import RCL, GatedRCL, LocalNorm, SharedNorm, SkiplessRCL, StepNorm, WideConv

CONVOLVE: dict[int, Any] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
KERNELS: list[Any] = [(3,), (4,), 3, (2, 3), (5, 4), (3, 1, 2)]
NORMS: list[Any] = [LocalNorm, StepNorm, SharedNorm, None]
KINDS: list[Callable[..., nn.Module]] = [
    lambda **o: RCL(2, 5, norm=LocalNorm, **o),
    lambda **o: RCL(2, 5, **o),
    lambda **o: RCL(2, 5, norm=SharedNorm, **o),
    lambda **o: RCL(2, 5, norm=None, input_kernel_size=1, **o),
    lambda **o: SkiplessRCL(2, 5, **o),
    lambda **o: WideConv(2, 5, **o),
    lambda **o: GatedRCL(2, 5, **o),
    lambda **o: GatedRCL(2, 5, tied=False, **o),
]
NAMES = ["lrn", "step norm", "shared norm", "no norm", "skipless", "wide", "gated", "gated untied"]
every_kind = pytest.mark.parametrize("make", KINDS, ids=NAMES)
LENGTHS = torch.tensor([4, 9, 1, 7])


def pictures(axes: int, *, batch: int = 4, kind: torch.dtype = torch.float32) -> Tensor:
    """Random ``(batch, 2, 9, *space)``."""
    return torch.randn(batch, 2, 9, *(4, 3)[: axes - 1], dtype=kind)


def axes_of(kernel: int | Sequence[int]) -> int:
    return 2 if isinstance(kernel, int) else len(kernel)


def shaken(layer: nn.Module) -> nn.Module:
    """With norms that are not as at the start."""
    with torch.no_grad():
        for name, value in [*layer.named_parameters(), *layer.named_buffers()]:
            if name.endswith(("running_var", "norm.weight")) or (value.dim() == 1 and name.endswith("weight")):
                value.uniform_(0.5, 2)
            elif value.dim() == 1:
                value.normal_(std=0.5)
    return layer


# formulas


def same(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``weight * x`` by loops over places; a kernel's centre is rounded down."""
    size = weight.shape[2:]
    y = x.new_zeros(x.shape[0], weight.shape[0], *x.shape[2:])
    for place in torch.cartesian_prod(*(torch.arange(n) for n in x.shape[2:])).view(-1, x.dim() - 2).tolist():
        for offset in torch.cartesian_prod(*(torch.arange(k) for k in size)).view(-1, x.dim() - 2).tolist():
            source = [p + o - (k - 1) // 2 for p, o, k in zip(place, offset, size, strict=True)]
            if all(0 <= s < n for s, n in zip(source, x.shape[2:], strict=True)):
                y[(..., *place)] += x[(..., *source)] @ weight[(..., *offset)].t()
    return y if bias is None else y + bias.view(-1, *[1] * (x.dim() - 2))


def local(x: Tensor) -> Tensor:
    """Liang & Hu's normalisation with their constants, channel by channel."""
    channels = x.shape[1]
    size = channels // 8 + 1
    y = []
    for c in range(channels):
        near = x[:, max(0, c - size // 2) : min(channels, c + (size - 1) // 2 + 1)]
        y.append(x[:, c] / (1 + 0.001 / size * near.square().sum(1)) ** 0.75)
    return torch.stack(y, 1)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_equals_the_formula(kernel: Any, steps: int) -> None:
    layer = RCL(2, 16, kernel_size=kernel, steps=steps, norm=LocalNorm).double()
    u = 3 * pictures(axes_of(kernel), batch=2, kind=torch.float64)
    f = same(u, layer.of_input.weight, layer.of_input.bias)
    x = local(f.relu())
    for _ in range(steps):
        x = local((f + same(x, layer.of_state.weight)).relu())
    y, lengths = layer(u)
    assert lengths is None and y.shape == (2, 16, *u.shape[2:]), "same size, kernels odd or even"
    torch.testing.assert_close(y, x)


def test_no_step_is_a_convolution_and_its_norm() -> None:
    layer, u = RCL(2, 16, steps=0, norm=LocalNorm), pictures(2)
    expected = F.local_response_norm(layer.of_input(u).relu(), 3, alpha=1e-3, beta=0.75, k=1)
    torch.testing.assert_close(layer(u)[0], expected)
    assert layer.of_state is None, "no weights that nothing uses"


def test_kernels_of_input_and_state_may_differ_as_in_the_network_for_eeg() -> None:
    layer = RCL(32, 128, kernel_size=(9,), input_kernel_size=1, norm=None)
    assert layer.of_input.weight.shape == (128, 32, 1) and layer.of_state.weight.shape == (128, 128, 9)
    assert layer(torch.randn(1, 32, 20))[0].shape == (1, 128, 20)


def test_skipless_sees_its_input_in_the_first_step_only() -> None:
    layer = SkiplessRCL(2, 5, steps=2, norm=None).double()
    u = pictures(2, kind=torch.float64)
    x = same(u, layer.of_input.weight, layer.of_input.bias).relu()
    for _ in range(2):
        x = same(x, layer.of_state.weight).relu()
    torch.testing.assert_close(layer(u)[0], x)


def test_wide_is_two_convolutions_with_as_many_weights_as_an_rcl() -> None:
    layer = WideConv(2, 16, norm=LocalNorm).double()
    u = pictures(2, batch=1, kind=torch.float64)
    x = u
    for part in (layer.first, layer.second):
        x = local(same(x, part.of_input.weight, part.of_input.bias).relu())
    torch.testing.assert_close(layer(u)[0], x)
    assert count(WideConv(16, 16, bias=False, norm=None)) == count(RCL(16, 16, bias=False, norm=None))


def test_each_step_has_its_own_statistics_or_all_share_them() -> None:
    x = pictures(2)
    for norm, of_step in ((StepNorm, [0, 1, 2]), (SharedNorm, [0, 0, 0])):
        layer, norms = RCL(2, 5, steps=2, norm=norm), [nn.BatchNorm2d(5) for _ in range(max(of_step) + 1)]
        z = layer.of_input(x)
        y = norms[of_step[0]](z.relu())
        for t in (1, 2):
            y = norms[of_step[t]]((z + layer.of_state(y)).relu())
        torch.testing.assert_close(layer(x)[0], y)
        for ours, theirs in zip(layer.norm.norms if norm is StepNorm else [layer.norm.norm], norms, strict=True):
            torch.testing.assert_close(ours.running_mean, theirs.running_mean)
            torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_the_first_step_convolves_the_input_by_its_own_kernel_not_the_states() -> None:
    """A widespread reimplementation takes the recurrent kernel at step 0: the same count, another function."""
    layer, x = RCL(5, 5, steps=1, norm=None), torch.randn(1, 5, 6, 6)
    layer.of_state.weight.data.zero_()
    torch.testing.assert_close(layer(x)[0], layer.of_input(x).relu())


# gated


def open_gates(layer: GatedRCL, bias: float) -> GatedRCL:
    """Batch norms that do nothing in ``eval()``, gates pushed by ``bias``."""
    for m in layer.modules():
        if hasattr(m, "running_var"):
            m.running_var.fill_(1 - m.eps)
    layer.gate_input_norm.bias.data.fill_(bias)
    return layer.eval()


def test_gated_with_open_gates_is_an_rcl() -> None:
    gated = open_gates(GatedRCL(2, 5).double(), 1e3)
    layer = RCL(2, 5, norm=None, bias=False).double()
    layer.of_input.load_state_dict(gated.of_input.state_dict())
    layer.of_state.load_state_dict(gated.of_state[0].state_dict())
    u = pictures(2, kind=torch.float64)
    torch.testing.assert_close(gated(u)[0], layer(u)[0])


def test_gated_with_shut_gates_stays_at_its_first_state() -> None:
    gated = open_gates(GatedRCL(2, 5).double(), -1e3)
    u = pictures(2, kind=torch.float64)
    torch.testing.assert_close(gated(u)[0], gated.of_input(u).relu())


@pytest.mark.parametrize("tied", [True, False])
def test_gated_equals_the_formula(tied: bool) -> None:
    layer = shaken(GatedRCL(2, 5, steps=2, tied=tied, input_kernel_size=1).double())
    u = pictures(2, batch=2, kind=torch.float64)

    def norm(x: Tensor, m: Any) -> Tensor:
        return F.batch_norm(x, None, None, m.weight, m.bias, True)

    f = norm(same(u, layer.of_input.weight), layer.input_norm)
    g = norm(same(u, layer.gate_of_input.weight), layer.gate_input_norm)
    x = f.relu()
    assert len(layer.of_state) == len(layer.gate_of_state) == (1 if tied else 2)
    for t in (0, 1):
        w, v = (m[0 if tied else t].weight for m in (layer.of_state, layer.gate_of_state))
        gate = (g + norm(same(x, v), layer.gate_norm.norms[t])).sigmoid()
        x = (f + norm(norm(same(x, w), layer.state_norm.norms[t]) * gate, layer.gated_norm.norms[t])).relu()
    torch.testing.assert_close(layer(u)[0], x)


def test_gated_without_steps_has_no_gates() -> None:
    layer, u = GatedRCL(2, 5, steps=0), pictures(2)
    torch.testing.assert_close(layer(u)[0], nn.BatchNorm2d(5)(layer.of_input(u)).relu())
    assert count(layer) == 5 * 2 * 9 + 2 * 5


# counts and gradients


def count(layer: nn.Module) -> int:
    return sum(p.numel() for p in layer.parameters())


@pytest.mark.parametrize(
    ("maps", "with_bias", "without"),
    [(96, 672_202, 671_818), (128, 1_191_178, 1_190_666), (160, 1_857_610, 1_856_970)],
)
def test_counts_of_liang_and_hu(maps: int, with_bias: int, without: int) -> None:
    for bias, expected in ((True, with_bias), (False, without)):
        with torch.device("meta"):
            layers = [RCL(maps, maps, norm=LocalNorm, bias=bias) for _ in range(4)]
            first = RCL(3, maps, kernel_size=5, steps=0, norm=LocalNorm)
            network = nn.Sequential(first, *layers, nn.Linear(maps, 10))
        assert all(count(layer) == 2 * 9 * maps**2 + maps * bias for layer in layers)
        assert count(network) == expected


def test_gradient_of_the_tied_kernel_is_the_sum_over_steps_of_untied_copies() -> None:
    layer = RCL(2, 5, norm=LocalNorm).double()
    u, slope = pictures(2, kind=torch.float64), torch.randn(4, 5, 9, 4, dtype=torch.float64)
    (layer(u)[0] * slope).sum().backward()
    copies = [layer.of_state.weight.detach().clone().requires_grad_() for _ in range(3)]
    f = layer.of_input(u)
    x = local(f.relu())
    for weight in copies:
        x = local((f + F.conv2d(x, weight, padding=1)).relu())
    (x * slope).sum().backward()
    torch.testing.assert_close(layer.of_state.weight.grad, sum(w.grad for w in copies))  # type: ignore[misc]
    assert len({float(w.grad.norm()) for w in copies if w.grad is not None}) == 3


@every_kind
def test_gradients_are_those_of_the_function(make: Callable[..., nn.Module]) -> None:
    layer = shaken(make().double())
    lengths = torch.tensor([3, 2])
    x = torch.randn(2, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]

    def run(x: Tensor, *weights: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (x, lengths))[0]

    assert torch.autograd.gradcheck(run, (x, *(p for p in layer.parameters())), fast_mode=True)


@every_kind
def test_nothing_is_dead(make: Callable[..., nn.Module]) -> None:
    layer, x = make(), pictures(2).requires_grad_()
    (layer(x)[0] * torch.randn(4, 5, 9, 4)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in layer.parameters())
    assert x.grad is not None and x.grad.any()


# padding


@every_kind
@pytest.mark.parametrize("kernel", [(4,), 3, (2, 3, 1)])
def test_alone_equals_in_a_batch_whatever_stands_in_the_padding(make: Any, kernel: Any) -> None:
    layer = shaken(make(kernel_size=kernel)).eval()
    x = pictures(axes_of(kernel))
    outside = zero_padding(torch.ones_like(x), LENGTHS, axis=2) == 0
    y, lengths = layer(torch.where(outside, float("inf"), x), LENGTHS)
    assert torch.equal(lengths, LENGTHS) and torch.equal(layer.out_lengths(LENGTHS), LENGTHS)
    assert torch.equal(y, zero_padding(y, LENGTHS, axis=2)), "padding comes out zero"
    for row, one, length in zip(y, x, LENGTHS.tolist(), strict=True):
        torch.testing.assert_close(row[None, :, :length], layer(one[None, :, :length])[0], rtol=1e-5, atol=1e-5)


@every_kind
def test_in_training_padding_enters_nothing(make: Callable[..., nn.Module]) -> None:
    one, other = shaken(make()), None
    other = copy.deepcopy(one)
    x = zero_padding(pictures(2), LENGTHS, axis=2)
    wide = torch.where(F.pad(torch.ones_like(x), (0, 0, 0, 5)) > 0, F.pad(x, (0, 0, 0, 5)), 99.0)
    wide = torch.where(zero_padding(torch.ones_like(wide), LENGTHS, axis=2) > 0, wide, 99.0)
    slope = torch.randn(4, 5, 9, 4)
    (one(x, LENGTHS)[0] * slope).sum().backward()
    y = other(wide, LENGTHS)[0]
    (y[:, :, :9] * slope).sum().backward()
    torch.testing.assert_close(y[:, :, :9], one.train()(x, LENGTHS)[0], rtol=1e-4, atol=1e-4)
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-4)


def test_statistics_leave_padding_out() -> None:
    layer, alone = RCL(2, 5), None
    alone = copy.deepcopy(layer)
    x = pictures(2, batch=1)
    layer(F.pad(x, (0, 0, 0, 30)), torch.tensor([9]))
    alone(x)
    for name, value in layer.named_buffers():
        torch.testing.assert_close(value, alone.get_buffer(name), rtol=1e-5, atol=1e-6, msg=name)


# recomputation


@every_kind
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_recomputed_equals_kept(make: Callable[..., nn.Module], lengths: Tensor | None) -> None:
    kept = shaken(make())
    layers = [kept, make(recompute=True)]
    layers[1].load_state_dict(kept.state_dict())
    x, slope = pictures(2), torch.randn(4, 5, 9, 4)
    found = []
    for layer in layers:
        u = x.clone().requires_grad_()
        y, _ = layer(u, lengths)
        (y * slope).sum().backward()
        found.append([y, u.grad, *(p.grad for p in layer.parameters()), *layer.buffers()])
    for a, b in zip(*found, strict=True):
        assert a is not None and torch.equal(a, b), "statistics too: a batch counts once"


def bytes_kept(layer: nn.Module, x: Tensor) -> int:
    """What the graph keeps for the backward pass."""
    sizes: dict[int, int] = {}

    def seen(t: Tensor) -> Tensor:
        if not isinstance(t, nn.Parameter):
            sizes[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(seen, lambda t: t):
        y = layer(x)[0]
    assert y.requires_grad
    return sum(sizes.values())


@pytest.mark.parametrize("norm", NORMS)
def test_recomputing_keeps_nothing_but_the_input(norm: Any) -> None:
    x = torch.randn(2, 16, 16, 16)
    plain, little = (bytes_kept(RCL(16, 16, norm=norm, recompute=r), x) for r in (False, True))
    assert plain >= 4 * x.nbytes and little <= x.nbytes


def test_without_gradients_nothing_is_recomputed() -> None:
    layer, x = RCL(2, 5, recompute=True).eval(), pictures(2)
    expected = layer(x)[0]
    with torch.no_grad():
        y = layer(x)[0]
    assert torch.equal(y, expected) and expected.requires_grad and not y.requires_grad


# the norm


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 20), st.integers(1, 25), st.sampled_from([(), (3,), (2, 3), (2, 1, 2)]), st.sampled_from([0.75, 0.5])
)
def test_local_response_norm_equals_torchs(channels: int, size: int, space: tuple[int, ...], beta: float) -> None:
    here = (10 * torch.randn(2, channels, *(space or (1,)), dtype=torch.float64)).requires_grad_()
    there = here.detach().clone().requires_grad_()
    y = LocalResponseNorm(size, 0.01, beta, 1.5)(here)
    expected = F.local_response_norm(there, size, 0.01, beta, 1.5)
    torch.testing.assert_close(y, expected)
    slope = torch.randn_like(y)
    y.backward(slope)
    expected.backward(slope)
    torch.testing.assert_close(here.grad, there.grad)


@pytest.mark.parametrize("beta", [0.75, 1.3])
def test_local_response_norm_has_its_gradient(beta: float) -> None:
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(LocalResponseNorm(3, 0.5, beta, 1.0), (x,))


def test_local_response_norm_works_in_bfloat16_where_torchs_fails() -> None:
    x = 10 * torch.randn(2, 16, 4, 4)
    norm = LocalResponseNorm(3, 0.1, 0.75, 1.0)
    y = norm(x.bfloat16())
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), norm(x), rtol=2e-2, atol=2e-2)
    with torch.autocast("cpu", torch.bfloat16):
        again = norm(x)
    assert torch.equal(again, norm(x)), "float32 stays float32"


# use


@every_kind
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_both_layouts_of_memory_are_one_function(make: Any, layout: torch.memory_format) -> None:
    layer = shaken(make())
    other = copy.deepcopy(layer).to(memory_format=layout)
    x = pictures(2)
    torch.testing.assert_close(
        other(x.contiguous(memory_format=layout), LENGTHS)[0], layer(x, LENGTHS)[0], rtol=1e-4, atol=1e-5
    )


@every_kind
@pytest.mark.parametrize("autocast", [True, False])
def test_bfloat16_is_near(make: Callable[..., nn.Module], autocast: bool) -> None:
    layer, x = shaken(make()), pictures(2)
    expected = copy.deepcopy(layer)(x, LENGTHS)[0]
    if not autocast:
        layer, x = layer.bfloat16(), x.bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        y = layer(x, LENGTHS)[0]
    y.sum().backward()
    assert y.dtype == torch.bfloat16
    assert (y.float() - expected).norm() < 0.05 * expected.norm()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


@every_kind
@pytest.mark.parametrize("shape", [(1, 2, 1, 1), (1, 2, 9, 4), (3, 2, 1, 4)])
def test_one_sample_one_step_one_place(make: Callable[..., nn.Module], shape: tuple[int, ...]) -> None:
    y, _ = make().eval()(torch.randn(shape))
    assert y.shape == (shape[0], 5, *shape[2:]) and y.isfinite().all()


@every_kind
def test_compiles_and_exports(make: Callable[..., nn.Module]) -> None:
    layer, x = shaken(make()).eval(), pictures(2)
    expected = layer(x, LENGTHS)[0]
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, LENGTHS)[0], expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        program = torch.export.export(layer, (x, LENGTHS))
    torch.testing.assert_close(program.module()(x, LENGTHS)[0], expected)


@pytest.mark.parametrize("make", [RCL, GatedRCL, SkiplessRCL, WideConv])
def test_what_does_not_fit_is_said(make: Any) -> None:
    layer = make(2, 5)
    for x, lengths, words in [
        (torch.randn(4, 2, 9), None, r"x has 3 axes.*4: \(batch, channels, time, height\)"),
        (torch.randn(4, 3, 9, 4), None, "x has 3 channels.*expected 2"),
        (torch.randn(4, 2, 9, 4), torch.tensor([4, 10, 1, 7]), "lengths holds 10"),
        (torch.randn(4, 2, 9, 4), torch.tensor([4, 9]), "one for each of the 4 samples"),
        (torch.randn(4, 2, 9, 0), None, "places of height"),
    ]:
        with pytest.raises(ShapeError, match=words):
            layer(x, lengths)
    with pytest.raises(SettingsError, match=r"for 4 axes.*one to three"):
        make(2, 5, kernel_size=(3, 3, 3, 3))
    with pytest.raises(SettingsError, match="2 axes"):
        make(2, 5, kernel_size=(3,), input_kernel_size=(1, 1))
    if make is not WideConv:
        with pytest.raises(SettingsError, match="steps is -1"):
            make(2, 5, steps=-1)
