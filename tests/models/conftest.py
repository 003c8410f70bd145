"""What tests of encoders share, for settings and lengths that the laws (``tests/test_laws.py``) do not run over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pytest
import torch
from torch import nn

from crnn.bundle import Net
from crnn.layers import mask
from crnn.types import InputSpec, Seq

Drawn = Callable[..., Seq]
CheckAlone = Callable[[nn.Module, Seq], list[int]]
CheckLengths = Callable[[nn.Module, InputSpec, Iterable[int]], list[int]]


@pytest.fixture
def drawn() -> Drawn:
    """``drawn(spec, lengths, behind=99)``: random inputs, always the same, with ``behind`` in the padding."""

    def draw(spec: InputSpec, lengths: Sequence[int], *, behind: float = 99.0) -> Seq:
        steps, generator = torch.tensor(lengths), torch.Generator().manual_seed(1)
        shape = (len(steps), int(steps.max()), spec.channels, *spec.space)
        if spec.vocabulary:
            x, behind = torch.randint(spec.vocabulary, shape, generator=generator), min(behind, spec.vocabulary - 1)
        else:
            x = torch.randn(shape, generator=generator)
        inside = mask(steps, shape[1]).view(*shape[:2], *[1] * (len(shape) - 2))
        return Seq(torch.where(inside, x, behind).to(x.dtype), steps)

    return draw


@pytest.fixture
def check_alone() -> CheckAlone:
    """``check_alone(encoder, inputs)``: each sample gives the same alone as in the batch, as many steps as foretold,
    and zeros behind them; returns how many. Norms have seen a batch before, and biases are not zero."""

    @torch.no_grad()
    def check(encoder: nn.Module, inputs: Seq) -> list[int]:
        net = Net(encoder, nn.Identity())
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
        net.train()(inputs)
        y, lengths = net.eval()(inputs).last
        assert lengths.equal(encoder.out_lengths(inputs.lengths))  # type: ignore[operator]
        for row, count, x, length in zip(y, lengths.tolist(), inputs.x, inputs.lengths.tolist(), strict=True):
            alone, (found,) = net(Seq(x[None, :length], torch.tensor([length]))).last
            assert alone.shape[1] == count == found
            torch.testing.assert_close(row[None, :count], alone, rtol=1e-5, atol=1e-5)
            assert not row[count:].any()
        return lengths.tolist()

    return check


@pytest.fixture
def check_lengths(drawn: Drawn) -> CheckLengths:
    """``check_lengths(encoder, spec, steps)``: for each number of steps come out as many as foretold, one at least,
    and as many channels as the level says; returns how many steps."""

    @torch.no_grad()
    def check(encoder: nn.Module, spec: InputSpec, steps: Iterable[int]) -> list[int]:
        encoder.eval()
        counts = []
        for length in steps:
            inputs = drawn(spec, [length])
            y, lengths = encoder(inputs).last
            assert y.shape[1] == lengths.item() == encoder.out_lengths(inputs.lengths).item() >= 1, f"at {length}"
            assert y.shape[2] == encoder.levels[-1].channels
            counts.append(y.shape[1])
        return counts

    return check
