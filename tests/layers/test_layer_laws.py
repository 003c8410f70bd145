"""Every recurrent layer: nothing dead, compiled and exported the same, both layouts of memory, on a GPU as here."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from crnn.layers import (
    ConvGRU,
    ConvLSTM,
    ConvRNN,
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
)

TINY = partial(TrajectoryGRUCell, links=2, flow_size=3)


def regular(inputs: int, size: int) -> Zoneout:
    return Zoneout(RecurrentDropout(LSTMCell(inputs, size, peepholes=True), 0.3), [0.2, 0.1])


LAYERS: dict[str, Callable[[], Recurrent]] = {
    "lstm of torch": lambda: Recurrent(3, 4, layers=2),
    "gru of torch, both ways": lambda: Recurrent(3, 4, cell="gru", bidirectional=True),
    "elman": lambda: Recurrent(3, 4, cell=ElmanCell),
    "jordan": lambda: Recurrent(3, 4, cell=partial(JordanCell, decay=0.5)),
    "lstm, both ways": lambda: Recurrent(3, 4, cell=LSTMCell, bidirectional=True),
    "lstm with norm": lambda: Recurrent(3, 4, cell=partial(LSTMCell, norm=layer_norm)),
    "gru without bias": lambda: Recurrent(3, 4, cell=partial(GRUCell, bias=False)),
    "minimal": lambda: Recurrent(3, 4, cell=MinimalCell),
    "zoneout and dropout": lambda: Recurrent(3, 4, cell=regular),
    "convrnn of a line": lambda: ConvRNN(3, 4, 2, space=1),
    "convlstm": lambda: ConvLSTM(3, 4),
    "convlstm, both ways, even": lambda: ConvLSTM(3, 4, 2, bidirectional=True),
    "convlstm of a solid": lambda: ConvLSTM(3, 4, space=3),
    "convgru": lambda: ConvGRU(3, 4),
    "convgru, stride, group norm": lambda: Recurrent(
        3, 4, cell=partial(GRUCell, window=Window(stride=2, dilation=2), norm=partial(nn.GroupNorm, 2))
    ),
    "convlstm, recomputed": lambda: ConvLSTM(3, 4, recompute=True),
    "convrnn, recomputed": lambda: ConvRNN(3, 4, recompute=True),
    "trajectory": lambda: Recurrent(3, 4, cell=TINY),
    "without input": lambda: ConvLSTM(0, 4, 2),
}
every_layer = pytest.mark.parametrize("name", list(LAYERS))
ours = pytest.mark.parametrize("name", [name for name in LAYERS if "of torch" not in name])
traceable = pytest.mark.parametrize(
    "name",
    [name for name in LAYERS if "of torch" not in name and name not in ("minimal", "convgru", "convlstm of a solid")],
)
"""Torch does not compile its own kernels, nor does it export them; and some are like others."""
LENGTHS = torch.tensor([2, 5, 3])


def made(name: str) -> Recurrent:
    layer = LAYERS[name]()
    with torch.no_grad():
        for p in layer.parameters():
            p.normal_(std=0.5)
    return layer


def series(layer: Recurrent, *, batch: int = 3, steps: int = 5) -> Tensor:
    return torch.randn(batch, steps, layer.inputs, *(4, 3, 2)[: layer.space])


@every_layer
def test_nothing_is_dead(name: str) -> None:
    layer = LAYERS[name]()  # as it begins: what is zero there must still learn
    x = series(layer)
    state = None
    if not layer.inputs:  # it begins with what another has seen
        state = [(torch.randn(3, 4, *x.shape[3:]), torch.randn(3, 4, *x.shape[3:]))]
    y, _ = layer(x, state, LENGTHS)
    y.square().sum().backward()
    for key, p in layer.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.any(), key


@traceable
def test_compiled_it_is_the_same(name: str) -> None:
    layer = made(name).eval()
    x, lengths = series(layer, steps=3), torch.tensor([2, 3, 1])
    torch.compiler.reset()
    found = torch.compile(layer, backend="eager", fullgraph=True)(x, None, lengths)
    torch.testing.assert_close(found, layer(x, None, lengths), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["convlstm", "gru without bias", "convrnn, recomputed"])
def test_compiled_with_a_state_it_learns_the_same(name: str) -> None:
    layer = made(name)
    layer.truncate = 2
    x = series(layer, steps=3)
    _, state = layer(x)
    assert state is not None
    state = [tuple(s.detach() for s in part) for part in state]
    torch.compiler.reset()
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    found = []
    for run in (layer, compiled):
        y, end = run(x, state)
        loss = y.square().sum() + sum(s.sum() for part in end for s in part)
        found.append([y, *torch.autograd.grad(loss, list(layer.parameters()))])
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


@traceable
def test_exported_it_is_the_same(name: str) -> None:
    layer = made(name).eval()
    x, lengths = series(layer, steps=3), torch.tensor([2, 3, 1])
    net = torch.export.export(layer, (x, None, lengths)).module()
    torch.testing.assert_close(net(x, None, lengths), layer(x, None, lengths), rtol=1e-4, atol=1e-5)
    other, lengths = series(layer, steps=3), torch.tensor([3, 0, 1])
    torch.testing.assert_close(net(other, None, lengths), layer(other, None, lengths), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["convlstm", "jordan", "trajectory"])
def test_a_step_is_exported_for_batches_and_pictures_of_any_size(name: str) -> None:
    """A step with its state in and out is what a program elsewhere drives itself."""
    layer = made(name).eval()
    x = series(layer, batch=3, steps=1)
    with torch.no_grad():
        _, state = layer(x)
    batch, sides = torch.export.Dim("batch", min=2), [torch.export.Dim(f"side{n}", min=2) for n in range(layer.space)]
    sizes = {0: batch} | {3 + n: side for n, side in enumerate(sides)}
    of_state = {0: batch} | {2 + n: side for n, side in enumerate(sides)}
    assert state is not None
    shapes = (sizes, [tuple(of_state for _ in state[0])])
    net = torch.export.export(layer, (x, state), dynamic_shapes=shapes).module()
    x = torch.randn(5, 1, 3, *(7, 6)[: layer.space])
    given = [tuple(torch.randn(5, 4, *x.shape[3:]) for _ in state[0])]
    torch.testing.assert_close(net(x, given), layer(x, given), rtol=1e-4, atol=1e-5)


@every_layer
def test_both_layouts_of_memory(name: str) -> None:
    layer = made(name).eval()
    if layer.space != 2:
        return
    x = series(layer)
    frames = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, x.shape[:2])
    expected = layer(x)
    torch.testing.assert_close(layer(frames), expected, rtol=1e-4, atol=1e-5)
    layer.to(memory_format=torch.channels_last)
    torch.testing.assert_close(layer(frames), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


@every_layer
@pytest.mark.parametrize("batch, steps", [(1, 1), (1, 3), (2, 1)])
def test_one_sample_and_one_step(name: str, batch: int, steps: int) -> None:
    layer = made(name)
    x = series(layer, batch=batch, steps=steps)
    for lengths in (None, torch.full((batch,), steps)):
        y, _ = layer(x, None, lengths)
        assert y.shape[:3] == (batch, steps, layer.outputs)
        y.sum().backward()


@every_layer
def test_every_precision(name: str) -> None:
    layer = made(name).eval()
    x = series(layer)
    exact, _ = copy.deepcopy(layer).double()(x.double(), None, LENGTHS)
    torch.testing.assert_close(layer(x, None, LENGTHS)[0].double(), exact, rtol=1e-4, atol=1e-5)
    if name != "without input":  # nothing there is multiplied by what autocast makes
        with torch.autocast("cpu", torch.bfloat16):
            rough, _ = layer(x, None, LENGTHS)
        torch.testing.assert_close(rough.double(), exact, rtol=0.1, atol=0.1)
    half, _ = layer.bfloat16()(x.bfloat16(), None, LENGTHS)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), exact, rtol=0.1, atol=0.1)


@every_layer
def test_a_copy_and_a_shared_layer_are_themselves(name: str) -> None:
    layer = made(name).eval()
    x = series(layer)
    twin = copy.deepcopy(layer)
    assert list(twin.state_dict()) == list(layer.state_dict())
    torch.testing.assert_close(twin(x), layer(x))
    assert not {p.data_ptr() for p in twin.parameters()} & {p.data_ptr() for p in layer.parameters()}


@ours
def test_it_says_that_it_goes_over_time_by_itself(name: str) -> None:
    assert any(getattr(m, "recurs", False) for m in made(name).modules()), "so that the multiply-adds are all counted"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@every_layer
def test_on_a_gpu_it_is_the_same(name: str) -> None:
    layer = made(name).eval().double()
    x = series(layer).double()
    there = copy.deepcopy(layer).cuda()
    found = []
    for net, device in ((layer, "cpu"), (there, "cuda")):
        y, _ = net(x.to(device), None, LENGTHS.to(device))
        y.square().sum().backward()
        found.append([y.cpu(), *(p.grad.cpu() for p in net.parameters() if p.grad is not None)])
    torch.testing.assert_close(found[0], found[1])
    assert list(there.state_dict()) == list(layer.state_dict()), "nothing is lost on the way there"
