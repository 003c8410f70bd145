"""segment: labels that are learned, tiles, losses, figures, and what a person sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import crnn
from crnn.cli import main
from crnn.config import fill
from crnn.data.label_maps import Painted
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.metrics.maps import IGNORED
from crnn.tasks._arrays import softmax
from crnn.tasks._maps import loss as map_loss
from crnn.tasks._maps.html import overlay
from crnn.tasks._maps.tiles import AT_ONCE, label, seen_again, slopes, starts
from crnn.tasks.segment import Segment
from crnn.types import LabelMap, Prediction, Sample

Made = Callable[..., Path]
SaidBy = Callable[..., str]
SMALL = {"name": "unet", "channels": [6, 8], "dropout": 0.0}


def learned(maps: list[Any], **settings: Any) -> Segment:
    pictures = [np.zeros((*np.shape(m), 3), np.uint8) for m in maps]
    samples = [Sample(str(i), x, m) for i, (x, m) in enumerate(zip(pictures, maps, strict=True))]
    return Segment.learn(fill(Segment.Settings, settings, "task"), samples)


# labels


def test_labels_are_the_values_that_count() -> None:
    x = np.array([[0, 7], [7, 255]])
    task = learned([x, x])
    assert task.labels.names == ("0", "7") and task.labels.values == (0, 7)
    assert task.labels.pixels == (2, 4) and task.labels.there == (8, 8)
    assert task.labels.numbers(x).tolist() == [[0, 1], [1, IGNORED]]
    again = Segment.restore(task.settings, json.loads(json.dumps(task.learned())) | task.arrays())
    assert again.labels == task.labels and np.array_equal(again.labels.usual, task.labels.usual)


def test_white_on_black_is_a_label_and_elsewhere_it_does_not_count() -> None:
    assert learned([np.array([[0, 255]])]).labels.values == (0, 255)
    assert learned([np.array([[0, 1, 255]])]).labels.values == (0, 1)


def test_names_colours_and_what_is_ignored() -> None:
    x = np.array([[0, 1, 2]])
    task = learned([x], names=["sky", "road", "nothing"], ignore=["nothing"], colours=[[1, 2, 3], [4, 5, 6]])
    assert task.labels.names == ("sky", "road") and task.labels.palette() == [(1, 2, 3), (4, 5, 6)]
    assert learned([x], ignore=[2]).labels.names == ("0", "1")
    assert learned([x << 16]).labels.names == ("#000000", "#010000", "#020000")
    rare = learned([np.array([[0]])], names=["sky", "road"])
    assert rare.labels.names == ("sky", "road"), "also one that the training part lacks"


@pytest.mark.parametrize(
    ("x", "settings", "said"),
    [
        ([[0, 5]], {"names": ["sky", "road"]}, "label maps hold 5; expected 0 to 1"),
        ([[0, 1]], {"ignore": ["sky"]}, "task.ignore names 'sky'"),
        ([[0, 1]], {"names": ["sky", "road"], "ignore": ["rod"]}, "Did you mean 'road'?"),
        ([[0, 1]], {"instances": ["sky"]}, "task.instances names 'sky'"),
        ([[0, 1]], {"weights": [1.0]}, "task.weights has 1 entries; expected one for each of 2"),
        ([[0, 1]], {"colours": [[1, 2, 3]]}, "task.colours has 1 entries"),
        ([[0, 1]], {"scales": [0.0]}, "task.scales has 0"),
        ([[255]], {"names": ["sky"]}, "label maps hold"),
    ],
)
def test_settings_that_do_not_fit(x: Any, settings: dict[str, Any], said: str) -> None:
    if said == "label maps hold":  # nothing but what does not count
        assert learned([np.array(x)], **settings).labels.pixels == (0,)
        return
    with pytest.raises(SettingsError) as caught:
        learned([np.array(x)], **settings)
    assert said in str(caught.value)


def test_too_many_labels_and_none() -> None:
    with pytest.raises(DataError, match="label maps hold 299 labels; expected from 1 to 254"):
        learned([np.arange(300)[None]])
    with pytest.raises(DataError, match="no sample has a label map"):
        Segment.learn(Segment.Settings(), [Sample("a", np.zeros((2, 2, 3), np.uint8))])


def test_maps_that_do_not_fit_their_picture(tmp_path: Path) -> None:
    task = learned([np.array([[0, 1]])])
    Image.new("L", (3, 2)).save(tmp_path / "a.png")
    sample = Sample("a", np.zeros((2, 4, 3), np.uint8), Painted(tmp_path / "a.png"))
    problem = task.problem(sample)
    assert problem is not None and "a.png: is a label map of 3 x 2 pixels; expected 4 x 2" in str(problem)
    with pytest.raises(DataError, match=r"a.png: is a label map of 3 x 2"):
        task.truth(sample)
    with pytest.raises(DataError, match="has the labels 9; expected those of the training part: 0, 1"):
        task.labels.numbers(np.array([[0, 9]]))
    assert "has no label map" in str(task.problem(Sample("b", None)))


def test_new_labels_stand_behind_the_known_ones() -> None:
    old = learned([np.array([[0, 3]])])
    new = old.extend([Sample("a", None, [[1, 3, 3]])])
    assert new.labels.names == ("0", "3", "1") and new.labels.values == (-1, 3, 1)
    assert new.labels.pixels == (0, 2, 1) and set(new.labels.usual.ravel().tolist()) == {1, 2}
    assert new.labels.numbers([[1, 3]]).tolist() == [[2, 1]]
    net, grown = (torch.nn.Conv2d(4, n, 1) for n in (2, 3))
    weights = new.grow_head(grown, old, net.state_dict())
    assert torch.equal(weights["weight"][:2], net.weight) and torch.equal(weights["weight"][2], grown.weight[2])


# losses


def test_cross_entropy_counts_weights_and_ignores() -> None:
    logits, truth = torch.randn(2, 3, 4, 5), torch.randint(3, (2, 4, 5))
    truth[0, 0] = IGNORED
    weights = torch.tensor([1.0, 2.0, 5.0])
    expected = F.cross_entropy(logits, truth, weight=weights, ignore_index=IGNORED)
    torch.testing.assert_close(map_loss.cross_entropy(logits, truth, weights), expected)
    nothing = torch.full_like(truth, IGNORED)
    for loss in (map_loss.cross_entropy(logits, nothing, weights), map_loss.dice(logits, nothing)):
        assert loss.item() == pytest.approx(0), "where nothing counts"


def test_dice_of_sure_answers_is_the_figure() -> None:
    truth = torch.zeros(1, 10, 10, dtype=torch.long)
    truth[:, :, :4] = 1
    said = truth.clone()
    said[:, :, 3] = 0
    logits = 50 * F.one_hot(said, 2).movedim(-1, 1).float()
    dices = [(2 * 60 + 1) / (60 + 70 + 1), (2 * 30 + 1) / (40 + 30 + 1)]
    assert map_loss.dice(logits, truth).item() == pytest.approx(1 - sum(dices) / 2)


def test_median_frequency_is_the_median_by_each() -> None:
    found = map_loss.median_frequency([50, 10, 0, 30], [100, 100, 0, 100])
    assert found.tolist() == pytest.approx([0.3 / 0.5, 3.0, 1.0, 1.0])


# tiles


@pytest.mark.parametrize(
    ("whole", "tile", "overlap"), [(5, 8, 0.25), (8, 8, 0.25), (100, 8, 0.25), (17, 8, 0.0), (9, 8, 0.9)]
)
def test_tiles_cover_everything_and_overlap(whole: int, tile: int, overlap: float) -> None:
    found = starts(whole, tile, overlap)
    assert found[0] == 0 and found[-1] == max(0, whole - tile)
    assert all(0 < b - a <= max(1, round(tile * (1 - overlap))) for a, b in pairwise(found))
    assert (slopes(tile, overlap) > 0).all()


def test_tiles_of_what_each_pixel_says_itself_are_the_whole() -> None:
    x = torch.randn(2, 1, 3, 37, 50)
    seen: list[int] = []

    def shares(tiles: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        seen.append(tiles.shape[0] * tiles.shape[-1] * tiles.shape[-2])
        return softmax(tiles[:, 0], 1)

    rows, sure = zip(*label(shares, x.numpy(), np.ones(2, int), tile=(8, 12), overlap=0.25), strict=True)
    assert np.array_equal(np.concatenate(rows, 1), x[:, 0].argmax(1))
    np.testing.assert_allclose(np.concatenate(sure, 1), x[:, 0].softmax(1).amax(1), rtol=1e-5)
    assert max(seen) <= AT_ONCE * 8 * 12, "no more than some tiles at once"


def test_mirror_images_and_sizes_are_put_back_where_they_came_from() -> None:
    x = F.interpolate(torch.randn(1, 2, 3, 4), size=(24, 32), mode="bilinear")[:, None]

    def shares(tiles: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return tiles[:, 0].softmax(1)

    lengths = torch.ones(1, dtype=torch.long)
    same = seen_again(shares, flip=True, scales=())(x, lengths)
    torch.testing.assert_close(same, shares(x, lengths))
    near = seen_again(shares, flip=True, scales=(0.5, 1.0, 2.0))(x, lengths)
    assert (near - shares(x, lengths)).abs().max() < 0.2


# figures and what a person sees


def test_baselines_and_the_row_of_a_picture() -> None:
    maps = [np.array([[0, 0, 1, 1], [0, 0, 0, 1]])] * 2
    task = learned(maps)
    samples = [Sample(str(i), np.zeros((2, 4, 3), np.uint8), m) for i, m in enumerate(maps)]
    rows = task.baselines(samples)
    assert rows["most frequent label"]["pixel_accuracy"] == pytest.approx(5 / 8)
    assert rows["most frequent of each place"]["pixel_accuracy"] == 1
    answer = Prediction("0", LabelMap.of(np.zeros((2, 4))), 0.5)
    truth = task.truth(samples[0])
    assert truth is not None
    assert task.row(truth, answer)["badness"] == pytest.approx(3 / 8)
    assert task.word(truth) == "0 62 %, 1 38 %"
    assert "errors" in task.show(answer, truth) and "truth" not in task.show(answer, None)
    assert 'class="over"' in task.show(answer, None, "<img>") and 'class="over"' not in task.show(answer, truth)


def test_things_are_counted() -> None:
    x = np.zeros((6, 9), int)
    x[1:3, 1:3] = x[4:6, 5:9] = 1
    task = learned([x], names=["ground", "cell"], instances=["cell"], smallest=5)
    plain = task.plain(Prediction("a", LabelMap.of(x), 1.0))
    assert plain["cell_count"] == 1 and plain["things"] == {"cell": [{"area": 8, "x": 6.5, "y": 4.5}]}
    assert plain["areas"] == {"ground": pytest.approx(42 / 54), "cell": pytest.approx(12 / 54)}
    truth, none = LabelMap.of(x), Prediction("a", LabelMap.of(0 * x), 1.0)
    assert task.score([(truth, none)])["count_error"] == 1


@pytest.fixture(scope="module")
def bundle(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("segment") / "run"
    recipe = {
        "task": {"name": "segment", "names": ["red", "green", "blue"], "instances": ["green"]},
        "encoder": SMALL,
        "data": {"train": str(made("segment"))},
        "train": {"epochs": 2, "batch_size": 4, "workers": 0, "threads": 1, "precision": "float32"},
    }
    return crnn.fit(recipe, run)


def test_an_overlay_leaves_what_is_black_and_mixes_the_rest() -> None:
    picture, numbers = np.full((1, 2, 1), 100, np.uint8), np.array([[0, 1]], np.uint8)
    found = np.asarray(overlay(picture, numbers, [(0, 0, 0), (200, 0, 100)]))
    assert found.tolist() == [[[100, 100, 100], [150, 50, 100]]]


def opened(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_files_of_answers(bundle: Path, made: Made, tmp_path: Path, said_by: SaidBy) -> None:
    pictures = sorted((made("segment") / "images").iterdir())[:2]
    large = tmp_path / "large.png"
    Image.fromarray(np.tile(opened(pictures[0]), (5, 4, 1))).save(large)
    said_by(["predict", str(bundle), *map(str, pictures), str(large), "--out", str(tmp_path / "maps")])
    for file in (*pictures, large):
        found = opened(tmp_path / "maps" / f"{file.stem}.png")
        assert found.shape == opened(file).shape[:2] and found.max() <= 2, "numbers of a palette"
        assert opened(tmp_path / "maps" / f"{file.stem}-overlay.jpg").shape == (*found.shape, 3)
    row = json.loads(said_by(["predict", str(bundle), str(large), "--json"]))
    assert (row["width"], row["height"]) == (128, 80) and "green_count" in row
    assert sum(row["areas"].values()) == pytest.approx(1, abs=1e-3)


def test_the_mirror_image_is_asked_of_a_bundle_and_not_in_training(bundle: Path, made: Made) -> None:
    task = learned([np.array([[0, 1]])], flip=True)
    assert not task.settled and Segment.restore(task.settings, task.learned()).settled
    predictor = crnn.load(bundle, precision="float32")
    picture = opened(next((made("segment") / "images").iterdir()))
    plain = predictor(picture).value.numbers
    predictor.task = Segment(fill(Segment.Settings, {"flip": True}, "task"), predictor.task.labels, settled=True)
    both = [predictor(np.ascontiguousarray(x)).value.numbers for x in (picture, picture[:, ::-1])]
    assert np.array_equal(both[0], both[1][:, ::-1]) and plain.shape == both[0].shape


def test_a_check_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in ("images", "labels"):
        (tmp_path / place).mkdir()
    for i in range(6):
        Image.effect_noise((16, 12), 40 + i).save(tmp_path / "images" / f"{i}.png")
        x = np.zeros((12, 16 if i else 15), np.uint8)
        x[:4] = 255 if i == 1 else 1
        x[4:] = 255 if i == 1 else 0
        Image.fromarray(x).save(tmp_path / "labels" / f"{i}.png")
    with pytest.raises(SystemExit):
        main(["check", "segment", str(tmp_path)])
    shown = " ".join(capsys.readouterr().out.split())
    assert "is a label map of 15 x 12 pixels" in shown
    assert "has no pixel that counts" in shown


def test_a_report_with_maps(bundle: Path, made: Made, tmp_path: Path, said_by: SaidBy) -> None:
    page, results = tmp_path / "a.html", tmp_path / "a.json"
    out = said_by(["test", str(bundle), str(made("segment")), "--html", str(page), "--json", str(results)])
    assert "Mean IoU" in out and "Boundary F1" in out
    assert page.read_text().count('title="errors"') == 12 and "Confusion of pixels" in page.read_text()
    assert {"miou", "miou_low", "dice", "count_error"} <= json.loads(results.read_text())["metrics"].keys()


def test_reasons_are_not_given_for_maps(bundle: Path, made: Made) -> None:
    picture = next((made("segment") / "images").iterdir())
    with pytest.raises(CrnnError, match="reasons for a label map"):
        crnn.load(bundle, precision="float32").explain(picture)


def test_arrays_in_memory(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (6, 12, 16, 3)).astype(np.uint8)
    y = (x[..., 0] > 127).astype(np.uint8)
    recipe = {"task": {"name": "segment"}, "encoder": SMALL, "train": {"epochs": 1, "workers": 0, "threads": 1}}
    fitted = crnn.fit(recipe, (x, y))
    assert fitted(x[0]).value.shape == (12, 16)
