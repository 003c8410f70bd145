"""Scenes: pictures at their own size, tiles that move with their labels, frames of a film."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crnn.data.collate import collate, of_one_size
from crnn.data.inputs.scene import IGNORED, Scale, Scene
from crnn.data.inputs.scene_augment import SceneAugment
from crnn.errors import DataError
from crnn.types import Clip, InputSpec, Sample

STILL = SceneAugment(flip=0, turn=0, scale=0, brightness=0, contrast=0, tint=0)


def scene(height: int = 8, width: int = 12) -> Scene:
    return Scene(Scene.Settings(), Scale(height, width))


def numbered(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture whose colours say where each pixel is, and labels that say the same."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y, x, 0 * x], -1)[None].astype(np.uint8), (y * width + x).astype(np.uint8)


def places(x: np.ndarray, width: int) -> np.ndarray:
    return x[0, ..., 0].astype(int) * width + x[0, ..., 1]


@pytest.mark.parametrize("augment", [STILL, SceneAugment(flip=1, turn=1, scale=0, brightness=0, contrast=0, tint=0)])
@pytest.mark.parametrize("tile", [(6, 6), (6, 9)])
def test_labels_move_with_their_pixels(augment: SceneAugment, tile: tuple[int, int]) -> None:
    x, y = numbered(15, 16)
    found = set()
    for i in range(20):
        seen, moved = scene(*tile).vary(x, y, augment, np.random.default_rng(i))
        assert moved is not None and seen.shape == (1, *tile, 3) and moved.shape == tile
        assert abs(places(seen, 16) - moved).max() <= 1 + 16, "bilinear may be half a pixel off"
        found.add(int(moved[0, 0]))
    assert len(found) > 5, "tiles lie anywhere"


def test_labels_move_with_pixels_that_become_larger_or_smaller() -> None:
    x, y = np.full((1, 30, 30, 3), 10, np.uint8), np.zeros((30, 30), np.uint8)
    x[:, 10:20, 10:20], y[10:20, 10:20] = 200, 1
    augment = SceneAugment(flip=0.5, scale=1.0, brightness=0, contrast=0, tint=0)
    areas = []
    for i in range(30):
        seen, moved = scene(40, 40).vary(x, y, augment, np.random.default_rng(i))
        assert moved is not None
        inside = moved != IGNORED
        wrong = ((seen[0, ..., 0] > 105) != (moved == 1)) & inside
        assert wrong.sum() <= 4, "the same pixels, but for corners"
        assert not seen[0][~inside].any(), "the mean colour around"
        areas.append(int((moved == 1).sum()))
    assert min(areas) < 60 and max(areas) > 200, "areas from a quarter to four times as large"


def test_what_is_smaller_than_a_tile_lies_in_it_whole_and_around_it_nothing_counts() -> None:
    x, y = numbered(5, 7)
    seen, moved = scene(8, 12).vary(x, y, STILL, np.random.default_rng(0))
    assert moved is not None and (moved != IGNORED).sum() == 35 and seen.shape == (1, 8, 12, 3)
    assert np.array_equal(np.sort(moved[moved != IGNORED]), np.arange(35))


def test_afterwards_pictures_are_whole_and_of_their_own_size(tmp_path: Path) -> None:
    for name, mode, size in (("a.png", "RGB", (20, 10)), ("b.jpg", "CMYK", (9, 30)), ("c.png", "I;16", (5, 5))):
        Image.new(mode, size).save(tmp_path / name)
        kind = scene()
        assert kind.decode(tmp_path / name).shape == (1, size[1], size[0], 3)
        assert kind.finish(kind.plain(kind.decode(tmp_path / name), None)[0]).shape == (1, 3, size[1], size[0])
    assert kind.spec == InputSpec("scene", 3, (8, 12))


def test_the_tile_is_what_is_usual_in_the_training_part_or_what_is_said() -> None:
    samples = [Sample(str(n), np.full((n, 2 * n, 3), n % 200, np.uint8)) for n in (10, 30, 50, 400)]
    kind = Scene.learn(Scene.Settings(), samples)
    assert kind.spec == InputSpec("scene", 1, (40, 80)), "and grey"
    kind = Scene.learn(Scene.Settings(tile=(64, 32), colour="colour"), samples[-1:])
    assert kind.spec == InputSpec("scene", 3, (64, 32))
    assert Scene.restore(kind.settings, kind.learned()).spec == kind.spec


def test_clips_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for i in (1, 2, 10):
        Image.new("L", (6, 4), i).save(tmp_path / f"{i}.png")
    kind = scene()
    assert kind.decode(Clip(tmp_path, 1, 2))[:, 0, 0, 0].tolist() == [2, 10] and kind.steps(Clip(tmp_path, 1, 2)) == 2
    with pytest.raises(DataError, match="has 1 frames from number 2 on; expected 2"):
        kind.decode(Clip(tmp_path, 2, 2))
    Image.new("L", (5, 4)).save(tmp_path / "11.png")
    with pytest.raises(DataError, match="expected frames of one size"):
        kind.decode(Clip(tmp_path, 2, 2))


def test_pictures_of_several_sizes_make_several_batches() -> None:
    sizes = [(2, 3), (4, 3), (2, 3)]
    samples = [Sample(str(i), np.zeros((1, 3, *s), np.float32), np.zeros(s, np.uint8)) for i, s in enumerate(sizes)]
    assert of_one_size([s.x for s in samples]) == [[0, 2], [1]]
    loaded = collate(samples)
    assert [batch.ids for batch in loaded.batches] == [("0", "2"), ("1",)]
    assert [tuple(batch.inputs.x.shape) for batch in loaded.batches] == [(2, 1, 3, 2, 3), (1, 1, 3, 4, 3)]
    assert [tuple(batch.targets.x.shape) for batch in loaded.batches] == [(2, 2, 3), (1, 4, 3)]
    moved = loaded.to("meta")
    assert [batch.inputs.x.device.type for batch in moved.batches] == ["meta", "meta"]
