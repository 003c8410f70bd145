"""Attention: the plain formulas, torch's scaled dot product, lengths, and keys that serve many steps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.errors import ShapeError
from crnn.layers.attention import AdditiveAttention, DotAttention, Memory, masked_softmax

LENGTHS = torch.tensor([3, 5, 1, 0])
KINDS = {
    "additive": lambda: AdditiveAttention(4, 6, size=3),
    "dot": lambda: DotAttention(4, 4),
    "dot, Luong": lambda: DotAttention(4, 4, scale=1.0),
    "dot, projected": lambda: DotAttention(4, 6, size=3),
}
every_kind = pytest.mark.parametrize("kind", list(KINDS))


def score(attention: nn.Module, q: Tensor, x: Tensor) -> Tensor:
    """Of one query and one step, by the plain formula."""
    if isinstance(attention, AdditiveAttention):
        u, w = attention.from_keys, attention.from_query
        return attention.score.weight[0] @ torch.tanh(w.weight @ q + u.weight @ x + u.bias)
    assert isinstance(attention, DotAttention)
    if isinstance(attention.from_query, nn.Linear):
        assert isinstance(attention.from_keys, nn.Linear)
        q, x = attention.from_query.weight @ q, attention.from_keys.weight @ x
    return attention.scale * (q * x).sum()


def given(attention: nn.Module, queries: int = 2, kind: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    return torch.randn(4, queries, attention.query, dtype=kind), torch.randn(4, 5, attention.channels, dtype=kind)


@every_kind
def test_equals_the_formula(kind: str) -> None:
    attention = KINDS[kind]().double()
    query, x = given(attention, kind=torch.float64)
    context, weights = attention(query, x, LENGTHS)
    assert context.shape == (4, 2, attention.outputs) and weights.shape == (4, 2, 5)
    for b, length in enumerate(LENGTHS.tolist()):
        for i in range(2):
            exps = [torch.exp(score(attention, query[b, i], x[b, t])) for t in range(length)]
            expected = [e / sum(exps) for e in exps] + [torch.zeros((), dtype=torch.float64)] * (5 - length)
            torch.testing.assert_close(weights[b, i], torch.stack(expected))
            torch.testing.assert_close(context[b, i], sum(a * s for a, s in zip(expected, x[b], strict=True)))


@pytest.mark.parametrize("size", [None, 3])
def test_dot_equals_torchs_scaled_dot_product(size: int | None) -> None:
    attention = DotAttention(4, 4, size=size)
    query, x = given(attention)
    inside = (torch.arange(5) < LENGTHS[:3, None])[:, None].expand(3, 2, 5)
    q, k = attention.from_query(query[:3]), attention.from_keys(x[:3])
    expected = F.scaled_dot_product_attention(q, k, x[:3], attn_mask=inside)
    torch.testing.assert_close(attention(query[:3], x[:3], LENGTHS[:3])[0], expected)
    torch.testing.assert_close(
        attention(query, x)[0], F.scaled_dot_product_attention(attention.from_query(query), attention.from_keys(x), x)
    )


@every_kind
def test_one_query_is_a_row_of_many(kind: str) -> None:
    attention = KINDS[kind]()
    query, x = given(attention)
    context, weights = attention(query, x, LENGTHS)
    one, of_one = attention(query[:, 1], x, LENGTHS)
    assert one.shape == (4, 4) and of_one.shape == (4, 5)
    torch.testing.assert_close(one, context[:, 1])
    torch.testing.assert_close(of_one, weights[:, 1])


@every_kind
def test_keys_are_projected_once_for_all_steps_of_a_decoder(kind: str) -> None:
    attention = KINDS[kind]()
    query, x = given(attention)
    memory = attention.keys(x, LENGTHS)
    assert isinstance(memory, Memory)
    calls: list[int] = []
    attention.from_keys.register_forward_hook(lambda *_: calls.append(1))
    for step in range(2):
        torch.testing.assert_close(attention(query[:, step], memory)[0], attention(query, memory)[0][:, step])
    assert not calls
    torch.testing.assert_close(attention(query, memory), attention(query, x, LENGTHS))


@every_kind
@pytest.mark.parametrize("filling", [99.0, float("inf"), float("nan")])
def test_padding_changes_nothing_and_a_sample_without_a_step_gives_zeros(kind: str, filling: float) -> None:
    attention = KINDS[kind]()
    query, x = given(attention)
    inside = (torch.arange(5) < LENGTHS[:, None])[:, :, None]
    filled = torch.where(inside, x, filling).requires_grad_()
    context, weights = attention(query, filled, LENGTHS)
    for b, length in enumerate(LENGTHS.tolist()):
        if length:
            alone, shares = attention(query[b : b + 1], x[b : b + 1, :length])
            torch.testing.assert_close(context[b : b + 1], alone)
            torch.testing.assert_close(weights[b : b + 1, :, :length], shares)
        assert not weights[b, :, length:].any()
    assert not context[3].any()
    context.square().sum().backward()
    assert filled.grad is not None and torch.isfinite(filled.grad).all()
    assert not filled.grad[~inside.expand_as(filled)].any()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in attention.parameters())


@every_kind
def test_gradients(kind: str) -> None:
    attention = KINDS[kind]().double()
    query, x = (t.requires_grad_() for t in given(attention, kind=torch.float64))
    assert torch.autograd.gradcheck(lambda q, x: attention(q, x, LENGTHS), (query, x))
    attention(query, x, LENGTHS)[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in attention.parameters()), "nothing is dead"


@every_kind
def test_one_step_of_one_sample_is_itself(kind: str) -> None:
    attention = KINDS[kind]()
    x = torch.randn(1, 1, 4)
    context, weights = attention(torch.randn(1, attention.query), x)
    torch.testing.assert_close(context, x[:, 0])
    assert weights.tolist() == [[1.0]]


@every_kind
@pytest.mark.parametrize("autocast", [True, False])
def test_bfloat16_is_near(kind: str, autocast: bool) -> None:
    attention = KINDS[kind]()
    query, x = given(attention)
    expected, _ = attention(query, x, LENGTHS)
    if autocast:
        with torch.autocast("cpu", torch.bfloat16):
            context, _ = attention(query, x, LENGTHS)
    else:
        context, _ = attention.bfloat16()(query.bfloat16(), x.bfloat16(), LENGTHS)
    assert context.dtype == torch.bfloat16
    torch.testing.assert_close(context.float(), expected, rtol=5e-2, atol=5e-2)


@every_kind
def test_compiles_and_exports(kind: str) -> None:
    torch.compiler.reset()  # else what was compiled for others counts against this one
    attention = KINDS[kind]().eval().requires_grad_(False)
    query, x = given(attention)
    expected = attention(query, x, LENGTHS)
    compiled = torch.compile(attention, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(query, x, LENGTHS), expected)
    torch.testing.assert_close(compiled(query, attention.keys(x, LENGTHS)), expected)
    time = torch.export.Dim("time")
    program = torch.export.export(attention, (query, x, LENGTHS), dynamic_shapes=(None, {1: time}, None))
    longer = torch.cat([x, torch.full((4, 2, 4), 99.0)], dim=1)
    torch.testing.assert_close(program.module()(query, longer, LENGTHS)[0], expected[0])


def test_large_scores_do_not_overflow() -> None:
    weights = masked_softmax(torch.tensor([[1e30, 1e30, -1e30]]), torch.tensor([2]), axis=1)
    assert weights.tolist() == [[0.5, 0.5, 0.0]]


def test_says_which_argument_does_not_fit() -> None:
    attention = AdditiveAttention(4, 6, size=3)
    x, query = torch.randn(2, 5, 4), torch.randn(2, 6)
    with pytest.raises(ShapeError, match="query has 5 channels"):
        attention(torch.randn(2, 5), x)
    with pytest.raises(ShapeError, match=r"query has 3 samples.*expected 2"):
        attention(torch.randn(3, 6), x)
    with pytest.raises(ShapeError, match="query has 1 axes"):
        attention(torch.randn(6), x)
    with pytest.raises(ShapeError, match="x has 3 channels"):
        attention(query, torch.randn(2, 5, 3))
    with pytest.raises(ShapeError, match="lengths holds 9"):
        attention(query, x, torch.tensor([9, 1]))
    with pytest.raises(ShapeError, match="lengths is given beside a memory"):
        attention(query, attention.keys(x), torch.tensor([5, 1]))
    with pytest.raises(ShapeError, match="queries have 6 channels and the sequence 4"):
        DotAttention(4, 6)
