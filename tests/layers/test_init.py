"""How recurrent weights begin: orthogonal gates, open forget gates, memories of many lengths."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.errors import ShapeError
from crnn.layers import GRUCell, LSTMCell, Recurrent, Window, layer_norm
from crnn.layers.cells import Norm
from crnn.layers.init import chrono_, forget_bias_, orthogonal_, orthogonal_gates_


def is_orthogonal(matrix: Tensor) -> bool:
    return torch.allclose(matrix.float() @ matrix.float().T, torch.eye(len(matrix)), atol=1e-5)


class Named(nn.Module):
    """A convolutional LSTM that names its parameters as torch does, with one bias."""

    def __init__(self) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.randn(20, 3, 3, 3))
        self.weight_hh = nn.Parameter(torch.randn(20, 5, 3, 3))
        self.bias = nn.Parameter(torch.randn(20))


@pytest.mark.parametrize("gates", [1, 2, 3, 4])
def test_each_gate_is_orthogonal_by_itself(gates: int) -> None:
    weight = orthogonal_gates_(torch.randn(gates * 6, 6), gates)
    blocks = weight.chunk(gates)
    assert all(map(is_orthogonal, blocks))
    assert gates == 1 or not torch.equal(blocks[0], blocks[1])


@pytest.mark.parametrize(("kernel", "same"), [((3,), 1), ((5, 5), 2), ((2, 2), 0), ((4, 4), 1), ((3, 3, 3), 1)])
def test_a_convolution_keeps_the_length_of_every_state_even_kernels_too(kernel: tuple[int, ...], same: int) -> None:
    weight = orthogonal_gates_(torch.randn(2 * 4, 4, *kernel), 2)
    own = (slice(None), slice(None), *[same] * len(kernel))
    assert all(map(is_orthogonal, weight[own].chunk(2)))
    assert weight.count_nonzero() == weight[own].count_nonzero()
    state = torch.randn(3, 4, *[6] * len(kernel))
    pad = [n for k in reversed(kernel) for n in ((k - 1) // 2, k - 1 - (k - 1) // 2)]  # torch's "same"
    after = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[len(kernel)](F.pad(state, pad), weight)
    for gate in after.chunk(2, dim=1):
        torch.testing.assert_close(gate.flatten(1).norm(dim=1), state.flatten(1).norm(dim=1))
        torch.testing.assert_close(gate.square().sum(1), state.square().sum(1), msg="at each place")


def test_narrow_types_and_wide_blocks() -> None:
    narrow = orthogonal_gates_(torch.randn(6, 6).bfloat16(), 1).float()
    torch.testing.assert_close(narrow @ narrow.T, torch.eye(6), rtol=0, atol=2e-2)
    assert is_orthogonal(orthogonal_gates_(torch.randn(2 * 3, 5), 2)[:3]), "fewer rows than columns"
    assert is_orthogonal(orthogonal_gates_(torch.randn(2 * 5, 3), 2)[:5].T), "a projection's"
    parameter = nn.Parameter(torch.randn(6, 6))
    assert orthogonal_gates_(parameter, 1) is parameter and parameter.requires_grad


@pytest.mark.parametrize("norm", [None, layer_norm])
def test_cells_of_our_own_begin_likewise(norm: Norm | None) -> None:
    cell = LSTMCell(3, 4, window=Window(), norm=norm)
    module = nn.ModuleList([nn.LSTM(3, 4), Recurrent(3, 4, cell=lambda *_: cell), nn.GRU(3, 4)])
    bias = cell.input.bias if norm is None else cell.input_norm.bias  # type: ignore[union-attr]
    assert forget_bias_(module, 2.5) is module
    assert bias[4:8].eq(2.5).all() and not bias[:4].any()
    chrono_(module, 50)
    assert (bias[4:8] >= 0).all() and bias[4:8].unique().numel() == 4 and torch.equal(bias[:4], -bias[4:8])
    nn.init.zeros_(cell.recurrent.weight)
    orthogonal_(cell)
    assert all(is_orthogonal(block[:, :, 1, 1]) for block in cell.recurrent.weight.chunk(4))
    with pytest.raises(ShapeError, match="an LSTM with a bias"):
        forget_bias_(GRUCell(3, 4))


def test_the_generator_decides() -> None:
    def weight(seed: int) -> Tensor:
        return orthogonal_gates_(torch.empty(8, 4), 2, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(weight(1), weight(1)) and not torch.equal(weight(1), weight(2))


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
@pytest.mark.parametrize("both", [True, False])
def test_torchs_layers(kind: type[nn.RNNBase], gates: int, both: bool) -> None:
    layer = kind(3, 5, num_layers=2, bidirectional=both)
    before = {name: p.clone() for name, p in layer.named_parameters()}
    assert orthogonal_(layer) is layer
    for name, p in layer.named_parameters():
        if name.startswith("weight_hh"):
            assert all(map(is_orthogonal, p.chunk(gates)))
        else:
            assert torch.equal(p, before[name]), "nothing else changes"


@pytest.mark.parametrize("cell", [nn.LSTMCell(3, 5), nn.GRUCell(3, 5), nn.RNNCell(3, 5)])
def test_torchs_cells(cell: nn.Module) -> None:
    orthogonal_(cell)
    assert all(map(is_orthogonal, cell.weight_hh.chunk(cell.weight_hh.shape[0] // 5)))


def test_a_projected_lstm_has_four_gates_still() -> None:
    layer = nn.LSTM(3, 6, proj_size=2)
    orthogonal_(layer)
    assert all(is_orthogonal(block.T) for block in layer.weight_hh_l0.chunk(4))
    forget_bias_(layer)
    assert layer.bias_ih_l0[6:12].tolist() == [1.0] * 6


def test_what_stands_inside_others_is_found() -> None:
    layer = Recurrent(3, 5, layers=2, bidirectional=True)
    forget_bias_(orthogonal_(layer))
    for part in layer.layers:
        assert all(map(is_orthogonal, part.weight_hh_l0.chunk(4)))
        assert (part.bias_ih_l0 + part.bias_hh_l0)[5:10].tolist() == [1.0] * 5


def test_torchs_two_biases_are_one_in_sum() -> None:
    layer = nn.LSTM(3, 5, num_layers=2)
    before = {name: p.clone() for name, p in layer.named_parameters()}
    forget_bias_(layer)
    for i in range(2):
        both = [getattr(layer, f"bias_{side}_l{i}") for side in ("ih", "hh")]
        assert sum(both)[5:10].tolist() == [1.0] * 5
        others = [*range(5), *range(10, 20)]
        for side, bias in zip(("ih", "hh"), both, strict=True):
            assert torch.equal(bias[others], before[f"bias_{side}_l{i}"][others])
    forget_bias_(layer, 2.5)
    assert (layer.bias_ih_l0 + layer.bias_hh_l0)[5:10].tolist() == [2.5] * 5


def test_the_forget_gate_is_the_one_that_forgets() -> None:
    layer = nn.LSTM(1, 4)
    forget_bias_(layer, 50.0)
    cell = torch.randn(1, 1, 4)
    with torch.no_grad():
        layer.bias_ih_l0[:4] = -50  # nothing comes in
        _, (_, after) = layer(torch.randn(6, 1, 1), (torch.zeros(1, 1, 4), cell))
    torch.testing.assert_close(after, cell)


def test_layers_that_name_their_parameters_so_are_treated_alike() -> None:
    layer = Named()
    forget_bias_(orthogonal_(layer))
    assert all(map(is_orthogonal, layer.weight_hh[:, :, 1, 1].chunk(4)))
    assert layer.bias[5:10].tolist() == [1.0] * 5
    chrono_(layer, 10)
    torch.testing.assert_close(layer.bias[:5], -layer.bias[5:10])


def test_chrono_spreads_memories_up_to_the_longest() -> None:
    layer = nn.LSTM(2, 4000)
    chrono_(layer, 100, generator=torch.Generator().manual_seed(0))
    bias = layer.bias_ih_l0 + layer.bias_hh_l0
    into, kept = bias[:4000].detach(), bias[4000:8000].detach()
    torch.testing.assert_close(into, -kept)
    memory = kept.exp()
    assert memory.min() >= 1 and memory.max() <= 99
    assert float(memory.mean()) == pytest.approx(50, abs=2), "uniform"
    # with such gates a unit forgets a share 1 / (1 + u) a step, so u + 1 is how long it remembers
    torch.testing.assert_close(1 / (1 - kept.sigmoid()), memory + 1, rtol=1e-3, atol=1e-3)


def test_chrono_of_a_gru_holds_on_to_its_state() -> None:
    layer = nn.GRU(1, 6)
    before = layer.bias_ih_l0[12:].clone()
    chrono_(layer, 10)
    bias = (layer.bias_ih_l0 + layer.bias_hh_l0).detach()
    assert bias[6:12].min() >= 0 and bias[6:12].max() <= torch.tensor(9.0).log()
    assert torch.equal(layer.bias_ih_l0[12:], before)
    with torch.no_grad():
        layer.bias_ih_l0[6:12] += 50
        state = torch.randn(1, 1, 6)
        torch.testing.assert_close(layer(torch.randn(5, 1, 1), state)[1], state)


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"weight is \(7, 3\) for 2 gates"):
        orthogonal_gates_(torch.randn(7, 3), 2)
    with pytest.raises(ShapeError, match=r"weight is \(8,\) for 2 gates"):
        orthogonal_gates_(torch.randn(8), 2)
    with pytest.raises(ShapeError, match=r"none in Linear; expected a recurrent layer"):
        orthogonal_(nn.Linear(2, 2))
    with pytest.raises(ShapeError, match=r"none in GRU; expected an LSTM with a bias"):
        forget_bias_(nn.GRU(2, 3))
    with pytest.raises(ShapeError, match=r"none in LSTM; expected an LSTM with a bias"):
        forget_bias_(nn.LSTM(2, 3, bias=False))
    with pytest.raises(ShapeError, match=r"none in RNN; expected an LSTM or a GRU"):
        chrono_(nn.RNN(2, 3), 10)
    with pytest.raises(ShapeError, match=r"longest is 1"):
        chrono_(nn.LSTM(2, 3), 1)
