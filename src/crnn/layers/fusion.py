"""Fusion of branches: several features of the same steps become one.

Branches are ``(batch, time, channels, *space)`` or ``(batch, channels)``; ``fusion(branches, lengths)`` gives one such
tensor with ``outputs`` channels, zero in the padding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from crnn.errors import ShapeError
from crnn.layers._given import check_axes, check_lengths, time_first, traced
from crnn.layers.padding import zero_padding


class Fusion(nn.Module):
    """Base of all fusions: ``widths`` are the channels of the branches, in their order, two or more.

    Who writes another overrides ``fuse``, which sees the branches with their channels last. Raises ``ShapeError``.
    """

    def __init__(self, widths: Sequence[int], *, outputs: int) -> None:
        super().__init__()
        if len(widths) < 2:
            raise ShapeError(f"widths is {tuple(widths)}", expected="two branches or more", do="Name each branch's.")
        self.widths = tuple(widths)
        self.outputs = outputs

    def extra_repr(self) -> str:
        return f"{self.widths} -> {self.outputs}"

    def forward(self, branches: Sequence[Tensor], lengths: Tensor | None = None) -> Tensor:
        self._check(branches)
        if branches[0].dim() == 2:
            return self.fuse(list(branches))
        check_lengths(lengths, branches[0].shape[0], branches[0].shape[1])
        # (batch, time, channels, *space) -> (batch, time, *space, channels), where linear layers want channels
        y = self.fuse([zero_padding(branch, lengths, axis=1).movedim(2, -1) for branch in branches])
        return zero_padding(y.movedim(-1, 2), lengths, axis=1)  # and back; a bias is not zero in the padding

    def fuse(self, branches: list[Tensor]) -> Tensor:
        """One ``(batch, time, *space, outputs)`` of branches ``(batch, time, *space, channels)``."""
        raise NotImplementedError

    def _check(self, branches: Sequence[Tensor]) -> None:
        if traced():
            return
        if len(branches) != len(self.widths):
            raise ShapeError(
                f"there are {len(branches)} branches",
                expected=f"{len(self.widths)}, of {', '.join(map(str, self.widths))} channels",
                do="Give a tensor for each of the widths, in their order.",
            )
        first = branches[0]
        for i, (branch, width) in enumerate(zip(branches, self.widths, strict=True)):
            axes = ("batch", "channels") if first.dim() == 2 else time_first(max(0, first.dim() - 3))
            check_axes(f"branches[{i}]", branch, axes, width)
            _check_equal(i, branch, first, axes)


class ConcatFusion(Fusion):
    """Concatenation: ``y = [z_1; ...; z_n]``, ``sum(widths)`` channels."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__(widths, outputs=sum(widths))

    def fuse(self, branches: list[Tensor]) -> Tensor:
        return torch.cat(branches, dim=-1)


class SumFusion(Fusion):
    """Sum: ``y = z_1 + ... + z_n``, of equal widths."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__(widths, outputs=_equal(widths, "a sum"))

    def fuse(self, branches: list[Tensor]) -> Tensor:
        return sum(branches[1:], branches[0])


class ProductFusion(Fusion):
    """Product of each element: ``y = z_1 * ... * z_n``, of equal widths."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__(widths, outputs=_equal(widths, "a product"))

    def fuse(self, branches: list[Tensor]) -> Tensor:
        return _product(branches)


class DenseFusion(Fusion):
    """Concatenation and a dense layer (Zhang et al., AAAI 2018: ``size`` 2048, ``activation`` ELU):
    ``y = f(W [z_1; ...; z_n] + b)``.

    Space is seen as a whole and does not come out: ``widths`` count channels times places of each branch, whose space
    may differ, and ``y`` is ``(batch, time, size)``.
    """

    def __init__(self, widths: Sequence[int], *, size: int, activation: nn.Module | None = None) -> None:
        super().__init__(widths, outputs=size)
        self.dense = nn.Linear(sum(widths), size)
        self.activation = activation

    def forward(self, branches: Sequence[Tensor], lengths: Tensor | None = None) -> Tensor:
        # (batch, time, channels, *space) -> (batch, time, *space, channels) -> (batch, time, features)
        return super().forward([b if b.dim() < 4 else b.movedim(2, -1).flatten(2) for b in branches], lengths)

    def fuse(self, branches: list[Tensor]) -> Tensor:
        return _activated(self.dense(torch.cat(branches, dim=-1)), self.activation)


