"""detect: labels that are learned, what is wanted at each place, boxes found in tiles, and what a person sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import crnn
from crnn.config import fill
from crnn.data.formats import Asked, open_data
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.metrics.boxes import edges, overlaps
from crnn.tasks._boxes import loss as box_loss
from crnn.tasks._boxes.find import as_boxes, find, surest
from crnn.tasks._boxes.html import drawn
from crnn.tasks.detect import Detect
from crnn.types import Box, Boxes, Clip, Prediction, Sample

Made = Callable[..., Path]
SaidBy = Callable[..., str]
SMALL = {"name": "rcnn_scene", "stem": [8, 8], "sizes": [12], "steps": 1, "dropout": 0.0}


def learned(*boxes: list[Any], size: tuple[int, int] = (40, 30), **settings: Any) -> Detect:
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    samples = [Sample(str(i), picture, y) for i, y in enumerate(boxes)]
    return Detect.learn(fill(Detect.Settings, settings, "task"), samples)


def sample(y: Any, size: tuple[int, int] = (40, 30)) -> Sample:
    return Sample("a.png", np.zeros((size[1], size[0], 3), np.uint8), y)


CAT, DOG = ("cat", 0, 0, 10, 10), ("dog", 20, 10, 40, 30)


# labels


def test_what_is_learned_is_kept() -> None:
    task = learned([CAT, DOG], [CAT], [])
    assert task.labels.names == ("cat", "dog") and task.labels.unit == 5
    assert [row[0] for row in task.labels.usual] == ["cat"], "one thing is the usual number"
    again = Detect.restore(task.settings, json.loads(json.dumps(task.learned())))
    assert again.labels == task.labels and again.settled and not task.settled


def test_labels_to_look_for() -> None:
    task = learned([CAT, DOG], labels=["dog"])
    truth = task.truth(sample([CAT, DOG]))
    assert truth is not None and [b.label for b in truth.boxes] == ["dog"], "others are ground"
    with pytest.raises(SettingsError, match="Did you mean 'cat'"):
        learned([CAT], labels=["cta"])
    with pytest.raises(DataError, match="no sample has a box"):
        learned([], [])


def test_boxes_that_do_not_fit() -> None:
    task = learned([CAT])
    assert "has no boxes" in str(task.problem(sample(None)))
    assert "has the label 'dog'; expected one of the training part: cat" in str(task.problem(sample([DOG])))
    other = Boxes((80, 60), (Box(*CAT),), file=Path("a.xml"))
    assert "a.xml: has boxes for a picture of 80 x 60 pixels; expected 40 x 30" in str(task.problem(sample(other)))
    assert task.problem(sample([])) is None, "nothing to be seen there"
    truth = task.truth(sample([CAT, ("cat", 35, 25, 60, 60), ("cat", 50, 0, 60, 9)]))
    assert truth is not None and truth.boxes[1] == Box("cat", 35, 25, 40, 30) and len(truth.boxes) == 2


def test_new_labels_stand_behind_the_known_ones() -> None:
    old = learned([DOG])
    new = old.extend([sample([CAT, DOG])])
    assert new.labels.names == ("dog", "cat") and new.labels.unit == old.labels.unit
    head = torch.nn.ModuleDict({"centre": torch.nn.Conv2d(4, 2, 1), "sides": torch.nn.Conv2d(4, 4, 1)})
    before = torch.nn.ModuleDict({"centre": torch.nn.Conv2d(4, 1, 1), "sides": torch.nn.Conv2d(4, 4, 1)})
    weights = new.grow_head(head, old, before.state_dict())
    assert torch.equal(weights["centre.weight"][:1], before["centre"].weight)
    assert torch.equal(weights["sides.weight"], before["sides"].weight)


def test_the_validation_part_says_from_when_on_boxes_are_said() -> None:
    task = learned([CAT, DOG])
    pairs = []
    for i in range(12):
        truth = Boxes((40, 30), (Box(*CAT),))
        right, wrong = Box("cat", 0, 0, 10, 10, 0.72), Box("cat", 20, 20, 30, 30, 0.58)
        pairs.append((truth, Prediction(str(i), Boxes((40, 30), (right, wrong)), 1.0)))
    settled = task.settle(pairs)
    assert 0.58 < settled.labels.sure_of("cat") <= 0.72 and settled.labels.sure_of("dog") == 0.3, "dogs are rare"
    assert settled.labels.sure_of("cat", 0.9) == 0.9 and "cat from 0." in settled.facts()["labels"]


# what is wanted, and lost


def wanted(*rows: tuple[float, ...], labels: int = 2) -> box_loss.Wanted:
    x = torch.tensor([list(rows)], dtype=torch.float32).reshape(1, -1, 6)
    return box_loss.wanted(x, torch.tensor([len(rows)]), labels, (8, 10), 4)


def test_heat_is_one_at_each_centre_and_falls_off() -> None:
    target = wanted((0, 0, 24, 24, 1, 1), (20, 12, 40, 32, 0, 1))
    assert target.heat[0, 1, 3, 3] == 1 and target.heat[0, 0, 5, 7] == 1 and target.counts.all()
    assert 0 < target.heat[0, 1, 3, 4] < 1 and target.heat[0, 0, 0, 0] < 0.01
    assert target.boxes[0, :, 3, 3].tolist() == [0, 0, 24, 24]
    assert target.weights.sum() == pytest.approx(2), "each thing weighs the same"


def test_where_things_overlap_the_smallest_has_the_place() -> None:
    target = wanted((4, 4, 28, 28, 0, 1), (12, 12, 20, 20, 0, 1))
    assert target.boxes[0, :, 4, 4].tolist() == [12, 12, 20, 20]


def test_things_that_do_not_count_silence_their_place() -> None:
    target = wanted((0, 0, 16, 16, 1, 0))
    assert not target.counts[0, 1, :4, :4].any() and target.counts[0, 0].all() and target.counts[0, 1, 4:].all()
    assert target.heat.max() == 0 and target.weights.max() == 0
    nothing = box_loss.wanted(torch.zeros(1, 0, 6), torch.tensor([0]), 2, (8, 10), 4)
    maps = torch.randn(1, 6, 8, 10, requires_grad=True)
    for some in (target, nothing):
        lost = box_loss.loss(maps, some, stride=4, unit=8.0)
        lost.backward()
        assert torch.isfinite(lost) and maps.grad is not None and torch.isfinite(maps.grad).all()


def test_a_perfect_answer_loses_nothing() -> None:
    target = wanted((0, 0, 24, 24, 1, 1), (20, 12, 40, 32, 0, 1))
    x, y = (torch.arange(10) + 0.5) * 4, (torch.arange(8)[:, None] + 0.5) * 4
    left, top, right, bottom = target.boxes[0]
    sides = torch.stack([x - left, y - top, right - x, bottom - y]).clamp(min=1e-3).log()[None]
    maps = torch.cat([torch.where(target.heat > 0.999, 30.0, -30.0), sides], dim=1)
    assert box_loss.loss(maps, target, stride=4, unit=1.0) == pytest.approx(0, abs=1e-4)
    assert box_loss.loss(torch.zeros_like(maps), target, stride=4, unit=1.0) > 5


def test_generalised_overlap_by_hand() -> None:
    one = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 2, 2]])
    other = torch.tensor([[0.0, 0, 2, 2], [1, 0, 3, 2], [4, 0, 6, 2]])
    assert box_loss.generalised_overlap(one, other).tolist() == pytest.approx([1, 1 / 3, 0 - 4 / 12])


# tiles


def test_boxes_are_found_in_pictures_larger_than_a_tile() -> None:
    """Each white dot is a thing of 6 x 6 pixels: found once, wherever borders of tiles are."""
    random = np.random.default_rng(0)
    x = torch.zeros(2, 1, 1, 130, 150)
    dots = {(int(a), int(b)) for a, b in zip(random.integers(32, size=40), random.integers(37, size=40), strict=True)}
    for a, b in dots:
        x[0, 0, 0, 4 * a + 2, 4 * b + 2] = 1
    seen: list[int] = []

    def maps(tiles: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(tiles.shape[0] * tiles.shape[-1] * tiles.shape[-2])
        heat = torch.nn.functional.max_pool2d(tiles[:, 0], 4, ceil_mode=True) * 0.9
        return heat, box_loss.boxes_at(torch.zeros(len(tiles), 4, *heat.shape[2:]), stride=4, unit=3.0)

    def starts_at_whole_places(tile: tuple[int, int], overlap: float) -> list[np.ndarray]:
        return find(maps, x, torch.ones(2, dtype=torch.long), tile=tile, overlap=overlap, least=0.05)

    found, none = starts_at_whole_places((130, 150), 0.25)
    assert len(none) == 0 and none.shape == (0, 6)
    lone = {(a, b) for a, b in dots if not any((a + i, b + j) in dots for i, j in ((0, 1), (1, 0), (1, 1), (1, -1)))}
    middles = {((r[1] + r[3]) / 2, (r[0] + r[2]) / 2) for r in found.tolist() if 3 < r[0] < 140 and 3 < r[1] < 120}
    assert {(4 * a + 2, 4 * b + 2) for a, b in lone if 1 < a < 30 and 1 < b < 34} <= middles
    assert max(seen) <= 8 * 130 * 150


def test_of_boxes_of_one_thing_the_surest_is_kept() -> None:
    rows = np.array([[0, 0, 10, 10, 0, 0.5], [1, 0, 11, 10, 0, 0.9], [1, 0, 11, 10, 1, 0.2], [30, 0, 40, 10, 0, 0.1]])
    assert surest(rows, 0.5)[:, 5].tolist() == [0.9, 0.2, 0.1] and len(surest(rows, 1.0)) == 4
    assert surest(rows[:0], 0.5).shape == (0, 6)


def test_a_thing_is_said_to_be_one_thing() -> None:
    task = learned([CAT, DOG])
    rows = np.array([[0, 0, 10, 10, 0, 0.9], [0, 0, 10, 11, 1, 0.8], [20, 0, 30, 10, 1, 0.7], [0, 0, 9, 9, 1, 0.1]])
    value = task._answer("a", rows, (40, 30)).value
    assert [b.label for b in value.boxes] == ["cat", "dog"] and [b.score for b in value.doubtful] == [0.8, 0.1]


def test_of_many_boxes_each_lies_on_no_surer_one_that_is_said() -> None:
    random, sure = np.random.default_rng(3), [0.3, 0.6]
    corners = random.uniform(0, 40, (120, 2))
    rows = np.column_stack([corners, corners + random.uniform(5, 20, (120, 2)), random.integers(0, 2, 120)])
    rows = np.column_stack([rows, np.sort(random.uniform(size=120))[::-1]]).astype(np.float32)
    found = as_boxes(rows, ("cat", "dog"), sure, (60, 60))
    said: list[Box] = []
    for *sides, number, score in rows.tolist():
        box = Box(("cat", "dog")[int(number)], *(round(v, 1) for v in sides), score=round(score, 4))
        if score >= sure[int(number)] and all(overlaps(edges([box]), edges([b]))[0, 0] <= 0.7 for b in said):
            said.append(box)
    assert found.boxes == tuple(said) and 20 < len(said) < 80
    assert len(found.doubtful) == 120 - len(said) and not set(found.doubtful) & set(said)


# figures and what a person sees


def test_baselines_and_the_row_of_a_picture() -> None:
    task = learned([CAT], [CAT, DOG], [CAT])
    rows = task.baselines([sample([CAT]), sample([CAT, DOG])])
    assert rows["nothing"]["map50"] == 0 and rows["nothing"]["count_error"] == 1.5
    assert rows["a usual picture"]["map50"] == 0.5 and rows["a usual picture"]["count_error"] == 0.5
    answer = Prediction("a", Boxes((40, 30), (Box(*CAT, score=0.9), Box("dog", 0, 0, 5, 5, 0.8))), 0.85)
    truth = task.truth(sample([CAT, DOG]))
    assert truth is not None
    row = task.row(truth, answer)
    assert (row["things"], row["found"], row["wrong"]) == (2, 1, 1) and row["badness"] == pytest.approx(2 / 3)
    assert task.word(answer.value) == "1 cat, 1 dog" and task.word(Boxes((4, 4), ())) == "nothing"
    assert task.line(answer).splitlines()[1] == "  cat\t0,0 to 10,10\t0.90"
    page = task.show(answer, truth)
    assert "no such thing is there" in page and "dog: not found" in page and "1 of 1" in page
    assert "not found" not in task.show(answer, None)
    assert "finds nothing" in str(task.diagnose([(truth, Prediction("a", Boxes((4, 4), ()), 1.0))]))
    assert task.diagnose([(truth, answer)]) is None


def test_texts_in_a_page_are_escaped() -> None:
    task = learned([("<b>", 0, 0, 9, 9)])
    answer = Prediction("a", Boxes((40, 30), (Box("<b>", 0, 0, 9, 9),)), 1.0)
    assert "<b>" not in task.show(answer, None)


def test_boxes_are_drawn_into_grey_pictures_too() -> None:
    picture = drawn(np.full((60, 80, 1), 100, np.uint8), [Box("cat", 10, 30, 50, 55, 0.5)], ("cat",))
    x = np.asarray(picture)
    assert x.shape == (60, 80, 3) and tuple(x[40, 10]) == (230, 75, 53) and tuple(x[40, 30]) == (100, 100, 100)


@pytest.fixture(scope="module")
def bundle(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("detect") / "run"
    data = str(made("detect"))
    train = {"batch_size": 6, "learning_rate": 1e-2, "epochs": 30, "augment": False, "workers": 0, "threads": 1}
    recipe = {
        "task": {"name": "detect", "flip": True},
        "encoder": SMALL,
        "data": {"train": data, "valid": data},
        "train": train | {"precision": "float32", "validate_every": 10},
    }
    return crnn.fit(recipe, run)


def test_files_of_answers(bundle: Path, made: Made, tmp_path: Path, said_by: SaidBy) -> None:
    pictures = sorted(made("detect").glob("*.png"))[1:4]
    said_by(["predict", str(bundle), *map(str, pictures), "--out", str(tmp_path / "out")])
    for file in pictures:
        with Image.open(tmp_path / "out" / f"{file.stem}.jpg") as picture:
            assert picture.size == (32, 16)
        (tmp_path / "out" / f"{file.stem}.jpg").rename(tmp_path / "out" / file.name)
    again = open_data(tmp_path / "out", asked=Asked(answer="boxes"))
    truths = {s.id: s.y for s in open_data(made("detect"), asked=Asked(answer="boxes"))}
    for s in again:
        assert sorted(b.label for b in s.y.boxes) == sorted(b.label for b in truths[s.id].boxes)
    (row,) = (
        json.loads(line) for line in said_by(["predict", str(bundle), str(pictures[0]), "--json"]).split("\n") if line
    )
    assert (row["width"], row["height"]) == (32, 16) and sum(row["counts"].values()) == len(row["boxes"]) > 0
    assert said_by(["predict", str(bundle), str(pictures[0])]).count("\n") == 1 + len(row["boxes"])
    said_by(["predict", str(bundle), *map(str, pictures), "--out", str(tmp_path / "boxes.json")])
    values = json.loads((tmp_path / "boxes.json").read_text())
    assert len(values["images"]) == 3 and values["annotations"] and values["categories"][0]["name"] == "bell"
    said_by(["predict", str(bundle), str(pictures[0]), "--out", str(tmp_path / "boxes.csv")])
    lines = (tmp_path / "boxes.csv").read_text().splitlines()
    assert lines[0] == "id,label,left,top,right,bottom,score" and len(lines) == 1 + len(row["boxes"])


def test_pictures_of_all_kinds(bundle: Path, made: Made, tmp_path: Path, said_by: SaidBy) -> None:
    with Image.open(sorted(made("detect").glob("*.png"))[1]) as picture:
        whole = picture.convert("RGB")
    whole.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    deep = Image.fromarray(np.asarray(whole.convert("L")).astype(np.uint16) * 257)
    deep.save(tmp_path / "deep.png")
    Image.fromarray(np.tile(np.asarray(whole), (9, 7, 1))).save(tmp_path / "large.png")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    (tmp_path / "empty.png").write_bytes(b"")
    out = said_by(["predict", str(bundle), str(tmp_path), "--json"], code=1)
    found = {Path(row["id"]).name: row for row in map(json.loads, out.splitlines())}
    assert found.keys() == {"cmyk.jpg", "deep.png", "large.png", "dot.png"}
    assert len(found["large.png"]["boxes"]) > 9 and found["large.png"]["width"] == 224


def test_a_check_counts_boxes_and_names_what_is_wrong(tmp_path: Path, said_by: SaidBy) -> None:
    rows = ["file,label,left,top,right,bottom"]
    for i in range(8):
        Image.effect_noise((32, 24), 40 + i).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,cat,2,2,12,12" if i < 7 else "7.png,,,,,")
    rows += ["0.png,cat,5,5,5,9", "1.png,cat,50,5,60,9", "2.png,cat,2,2,12,12"]
    (tmp_path / "boxes.csv").write_text("\n".join(rows) + "\n")
    shown = " ".join(said_by(["check", "detect", str(tmp_path)]).split())
    assert "has a box (cat at 5,5 to 5,9) that has no area" in shown
    assert "has a box (cat at 50,5 to 60,9) that lies outside of the picture" in shown
    assert "has a box (cat at 2,2 to 12,12) that is there twice" in shown
    assert "7.png has no box" in shown and "boxes a picture" in shown


def test_a_report_with_boxes(bundle: Path, made: Made, tmp_path: Path, said_by: SaidBy) -> None:
    page, results = tmp_path / "a.html", tmp_path / "a.json"
    out = said_by(["test", str(bundle), str(made("detect")), "--html", str(page), "--json", str(results)])
    assert "mAP@.5" in out and "Count error" in out
    assert page.read_text().count('aria-label="boxes"') == 12
    metrics = json.loads(results.read_text())["metrics"]
    assert {"map50", "map50_low", "map", "f1", "count_error"} <= metrics.keys() and metrics["map50"] > 0.8


def test_reasons_are_not_given_for_boxes(bundle: Path, made: Made) -> None:
    with pytest.raises(CrnnError, match="reasons for boxes"):
        crnn.load(bundle, precision="float32").explain(next(made("detect").glob("*.png")))


def test_the_mirror_image_has_the_mirrored_boxes(bundle: Path, made: Made) -> None:
    predictor = crnn.load(bundle, precision="float32")
    with Image.open(sorted(made("detect").glob("*.png"))[1]) as picture:
        x = np.asarray(picture.convert("RGB"))
    here, there = predictor(x).value.boxes, predictor(np.ascontiguousarray(x[:, ::-1])).value.boxes
    assert here and len(here) == len(there)
    mirrored = sorted((b.label, 32 - b.right, b.top, 32 - b.left, b.bottom) for b in there)
    for one, other in zip(sorted((b.label, b.left, b.top, b.right, b.bottom) for b in here), mirrored, strict=True):
        assert one[0] == other[0] and one[1:] == pytest.approx(other[1:], abs=0.11)


def test_arrays_and_films(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (6, 24, 32, 3)).astype(np.uint8)
    y = [[("cat", 0, 0, 8, 8)] for _ in x]
    recipe = {"task": {"name": "detect"}, "encoder": SMALL, "train": {"epochs": 1, "workers": 0, "threads": 1}}
    fitted = crnn.fit(recipe, (x, y))
    assert fitted(x[0]).value.size == (32, 24)
    lines = ["file,label,left,top,right,bottom"]
    for i, frame in enumerate(x):
        Image.fromarray(frame).save(tmp_path / f"film{i}.png")
        lines.append(f"film{i}.png,cat,0,0,8,8")
    (tmp_path / "boxes.csv").write_text("\n".join(lines))
    carried = {"name": "unet", "channels": [6, 8], "bottom": "convgru"}
    recipe |= {"task": {"name": "detect", "frames": 3}, "encoder": carried, "data": {"train": str(tmp_path)}}
    path = crnn.fit(recipe, tmp_path / "run")
    assert crnn.load(path, precision="float32")(Clip(tmp_path, 0, 3)).value.size == (32, 24)
