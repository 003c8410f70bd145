"""Dropout for sequences."""

from __future__ import annotations

from torch import Tensor, nn

from crnn.errors import SettingsError


class TimeDropout(nn.Module):
    """Drops features of ``(batch, time, channels)`` for a whole sample, the same at each time step (Gal & Ghahramani
    2016, arXiv 1512.05287); in ``eval()`` the identity. Its mask has no time axis, so it costs next to nothing.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise SettingsError(f"dropout is {share}", expected="a share from 0 to 1", do="Say 0.1 for one in ten.")
        self.share = share

    def extra_repr(self) -> str:
        return str(self.share)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.share:
            return x
        kept = x.new_empty(x.shape[0], 1, *x.shape[2:]).bernoulli_(1 - self.share)
        return x * kept.div_(1 - self.share or 1.0)
