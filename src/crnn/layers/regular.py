"""Cells made forgetful in training, so that they do not learn their examples by heart."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from crnn.errors import SettingsError
from crnn.layers._given import check_step
from crnn.layers.cells import Cell, State


class Wrapped(nn.Module):
    """A cell around a cell: all that is not said anew is the inner one's."""

    recurs = True

    def __init__(self, cell: Cell | Wrapped) -> None:
        super().__init__()
        self.cell = cell
        self.inputs: int = cell.inputs
        self.size: int = cell.size
        self.space: int = cell.space
        self.parts: int = cell.parts
        self.gates: int = cell.gates

    def project(self, x: Tensor) -> Tensor:
        return self.cell.project(x)

    def start(self, zx: Tensor, state: State | None = None) -> State:
        return self.cell.start(zx, state)

    def state_shapes(self, batch: int, size: tuple[int, ...]) -> list[tuple[int, ...]]:
        return self.cell.state_shapes(batch, size)

    def draw(self, zx: Tensor) -> Tensor | None:
        return self.cell.draw(zx)

    def step(self, zx: Tensor, state: State, noise: Tensor | None = None) -> State:
        return self.cell.step(zx, state, noise)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        check_step(self, x, state)
        zx = self.project(x)
        state = self.step(zx, self.start(zx, state), self.draw(zx))
        return state[0], state


class Zoneout(Wrapped):
    """Units keep their old value now and then (Krueger et al. 2016, arXiv 1606.01305).

    ``shares`` has one probability for each tensor of the cell's state (LSTM: of ``h``, of ``c``). In training each
    number of the state is kept with it; in ``eval()`` old and new are mixed in that proportion.
    """

    def __init__(self, cell: Cell | Wrapped, shares: Sequence[float]) -> None:
        super().__init__(cell)
        if len(shares) != cell.parts:
            raise SettingsError(
                f"shares has {len(shares)} numbers",
                expected=f"{cell.parts}, one for each tensor of the state",
                do="An LSTM has two, h and c.",
            )
        self.shares = tuple(map(_probability, shares))

    def extra_repr(self) -> str:
        return f"shares={self.shares}"

    def step(self, zx: Tensor, state: State, noise: Tensor | None = None) -> State:
        return tuple(map(self._mix, state, self.cell.step(zx, state, noise), self.shares))

    def _mix(self, old: Tensor, new: Tensor, share: float) -> Tensor:
        if not self.training:
            return new.lerp(old, share)
        return torch.where(torch.empty_like(new, dtype=torch.bool).bernoulli_(share), old, new)


class RecurrentDropout(Wrapped):
    """Dropout between a cell and its own last output, the same at each step of a sequence (Gal & Ghahramani 2016,
    arXiv 1512.05287): a channel is dropped with probability ``share``, at all places and times."""

    def __init__(self, cell: Cell | Wrapped, share: float) -> None:
        super().__init__(cell)
        self.share = _probability(share)

    def extra_repr(self) -> str:
        return str(self.share)

    def draw(self, zx: Tensor) -> Tensor | None:
        if not self.training or not self.share:
            return None
        kept = zx.new_empty(zx.shape[0], self.size, *[1] * (zx.dim() - 2)).bernoulli_(1 - self.share)
        return kept.div_(1 - self.share or 1.0)


def _probability(share: float) -> float:
    if not 0 <= share <= 1:
        raise SettingsError(f"{share} is asked for", expected="a share from 0 to 1", do="0.1 is one in ten.")
    return share
