"""Neural Abstraction Pyramid: plain formulas, lengths, streaming, what flows where."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crnn.errors import SettingsError, ShapeError
from crnn.layers.padding import mask
from crnn.layers.pyramid import Pyramid, PyramidLayer

LENGTHS = torch.tensor([4, 1, 3])


def film(*, steps: int = 4, kind: torch.dtype = torch.float32, size: tuple[int, int] = (8, 4)) -> Tensor:
    """Random ``(3, steps, 2, height, width)``."""
    return torch.randn(3, steps, 2, *size, dtype=kind)


def small(**options: Any) -> Pyramid:
    return Pyramid(2, (3, 4, 5), **options)


# formulas


def forward_link(a: Tensor, w: Tensor) -> Tensor:
    """Each cell sees 4 x 4 finer ones, from the one before its own two on."""
    _, height, width = a.shape
    y = a.new_zeros(w.shape[0], height // 2, width // 2)
    for i in range(height // 2):
        for j in range(width // 2):
            for di in range(4):
                for dj in range(4):
                    p, q = 2 * i + di - 1, 2 * j + dj - 1
                    if 0 <= p < height and 0 <= q < width:
                        y[:, i, j] += w[:, :, di, dj] @ a[:, p, q]
    return y


def lateral_link(a: Tensor, w: Tensor) -> Tensor:
    """Each cell sees 3 x 3 of its own layer, which has no border: it goes on at the other side."""
    _, height, width = a.shape
    y = torch.zeros_like(a)
    for i in range(height):
        for j in range(width):
            for di in range(3):
                for dj in range(3):
                    y[:, i, j] += w[:, :, di, dj] @ a[:, (i + di - 1) % height, (j + dj - 1) % width]
    return y


def backward_link(a: Tensor, w: Tensor) -> Tensor:
    """Each cell sees the one coarser cell above it, by weights for its place among the four."""
    _, height, width = a.shape
    y = a.new_zeros(w.shape[1], 2 * height, 2 * width)
    for i in range(2 * height):
        for j in range(2 * width):
            y[:, i, j] = w[:, :, i % 2, j % 2].t() @ a[:, i // 2, j // 2]
    return y


def by_hand(pyramid: Pyramid, pictures: Tensor, state: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Bottom activities after each step and the last state, for one sample ``(time, inputs, height, width)``."""
    seen = []
    for picture in pictures:
        before, state = state, []
        for i, layer in enumerate(pyramid.layers):
            z = lateral_link(before[i], layer.lateral.weight) + layer.lateral.bias.view(-1, 1, 1)
            if i == 0:
                z = z + torch.einsum("oi,ihw->ohw", layer.input.weight[:, :, 0, 0], picture)
            else:
                z = z + forward_link(state[-1], layer.forward_in.weight)
            if i + 1 < len(before):
                z = z + backward_link(before[i + 1], layer.backward_in.weight)
            state.append(1 / (1 + (-z).exp()))
        seen.append(state[0])
    return seen, state


@torch.no_grad()
def test_equals_the_formula() -> None:
    pyramid, x = small().double(), film(kind=torch.float64)
    start = tuple(torch.rand(3, *s, dtype=torch.float64) for s in ((3, 8, 4), (4, 4, 2), (5, 2, 1)))
    for state in (None, start):
        y, last = pyramid(x, state)
        for b in range(3):
            first = [s[b] for s in state] if state else [torch.zeros_like(s[b]) for s in start]
            seen, end = by_hand(pyramid, x[b], first)
            torch.testing.assert_close(y[b], torch.stack(seen))
            for ours, theirs in zip(last, end, strict=True):
                torch.testing.assert_close(ours[b], theirs)


def test_levels_of_the_book() -> None:
    """28 x 28, 14 x 14, 7 x 7 with 8 features and 1 x 1 with 16: the last link is a full one, both ways."""
    pyramid = Pyramid(1, (4, 4, 8, 16), strides=(2, 2, 7), kernel_size=1, level=-1)
    y, state = pyramid(torch.rand(2, 3, 1, 28, 28))
    assert [tuple(s.shape[1:]) for s in state] == [(4, 28, 28), (4, 14, 14), (8, 7, 7), (16, 1, 1)]
    assert y.shape == (2, 3, 16, 1, 1)
    assert pyramid.layers[3].forward_in.weight.numel() == 7 * 7 * 8 * 16
    assert pyramid.layers[2].backward_in.weight.numel() == 7 * 7 * 8 * 16
    assert pyramid.layers[3].lateral.weight.numel() == 16 * 16


