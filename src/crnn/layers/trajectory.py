"""TrajGRU: a convolutional GRU that looks where things come from (Shi et al. 2017, arXiv 1706.03458)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.errors import SettingsError
from crnn.layers.cells import GRUCell, Norm, State
from crnn.layers.window import NoInput, Window


class TrajectoryGRUCell(GRUCell):
    """The gates of ``GRUCell``; but where a ConvGRU sees the same window of the state at each place, this cell sees
    ``links`` places that it chooses itself, from input and state, for each place and step anew::

        u, v = flow(x, h)        U h = sum over l of Wl warp(h, ul, vl)

    ``flow`` is a small convolutional network (``flow_size`` maps, 5 x 5), ``warp`` reads ``h`` between its places by
    bilinear interpolation, in pixels, with zeros outside, and ``Wl`` is a 1 x 1 convolution. Pictures only
    (``space`` 2); ``window`` is that of the input.
    """

    def __init__(
        self,
        inputs: int,
        size: int,
        *,
        window: Window | None = None,
        norm: Norm | None = None,
        links: int = 5,
        flow_size: int = 32,
    ) -> None:
        window = window or Window()
        if window.space != 2:
            raise SettingsError(f"space is {window.space}", expected="2 for trajectories", do="Take GRUCell.")
        super().__init__(inputs, size, window=window, norm=norm)
        self.links, self.flow_size = links, flow_size
        around = Window(kernel_size=5)
        self.recurrent = nn.Conv2d(links * size, 3 * size, 1, bias=False)
        self.flow_of_input = (
            Window(kernel_size=5, stride=window.stride).of_input(inputs, flow_size, bias=True)
            if inputs
            else NoInput(flow_size, bias=True)
        )
        self.flow_of_state = around.of_state(size, flow_size)
        self.flow = around.of_input(flow_size, 2 * links, bias=True)
        self.reset_parameters()

    def project(self, x: Tensor) -> Tensor:
        return torch.cat([super().project(x), self.flow_of_input(x)], 1)

    def recall(self, zx: Tensor, state: State) -> Tensor:
        h = self.remembered(state)
        flow = self.flow(F.leaky_relu(zx[:, -self.flow_size :] + self.flow_of_state(h), 0.2))
        z = self.recurrent(self._warp(h, flow))
        return z if self.recurrent_norm is None else self.recurrent_norm(z)

    def update(self, zx: Tensor, zh: Tensor, state: State) -> State:
        return super().update(zx[:, : -self.flow_size], zh, state)

    def _warp(self, h: Tensor, flow: Tensor) -> Tensor:
        """``h`` ``(batch, size, height, width)`` read where ``flow`` ``(batch, 2 * links, height, width)`` points to:
        ``(batch, links * size, height, width)``."""
        batch, size, height, width = h.shape
        exact = torch.promote_types(h.dtype, torch.float32)  # bfloat16 cannot tell places beyond 256
        rows = torch.arange(height, device=h.device, dtype=exact).view(-1, 1).expand(height, width)
        columns = torch.arange(width, device=h.device, dtype=exact).view(1, -1).expand(height, width)
        u, v = flow.to(exact).unflatten(1, (self.links, 2)).flatten(0, 1).unbind(1)  # -> (batch * links, height, width)
        # grid_sample counts from -1 at the near edge of the first place to 1 at the far edge of the last
        grid = torch.stack([(2 * (columns + u) + 1) / width - 1, (2 * (rows + v) + 1) / height - 1], -1)
        warped = F.grid_sample(h.repeat_interleave(self.links, 0).to(exact), grid, align_corners=False)
        return warped.to(h.dtype).view(batch, self.links * size, height, width)
