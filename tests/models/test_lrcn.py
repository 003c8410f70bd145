"""lrcn: each frame by itself, then an LSTM that sees the past; frames that are padding enter nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from crnn.bundle import Net
from crnn.errors import SettingsError
from crnn.layers import mask
from crnn.models.lrcn import LRCN
from crnn.types import InputSpec, Seq

SPEC = InputSpec("film", 3, (18, 14))
LENGTHS = [6, 1, 9, 4]


def net(**values: Any) -> Net:
    small = {"channels": (4, 5, 6, 7), "features": 8, "hidden": 6, "dropout": 0.0}
    return Net(LRCN(SPEC, LRCN.Settings(**{**small, **values})), nn.Identity())


def films(lengths: list[int], behind: float = 99.0, room: int = 0) -> Seq:
    steps = torch.tensor(lengths)
    shape = (len(lengths), max(lengths), 3, 18, 14)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    x = torch.where(mask(steps, max(lengths))[:, :, None, None, None], x, behind)
    return Seq(F.pad(x, (0, 0) * 3 + (0, room), value=behind), steps)


def test_parameters_of_the_recurrence_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        encoder = LRCN(SPEC, LRCN.Settings(features=4096, hidden=256))
        small = LRCN(InputSpec("film", 3, (64, 64)))
    published = 4 * 256 * (4096 + 256 + 1)  # 4.46 million
    assert sum(p.numel() for p in encoder.recurrent.parameters()) == published + 4 * 256, "torch has a second bias"
    wanted = sum(a * b * k * k + 2 * b for a, b, k in ((3, 32, 5), (32, 64, 3), (64, 96, 3), (96, 128, 3)))
    wanted += 128 * 4 * 4 * 256 + 256 + 4 * 256 * (2 * 256 + 2)
    assert sum(p.numel() for p in small.parameters()) == wanted == 1_238_240


@torch.no_grad()
def test_frames_are_seen_one_by_one() -> None:
    encoder = net(layers=0).encoder.double()
    nn.init.uniform_(encoder.stages[0].norm.running_mean)
    encoder.eval()
    x = films([5, 5]).x.double()
    found = encoder(Seq(x, torch.tensor([5, 5]))).last.x
    frames = x.flatten(0, 1)
    for stage in encoder.stages:
        if hasattr(stage, "conv"):
            conv, norm = stage.conv, stage.norm
            frames = F.conv2d(frames, conv.weight[:, :, 0], None, conv.stride[1:], conv.padding[1:])
            frames = F.batch_norm(frames, norm.running_mean, norm.running_var, norm.weight, norm.bias).relu()
        else:
            frames = F.max_pool2d(frames, stage.kernel_size[1:])
    linear = encoder.dense[0]
    frames = F.linear(frames.movedim(1, -1).flatten(1), linear.weight, linear.bias).relu()
    torch.testing.assert_close(found, frames.unflatten(0, (2, 5)), rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_a_film_in_pieces_is_the_film() -> None:
    encoder = net().encoder.eval()
    x = films([9]).x
    state, found = None, []
    for piece in x.split([4, 1, 4], dim=1):
        features = encoder(Seq(piece, torch.tensor([piece.shape[1]])), state)
        state = features.state
        found.append(features.last.x)
    torch.testing.assert_close(torch.cat(found, 1), encoder(Seq(x, torch.tensor([9]))).last.x)


@pytest.mark.parametrize("values", [{}, {"layers": 0, "norm": False}, {"cell": "gru", "layers": 2}])
@torch.no_grad()
def test_alone_equals_in_a_batch(values: dict[str, Any]) -> None:
    made = net(**values)
    made.train()(films([5, 8]))
    inputs = films(LENGTHS)
    y, lengths = made.eval()(inputs).last
    assert lengths.tolist() == LENGTHS and made.encoder.levels[-1].stride == 1
    for i, length in enumerate(LENGTHS):
        alone = made(Seq(inputs.x[i : i + 1, :length], lengths[i : i + 1])).last.x
        torch.testing.assert_close(y[i : i + 1, :length], alone, rtol=1e-5, atol=1e-5)
        assert not y[i, length:].any()


@torch.no_grad()
def test_training_learns_nothing_from_padding() -> None:
    one, other = (net().double().train() for _ in range(2))
    other.load_state_dict(one.state_dict())
    plain, padded = films(LENGTHS, behind=0.0), films(LENGTHS, room=5)
    y, z = (n(Seq(s.x.double(), s.lengths)).last.x for n, s in ((one, plain), (other, padded)))
    torch.testing.assert_close(y, z[:, : y.shape[1]])
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, msg=name)


@pytest.mark.parametrize("side", [1, 2, 7, 30])
def test_frames_of_any_size(side: int) -> None:
    encoder = LRCN(InputSpec("film", 1, (side, 33)), LRCN.Settings(channels=(3,) * 4, features=4, hidden=5))
    y, _ = encoder(Seq(torch.rand(2, 3, 1, side, 33), torch.tensor([3, 2]))).last
    assert y.shape == (2, 3, 5)


def test_sizes_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"pools has 1 entries and encoder\.channels 4; expected"):
        net(pools=(2,))
