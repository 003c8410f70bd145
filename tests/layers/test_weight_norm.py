"""Weight normalisation is torch's own, in value and gradient."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from crnn.layers import WeightNormConv1d


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), [(1, 1, 0, 1), (3, 2, 1, 1), (4, 1, 3, 2)])
def test_parity_with_torch(kernel: int, stride: int, padding: int, dilation: int, bias: bool) -> None:
    conv = nn.Conv1d(3, 5, kernel, stride, padding, dilation, bias=bias, dtype=torch.float64)
    own, other = WeightNormConv1d.of(conv), weight_norm(copy.deepcopy(conv))
    x = torch.randn(2, 3, 20, dtype=torch.float64)
    torch.testing.assert_close(own(x), conv(x))
    length, direction = other.parametrizations.weight.original0, other.parametrizations.weight.original1  # type: ignore
    with torch.no_grad():
        own.length.uniform_(0.5, 2)
        own.weight.mul_(torch.rand(5, 1, 1, dtype=torch.float64) + 0.5)
        length.copy_(own.length[:, None, None])
        direction.copy_(own.weight)
    torch.testing.assert_close(own(x), other(x))
    own(x).square().sum().backward()
    other(x).square().sum().backward()
    torch.testing.assert_close(own.weight.grad, direction.grad)
    torch.testing.assert_close(own.length.grad[:, None, None], length.grad)  # type: ignore[index]
    if bias:
        torch.testing.assert_close(own.bias.grad, other.bias.grad)


def test_a_length_is_a_length_whatever_the_direction() -> None:
    layer = WeightNormConv1d(2, 4, 3)
    torch.testing.assert_close(layer.filters().flatten(1).norm(dim=1), layer.length)
    before = layer.filters().clone()
    layer.weight.data *= 7
    torch.testing.assert_close(layer.filters(), before)