class PointwiseFusion(Fusion):
    """Concatenation and a convolution of one place (Zhang et al., AAAI 2018: ``size`` 2048, ``activation`` ELU):
    ``y = f(W [z_1; ...; z_n] + b)`` at each step and place by itself; space stays."""

    def __init__(self, widths: Sequence[int], *, size: int, activation: nn.Module | None = None) -> None:
        super().__init__(widths, outputs=size)
        # a convolution of one place is a linear map of the channels, for any number of axes
        self.pointwise = nn.Linear(sum(widths), size)
        self.activation = activation

    def fuse(self, branches: list[Tensor]) -> Tensor:
        return _activated(self.pointwise(torch.cat(branches, dim=-1)), self.activation)


class GatedFusion(Fusion):
    """A learned mixture for each channel: ``g = sigmoid(W [a; b] + c)``, ``y = g * a + (1 - g) * b``, of equal widths.

    ``n`` branches are mixed by a softmax over branches, in which the last one's score is zero, so that two give the
    sigmoid.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__(widths, outputs=_equal(widths, "a gate"))
        self.gate = nn.Linear(sum(widths), self.outputs * (len(widths) - 1))

    def fuse(self, branches: list[Tensor]) -> Tensor:
        scores = self.gate(torch.cat(branches, dim=-1))
        scores = scores.view(*scores.shape[:-1], len(branches) - 1, self.outputs)
        gates = torch.cat([scores, torch.zeros_like(scores[..., :1, :])], dim=-2).softmax(dim=-2)
        return (gates * torch.stack(branches, dim=-2)).sum(dim=-2)


class AttentionFusion(Fusion):
    """A learned mixture of whole branches: ``a = softmax_b(w . tanh(W z_b + c))``, ``y = sum_b a_b z_b`` at each step
    and place, of equal widths; ``size`` is that of the hidden layer."""

    def __init__(self, widths: Sequence[int], *, size: int) -> None:
        super().__init__(widths, outputs=_equal(widths, "attention over branches"))
        self.hidden = nn.Linear(self.outputs, size)
        self.score = nn.Linear(size, 1, bias=False)

    def fuse(self, branches: list[Tensor]) -> Tensor:
        stacked = torch.stack(branches, dim=-2)
        weights = self.score(torch.tanh(self.hidden(stacked))).softmax(dim=-2)
        return (weights * stacked).sum(dim=-2)


class BilinearFusion(Fusion):
    """Low-rank bilinear pooling (Kim et al. 2016, arXiv 1610.04325): ``y = P (tanh(U a) * tanh(V b)) + c``; with more
    branches the product goes over all. ``rank`` is the number of rows of ``U`` and ``V``."""

    def __init__(self, widths: Sequence[int], *, size: int, rank: int) -> None:
        super().__init__(widths, outputs=size)
        self.into = nn.ModuleList(nn.Linear(width, rank, bias=False) for width in widths)
        self.out = nn.Linear(rank, size)

    def fuse(self, branches: list[Tensor]) -> Tensor:
        return self.out(_product([torch.tanh(into(b)) for into, b in zip(self.into, branches, strict=True)]))


def _product(tensors: list[Tensor]) -> Tensor:
    y = tensors[0]
    for other in tensors[1:]:
        y = y * other
    return y


def _activated(x: Tensor, activation: nn.Module | None) -> Tensor:
    return x if activation is None else activation(x)


def _equal(widths: Sequence[int], what: str) -> int:
    """The width that all branches share."""
    if len(set(widths)) > 1:
        raise ShapeError(
            f"widths is {tuple(widths)}",
            expected=f"equal widths, as {what} needs them",
            do="Bring the branches to one width, or fuse them by concatenation.",
        )
    return widths[0] if widths else 0


def _check_equal(i: int, branch: Tensor, first: Tensor, axes: Sequence[str]) -> None:
    """``branch`` has the sizes of the first one, channels apart."""
    for axis, size, wanted in zip(axes, branch.shape, first.shape, strict=True):
        if axis != "channels" and size != wanted:
            raise ShapeError(
                f"branches[{i}] has {size} places of {axis}, {tuple(branch.shape)}",
                expected=f"{wanted}, as branches[0] has, {tuple(first.shape)}",
                do="Bring the branches to the same steps and the same picture size first.",
            )


FUSIONS: dict[str, Callable[..., Fusion]] = {
    "concat": ConcatFusion,
    "sum": SumFusion,
    "product": ProductFusion,
    "concat_dense": DenseFusion,
    "concat_pointwise": PointwiseFusion,
    "gated": GatedFusion,
    "attention": AttentionFusion,
    "bilinear": BilinearFusion,
}
