"""Associative memories: Hopfield 1982, and its modern continuous form (Ramsauer et al. 2020, arXiv 2008.02217)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crnn.errors import ShapeError
from crnn.layers._given import check_axes, check_lengths, traced
from crnn.layers.attention import as_queries, masked_softmax
from crnn.layers.padding import zero_padding


def hebbian(patterns: Tensor) -> Tensor:
    """Weights ``W = 1/N sum_p x_p x_p^T`` with a zero diagonal, ``(N, N)``, of patterns ``(count, N)`` of -1 and +1
    (Hopfield 1982). They hold about 0.138 N random patterns. Raises ``ShapeError``."""
    _check_signs("patterns", patterns)
    return _hollow(patterns.mT @ patterns / patterns.shape[1])


def pseudo_inverse(patterns: Tensor) -> Tensor:
    """Weights that project onto the patterns, ``W = X (X^T X)^-1 X^T`` with a zero diagonal, ``(N, N)``, of patterns
    ``(count, N)`` of -1 and +1, the columns of ``X`` (Personnaz, Guyon & Dreyfus 1985; the diagonal is taken out after
    Kanter & Sompolinsky 1987, which makes more probes find their way). All patterns are stable if they are independent
    and fewer than N. Raises ``ShapeError``."""
    _check_signs("patterns", patterns)
    return _hollow(patterns.mT @ torch.linalg.pinv(patterns.mT))


class Hopfield(nn.Module):
    """Memory of N units that are -1 or +1 (Hopfield 1982): ``x_i <- sign(sum_j W_ij x_j - theta_i)``, one unit after
    the other; at zero a unit stays as it is. ``E = -1/2 x^T W x + theta^T x`` never rises, so that a memory comes to
    rest.

    ``memory = Hopfield(hebbian(patterns))``, or ``pseudo_inverse(patterns)``; ``memory(probes)`` gives the states in
    which probes ``(batch, N)`` come to rest. ``weight`` ``(N, N)`` is symmetric and its diagonal not negative;
    ``threshold`` ``(N,)`` is zero by default. There is nothing to learn by gradient. Raises ``ShapeError``.
    """

    def __init__(self, weight: Tensor, *, threshold: Tensor | None = None) -> None:
        super().__init__()
        if weight.dim() != 2 or not torch.equal(weight, weight.mT) or bool((weight.diagonal() < 0).any()):
            raise ShapeError(
                f"weight is {tuple(weight.shape)}, or not its own transpose, or its diagonal is negative",
                expected="a symmetric (N, N) whose diagonal is not negative, else its energy could rise",
                do="Take what hebbian(patterns) or pseudo_inverse(patterns) gives.",
            )
        self.weight: Tensor
        self.threshold: Tensor
        self.register_buffer("weight", weight)
        self.register_buffer("threshold", weight.new_zeros(len(weight)) if threshold is None else threshold)

    def energy(self, x: Tensor) -> Tensor:
        """``(batch,)``: the energy of states ``(batch, N)``."""
        return -0.5 * ((x @ self.weight) * x).sum(-1) + x @ self.threshold

    def together(self, x: Tensor) -> Tensor:
        """All units of ``(batch, N)`` at once. The energy may rise then, and a state may come back every other time."""
        field = x @ self.weight - self.threshold
        return torch.where(field == 0, x, field.sign())

    def sweep(self, x: Tensor, order: Tensor) -> Tensor:
        """The units ``order`` of ``(batch, N)``, one after the other."""
        x = x.clone()
        for i in order.split(1):
            field = x @ self.weight[:, i] - self.threshold[i]
            x[:, i] = torch.where(field == 0, x[:, i], field.sign())
        return x

    def forward(self, x: Tensor, *, sweeps: int = 100, generator: torch.Generator | None = None) -> Tensor:
        """States ``(batch, N)`` after all units were visited in random orders, until no unit changes or for
        ``sweeps`` times. The order is the same for the whole batch, so who shares a probe's batch does not matter."""
        check_axes("x", x, ("batch", "channels"), len(self.weight))
        for _ in range(sweeps):
            order = torch.randperm(
                len(self.weight), generator=generator, device=x.device if generator is None else generator.device
            )
            before, x = x, self.sweep(x, order.to(x.device))
            if not traced() and torch.equal(before, x):
                break
        return x


