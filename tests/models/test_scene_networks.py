"""rcnn_scene, rcnn_pinheiro, unet and r2unet: counts, levels, what their settings change, pictures of any size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from crnn.bundle import build, combinations, refusal
from crnn.errors import SettingsError
from crnn.layers import TiedRCL
from crnn.models import MODELS
from crnn.tasks import TASKS
from crnn.types import Batch, InputSpec, Seq

SPEC = InputSpec("scene", 3, (20, 28))
SMALL: dict[str, dict[str, Any]] = {
    "rcnn_scene": {"stem": (4, 6), "sizes": (8, 10), "dropout": 0.0},
    "rcnn_pinheiro": {"hidden": (6, 8), "kernel": 4},
    "unet": {"channels": (4, 6, 8), "dropout": 0.0},
    "r2unet": {"channels": (4, 6, 8)},
}


def encoder(name: str, **values: Any) -> nn.Module:
    return MODELS[name](SPEC, MODELS[name].Settings(**{**SMALL[name], **values})).eval()


def parameters(name: str, labels: int, **values: Any) -> int:
    task = TASKS["segment"].blank(TASKS["segment"].Settings(), labels)
    with torch.device("meta"):
        net = build(task, {"name": "scene"}, {"name": name, **values}).net
    return sum(p.numel() for p in net.parameters())


def film(frames: int = 1, height: int = 20, width: int = 28, batch: int = 2) -> Seq:
    return Seq(torch.rand(batch, frames, 3, height, width), torch.full((batch,), frames))


def test_parameters_are_those_of_the_common_form() -> None:
    assert parameters("r2unet", 1, channels=(64, 128, 256, 512, 1024)) == 39_091_393
    assert parameters("r2unet", 1, channels=(64, 128, 256, 512, 1024), steps=3) == 39_091_393, (
        "one kernel for all steps"
    )


def test_pinheiro_reads_the_picture_and_its_own_planes_with_the_same_weights() -> None:
    first, second, labels = 25, 50, 8
    own = (3 + labels) * 64 * first + first + first * 64 * second + second + second * labels + labels
    assert parameters("rcnn_pinheiro", labels) == parameters("rcnn_pinheiro", labels, instances=3) == own


def test_pinheiro_reads_shares_of_labels_and_restores_nothing() -> None:
    """A picture's values are no shares of a whole: of a grey one it would read 1 everywhere."""
    assert ("rcnn_pinheiro", "scene", "segment") in set(combinations())
    assert ("pyramid", "scene", "restore") in set(combinations())
    refused = refusal("rcnn_pinheiro", TASKS["restore"], {"": "scene"})
    assert refused is not None and "'rcnn_pinheiro', which reads its own maps, is asked to restore" in str(refused)


def test_the_feed_forward_network_is_as_large_as_the_recurrent_one() -> None:
    sizes = {v: parameters("rcnn_scene", 11, variant=v, norm="none") for v in ("rcl", "wide")}
    assert abs(sizes["rcl"] - sizes["wide"]) < 0.001 * sizes["rcl"]
    assert parameters("rcnn_scene", 11, steps=1, norm="none") == sizes["rcl"], "steps share their weights"
    assert parameters("rcnn_scene", 11, steps=0, norm="none") < 0.6 * sizes["rcl"]


@pytest.mark.parametrize("name", SMALL)
def test_levels_are_what_they_say_at_any_size(name: str) -> None:
    net = encoder(name)
    for height, width in ((20, 28), (1, 1), (33, 47)):
        levels = net(film(2, height, width)).levels
        assert len(levels) == len(net.levels)
        for found, level in zip(levels, net.levels, strict=True):
            assert found.x.shape[:3] == (2, 2, level.channels)
            if (height, width) == SPEC.space:
                assert found.x.shape[3:] == level.space
    assert all(a.space >= b.space for a, b in zip(net.levels, net.levels[1:], strict=False)), "fine to coarse"


@pytest.mark.parametrize("name", SMALL)
def test_answers_have_the_size_of_the_picture(name: str) -> None:
    task = TASKS["segment"].blank(TASKS["segment"].Settings(), 5)
    made = build(task, {"name": "scene", "tile": (20, 28)}, {"name": name, **SMALL[name]})
    made.net.eval()
    for height, width in ((20, 28), (1, 1), (61, 90)):
        (answer,) = made.task.predict(made.net, Batch(("a",), film(1, height, width, batch=1)))
        assert answer.value.shape == (height, width) and 0 <= answer.score <= 1


def test_scales_are_more_levels_of_the_same_weights() -> None:
    one, three = encoder("rcnn_scene"), encoder("rcnn_scene", scales=3)
    assert sum(p.numel() for p in one.parameters()) == sum(p.numel() for p in three.parameters())
    assert len(three.levels) == 3 * len(one.levels)
    assert [level.space[0] for level in three.levels] == sorted((v.space[0] for v in three.levels), reverse=True)


@pytest.mark.parametrize("bottom", ["convlstm", "convgru"])
def test_frames_are_seen_together_at_the_bottom_alone(bottom: str) -> None:
    x = film(3)
    net = encoder("unet", bottom=bottom)
    whole = net(x).last.x
    alone = net(Seq(x.x[:, 2:], torch.ones(2, dtype=torch.long))).last.x
    assert (whole[:, 2:] - alone).abs().max() > 1e-6, "the past changes what is said of the last frame"
    plain = encoder("unet")
    one = plain(Seq(x.x[:, 2:], torch.ones(2, dtype=torch.long))).last.x
    torch.testing.assert_close(plain(x).last.x[:, 2:], one)


def test_settings_that_make_no_network() -> None:
    for name, key in (("unet", "channels"), ("r2unet", "channels"), ("rcnn_scene", "sizes")):
        with pytest.raises(SettingsError, match=f"encoder.{key} is empty"):
            encoder(name, **{key: ()})


def test_a_tied_layer_is_its_formula() -> None:
    layer = TiedRCL(4, steps=2, norm=None)
    x = torch.randn(2, 4, 6, 7)
    state = layer.conv(x).relu()
    for _ in range(2):
        state = layer.conv(x + state).relu()
    torch.testing.assert_close(layer(x)[0], state)
    lengths = torch.tensor([6, 3])
    padded = x.clone()
    padded[1, :, 3:] = 99
    y, _ = layer(padded, lengths)
    torch.testing.assert_close(y[1:, :, :3], layer(x[1:, :, :3])[0])
    assert not y[1, :, 3:].any()
