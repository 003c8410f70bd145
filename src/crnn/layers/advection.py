"""Where things move in frames, and the frames that would come if all went on so: extrapolation without any weights.

The motion is found by matching windows (as in the nowcasts of the weather services since Rinehart & Garvey 1978), the
frames are moved backwards in time along it (semi-Lagrangian, Germann & Zawadzki 2002).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CELL = 4  # pixels each way that move together
GLOBAL = 0.1  # weight of what fits the whole frame beside what fits a window, which may be empty
STILL = 1e-8  # cost of a shift, so that nothing moves where nothing is seen


@torch.no_grad()
def motion(frames: Tensor, *, reach: int = 6, window: int = 6) -> Tensor:
    """Pixels that things move from one frame to the next, ``(batch, 2, height, width)``, rows and columns, of
    ``frames`` ``(batch, time, channels, height, width)``.

    Of all shifts of at most ``reach`` pixels each way it is the one under which neighbouring frames differ least
    around a place: in a square of ``2 window // 2 + 1`` cells of 4 x 4 pixels; between whole pixels by a parabola,
    between cells by straight lines. With one frame nothing moves.
    """
    batch, time, _, height, width = frames.shape
    if time < 2:
        return frames.new_zeros(batch, 2, height, width)
    before, after = frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1)
    side = 2 * reach + 1
    around = F.pad(before, (reach,) * 4, mode="replicate")
    costs = []
    for row in range(side):
        for column in range(side):  # what stood there has moved by (reach - row, reach - column)
            error = around[..., row : row + height, column : column + width] - after
            cells = F.avg_pool2d(error.square().mean(1, keepdim=True), CELL, ceil_mode=True)
            far = (row - reach) ** 2 + (column - reach) ** 2
            costs.append(cells.unflatten(0, (batch, time - 1)).mean((1, 2)) + STILL * far)
    cost = torch.stack(costs, 1)  # (batch, shifts, cells down, cells across)
    cost = _mean_around(cost, window) + GLOBAL * cost.mean((2, 3), keepdim=True)
    best = cost.argmin(1)
    shifts = []
    for place, step in ((best // side, side), (best % side, 1)):
        inside = (place > 0) & (place < side - 1)
        low, middle, high = (cost.gather(1, (best + by * step * inside)[:, None])[:, 0] for by in (-1, 0, 1))
        fine = (low - high) / (2 * (low - 2 * middle + high).clamp(min=1e-9))
        shifts.append(reach - (place + torch.where(inside, fine.clamp(-0.5, 0.5), 0.0)))
    flow = _mean_around(torch.stack(shifts, 1), window)
    whole = [size * CELL for size in flow.shape[2:]]
    return F.interpolate(flow, size=whole, mode="bilinear", align_corners=False)[..., :height, :width]


def extrapolate(frame: Tensor, flow: Tensor, steps: int) -> Tensor:
    """``(batch, steps, channels, height, width)``: ``frame`` ``(batch, channels, height, width)`` moved on along
    ``flow`` (see ``motion``); what comes in over the border is what stood there."""
    height, width = frame.shape[2:]
    rows = torch.arange(height, device=frame.device, dtype=torch.float32).view(-1, 1)
    columns = torch.arange(width, device=frame.device, dtype=torch.float32).view(1, -1)
    found = []
    for step in range(1, steps + 1):
        down, right = (step * flow.float()).unbind(1)
        grid = torch.stack([(2 * (columns - right) + 1) / width - 1, (2 * (rows - down) + 1) / height - 1], -1)
        found.append(F.grid_sample(frame.float(), grid, padding_mode="border", align_corners=False).to(frame.dtype))
    return torch.stack(found, 1)


def _mean_around(x: Tensor, window: int) -> Tensor:
    """The mean of the square around each place, first down, then across."""
    half = window // 2
    x = F.avg_pool2d(F.pad(x, (0, 0, half, half), mode="replicate"), (2 * half + 1, 1), stride=1)
    return F.avg_pool2d(F.pad(x, (half, half, 0, 0), mode="replicate"), (1, 2 * half + 1), stride=1)
