"""restore: losses, steps, tiles, memories, and what a person sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import crnn
from crnn.errors import CrnnError, DataError, SettingsError
from crnn.metrics import pictures as metrics
from crnn.tasks._pictures import memories
from crnn.tasks._pictures.tiles import after, restored
from crnn.tasks.restore import Restore
from crnn.types import Batch, Features, Prediction, Sample, Seq

Made = Callable[..., Path]
SaidBy = Callable[..., str]


# figures


def test_errors_by_hand() -> None:
    truth, said = np.zeros((2, 2, 1), np.float32), np.full((2, 2, 1), 0.1, np.float32)
    assert metrics.squared_error(truth, said) == pytest.approx(0.01)
    figures = metrics.score([(truth, said), (truth, truth)])
    assert figures["mse"] == pytest.approx(0.005) and figures["psnr"] == pytest.approx((20 + 100) / 2)
    assert figures["mse_low"] <= figures["mse"] <= figures["mse_high"]
    with pytest.raises(DataError, match=r"shape \(1, 2, 1\) is compared"):
        metrics.score([(truth, said[:1])])


def test_steps_that_are_watched_have_figures() -> None:
    task = Restore(Restore.Settings(watched=(1, 4)), channels=1)
    truth = np.zeros((2, 2, 1), np.float32)
    steps = np.stack([truth + 0.2, truth + 0.1])
    pairs = [(truth, Prediction("a", truth + 0.1, 1.0, maps=steps))] * 2
    figures = task.score(pairs)
    assert figures["mse_1"] == pytest.approx(0.04) and figures["mse_4"] == pytest.approx(0.01)
    assert figures["change_1_4"] == pytest.approx(0.01)
    rows = task.details(pairs)["tables"][0][1]
    assert [row["after steps"] for row in rows] == ["1", "4"] and rows[1]["change since the row above"] == "0.010000"
    page = task.show(pairs[0][1], truth)
    assert page.count("<img") == 5 and "data:image/gif" in page
    with pytest.raises(SettingsError, match=r"task.watched is \[4, 1\]"):
        Restore(Restore.Settings(watched=(4, 1)))


# steps and tiles


class Counting:
    """Answers three times at each call: how many steps there were, over all calls."""

    answers = True

    def __call__(self, inputs: Seq, state: Any = None) -> Features:
        done = state or 0
        maps = [torch.full((*inputs.x.shape[:2], 1, *inputs.x.shape[3:]), float(done + i)) for i in (1, 2, 3)]
        return Features(tuple(Seq(x, inputs.lengths) for x in maps), done + 3)


def counting() -> Any:
    return SimpleNamespace(encoder=Counting(), head=lambda features, told="": list(features.levels))


def test_a_network_goes_on_from_its_state() -> None:
    inputs = Seq(torch.zeros(2, 1, 1, 4, 5), torch.ones(2, dtype=torch.long))
    found = after(counting(), inputs, [0, 1, 5, 9])
    assert [float(x.logit().mean()) for x in found] == pytest.approx([3, 1, 5, 9], rel=1e-3)
    assert found[0].shape == (2, 1, 4, 5)


def test_what_each_pixel_says_itself_is_the_same_in_tiles() -> None:
    x = torch.rand(2, 1, 1, 37, 50)
    y = restored(lambda seq: seq.x[:, 0], x, torch.ones(2, dtype=torch.long), tile=(8, 12), overlap=0.25)
    torch.testing.assert_close(y, x[:, 0])


def test_later_steps_count_more_and_low_activity_is_wanted() -> None:
    truth = Seq(torch.full((2, 1, 4, 5), 0.5), torch.ones(2, dtype=torch.long))
    inputs = Seq(torch.zeros(2, 1, 1, 4, 5), torch.ones(2, dtype=torch.long))
    errors = [float((torch.tensor(float(i)).sigmoid() - 0.5).square()) for i in (1, 2, 3)]
    expected = sum(w * e for w, e in zip((1, 2, 3), errors, strict=True)) / 6
    hidden = (torch.full((2, 2, 4, 5), 0.2), torch.full((2, 3, 2, 2), 0.6))

    def encoder(inputs: Seq) -> Features:
        return Features(Counting()(inputs).levels, hidden)

    encoder.answers = True  # type: ignore[attr-defined]
    net = SimpleNamespace(encoder=encoder, head=lambda features, told="": list(features.levels))
    for low, more in ((0.0, 0.0), (0.5, 0.5 * (0.2 + 0.6) / 2)):
        task = Restore(Restore.Settings(low=low), channels=1)
        lost = task.loss(net, Batch(("a", "b"), inputs, truth))
        assert lost.item() == pytest.approx(expected + more, rel=1e-5)


def test_the_state_of_a_network_that_does_not_answer_itself_is_left_alone() -> None:
    """That of a U-Net whose bottom recurs is a pair of hidden state and cell, and may be negative."""
    truth = Seq(torch.full((2, 1, 4, 5), 0.5), torch.ones(2, dtype=torch.long))
    inputs = Seq(torch.zeros(2, 1, 1, 4, 5), torch.ones(2, dtype=torch.long))
    state = ((torch.ones(2, 6), torch.ones(2, 6)),)
    net = SimpleNamespace(encoder=lambda inputs: Features((inputs,), state), head=lambda features: features.levels[0])
    assert Restore(Restore.Settings(), channels=1).loss(net, Batch(("a", "b"), inputs, truth)).item() == 0


# memories


def test_memories_recall_what_they_know() -> None:
    random = np.random.default_rng(0)
    known = (random.random((6, 10, 10, 1)) > 0.5).astype(np.float32)
    noisy = [0.25 + 0.5 * x + random.uniform(-0.15, 0.15, x.shape).astype(np.float32) for x in known]
    found = memories.recalled(known, noisy)
    for name, tolerance in (("Hopfield memory", 1e-6), ("modern Hopfield memory", 1e-3)):
        assert all(np.abs(x - y).max() < tolerance for x, y in zip(found[name], known, strict=True)), name


def test_memories_want_pictures_of_one_size() -> None:
    samples = [Sample(str(i), None, np.zeros((4, 4 + i, 3), np.uint8)) for i in range(3)]
    with pytest.raises(SettingsError, match="memories is 3"):
        Restore.learn(Restore.Settings(memories=3), samples)
    task = Restore.learn(Restore.Settings(memories=2), samples[:1] * 5)
    assert Restore.restore(task.settings, task.arrays()).memories.shape == (2, 4, 4, 3)


# what a person sees


@pytest.fixture(scope="module")
def bundle(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = {
        "task": {"name": "restore", "spoiling": "both", "watched": [1, 3, 7], "memories": 4},
        "encoder": {"name": "pyramid", "hidden": 4, "sizes": [8], "strides": [2], "steps": 3},
        "data": {"train": str(made("restore"))},
        "train": {"epochs": 3, "batch_size": 6, "workers": 0, "threads": 1, "precision": "float32"},
    }
    return crnn.fit(recipe, tmp_path_factory.mktemp("restore") / "run")


def test_files_of_answers(bundle: Path, made: Made, tmp_path: Path, said_by: SaidBy) -> None:
    picture = sorted(made("restore").glob("*.png"))[0]
    with Image.open(picture) as opened:
        Image.fromarray(np.tile(np.asarray(opened.convert("RGB")), (5, 3, 1))[:70, :90]).save(tmp_path / "large.png")
        opened.convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.fromarray(np.full((9, 7), 30000, np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "empty.png").write_bytes(b"")
    said_by(["predict", str(bundle), str(tmp_path), "--out", str(tmp_path / "out")], code=1)
    for name, size in (("large", (90, 70)), ("cmyk", (32, 16)), ("deep", (7, 9))):
        with Image.open(tmp_path / "out" / f"{name}.png") as answer:
            assert answer.size == size
        with Image.open(tmp_path / "out" / f"{name}.gif") as film:
            assert film.n_frames > 1
    row = json.loads(said_by(["predict", str(bundle), str(tmp_path / "large.png"), "--json"]))
    assert (row["width"], row["height"]) == (90, 70)


def test_a_report_step_by_step(bundle: Path, made: Made, tmp_path: Path, said_by: SaidBy) -> None:
    page, results = tmp_path / "a.html", tmp_path / "a.json"
    out = said_by(["test", str(bundle), str(made("restore")), "--html", str(page), "--json", str(results)])
    assert "Squared error" in out and "PSNR" in out
    text = page.read_text()
    assert "Step by step" in text and text.count("data:image/gif") == 12
    values = json.loads(results.read_text())
    assert {"mse", "mse_1", "mse_7", "change_3_7"} <= values["metrics"].keys()
    assert {"as it is", "Hopfield memory", "modern Hopfield memory"} == values["baselines"].keys()


def test_a_check_of_clean_pictures(made: Made, said_by: SaidBy) -> None:
    shown = said_by(["check", "restore", str(made("restore")), "--set", "task.spoiling=noise"])
    assert "Training would work" in " ".join(shown.split())


def test_reasons_are_not_given_for_pictures(bundle: Path, made: Made) -> None:
    with pytest.raises(CrnnError, match="reasons for a picture"):
        crnn.load(bundle, precision="float32").explain(next(made("restore").glob("*.png")))


def test_arrays_in_memory() -> None:
    x = np.random.default_rng(0).integers(0, 255, (6, 16, 24)).astype(np.uint8)
    net = {"name": "unet", "channels": [6, 8]}
    recipe: dict[str, Any] = {"task": {"name": "restore"}, "encoder": net, "train": {"epochs": 1, "workers": 0}}
    fitted = crnn.fit(recipe | {"task": {"name": "restore", "spoiling": "occlusion"}}, (x, None))
    assert fitted(x[0]).value.shape == (16, 24, 1)
    pairs = crnn.fit(recipe, (x, 255 - x))
    assert pairs(x[0]).value.shape == (16, 24, 1)


def test_the_page_says_each_figure_once_and_shows_small_pictures_large(
    bundle: Path, made: Made, tmp_path: Path, said_by: SaidBy
) -> None:
    page = tmp_path / "page.html"
    said_by(["test", str(bundle), str(made("restore")), "--html", str(page)])
    text = page.read_text(encoding="utf-8")
    assert "Step by step" in text and "mse_1" not in text and "change_" not in text
    assert "width:6rem" in text
