"""Associative memories: what they recall, what they do not, and that their energy never rises."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.errors import ShapeError
from crnn.layers.attention import DotAttention
from crnn.layers.hopfield import Hopfield, ModernHopfield, hebbian, pseudo_inverse

UNITS = 200


def signs(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(2, shape, generator=torch.Generator().manual_seed(seed)).double() * 2 - 1


def flipped(patterns: Tensor, share: float, seed: int = 1) -> Tensor:
    """Each pattern with the same number of its units turned."""
    ranks = torch.rand(patterns.shape, generator=torch.Generator().manual_seed(seed)).argsort(1).argsort(1)
    return torch.where(ranks < share * patterns.shape[1], -patterns, patterns)


def overlap(memory: Hopfield, patterns: Tensor, share: float) -> float:
    """Mean agreement, 1 for perfect recall, of what probes with ``share`` of their units turned come to rest at."""
    y = memory(flipped(patterns, share), generator=torch.Generator().manual_seed(2))
    return float((y * patterns).mean())


def test_weights_are_those_of_the_formulas() -> None:
    x = signs(3, 8)
    hebb, projection = hebbian(x), pseudo_inverse(x)
    inverse = torch.linalg.inv(x @ x.T)
    for i in range(8):
        for j in range(8):
            if i == j:
                assert hebb[i, j] == projection[i, j] == 0
                continue
            torch.testing.assert_close(hebb[i, j], sum(p[i] * p[j] for p in x) / 8)
            torch.testing.assert_close(projection[i, j], x[:, i] @ inverse @ x[:, j])


@pytest.mark.parametrize("rule", [hebbian, pseudo_inverse])
def test_energy_never_rises_unit_by_unit(rule: Callable[[Tensor], Tensor]) -> None:
    memory = Hopfield(rule(signs(6, 40)), threshold=torch.randn(40, dtype=torch.float64) / 10)
    x = signs(5, 40, seed=3)
    energy = memory.energy(x)
    torch.testing.assert_close(
        energy[0], -x[0] @ memory.weight @ x[0] / 2 + memory.threshold @ x[0], msg="the formula's energy"
    )
    for i in torch.randperm(40).repeat(3):
        x = memory.sweep(x, i[None])
        after = memory.energy(x)
        assert bool((after <= energy + 1e-12).all())
        energy = after
    assert torch.equal(memory(x), x), "and the state came to rest"


def test_a_tenth_as_many_patterns_as_units_are_recalled_from_a_tenth_of_flips() -> None:
    patterns = signs(UNITS // 10, UNITS)
    assert overlap(Hopfield(hebbian(patterns)), patterns, 0.1) > 0.98
    few = patterns[:10]
    assert torch.equal(Hopfield(hebbian(few))(flipped(few, 0.1)), few)


def test_hebbian_memory_fails_beyond_its_capacity() -> None:
    patterns = signs(UNITS // 4, UNITS)
    assert overlap(Hopfield(hebbian(patterns)), patterns, 0.1) < 0.8
    assert overlap(Hopfield(hebbian(patterns)), patterns, 0.0) < 0.9, "they are not even stable"


def test_pseudo_inverse_holds_many_independent_patterns() -> None:
    patterns = signs(UNITS * 4 // 10, UNITS)
    assert overlap(Hopfield(pseudo_inverse(patterns)), patterns, 0.1) > 0.98
    nearly_all = signs(UNITS * 9 // 10, UNITS)
    memory = Hopfield(pseudo_inverse(nearly_all))
    assert torch.equal(memory(nearly_all), nearly_all), "stable while they are fewer than the units"


def test_correlated_patterns_trouble_the_hebbian_rule_only() -> None:
    patterns = flipped(signs(1, UNITS).expand(6, UNITS), 0.15)
    assert torch.equal(Hopfield(pseudo_inverse(patterns))(patterns), patterns)
    assert not torch.equal(Hopfield(hebbian(patterns))(patterns), patterns)


def test_all_units_together_may_go_back_and_forth() -> None:
    memory = Hopfield(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    x = torch.tensor([[1.0, -1.0]])
    once = memory.together(x)
    assert torch.equal(once, -x)
    assert torch.equal(memory.together(once), x), "a cycle of two"
    rest = memory(x)
    assert torch.equal(memory.together(rest), rest), "one after the other they come to rest"


def test_the_answer_depends_on_the_generator_and_not_on_who_shares_the_batch() -> None:
    patterns = signs(30, UNITS)
    memory, probes = Hopfield(hebbian(patterns)), flipped(patterns, 0.3)

    def recall(x: Tensor, seed: int) -> Tensor:
        return memory(x, generator=torch.Generator().manual_seed(seed))

    y = recall(probes, 5)
    assert torch.equal(recall(probes, 5), y)
    assert not torch.equal(recall(probes, 6), y)
    for i in range(0, 30, 7):
        assert torch.equal(recall(probes[i : i + 1], 5)[0], y[i])


def test_a_unit_without_a_field_stays_as_it_is() -> None:
    x = signs(3, 4)
    memory = Hopfield(torch.zeros(4, 4, dtype=torch.float64))
    assert torch.equal(memory(x), x) and torch.equal(memory.together(x), x)


def test_a_threshold_pulls_units_down() -> None:
    memory = Hopfield(torch.zeros(4, 4), threshold=torch.tensor([1.0, -1.0, 1.0, -1.0]))
    assert memory(torch.ones(2, 4)).tolist() == [[-1, 1, -1, 1]] * 2


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_other_number_formats(kind: torch.dtype) -> None:
    patterns = signs(4, 64).to(kind)
    assert torch.equal(Hopfield(hebbian(patterns))(flipped(patterns, 0.1)), patterns)


def test_the_memory_is_saved_with_a_network() -> None:
    memory = Hopfield(hebbian(signs(3, 8)))
    other = Hopfield(torch.zeros(8, 8, dtype=torch.float64))
    other.load_state_dict(memory.state_dict())
    assert torch.equal(other.weight, memory.weight) and not list(memory.parameters())


def test_classical_memory_compiles_and_exports() -> None:
    torch.compiler.reset()  # else what was compiled for others counts against this one
    patterns = signs(1, 8)
    memory, probes = Hopfield(hebbian(patterns)).eval(), flipped(patterns, 0.2)
    assert torch.equal(memory(probes), patterns)
    assert torch.equal(torch.compile(memory, backend="eager", fullgraph=True)(probes, sweeps=2), patterns)
    program = torch.export.export(memory, (probes,), {"sweeps": 2})
    assert torch.equal(program.module()(probes, sweeps=2), patterns)


def test_classical_memory_says_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="patterns holds other values than -1 and"):
        hebbian(torch.zeros(2, 8))
    with pytest.raises(ShapeError, match="patterns has 1 axes"):
        pseudo_inverse(torch.ones(8))
    with pytest.raises(ShapeError, match=r"weight is \(2, 2\), or not its own transpose"):
        Hopfield(torch.tensor([[0.0, 1.0], [0.5, 0.0]]))
    with pytest.raises(ShapeError, match="x has 7 channels"):
        Hopfield(torch.zeros(8, 8))(torch.ones(2, 7))


# the modern, continuous form

LENGTHS = torch.tensor([3, 5, 1, 0])


def given(kind: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    return torch.randn(4, 2, 6, dtype=kind), torch.randn(4, 5, 6, dtype=kind)


def projected(steps: int = 2) -> ModernHopfield:
    return ModernHopfield(
        steps=steps, query=nn.Linear(6, 3, bias=False), key=nn.Linear(6, 3, bias=False), value=nn.Linear(3, 4)
    )


@pytest.mark.parametrize("beta", [None, 1.0, 3.0])
def test_one_step_is_attention(beta: float | None) -> None:
    query, x = given()
    y, weights = ModernHopfield(beta=beta)(query, x, LENGTHS)
    expected = DotAttention(6, 6, scale=beta)(query, x, LENGTHS)
    torch.testing.assert_close((y, weights), expected)
    expected = F.scaled_dot_product_attention(query, x, x, scale=beta)
    torch.testing.assert_close(ModernHopfield(beta=beta)(query, x)[0], expected)


def test_one_step_with_projections_is_attention() -> None:
    query, x = given()
    memory = projected(steps=1)
    k = memory.key(x)
    expected = F.scaled_dot_product_attention(memory.query(query), k, memory.value(k))
    torch.testing.assert_close(memory(query, x)[0], expected)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_steps_equal_the_formula(steps: int) -> None:
    query, x = given(torch.float64)
    y, _ = ModernHopfield(beta=2.0, steps=steps)(query, x, LENGTHS)
    for b, length in enumerate(LENGTHS.tolist()):
        q, own = query[b, 0], x[b, :length]
        for _ in range(steps):
            q = own.T @ torch.softmax(2.0 * own @ q, 0)
        torch.testing.assert_close(y[b, 0], q)


def test_the_pattern_nearest_to_a_probe_is_recalled() -> None:
    patterns = signs(50, 64)[None].float()
    probes = flipped(patterns[0], 0.2)[None]
    y, weights = ModernHopfield(beta=8.0, steps=3)(probes, patterns)
    torch.testing.assert_close(y, patterns, rtol=0, atol=1e-3)
    assert weights[0].argmax(-1).tolist() == list(range(50))


def test_energy_never_rises_with_steps() -> None:
    query, x = given(torch.float64)
    memory = ModernHopfield(beta=1.5)
    energy = memory.energy(query, x, LENGTHS)[:3]
    expected = query[0, 0].square().sum() / 2 - torch.log(sum(torch.exp(1.5 * p @ query[0, 0]) for p in x[0, :3])) / 1.5
    torch.testing.assert_close(energy[0, 0], expected)
    for _ in range(6):
        query, _ = memory(query, x, LENGTHS)
        after = memory.energy(query, x, LENGTHS)[:3]
        assert bool((after <= energy + 1e-12).all())
        energy = after


@pytest.mark.parametrize("filling", [99.0, float("nan")])
def test_patterns_behind_a_length_are_not_there(filling: float) -> None:
    memory = projected()
    query, x = given()
    filled = torch.where((torch.arange(5) < LENGTHS[:, None])[..., None], x, filling).requires_grad_()
    y, weights = memory(query, filled, LENGTHS)
    for b, length in enumerate(LENGTHS.tolist()):
        assert not weights[b, :, length:].any()
        if length:
            torch.testing.assert_close(y[b : b + 1], memory(query[b : b + 1], x[b : b + 1, :length])[0])
    assert not y[3].any()
    y.square().sum().backward()
    assert filled.grad is not None and torch.isfinite(filled.grad).all()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in memory.parameters())


def test_modern_gradients_and_nothing_is_dead() -> None:
    memory = projected().double()
    query, x = (t.requires_grad_() for t in given(torch.float64))
    assert torch.autograd.gradcheck(lambda q, x: memory(q, x, LENGTHS), (query, x))
    memory(query, x, LENGTHS)[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in memory.parameters())


def test_one_query_is_a_row_of_many() -> None:
    query, x = given()
    memory = projected()
    y, weights = memory(query, x, LENGTHS)
    one, of_one = memory(query[:, 1], x, LENGTHS)
    torch.testing.assert_close((one, of_one), (y[:, 1], weights[:, 1]))
    assert memory.energy(query[:, 1], x).shape == (4,)


@pytest.mark.parametrize("autocast", [True, False])
def test_bfloat16_is_near(autocast: bool) -> None:
    memory = projected()
    query, x = given()
    expected, _ = memory(query, x, LENGTHS)
    if autocast:
        with torch.autocast("cpu", torch.bfloat16):
            y, _ = memory(query, x, LENGTHS)
    else:
        y, _ = memory.bfloat16()(query.bfloat16(), x.bfloat16(), LENGTHS)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, rtol=5e-2, atol=5e-2)


@pytest.mark.parametrize("batch", [1, 4])
def test_modern_memory_compiles_and_exports(batch: int) -> None:
    torch.compiler.reset()  # else what was compiled for others counts against this one
    memory = projected().eval()
    query, x = (t[:batch] for t in given())
    lengths = LENGTHS[:batch]
    expected = memory(query, x, lengths)
    torch.testing.assert_close(torch.compile(memory, backend="eager", fullgraph=True)(query, x, lengths), expected)
    torch.testing.assert_close(torch.export.export(memory, (query, x, lengths)).module()(query, x, lengths), expected)


def test_modern_memory_says_what_does_not_fit() -> None:
    query, x = given()
    with pytest.raises(ShapeError, match="query has 5 channels"):
        ModernHopfield()(query[..., :5], x)
    with pytest.raises(ShapeError, match=r"query has 3 samples.*expected 4"):
        ModernHopfield()(query[:3], x)
    with pytest.raises(ShapeError, match="lengths holds 9"):
        ModernHopfield()(query, x, torch.tensor([9, 1, 1, 1]))
