"""Boxes as users give them, and how they move with the pixels of a picture."""

from __future__ import annotations

import numpy as np
import pytest

from crnn.data.boxes import boxes_of, cropped, fitted, mirrored, turned
from crnn.data.inputs.scene import Scene
from crnn.data.inputs.scene_augment import SceneAugment
from crnn.errors import DataError
from crnn.types import Box, Boxes, Sample


def rows(*edges: tuple[float, ...]) -> np.ndarray:
    return np.array([(*e, 2, 1) for e in edges], np.float32).reshape(-1, 6)


def test_what_users_give() -> None:
    given = Boxes((4, 4), (Box("a", 0, 0, 1, 1),))
    assert boxes_of(given) is given
    assert boxes_of([("a", 0, 1, 2, 3)]).boxes == (Box("a", 0, 1, 2, 3),)
    assert boxes_of([["a", 0, 1, 2, 3, 0.5], Box("b", 0, 0, 1, 1)]).boxes[0].score == 0.5
    assert boxes_of([]).boxes == ()
    for wrong in ([("a", 0, 1)], [("a", "x", 1, 2, 3)], "cat", 5):
        with pytest.raises(DataError, match="a box is given as"):
            boxes_of(wrong)


def test_boxes_are_cut_at_the_border_and_what_is_no_box_is_told() -> None:
    boxes = [
        Box("in", 1, 1, 5, 5),
        Box("over", -3, 2, 30, 6),
        Box("outside", 40, 1, 50, 4),
        Box("flat", 3, 3, 9, 3),
        Box("small", 9.5, 1, 99, 9),
        Box("none", float("nan"), 1, 2, 2),
    ]
    good, odd = fitted(boxes, (10, 20))
    assert good == [boxes[0], Box("over", 0, 2, 10, 6)]
    assert [(b.label, why.split()[-1]) for b, why in odd] == [
        ("outside", "picture"),
        ("flat", "area"),
        ("small", "pixel"),
        ("none", "numbers"),
    ]


def test_boxes_in_a_tile() -> None:
    whole = rows((10, 20, 30, 40), (0, 0, 12, 24), (90, 90, 99, 99))
    moved = cropped(whole, (20, 10), 2.0, (100, 50))
    assert moved.tolist() == [[0, 0, 40, 40, 2, 1], [0, 0, 4, 8, 2, 0]], "what is hardly seen is not looked for"
    assert len(cropped(rows(), (0, 0), 1.0, (5, 5))) == 0


def test_boxes_move_with_mirror_and_quarter_turns() -> None:
    picture = np.zeros((12, 20), np.uint8)
    picture[2:5, 3:9] = 1
    here = rows((3, 2, 9, 5))

    def there(x: np.ndarray) -> list[float]:
        y, x_ = np.nonzero(x)
        return [x_.min(), y.min(), x_.max() + 1, y.max() + 1]

    assert mirrored(here, 20)[0, :4].tolist() == there(picture[:, ::-1])
    for quarters in range(4):
        assert turned(here, quarters, (12, 20))[0, :4].tolist() == there(np.rot90(picture, quarters)), quarters
    assert turned(rows(), 1, (12, 20)).shape == (0, 6)


def test_a_scene_moves_boxes_with_its_pixels() -> None:
    """A white square on black: wherever it goes, its box goes with it."""
    picture = np.zeros((60, 90, 3), np.uint8)
    picture[20:44, 30:50] = 255
    kind = Scene.learn(Scene.Settings(tile=(64, 64), colour="grey"), [Sample("a", picture)])
    x, y = kind.decode(picture), rows((30, 20, 50, 44))
    seen = 0
    for seed in range(60):
        augment = SceneAugment(turn=1.0, scale=0.5, brightness=0, contrast=0, tint=0)
        tile, moved = kind.vary(x, y, augment, np.random.default_rng(seed))
        bright = np.argwhere(tile[0, ..., 0] > 200)
        if not len(moved):
            assert len(bright) < 80
            continue
        top, left = bright.min(0)
        bottom, right = bright.max(0) + 1
        assert np.abs(moved[0, :4] - [left, top, right, bottom]).max() <= 1.5
        seen += 1
    assert seen > 30
    tile, moved = kind.vary(x, rows(), SceneAugment(), np.random.default_rng(0))
    assert moved.shape == (0, 6) and moved.dtype == np.float32