@pytest.mark.parametrize("level", [0, 1, 2, -1])
def test_the_level_that_was_asked_for_comes_out(level: int) -> None:
    y, state = small(level=level)(film())
    torch.testing.assert_close(y[:, -1], state[level])
    assert y.dim() == 5 and y.shape[1] == 4


def test_a_layer_takes_the_parts_it_is_built_for() -> None:
    x, own = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    alone = PyramidLayer(3)
    torch.testing.assert_close(alone(own), alone.lateral(own).sigmoid())
    torch.testing.assert_close(alone(own, None, None, x), alone(own))
    with pytest.raises(AssertionError, match="built for it"):
        PyramidLayer(3, below=2)(own)


def test_one_layer_is_a_pyramid() -> None:
    y, (state,) = Pyramid(2, (3,))(film())
    torch.testing.assert_close(y[:, -1], state)


def test_the_lateral_border_wraps_around() -> None:
    pyramid, x = Pyramid(2, (3,)), film()
    torch.testing.assert_close(pyramid(x.roll((3, 2), (3, 4)))[0], pyramid(x)[0].roll((3, 2), (3, 4)))


# gradients


def test_gradients_are_those_of_the_function() -> None:
    pyramid = Pyramid(1, (2, 2)).double()
    x = torch.randn(1, 2, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.rand(1, 2, n, n, dtype=torch.float64, requires_grad=True) for n in (2, 1))
    names = [name for name, _ in pyramid.named_parameters()]

    def run(x: Tensor, low: Tensor, high: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        y, last = torch.func.functional_call(pyramid, dict(zip(names, weights, strict=True)), (x, (low, high)))
        return y, *last

    assert torch.autograd.gradcheck(run, (x, *state, *pyramid.parameters()), fast_mode=True)


@pytest.mark.parametrize("level", [0, -1])
def test_nothing_is_dead(level: int) -> None:
    """From any level alone all weights learn, as soon as there are steps to get everywhere."""
    pyramid, x = small(level=level), film(steps=6).requires_grad_()
    pyramid(x)[0][:, -1].square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in pyramid.parameters())
    assert x.grad is not None and all(x.grad[:, t].any() for t in range(6))


def test_forward_is_direct_and_backward_waits_a_step() -> None:
    pyramid, x = small(level=-1), film(steps=1).requires_grad_()
    y, state = pyramid(x)
    y.sum().backward()
    assert x.grad is not None and x.grad.any(), "the picture gets to the top at once"
    start = tuple(s.detach().requires_grad_() for s in state)
    pyramid(film(steps=1), start)[1][0].sum().backward()
    assert start[1].grad is not None and start[1].grad.any()
    assert start[2].grad is None, "from the top it takes a step for each layer down"


def test_no_output_knows_what_comes_after_it() -> None:
    x = film().requires_grad_()
    small()(x)[0][:, 1].sum().backward()
    assert x.grad is not None and x.grad[:, :2].any() and not x.grad[:, 2:].any()


# lengths and pieces


@pytest.mark.parametrize("train", [True, False])
def test_alone_equals_in_a_batch_whatever_stands_in_the_padding(train: bool) -> None:
    pyramid = small().train(train)
    x = film()
    inside = mask(LENGTHS, 4)[:, :, None, None, None]
    for filling in (99.0, float("inf")):
        y, state = pyramid(torch.where(inside, x, filling), None, LENGTHS)
        assert not y[~mask(LENGTHS, 4)].any(), "padding comes out zero"
        for b, length in enumerate(LENGTHS.tolist()):
            alone, last = pyramid(x[b : b + 1, :length])
            torch.testing.assert_close(y[b : b + 1, :length], alone)
            for ours, theirs in zip(state, last, strict=True):
                torch.testing.assert_close(ours[b : b + 1], theirs)


def test_pieces_with_carried_state_equal_the_whole() -> None:
    pyramid, x = small(), film(steps=7)
    whole, last = pyramid(x)
    state, pieces = None, []
    for start, stop in ((0, 3), (3, 4), (4, 7)):
        y, state = pyramid(x[:, start:stop], state)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces, 1), whole)
    torch.testing.assert_close(state, last)


def test_a_sample_that_has_ended_keeps_its_state() -> None:
    pyramid, x = small(), film()
    _, state = pyramid(x)
    _, after = pyramid(x, state, torch.tensor([4, 0, 0]))
    for a, s in zip(after, state, strict=True):
        assert torch.equal(a[1:], s[1:]) and not torch.equal(a[0], s[0])


def test_a_still_picture_is_shown_at_each_step_and_settles() -> None:
    pyramid, picture = small(), torch.rand(1, 2, 8, 4)
    y, _ = pyramid(picture[:, None].expand(-1, 40, -1, -1, -1))
    moves = y.diff(dim=1).abs().amax((0, 2, 3, 4))
    assert moves[-1] < 1e-4 < moves[0]


