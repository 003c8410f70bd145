"""ReNet: patches, columns and rows as the paper's formulas, and the same alone and in any batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crnn.errors import ShapeError
from crnn.layers import mask
from crnn.layers.renet import Patches, ReNet

LENGTHS = torch.tensor([5, 8, 2, 7])


def by_the_line(layer: ReNet, x: Tensor) -> Tensor:
    """One picture ``(inputs, time, height)``: each patch, column and row by itself, by torch's modules."""
    columns, rows = layer.patches.kernel_size
    time, height = x.shape[1] // columns, x.shape[2] // rows
    sweeps: list[Any] = []
    for ours in (layer.vertical, layer.horizontal):
        one, other = ours.layers
        twin: Any = type(one)(one.input_size, one.hidden_size, batch_first=True, bidirectional=True).to(x.dtype)
        with torch.no_grad():
            for name, value in one.named_parameters():
                getattr(twin, name).copy_(value)
                getattr(twin, name + "_reverse").copy_(getattr(other, name))
        sweeps.append(twin)
    patches = [
        [x[:, t * columns : (t + 1) * columns, r * rows : (r + 1) * rows].flatten() for r in range(height)]
        for t in range(time)
    ]
    seen = [sweeps[0](torch.stack(column)[None])[0][0] for column in patches]
    lines = [sweeps[1](torch.stack([column[r] for column in seen])[None])[0][0] for r in range(height)]
    return torch.stack(lines).permute(2, 1, 0)  # (height, time, outputs) -> (outputs, time, height)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("kernel_size", [1, (2, 1), (1, 3), (2, 2)])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_equals_lines_one_by_one(cell: str, kernel_size: Any, lengths: Tensor | None) -> None:
    layer = ReNet(3, 4, kernel_size=kernel_size, cell=cell).double()
    x = torch.randn(4, 3, 8, 6, dtype=torch.float64)
    y, found = layer(x, lengths)
    for i, length in enumerate([8] * 4 if lengths is None else lengths.tolist()):
        expected = by_the_line(layer, x[i, :, :length])
        steps = expected.shape[1]
        torch.testing.assert_close(y[i, :, :steps], expected, rtol=1e-9, atol=1e-11)
        assert not y[i, :, steps:].any() and (found is None or found[i] == steps)
    assert lengths is None or (found is not None and torch.equal(found, layer.out_lengths(lengths)))


def test_patches_flatten_what_stands_together() -> None:
    x = torch.arange(2 * 5 * 4.0).view(1, 2, 5, 4)
    y, _ = Patches((2, 2))(x)
    assert y.shape == (1, 8, 2, 2), "the fifth column is left over"
    assert torch.equal(y[0, :, 1, 0], x[0, :, 2:4, 0:2].flatten())
    assert torch.equal(Patches(1)(x)[0], x)


def test_a_patch_that_padding_reaches_into_is_none() -> None:
    y, lengths = Patches((2, 1))(torch.ones(3, 1, 6, 2), torch.tensor([3, 6, 1]))
    assert lengths is not None and lengths.tolist() == [1, 3, 0]
    assert y.sum((1, 2, 3)).tolist() == [4, 12, 0]


def test_each_place_knows_the_whole_picture() -> None:
    layer = ReNet(1, 3).double()
    x = torch.randn(1, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x)[0][0, :, 2, 3].sum(), x)
    assert (gradient != 0).all()


@pytest.mark.parametrize("filling", [99.0, float("nan")])
def test_padding_changes_nothing(filling: float) -> None:
    layer = ReNet(3, 4, kernel_size=(1, 2)).train()
    x = torch.randn(4, 3, 8, 4)
    inside = mask(LENGTHS, 8)[:, None, :, None]
    answers = []
    for given in (torch.where(inside, x, 0.0), torch.where(inside, x, filling)):
        y, _ = layer(given, LENGTHS)
        answers.append([y, *torch.autograd.grad(y.square().sum(), list(layer.parameters()))])
    for one, other in zip(*answers, strict=True):
        assert torch.equal(one, other)
    for row, given, length in zip(answers[0][0], x, LENGTHS.tolist(), strict=True):
        torch.testing.assert_close(row[None, :, :length], layer(given[None, :, :length])[0], rtol=1e-5, atol=1e-6)


def test_every_parameter_receives_a_gradient() -> None:
    layer = ReNet(3, 4, kernel_size=2)
    layer(torch.randn(2, 3, 6, 6))[0].square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None and (parameter.grad != 0).any(), name


def test_gradients_are_those_of_differences() -> None:
    layer = ReNet(1, 2, kernel_size=(1, 2)).double()
    x = torch.randn(2, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer(x, torch.tensor([3, 2]))[0], x)


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 3, 1, 5), (2, 3, 7, 1)])
def test_small_pictures(shape: tuple[int, ...]) -> None:
    assert ReNet(3, 4)(torch.randn(shape))[0].shape == (shape[0], 8, *shape[2:])


def test_half_precision() -> None:
    layer, x = ReNet(3, 8), torch.randn(2, 3, 20, 6)
    expected, _ = layer(x, torch.tensor([20, 9]))
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = layer(x, torch.tensor([20, 9]))
    torch.testing.assert_close(y.float(), expected, rtol=0.05, atol=0.05)
    y, _ = layer.bfloat16()(x.bfloat16(), torch.tensor([20, 9]))
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, rtol=0.05, atol=0.05)


# of the compiler (see test_scan2d.py), and of the list of weights that torch's own modules keep
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")
@pytest.mark.parametrize("lengths", [None, torch.tensor([3, 4])])
def test_compiled_and_exported_equal_the_plain_call(lengths: Tensor | None) -> None:
    layer, x = ReNet(3, 2, kernel_size=(1, 2)).double().eval(), torch.randn(2, 3, 4, 4, dtype=torch.float64)
    expected, _ = layer(x, lengths)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    with torch._dynamo.config.patch(allow_rnn=True):  # else the compiler refuses torch's own recurrent modules
        torch.testing.assert_close(compiled(x, lengths)[0], expected)
    exported = torch.export.export(layer, (x, lengths)).module()
    torch.testing.assert_close(exported(x, lengths)[0], expected)


@pytest.mark.parametrize(
    ("shape", "lengths", "words"),
    [
        ((3, 7, 5), None, r"x has 3 axes.*\(batch, channels, time, height\)"),
        ((2, 2, 7, 5), None, "x has 2 channels.*expected 3 channels"),
        ((2, 3, 1, 5), None, "kernel covers 2 places of time; expected at most the 1"),
        ((2, 3, 7, 2), None, "kernel covers 3 places of height; expected at most the 2"),
        ((2, 3, 7, 5), torch.tensor([4, 8]), "lengths holds 8; expected 0 to 7"),
    ],
)
def test_what_does_not_fit_is_named(shape: tuple[int, ...], lengths: Tensor | None, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        ReNet(3, 4, kernel_size=(2, 3))(torch.zeros(shape), lengths)


def test_is_made_of_recurrent_layers_of_two_ways() -> None:
    layer = ReNet(3, 4, kernel_size=(2, 3), cell="gru")
    assert [type(m) for m in layer.vertical.layers] == [nn.GRU, nn.GRU]
    assert layer.vertical.inputs == 3 * 6 and layer.horizontal.inputs == layer.outputs == 8