class ModernHopfield(nn.Module):
    """Continuous memory (Ramsauer et al. 2020): ``q <- X^T softmax(beta X q)`` for ``steps`` times, where the rows of
    ``X`` are the stored patterns. One step is attention.

    ``y, weights = memory(query, x, lengths)``: ``query`` ``(batch, channels)`` or ``(batch, queries, channels)``,
    ``x`` ``(batch, patterns, channels)``, of which each sample has ``lengths``; ``y`` is like ``query``, ``weights``
    has ``patterns`` places in the stead of channels. A sample without a pattern gives zeros.

    Learned projections are passed in, such as ``query=nn.Linear(channels, size)``: queries and patterns go through
    ``query`` and ``key`` into the space where the memory works, and the patterns there through ``value`` for the
    answer of the last step. ``beta`` is by default one over the root of the features compared. Raises ``ShapeError``.
    """

    def __init__(
        self,
        *,
        beta: float | None = None,
        steps: int = 1,
        query: nn.Module | None = None,
        key: nn.Module | None = None,
        value: nn.Module | None = None,
    ) -> None:
        super().__init__()
        assert steps > 0, "a memory that takes no step answers nothing"
        self.beta, self.steps = beta, steps
        self.query, self.key, self.value = query or nn.Identity(), key or nn.Identity(), value or nn.Identity()

    def forward(self, query: Tensor, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        state, keys = self._compared(query, x, lengths)
        weights = self._weights(state, keys, lengths)
        for _ in range(self.steps - 1):
            weights = self._weights(weights @ keys, keys, lengths)
        y = weights @ self.value(keys)
        return (y, weights) if query.dim() == 3 else (y.squeeze(1), weights.squeeze(1))

    def energy(self, query: Tensor, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """``-1/beta log sum_p exp(beta x_p . q) + 1/2 q . q`` of queries ``(batch, queries, channels)``, ``(batch,
        queries)``; a step never raises it (the paper's energy, constants apart)."""
        state, keys = self._compared(query, x, lengths)
        beta = self._beta(keys)
        scores = beta * state @ keys.mT
        if lengths is not None:
            steps = torch.arange(x.shape[1], device=x.device)
            scores = scores.masked_fill(steps >= lengths[:, None, None], -torch.inf)
        energy = 0.5 * state.square().sum(-1) - scores.logsumexp(-1) / beta
        return energy if query.dim() == 3 else energy.squeeze(1)

    def _compared(self, query: Tensor, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Queries and patterns in the space where they are compared."""
        check_axes("x", x, ("batch", "patterns", "channels"))
        check_lengths(lengths, x.shape[0], x.shape[1])
        state = self.query(as_queries(query, x, None))
        keys = self.key(zero_padding(x, lengths, axis=1))
        check_axes("query", state, ("batch", "queries", "channels"), keys.shape[-1])
        return state, keys

    def _weights(self, state: Tensor, keys: Tensor, lengths: Tensor | None) -> Tensor:
        return masked_softmax(self._beta(keys) * state @ keys.mT, lengths, axis=2)

    def _beta(self, keys: Tensor) -> float:
        return keys.shape[-1] ** -0.5 if self.beta is None else self.beta


def _hollow(weight: Tensor) -> Tensor:
    """``weight`` to the bit symmetric, with a zero diagonal."""
    return ((weight + weight.mT) / 2).fill_diagonal_(0)


def _check_signs(name: str, x: Tensor) -> None:
    check_axes(name, x, ("count", "channels"))
    if not traced() and not bool((x.abs() == 1).all()):
        raise ShapeError(
            f"{name} holds other values than -1 and +1",
            expected="-1 and +1 alone",
            do="Say what is on and what is off, such as torch.where(x > 0, 1.0, -1.0).",
        )
