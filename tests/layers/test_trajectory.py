"""TrajGRU against its formula, written out place by place."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from crnn.errors import SettingsError
from crnn.layers import ElmanCell, Recurrent, TrajectoryGRUCell, Window, layer_norm, scan


def made(window: Window | None = None, *, links: int = 2, **options: object) -> TrajectoryGRUCell:
    cell = TrajectoryGRUCell(2, 3, window=window, links=links, flow_size=4, **options).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for p in cell.parameters():
            p.normal_(std=0.5)
    return cell


def around(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1) -> Tensor:
    """A convolution by loops; zeros outside."""
    (height, width), kernel = x.shape[2:], weight.shape[2:]
    y = x.new_zeros(len(x), len(weight), -(-height // stride), -(-width // stride))
    for row in range(y.shape[2]):
        for column in range(y.shape[3]):
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    a, b = row * stride + i - (kernel[0] - 1) // 2, column * stride + j - (kernel[1] - 1) // 2
                    if 0 <= a < height and 0 <= b < width:
                        y[:, :, row, column] += x[:, :, a, b] @ weight[:, :, i, j].t()
    return y if bias is None else y + bias[:, None, None]


def between(h: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """``h`` ``(batch, size, height, width)`` read at ``(row + v, column + u)``: each place weighs as much as it is
    nearer than one pixel, in both axes."""
    height, width = h.shape[2:]
    found = torch.zeros_like(h)
    for row in range(height):
        for column in range(width):
            for a in range(height):
                for b in range(width):
                    near = (1 - (row + v[:, row, column] - a).abs()).clamp(min=0)
                    near = near * (1 - (column + u[:, row, column] - b).abs()).clamp(min=0)
                    found[:, :, row, column] += near[:, None] * h[:, :, a, b]
    return found


def by_formula(cell: TrajectoryGRUCell, x: Tensor, h: Tensor) -> Tensor:
    assert cell.window is not None
    stride = int(cell.window.stride)  # type: ignore[arg-type]
    ys = []
    for frame in x.unbind(1):
        seen = around(frame, cell.flow_of_input.weight, cell.flow_of_input.bias, stride)
        seen = seen + around(h, cell.flow_of_state.weight, None)
        flow = around(torch.where(seen > 0, seen, 0.2 * seen), cell.flow.weight, cell.flow.bias)
        warped = [between(h, flow[:, 2 * n], flow[:, 2 * n + 1]) for n in range(cell.links)]
        recalled = sum(
            torch.einsum("oc,bchw->bohw", cell.recurrent.weight[:, 3 * n : 3 * n + 3, 0, 0], warped[n])
            for n in range(cell.links)
        )
        (xr, xz, xn), (hr, hz, hn) = (
            around(frame, cell.input.weight, cell.input.bias, stride).chunk(3, 1),
            recalled.chunk(3, 1),
        )
        r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        h = (1 - z) * (xn + r * hn).tanh() + z * h
        ys.append(h)
    return torch.stack(ys, 1)


@pytest.mark.parametrize("links", [1, 3])
@pytest.mark.parametrize(
    "window, size",
    [(None, (3, 4)), (Window(kernel_size=2), (2, 3)), (Window(stride=2), (5, 4)), (None, (3, 1)), (None, (1, 4))],
    ids=["picture", "even", "stride", "one column", "one row"],
)
def test_equals_its_formula(links: int, window: Window | None, size: tuple[int, int]) -> None:
    cell = made(window, links=links)
    x = torch.randn(2, 2, 2, *size, dtype=torch.float64)
    h = torch.randn(cell.state_shapes(2, size)[0], dtype=torch.float64)
    y, (last,) = scan(cell, x, (h,))
    expected = by_formula(cell, x, h)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(last, expected[:, -1])
    torch.testing.assert_close(scan(cell, x)[0], by_formula(cell, x, torch.zeros_like(h)))


def test_gradients_by_differences() -> None:
    for norm in (None, layer_norm):
        cell = made(norm=norm, links=1)
        x = torch.randn(1, 2, 2, 3, 2, dtype=torch.float64, requires_grad=True)
        h = torch.randn(1, 3, 3, 2, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(
            lambda x, h, *_, cell=cell: scan(cell, x, (h,))[0], (x, h, *cell.parameters()), fast_mode=True, eps=1e-7
        )


def test_no_flow_reads_each_place_itself_and_a_flow_of_one_pixel_the_next() -> None:
    cell = made(links=1)
    h = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    flow = torch.zeros(1, 2, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(cell._warp(h, flow), h)
    flow[:, 0] = 1  # u, along the row
    torch.testing.assert_close(cell._warp(h, flow)[..., :-1], h[..., 1:])
    assert not cell._warp(h, flow)[..., -1].any(), "zeros outside"
    flow[:, 0], flow[:, 1] = 0, -1  # v, along the column
    torch.testing.assert_close(cell._warp(h, flow)[:, :, 1:], h[:, :, :-1])


def test_links_of_a_batch_are_not_mixed_up() -> None:
    cell = made(links=3)
    x = torch.randn(4, 3, 2, 3, 4, dtype=torch.float64)
    y, _ = scan(cell, x)
    for row, frames in zip(y, x, strict=True):
        torch.testing.assert_close(row[None], scan(cell, frames[None])[0])


def test_places_beyond_256_are_told_in_bfloat16() -> None:
    cell = TrajectoryGRUCell(1, 1, links=1, flow_size=1).bfloat16()
    h = torch.arange(600.0).remainder(7).bfloat16().view(1, 1, 1, 600)
    flow = torch.zeros(1, 2, 1, 600, dtype=torch.bfloat16)
    torch.testing.assert_close(cell._warp(h, flow).float(), h.float(), rtol=0, atol=0.01)


def test_nothing_is_dead() -> None:
    layer = Recurrent(2, 3, cell=TrajectoryGRUCell, layers=2, bidirectional=True)
    layer(torch.randn(2, 3, 2, 4, 5), None, torch.tensor([3, 1]))[0].square().sum().backward()
    for key, p in layer.named_parameters():
        assert p.grad is not None and p.grad.any(), key


def test_count_of_parameters() -> None:
    cell = TrajectoryGRUCell(8, 64, links=13)
    of_flow = (8 * 25 * 32 + 32) + 64 * 25 * 32 + (32 * 25 * 26 + 26)
    gates = (8 * 9 * 192 + 192) + 13 * 64 * 192
    assert sum(p.numel() for p in cell.parameters()) == of_flow + gates


def test_without_input_as_a_forecaster_begins() -> None:
    cell, other = TrajectoryGRUCell(0, 3, links=2), TrajectoryGRUCell(2, 3, links=2)
    values = {key.replace("conv.", ""): p for key, p in cell.named_parameters()}
    with torch.no_grad():
        for key, p in other.named_parameters():
            if key.replace("conv.", "") in values:
                p.copy_(values[key.replace("conv.", "")])
    h = torch.randn(2, 3, 4, 5)
    y, _ = scan(cell, torch.zeros(2, 3, 0, 4, 5), (h,))
    torch.testing.assert_close(y, scan(other, torch.zeros(2, 3, 2, 4, 5), (h,))[0])
    y.sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in cell.parameters())


@pytest.mark.parametrize("space", [1, 3])
def test_trajectories_are_of_pictures(space: int) -> None:
    with pytest.raises(SettingsError, match=f"space is {space}; expected 2 for trajectories. Take GRUCell."):
        TrajectoryGRUCell(2, 3, window=Window(space=space))
    ElmanCell(2, 3, window=Window(space=space))


def test_autocast_and_half_precision() -> None:
    cell = TrajectoryGRUCell(2, 3)
    x = torch.randn(1, 2, 2, 4, 5)
    exact, _ = scan(cell, x)
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = scan(cell, x, (torch.zeros(1, 3, 4, 5),))
    y.sum().backward()
    torch.testing.assert_close(y.float(), exact, rtol=0.05, atol=0.05)
    assert scan(cell.bfloat16(), x.bfloat16())[0].dtype == torch.bfloat16