def test_it_learns_to_clean_a_picture_over_the_steps() -> None:
    """Stripes with noise, in the manner of the book's restored digits: later steps are better than the first."""
    pyramid = Pyramid(1, (4, 8))
    to_picture = nn.Conv2d(4, 1, 1)
    optimizer = torch.optim.Adam([*pyramid.parameters(), *to_picture.parameters()], lr=0.03)
    errors = torch.zeros(5)
    for _ in range(60):
        clean = (torch.arange(8) % 2).float().expand(8, 1, 8, 8)
        clean = torch.where(torch.rand(8, 1, 1, 1) < 0.5, clean, clean.transpose(2, 3))
        noisy = (0.25 + 0.5 * clean + 0.5 * (torch.rand_like(clean) - 0.5)).clamp(0, 1)
        y, _ = pyramid(noisy[:, None].expand(-1, 5, -1, -1, -1))
        errors = (to_picture(y.flatten(0, 1)).unflatten(0, (8, 5)) - clean[:, None]).square().mean((0, 2, 3, 4))
        optimizer.zero_grad()
        errors.mean().backward()
        optimizer.step()
    assert errors[-1] < errors[0] and errors[-1] < 0.06, errors


# use


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 1, 2, 4, 4), (1, 3, 2, 8, 4), (2, 1, 2, 4, 8)])
def test_one_sample_one_step_and_all_types(kind: torch.dtype, shape: tuple[int, ...]) -> None:
    y, state = small().to(kind)(torch.randn(shape, dtype=kind), None, torch.full((shape[0],), shape[1]))
    assert y.shape == (*shape[:2], 3, *shape[3:]) and y.dtype == kind and y.isfinite().all()
    assert all(s.dtype == kind for s in state)


def test_autocast_is_near() -> None:
    pyramid, x = small(), film()
    expected, _ = pyramid(x, pyramid(x, None, LENGTHS)[1], LENGTHS)
    with torch.autocast("cpu", torch.bfloat16):
        y, state = pyramid(x, None, LENGTHS)
        y, state = pyramid(x, state, LENGTHS)
    assert y.dtype == torch.bfloat16 and all(s.dtype == torch.bfloat16 for s in state)
    torch.testing.assert_close(y.float(), expected, rtol=2e-2, atol=2e-2)
    y.sum().backward()
    assert all(p.grad is not None for p in pyramid.parameters())


def test_compiles_and_exports() -> None:
    pyramid, x = small().eval(), film()
    state = tuple(s.detach() for s in pyramid(x)[1])
    expected = pyramid(x, state, LENGTHS)
    compiled = torch.compile(pyramid, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, state, LENGTHS), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        program = torch.export.export(pyramid, (x, state, LENGTHS))
    torch.testing.assert_close(program.module()(x, state, LENGTHS), expected)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((3, 2, 8, 4), r"x has 4 axes.*5: \(batch, time, channels, height, width\)"),
        ((3, 4, 1, 8, 4), "x has 1 channels.*expected 2"),
        ((3, 4, 2, 8, 6), "pictures of 8 x 6.*multiples of 4"),
        ((3, 4, 2, 0, 4), "pictures of 0 x 4"),
    ],
)
def test_what_does_not_fit_is_said(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        small()(torch.zeros(shape))


def test_a_state_or_lengths_that_do_not_fit_are_said() -> None:
    pyramid, x = small(), film()
    state = pyramid(x)[1]
    for wrong in (state[:2], tuple(s[:2] for s in state), "old"):
        with pytest.raises(ShapeError, match="state"):
            pyramid(x, wrong)
    with pytest.raises(ShapeError, match="lengths holds 5"):
        pyramid(x, None, torch.tensor([5, 1, 2]))
    with pytest.raises(ShapeError, match="3 places of height"):
        Pyramid(2, (3,), kernel_size=7)(film(size=(2, 8)))
    for build in (
        lambda: small(level=3),
        lambda: small(kernel_size=2),
        lambda: small(strides=(2, 2, 2)),
        lambda: Pyramid(2, ()),
    ):
        with pytest.raises(SettingsError):
            build()


def test_as_many_weights_as_the_links_have() -> None:
    low, middle, high = 3, 4, 5
    lateral = sum(9 * n * n + n for n in (low, middle, high))
    links = sum((16 + 4) * a * b for a, b in ((low, middle), (middle, high)))
    assert sum(math.prod(p.shape) for p in small().parameters()) == lateral + links + 2 * low
