"""Motion is found where there is some, and what moves on arrives where it should."""

from __future__ import annotations

import pytest
import torch

from crnn.layers import extrapolate, motion


def blobs(count: int, down: float, right: float, *, side: int = 48) -> torch.Tensor:
    """Frames ``(1, count, 1, side, side)`` of soft spots that move by so much a step."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    frames = []
    for step in range(count):
        spots = [(14 + down * step, 16 + right * step, 3.0), (26 + down * step, 28 + right * step, 4.0)]
        frames.append(sum(torch.exp(-((rows - r) ** 2 + (columns - c) ** 2) / (2 * w * w)) for r, c, w in spots))
    return torch.stack(frames)[None, :, None]


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, -1), (-3, 3), (0.5, 1.5)])
def test_motion_is_that_of_the_spots(down: float, right: float) -> None:
    flow = motion(blobs(3, down, right))
    assert flow.shape == (1, 2, 48, 48)
    at_the_spots = flow[0, :, 10:34, 12:36].flatten(1).mean(1)
    torch.testing.assert_close(at_the_spots, torch.tensor([down, right], dtype=torch.float32), atol=0.3, rtol=0.1)


def test_extrapolation_beats_the_last_frame() -> None:
    frames = blobs(6, 1.5, -1)
    moved = extrapolate(frames[:, 2], motion(frames[:, :3]), 3)
    wrong, still = ((x - frames[:, 3:]).square().mean() for x in (moved, frames[:, 2:3]))
    assert wrong < 0.05 * still


def test_nothing_moves_in_one_frame_or_in_empty_ones() -> None:
    assert not motion(torch.rand(2, 1, 1, 9, 7)).any()
    frames = torch.zeros(2, 3, 2, 9, 7)
    assert not motion(frames).any()
    assert torch.equal(extrapolate(frames[:, 0], motion(frames), 2), frames[:, :2])
