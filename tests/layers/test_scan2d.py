"""MDLSTM: the numbers of a loop over single cells, from each corner, whatever stands in the padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from crnn.errors import ShapeError
from crnn.layers import mask
from crnn.layers.scan2d import CORNERS, MDLSTM

LENGTHS = torch.tensor([4, 6, 1])


def by_the_cell(x: Tensor, weights: list[Tensor], corner: str) -> Tensor:
    """One picture ``(inputs, time, height)`` from one corner, a cell at a time, by the plain formulas."""
    of_input, of_hidden, bias, *peepholes = weights
    size = bias.shape[0] // 5
    _, time, height = x.shape
    if not time:
        return x.new_zeros(size, 0, height)
    zero = x.new_zeros(size)
    h: dict[tuple[int, int], Tensor] = {}
    c: dict[tuple[int, int], Tensor] = {}
    columns = range(time) if "left" in corner else range(time - 1, -1, -1)
    rows = range(height) if "top" in corner else range(height - 1, -1, -1)
    for t in columns:
        for r in rows:
            one, two = (t - columns.step, r), (t, r - rows.step)
            h1, h2, c1, c2 = h.get(one, zero), h.get(two, zero), c.get(one, zero), c.get(two, zero)
            a = x[:, t, r] @ of_input + h1 @ of_hidden[:size] + h2 @ of_hidden[size:] + bias
            f1, i, f2, o, g = a.split(size)
            if peepholes:
                p = peepholes[0]
                f1, i, f2 = f1 + p[0] * c1, i + p[1] * c1 + p[2] * c2, f2 + p[3] * c2
            c[t, r] = torch.sigmoid(i) * torch.tanh(g) + torch.sigmoid(f1) * c1 + torch.sigmoid(f2) * c2
            o = o + peepholes[0][4] * c[t, r] if peepholes else o
            h[t, r] = torch.sigmoid(o) * torch.tanh(c[t, r])
    return torch.stack([torch.stack([h[t, r] for r in range(height)], dim=1) for t in range(time)], dim=1)


def brute_force(layer: MDLSTM, x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """``layer`` on each sample alone and on each corner alone."""
    samples = []
    for row, length in zip(x, [x.shape[2]] * len(x) if lengths is None else lengths.tolist(), strict=True):
        found = [
            by_the_cell(row[:, :length], [p[w] for p in layer.parameters()], c) for w, c in enumerate(layer.corners)
        ]
        y = torch.cat(found) if layer.merge == "stack" else torch.stack(found).sum(0)
        samples.append(nn.functional.pad(y, (0, 0, 0, x.shape[2] - length)))
    return torch.stack(samples)


def exact(*args: Any, **options: Any) -> MDLSTM:
    """A layer in float64 with biases that matter."""
    layer = MDLSTM(*args, **options).double()
    with torch.no_grad():
        layer.bias.normal_()
    return layer


def gradients(function: Callable[..., Tensor], layer: MDLSTM, x: Tensor, lengths: Tensor | None) -> list[Tensor]:
    """The answer, and the gradients of input and weights for one random slope."""
    x = x.clone().requires_grad_()
    y = function(x, lengths)
    slope = torch.randn(y.shape, generator=torch.Generator().manual_seed(7), dtype=y.dtype)
    return [y.detach(), *torch.autograd.grad((y * slope).sum(), [x, *layer.parameters()])]


@pytest.mark.parametrize("peepholes", [False, True])
@pytest.mark.parametrize("merge", ["stack", "sum"])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_equals_the_loop_over_cells(peepholes: bool, merge: Any, lengths: Tensor | None) -> None:
    layer = exact(3, 4, peepholes=peepholes, merge=merge)
    x = torch.randn(3, 3, 6, 4, dtype=torch.float64)
    assert layer(x, lengths).shape == (3, layer.outputs, 6, 4)
    expected = gradients(lambda x, n: brute_force(layer, x, n), layer, x, lengths)
    for ours, theirs in zip(gradients(layer, layer, x, lengths), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 2),
    time=st.integers(1, 5),
    height=st.integers(1, 5),
    corners=st.lists(st.sampled_from(CORNERS), min_size=1, max_size=2),
    peepholes=st.booleans(),
)
def test_any_shape_and_any_corners(batch: int, time: int, height: int, corners: list[Any], peepholes: bool) -> None:
    layer = exact(2, 3, corners=corners, peepholes=peepholes)
    x = torch.randn(batch, 2, time, height, dtype=torch.float64)
    lengths = torch.randint(0, time + 1, (batch,))
    torch.testing.assert_close(layer(x, lengths), brute_force(layer, x, lengths), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("peepholes", [False, True])
def test_gradients_are_those_of_differences(peepholes: bool) -> None:
    layer = exact(2, 2, peepholes=peepholes, corners=("top left", "bottom right"))
    x = torch.randn(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([3, 2])

    def work(x: Tensor, *weights: Tensor) -> Tensor:
        names = [name for name, _ in layer.named_parameters()]
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (x, lengths))

    assert torch.autograd.gradcheck(work, (x, *layer.parameters()))


def test_a_picture_of_one_row_is_an_lstm_that_never_looks_up() -> None:
    layer = exact(3, 4, corners=("top left",))
    lstm = nn.LSTM(3, 4, batch_first=True).double()
    order = [1, 0, 4, 3]  # ours stand as f1, i, f2, o, g; torch's as i, f, g, o
    with torch.no_grad():
        for theirs, ours in (
            (lstm.weight_ih_l0, layer.weight_input[0]),
            (lstm.weight_hh_l0, layer.weight_hidden[0, :4]),
        ):
            theirs.copy_(ours.unflatten(1, (5, 4))[:, order].flatten(1).T)
        lstm.bias_ih_l0.copy_(layer.bias[0].view(5, 4)[order].flatten())
        lstm.bias_hh_l0.zero_()
    x = torch.randn(2, 3, 9, 1, dtype=torch.float64)
    torch.testing.assert_close(layer(x)[..., 0], lstm(x[..., 0].mT)[0].mT, rtol=1e-9, atol=1e-11)


def test_each_corner_sees_its_own_quarter_of_the_picture() -> None:
    for corner in CORNERS:
        layer = exact(1, 2, corners=(corner,))
        x = torch.randn(1, 1, 5, 4, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(layer(x)[0, :, 2, 1].sum(), x)
        columns = slice(0, 3) if "left" in corner else slice(2, None)
        rows = slice(0, 2) if "top" in corner else slice(1, None)
        expected = torch.zeros(5, 4, dtype=torch.bool)
        expected[columns, rows] = True
        assert torch.equal(gradient[0, 0] != 0, expected), corner


@pytest.mark.parametrize("filling", [99.0, float("nan")])
def test_padding_changes_nothing_and_comes_out_zero(filling: float) -> None:
    layer = MDLSTM(3, 4, peepholes=True).train()
    x = torch.randn(3, 3, 6, 4)
    inside = mask(LENGTHS, 6)[:, None, :, None]
    clean = gradients(layer, layer, torch.where(inside, x, 0.0), LENGTHS)
    dirty = gradients(layer, layer, torch.where(inside, x, filling), LENGTHS)
    for one, other in zip(clean, dirty, strict=True):
        assert torch.equal(one, other)
    assert not clean[0][~inside.expand(-1, layer.outputs, -1, 4)].any()
    for row, given_, length in zip(clean[0], x, LENGTHS.tolist(), strict=True):
        torch.testing.assert_close(row[None, :, :length], layer(given_[None, :, :length]), rtol=1e-5, atol=1e-6)


def test_memory_layout_of_the_input_does_not_matter() -> None:
    layer, x = MDLSTM(3, 4), torch.randn(2, 3, 6, 5)
    assert torch.equal(layer(x), layer(x.to(memory_format=torch.channels_last)))


@pytest.mark.parametrize("peepholes", [False, True])
def test_every_parameter_receives_a_gradient(peepholes: bool) -> None:
    layer = MDLSTM(3, 4, peepholes=peepholes)
    layer(torch.randn(2, 3, 5, 5)).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None and (parameter.grad != 0).all(), name


def test_memory_does_not_grow_with_the_picture_at_the_start() -> None:
    layer = MDLSTM(3, 16, corners=("top left",))
    y = layer(torch.randn(1, 3, 200, 16))
    assert y.abs().amax() < 0.9, "two gates of 0.73, as of a forget bias of 1, would have filled it"


def test_half_precision_keeps_an_exact_memory() -> None:
    layer, x = MDLSTM(3, 8), torch.randn(2, 3, 40, 12)
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    y.sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in layer.parameters())
    torch.testing.assert_close(y.float(), expected, rtol=0.05, atol=0.05)
    halved = layer.bfloat16()(x.bfloat16())
    assert halved.dtype == torch.bfloat16
    torch.testing.assert_close(halved.float(), expected, rtol=0.05, atol=0.05)


# the compiler looks at the function that turns padded samples around as if it made an object of it
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize(("lengths", "peepholes"), [(None, False), (torch.tensor([2, 4]), True)])
def test_compiled_and_exported_equal_the_plain_call(lengths: Tensor | None, peepholes: bool) -> None:
    layer = exact(3, 2, peepholes=peepholes, corners=("top right", "bottom left")).eval()
    x = torch.randn(2, 3, 4, 3, dtype=torch.float64)
    expected = gradients(layer, layer, x, lengths)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    for ours, theirs in zip(gradients(compiled, layer, x, lengths), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)
    exported = torch.export.export(layer, (x, lengths)).module()
    torch.testing.assert_close(exported(x, lengths), expected[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("shape", "lengths", "words"),
    [
        ((3, 7, 5), None, r"x has 3 axes, .*expected 4: \(batch, channels, time, height\)"),
        ((4, 2, 7, 5), None, "x has 2 channels.*expected 3 channels"),
        ((4, 3, 7, 5), torch.tensor([4, 8, 1, 2]), "lengths holds 8; expected 0 to 7"),
        ((4, 3, 7, 5), torch.tensor([4, 7]), "lengths is int64 .2,.*each of the 4 samples"),
    ],
)
def test_what_does_not_fit_is_named(shape: tuple[int, ...], lengths: Tensor | None, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        MDLSTM(3, 4)(torch.zeros(shape), lengths)
