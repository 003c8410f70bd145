"""Layers one behind the other, each of which knows lengths: how most networks begin."""

from __future__ import annotations

from torch import Tensor, nn


class Chain(nn.ModuleList):
    """``(batch, channels, time, *space)`` and lengths through layers that take and give both; dropout may stand among
    them."""

    def out_lengths(self, lengths: Tensor) -> Tensor:
        """Steps that come out of ``lengths`` steps."""
        for layer in self:
            if not isinstance(layer, nn.Dropout):
                lengths = layer.out_lengths(lengths)  # type: ignore[operator]
        return lengths

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self:
            if isinstance(layer, nn.Dropout):
                x = layer(x)
            else:
                x, lengths = layer(x, lengths)
        return x, lengths
