"""Pictures of one size: what is learned of them, crops and views, and labels of columns that move along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crnn.data.inputs.picture import Picture
from crnn.data.inputs.picture_augment import PictureAugment
from crnn.errors import DataError, SettingsError
from crnn.types import Sample

STILL = PictureAugment(border=0, brightness=0, contrast=0)


def samples(*arrays: np.ndarray) -> list[Sample]:
    return [Sample(str(i), x) for i, x in enumerate(arrays)]


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8)


def learned(*arrays: np.ndarray, **settings: Any) -> Picture:
    return Picture.learn(Picture.Settings(**settings), samples(*arrays))


def test_size_and_scale_are_those_of_the_training_part() -> None:
    arrays = [noise(20, 30, seed=i) for i in range(5)] + [noise(40, 60)]
    kind = learned(*arrays)
    assert (kind.scale.height, kind.scale.width, kind.spec.channels, kind.spec.space) == (20, 30, 3, (20,))
    x = np.stack([kind.finish(kind.decode(a)) for a in arrays[:5]])
    assert x.shape == (5, 30, 3, 20) and x.dtype == np.float32
    assert np.allclose(x.mean((0, 1, 3)), 0, atol=0.05) and np.allclose(x.std((0, 1, 3)), 1, atol=0.05)
    assert learned(noise(600, 300)).scale.height == 128, "nobody asked for more"
    assert learned(noise(20, 30), height=8).scale.width == 12, "the shape stays"


def test_time_runs_along_the_columns() -> None:
    x = np.zeros((4, 6, 3), np.uint8)
    x[1, 5, 2] = 255
    kind = Picture(Picture.Settings(height=4, width=6)).restore(Picture.Settings(height=4, width=6), {})
    assert np.argwhere(kind.finish(kind.decode(x))).tolist() == [[5, 2, 1]]


@pytest.mark.parametrize(("colour", "channels"), [("auto", 1), ("colour", 3), ("grey", 1)])
def test_grey_pictures_have_one_channel_unless_three_are_wanted(colour: str, channels: int) -> None:
    grey = noise(8, 8, 1)
    kind = learned(grey, grey.repeat(3, 2), colour=colour)
    assert kind.spec.channels == channels
    assert kind.decode(grey).shape == kind.decode(grey[..., 0]).shape == (8, 8, channels)
    assert learned(noise(8, 8), colour=colour).spec.channels == (1 if colour == "grey" else 3)


def test_numbers_from_0_to_1_are_pictures_too() -> None:
    kind = learned(noise(8, 8))
    x = noise(8, 8)
    assert np.abs(kind.decode(x / 255).astype(int) - x).max() <= 1
    assert Picture.reads(x / 255) and Picture.reads(x[..., 0]) and not Picture.reads(x[..., 0] / 255)


def test_numbers_of_16_bits_are_scaled_and_others_refused() -> None:
    kind = learned(noise(8, 8))
    np.testing.assert_array_equal(kind.decode(noise(8, 8).astype(np.uint16) * 257), kind.decode(noise(8, 8)))
    for x in (noise(8, 8) / 100 - 1, noise(8, 8).astype(int) * 2, np.full((8, 8, 3), np.nan)):
        with pytest.raises(DataError, match=r"holds values from .* expected 0 to 1, or 0 to 255"):
            kind.decode(x)


def test_ten_views_are_corners_middle_and_their_mirror_images() -> None:
    x = np.arange(36, dtype=np.uint8).reshape(6, 6, 1)
    kind = learned(x, noise(6, 6, 1), crop=4, views="ten")
    views = kind.views(kind.decode(x))
    assert len(views) == kind.view_count == 10 and all(v.shape == (4, 4, 1) for v in views)
    assert sorted(int(v[0, 0, 0]) for v in views[::2]) == [0, 2, 7, 12, 14]
    assert all(np.array_equal(v, w[:, ::-1]) for v, w in zip(views[::2], views[1::2], strict=True))
    assert np.array_equal(views[0], kind.plain(x, None)[0]), "the middle comes first"
    assert kind.steps(x) == 4 and kind.spec.space == (4,)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"crop": 7}, "input.crop is 7 of pictures of 6 x 6"), ({"views": "ten"}, "input.crop is 0")],
)
def test_crops_that_make_no_sense(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        learned(noise(6, 6), **settings)


def test_a_piece_is_cut_anywhere_and_in_the_middle_without_variation() -> None:
    x = noise(8, 8)
    kind = learned(x, crop=4)
    pieces = {kind.vary(x, None, STILL, np.random.default_rng(i))[0].tobytes() for i in range(300)}
    whole = {x[i : i + 4, j : j + 4].tobytes() for i in range(5) for j in range(5)}
    assert pieces == whole, "all 25 places"
    assert np.array_equal(kind.plain(x, None)[0], x[2:6, 2:6])


def test_what_lies_outside_is_of_the_mean_colour() -> None:
    x = np.full((8, 8, 3), (10, 100, 200), np.uint8)
    kind = learned(x, noise(8, 8))
    augment = PictureAugment(border=0.5, brightness=0, contrast=0)
    seen = np.concatenate([kind.vary(x, None, augment, np.random.default_rng(i))[0].reshape(-1, 3) for i in range(50)])
    mean = np.round(255 * np.array(kind.scale.mean))
    assert {tuple(p) for p in seen.tolist()} == {(10, 100, 200), tuple(mean.astype(int).tolist())}


def test_labels_of_columns_move_with_them() -> None:
    x = np.repeat(np.arange(10, 90, 10, dtype=np.uint8)[None, :, None], 4, 0)
    kind = learned(x, noise(4, 8, 1))
    augment = PictureAugment(border=0.25, flip=0.5, brightness=0, contrast=0)
    for i in range(50):
        moved, y = kind.vary(x, np.arange(8), augment, np.random.default_rng(i))
        inside = np.isin(moved[2, :, 0], x[0, :, 0])
        assert (moved[2, inside, 0] == 10 * y[inside] + 10).all() and inside.sum() >= 6
    with pytest.raises(SettingsError, match="cuts labelled columns away"):
        learned(x, noise(4, 8, 1), crop=4).vary(x, np.arange(8), augment, np.random.default_rng(0))


def test_broken_pictures_teach_nothing_and_none_at_all_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    Image.fromarray(noise(5, 7)).save(tmp_path / "b.png")
    bad, good = Sample("a", tmp_path / "a.png"), Sample("b", tmp_path / "b.png")
    assert Picture.learn(Picture.Settings(), [bad, good]).scale.width == 7
    with pytest.raises(DataError, match=r"a.png: holds 0 bytes"):
        Picture.learn(Picture.Settings(), [bad])


def test_one_colour_only_is_noted() -> None:
    kind = learned(noise(8, 8))
    assert [f.kind for f in kind.look(np.full((8, 8, 3), 7, np.uint8)).findings] == ["blank picture"]
    assert kind.look(noise(8, 8)).findings == () and kind.look(noise(8, 8)).digest
