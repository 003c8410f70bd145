"""Pictures made worse: what the book says of each way, and which randomness decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crnn.data.dataset import Samples
from crnn.data.formats import Asked, open_data
from crnn.data.inputs.scene import Scene
from crnn.data.inputs.scene_augment import SceneAugment
from crnn.data.spoil import spoil, spoilt
from crnn.errors import CrnnError, DataError
from crnn.tasks.restore import Restore
from crnn.types import Sample, Spoilt


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_noise_halves_the_contrast_and_shifts_ground_and_pixels() -> None:
    x = np.zeros((1, 200, 200, 1), np.uint8)
    x[:, 100:] = 255
    grounds = []
    for seed in range(30):
        y = spoil(x, "noise", random(seed)) / 255
        above, below = y[:, :100], y[:, 100:]
        assert below.mean() - above.mean() == pytest.approx(0.5, abs=0.03) or above.mean() < 0.14 or below.mean() > 0.86
        assert y.min() >= 0 and y.max() <= 1
        grounds.append(y.mean())
    assert 0.27 < min(grounds) < 0.35 and 0.65 < max(grounds) < 0.73, "a quarter lighter or darker"
    middle = spoil(np.full((1, 200, 200, 1), 128, np.uint8), "noise", random(3)) / 255
    assert middle.max() - middle.min() == pytest.approx(0.5, abs=0.02), "noise of a quarter to both sides"


def test_a_square_stands_in_the_way_of_digits_as_in_the_book() -> None:
    x = np.full((1, 28, 28, 1), 255, np.uint8)
    seen = set()
    for seed in range(600):
        rows, columns = np.nonzero(spoil(x, "occlusion", random(seed))[0, ..., 0] == 32)
        assert len(rows) == 64 and rows.max() - rows.min() == columns.max() - columns.min() == 7
        seen.add((int(rows.min()), int(columns.min())))
    assert {place for pair in seen for place in pair} == set(range(4, 16)), "12 x 12 places"


def test_pictures_of_any_size_can_be_spoilt() -> None:
    for shape in ((1, 1, 1, 1), (1, 3, 50, 3), (2, 5, 5, 1)):
        for how in ("noise", "occlusion", "both"):
            assert spoil(np.full(shape, 200, np.uint8), how, random()).shape == shape
    assert np.array_equal(spoil(np.full((1, 4, 4, 1), 9, np.uint8), "none", random()), np.full((1, 4, 4, 1), 9))


def test_each_epoch_of_training_has_another_draw_and_testing_the_same() -> None:
    pictures = [np.full((28, 28), 20 * i, np.uint8) for i in range(4)]
    samples = spoilt([Sample(str(i), x) for i, x in enumerate(pictures)], "noise")
    assert all(isinstance(s.x, Spoilt) and s.y is s.x.source for s in samples)
    kind = Scene.learn(Scene.Settings(), samples)
    task = Restore.learn(Restore.Settings(spoiling="noise"), samples).with_input(kind)
    train = Samples(samples, kind, task, augment=SceneAugment(share=0), seed=1)
    again = Samples(samples, kind, task, augment=SceneAugment(share=0), seed=1)
    valid = Samples(samples, kind, task, seed=1)

    def seen(data: Samples, epoch: int, i: int = 1) -> np.ndarray:
        sample = data[epoch, i]
        assert isinstance(sample, Sample) and sample.y.shape == (1, 28, 28)
        assert np.allclose(sample.y, 20 * i / 255), "the answer is clean"
        return sample.x

    assert not np.array_equal(seen(train, 0), seen(train, 1)) and np.array_equal(seen(train, 1), seen(again, 1))
    assert np.array_equal(seen(valid, 0), seen(valid, 3))
    assert np.array_equal(kind.finish(kind.decode(samples[1].x)), seen(valid, 0)), "as it is predicted"
    assert kind.look(samples[1].x).digest == kind.look(pictures[1]).digest, "doubles are found by what is clean"


def test_a_picture_and_its_answer_are_varied_alike() -> None:
    x = random().integers(0, 255, (40, 50, 3)).astype(np.uint8)
    kind = Scene.learn(Scene.Settings(tile=(24, 24)), [Sample("a", x)])
    for seed in range(8):
        one, other = kind.vary(x[None], x.copy(), SceneAugment(turn=1.0), random(seed))
        assert one.shape == (1, 24, 24, 3) and np.array_equal(one[0], other)


def save(path: Path, size: tuple[int, int] = (8, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise(size, 50).save(path)


def test_pairs_in_folders(tmp_path: Path) -> None:
    for part in ("train", "test"):
        save(tmp_path / part / "noisy" / "a.png")
        save(tmp_path / part / "clean" / "a.jpg")
    save(tmp_path / "train" / "clean" / "b.png")
    bad: list[CrnnError] = []
    samples = open_data(tmp_path, "auto", bad, asked=Asked(answer="picture"))
    assert [(s.split, s.x.name, s.y.name) for s in samples] == [("test", "a.png", "a.jpg"), ("train", "a.png", "a.jpg")]
    assert len(bad) == 1 and "b.png: has no partner" in str(bad[0])


def test_pairs_in_tables_and_clean_pictures_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"{name}.png")
    (tmp_path / "pairs.csv").write_text("image,clean\na.png,b.png\n")
    (sample,) = open_data(tmp_path, asked=Asked(answer="picture"))
    assert (sample.x, sample.y) == (tmp_path / "a.png", tmp_path / "b.png")
    (tmp_path / "pairs.csv").unlink()
    found = open_data(tmp_path, asked=Asked(answer="picture", spoiling="noise"))
    assert [(s.x.source, s.x.how, s.y) for s in found] == [
        (tmp_path / n, "noise", tmp_path / n) for n in ("a.png", "b.png")
    ]
    told = open_data(tmp_path, asked=Asked(answer="picture", spoiling="noise", truths=False))
    assert [s.x for s in told] == [tmp_path / "a.png", tmp_path / "b.png"], "who wants an answer gives a spoilt picture"


def test_arrays_with_their_parts(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 4, 4), np.uint8), split=np.array(["train", "valid", "test"]))
    found = open_data(tmp_path / "a.npz", asked=Asked(answer="picture", spoiling="occlusion"))
    assert [s.split for s in found] == ["train", "valid", "test"] and isinstance(found[0].x, Spoilt)


def test_pairs_that_do_not_fit(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "b.png", (9, 6))
    task = Restore(Restore.Settings())
    said = str(task.problem(Sample("a", tmp_path / "a.png", tmp_path / "b.png")))
    assert "b.png: is a clean picture of 9 x 6 pixels; expected 8 x 6" in said
    assert "has no clean picture" in str(task.problem(Sample("a", tmp_path / "a.png")))
    with pytest.raises(DataError, match="no sample has a clean picture"):
        Restore.learn(Restore.Settings(), [Sample("a", tmp_path / "a.png")])
