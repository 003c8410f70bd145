"""Comparing models: one budget, every fold once, what is finished stays, one failure is not all."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crnn.cli import main
from crnn.config import fill
from crnn.data.formats import Asked, open_data
from crnn.errors import CrnnError, SettingsError
from crnn.recipe import Recipe, TrainSettings
from crnn.train import compare as module
from crnn.train.compare import compare
from crnn.train.plots import HEIGHT, TOP, plot_svg

TINY = {"channels": [4], "hidden": 4}


@pytest.fixture
def waves(tmp_path: Path) -> Path:
    """Slow and fast waves of six people."""
    random = np.random.default_rng(0)
    y = np.arange(48) % 2
    x = [np.sin(np.linspace(0, 9 + 12 * k, 24) + random.uniform(0, 6))[:, None] for k in y]
    np.savez(tmp_path / "waves.npz", x=np.float32(x), y=y, groups=np.array([f"p{i // 2 % 6}" for i in range(48)]))
    return tmp_path / "waves.npz"


def recipe(data: Path, **train: Any) -> Recipe:
    values = {"epochs": 2, "warmup": 1, "workers": 0, "threads": 1, **train}
    return fill(
        Recipe,
        {
            "task": {"name": "classify"},
            "input": {"name": "series"},
            "encoder": {"name": "cascade", **TINY},
            "data": {"train": str(data), "folds": 3},
            "train": values,
        },
        "test",
    )


def test_each_sample_is_tested_once_by_a_network_that_never_saw_its_group(waves: Path, tmp_path: Path) -> None:
    found = compare({"cascade": recipe(waves)}, tmp_path / "out")
    (model,) = found.models
    assert found.part == "3 folds" and len(model.folds) == 3
    assert len({s.id for s in model.tested.samples}) == len(model.tested.samples) == 48
    rights = [s.y == p.value for s, p in zip(model.tested.samples, model.tested.predictions, strict=True)]
    assert model.tested.report.metrics["accuracy"] == pytest.approx(np.mean(rights))
    # folds are of equal size here
    assert model.tested.report.metrics["accuracy"] == pytest.approx(np.mean(model.folds))
    assert model.tested.report.baselines["most frequent class"]["accuracy"] == pytest.approx(0.5)
    assert model.parameters > 0 and model.latency > 0 and len(model.curve) == 2 == model.epochs


def test_what_is_finished_is_not_trained_again(waves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = compare({"cascade": recipe(waves)}, tmp_path / "out")
    monkeypatch.setattr(module, "fit", lambda *_, **__: pytest.fail("trained again"))
    again = compare({"cascade": recipe(waves)}, tmp_path / "out")
    assert again.models[0].tested.predictions == first.models[0].tested.predictions
    with pytest.raises(SettingsError, match="other settings"):
        compare({"cascade": recipe(waves, epochs=3)}, tmp_path / "out")


def test_a_model_that_fails_does_not_stop_the_others(waves: Path, tmp_path: Path) -> None:
    good = recipe(waves)
    wild = replace(good, train=replace(good.train, learning_rate=1e30, clip=1e30, epochs=6))
    said: list[str] = []
    found = compare({"wild": wild, "good": good}, tmp_path / "out", said=said.append)
    assert [m.name for m in found.models] == ["good"]
    assert list(found.failed) == ["wild"] and "loss" in str(found.failed["wild"])
    assert sum("good, fold" in line for line in said) == 3


def test_a_model_that_cannot_read_the_data_is_told_before_any_training(waves: Path, tmp_path: Path) -> None:
    good = recipe(waves)
    with pytest.raises(CrnnError, match=r"blind cannot be trained: .*Or leave blind out\."):
        compare({"good": good, "blind": replace(good, encoder={"name": "text_rcnn"})}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_models_that_are_judged_by_different_figures_are_refused_before_any_training(
    waves: Path, tmp_path: Path
) -> None:
    numbers = replace(recipe(waves), task={"name": "regress"})
    with pytest.raises(SettingsError, match="judged by different figures: one by accuracy, two by mae"):
        compare({"one": recipe(waves), "two": numbers}, tmp_path / "out")
    assert not list(tmp_path.glob("out/*/*"))


def test_an_epoch_that_took_no_time_is_no_division_by_zero(waves: Path, tmp_path: Path) -> None:
    (tmp_path / module.PACE).write_text('{"seconds of an epoch": 0.0}')
    assert module._epochs(recipe(waves), tmp_path, 1.0) == 60_000


def test_minutes_become_epochs_and_are_remembered(waves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out" / "cascade").mkdir(parents=True)
    (tmp_path / "out" / "cascade" / module.PACE).write_text('{"seconds of an epoch": 20.0}')
    seen: list[TrainSettings] = []

    def stop(made: Recipe, *_: Any, **__: Any) -> None:
        seen.append(made.train)
        raise SettingsError("stop", expected="", do="")

    monkeypatch.setattr(module, "fit", stop)
    with pytest.raises(SettingsError):
        compare({"cascade": recipe(waves)}, tmp_path / "out", minutes=1)
    assert seen[0].epochs == 3


def test_the_command_prints_writes_and_draws(waves: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # the networks' own sizes, on little data
    options = ["--epochs", "1", "--workers", "0", "--threads", "1", "--folds", "2", "--out", str(tmp_path / "out")]
    files = ["--json", str(tmp_path / "waves.json"), "--html", str(tmp_path / "page.html")]
    samples = open_data(str(waves), asked=Asked(answer="label"))
    rows = [json.dumps({"id": s.id, "answer": s.y}) for s in samples]
    (tmp_path / "oracle.jsonl").write_text("\n".join(rows), encoding="utf-8")
    files += ["--baseline", f"oracle={tmp_path / 'oracle.jsonl'}"]
    with pytest.raises(SystemExit) as end:
        main(["compare", "classify", "--data", str(waves), "--models", "tcn,deepconvlstm", *options, *files])
    assert end.value.code == 0
    printed = capsys.readouterr()
    assert "tcn, fold 2 of 2" in printed.err
    assert all(name in printed.out for name in ("tcn", "deepconvlstm", "most frequent class", "2 folds"))
    result = json.loads((tmp_path / "waves.json").read_text())
    assert result["model"] == "tcn" and result["split"] == "2 folds"
    assert {"deepconvlstm", "most frequent class"} <= result["baselines"].keys()
    assert result["baselines"]["oracle"]["accuracy"] == 1.0
    assert result["metrics"]["least_fold"] <= result["metrics"]["accuracy"] <= result["metrics"]["most_fold"]
    page = (tmp_path / "page.html").read_text()
    assert page.count("<svg") >= 3 and "What it costs" in page
    assert "this network" not in page  # it is one of several, and has its name


def test_a_training_that_took_no_time_is_drawn() -> None:
    """Seconds are rounded; of a small network on little data they may all be 0."""
    assert plot_svg({"a": [(0.0, 0.5), (0.0, 0.6)]}, "seconds", "accuracy", percent=True).count("<circle") == 1


@pytest.mark.parametrize("values", [[3e11, 1e12], [1.0, 5e10], [math.nan, 1.0], [1e20, 1e20], [2.0, math.inf]])
def test_figures_of_any_size_are_drawn_and_what_is_no_number_is_left_out(values: list[float]) -> None:
    drawn = plot_svg({"a": [(i + 1, v) for i, v in enumerate(values)]}, "epochs", "error", percent=False)
    assert drawn.count("<circle") == 1 and not {"nan", "inf"} & set(re.findall(r"[a-z]+", drawn))
    assert 3 <= drawn.count("stroke-dasharray") <= 20


def test_the_longest_name_has_room() -> None:
    long = "a-recipe-with-a-long-name-and-more"
    drawn = [plot_svg({name: [(1, 0.1)]}, "x", "y", percent=True) for name in ("a", long)]
    short, wide = (int(re.findall(r'width="(\d+)" style', svg)[0]) for svg in drawn)
    assert wide - short >= 6 * (len(long) - 1)


def test_shares_never_go_beyond_all_and_names_stay_in_the_frame() -> None:
    drawn = plot_svg({name: [(1, 1.0)] for name in "abc"}, "seconds", "accuracy", percent=True)
    assert "100 %" in drawn and "120 %" not in drawn
    low = plot_svg({name: [(1, 0.0), (2, 0.0)] for name in "abcd"}, "seconds", "accuracy", percent=True)
    places = [float(y) for y, name in re.findall(r'y="([\d.]+)"[^>]*>([a-d])<', low)]
    assert len(places) == 4 and max(places) <= TOP + HEIGHT + 4


def test_plots_hold_every_point_and_name() -> None:
    drawn = plot_svg({"a<b": [(1, 0.1), (30, 0.9)], "c": [(7, 0.5)]}, "seconds", "accuracy", percent=True)
    assert "a&lt;b" in drawn and ">c<" in drawn
    assert drawn.count("<circle") == 2 and "seconds" in drawn
    assert plot_svg({}, "seconds", "accuracy", percent=True) == ""
    assert "nan" not in plot_svg({"one": [(5, 0.5)]}, "seconds", "accuracy", percent=False)


def test_a_recipe_stands_beside_itself_with_other_settings(waves: Path, tmp_path: Path) -> None:
    given = ["--epochs", "1", "--workers", "0", "--threads", "1", "--out", str(tmp_path / "out")]
    given += ["--set", "encoder.name=cascade", "--set", "encoder.channels=[4]", "--set", "encoder.blocks=1"]
    given += ["--variant", "encoder.hidden=8", "--variant", "encoder.hidden=8; encoder.layers=2"]
    with pytest.raises(SystemExit) as end:
        main(["compare", "classify", "--data", str(waves), *given, "--json", str(tmp_path / "r.json")])
    assert end.value.code == 0
    result = json.loads((tmp_path / "r.json").read_text())
    sizes = [
        result["baselines"][name]["parameters"] for name in ("encoder.hidden=8", "encoder.hidden=8; encoder.layers=2")
    ]
    assert result["model"] == "cascade" and sizes[0] < sizes[1] < result["metrics"]["parameters"]
