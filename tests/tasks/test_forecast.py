"""forecast: the head, the scale, going on from its own answers, bands, and what needs no network."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import crnn
from crnn.bundle import build
from crnn.cli import main
from crnn.config import fill
from crnn.data import inputs
from crnn.data.collate import collate
from crnn.data.dataset import Samples
from crnn.data.formats import open_data
from crnn.deploy.predict import Predictor
from crnn.errors import SettingsError
from crnn.recipe import Recipe
from crnn.tasks._forecast.naive import Ridge, last_season, last_value, shared_map
from crnn.tasks._forecast.steps import Steps
from crnn.tasks._forecast.values import Course, Future, dates
from crnn.tasks.forecast import Forecast
from crnn.train.evaluate import evaluate
from crnn.train.prepare import asked_of
from crnn.types import Prediction, Sample, Seq

CASCADE = {"name": "cascade", "channels": [4], "blocks": 1, "hidden": 4, "pool": [1]}


@pytest.fixture
def tides(tmp_path: Path) -> Path:
    """Three weeks of hours: a tide, and a wind that is another column."""
    stamps = np.datetime64("2021-03-01T00", "h") + np.arange(500)
    wind = np.random.default_rng(0).normal(10, 2, 500)
    rows = [
        f"{str(t).replace('T', ' ')}:00,{100 + 30 * np.sin(2 * np.pi * i / 12):.3f},{wind[i]:.3f}"
        for i, t in enumerate(stamps)
    ]
    (tmp_path / "tides.csv").write_text("\n".join(["date,level,wind", *rows]) + "\n", encoding="utf-8")
    return tmp_path / "tides.csv"


def made(path: Path, encoder: dict[str, Any] = CASCADE, **settings: Any) -> tuple[Any, list[Sample]]:
    """A bundle with fresh weights for the table, and its samples."""
    values = {"name": "forecast", "window": 24, "horizon": 6, **settings}
    recipe = fill(Recipe, {"task": values})
    samples = open_data(path, asked=asked_of(recipe))
    train = [s for s in samples if s.split == "train"]
    task = Forecast.learn(fill(Forecast.Settings, {k: v for k, v in values.items() if k != "name"}, "task"), train)
    return build(task, inputs.learn({"name": "series"}, train), encoder), samples


def batch_of(bundle: Any, samples: list[Sample]) -> Any:
    seen = Samples(samples, bundle.kind, bundle.task)
    return collate([seen[0, i] for i in range(len(seen))]).batch


def silent(bundle: Any) -> Any:
    """The bundle, whose network adds nothing."""
    bundle.net.eval()
    with torch.no_grad():
        bundle.net.head.linear.weight.zero_()
        bundle.net.head.linear.bias.zero_()
        if bundle.net.head.highway is not None:
            bundle.net.head.highway.weight.zero_()
    return bundle


# the head


@pytest.mark.parametrize("relative", ["last", "mean", "none"])
def test_a_network_that_adds_nothing_says_what_it_is_relative_to(relative: str, tides: Path) -> None:
    bundle, samples = made(tides, relative=relative, highway=0)
    answers = Predictor(silent(bundle), precision="float32")(samples[:5])
    for sample, answer in zip(samples, answers, strict=False):
        level = {"last": sample.x.x[-1], "mean": sample.x.x.mean(0), "none": bundle.kind.mean}[relative][:2]
        assert answer.value.point == pytest.approx(np.tile(level, (6, 1)), rel=1e-4)
        assert answer.value.bands.shape == (6, 2, 3)


def test_the_highway_begins_as_a_ridge_regression(tides: Path) -> None:
    bundle, samples = made(tides, targets=["level"], highway=24)
    with torch.no_grad():
        bundle.net.head.linear.weight.zero_()
    test = [s for s in samples if s.split == "test"]
    report = evaluate(Predictor(bundle, precision="float32"), test).report
    assert report.metrics["mae"] < 0.05 < 5 < report.baselines["last value"]["mae"], "a tide is linear"


def test_the_highway_is_one_map_for_all_columns(tides: Path) -> None:
    bundle, samples = made(tides, highway=3, relative="last")
    head = silent(bundle).net.head
    with torch.no_grad():
        head.highway.weight[:, 0] = 1.0
    batch = batch_of(bundle, samples[:4])
    with torch.no_grad():
        found = bundle.net(batch.inputs)
    x = batch.inputs.x[:, :, :2]
    expected = (x[:, -1] + x[:, -3] - x[:, -1])[:, None, :, None].expand(-1, 6, -1, 4)
    torch.testing.assert_close(found, expected)


def test_shorter_windows_beside_longer_ones(tides: Path) -> None:
    bundle, _ = made(tides, highway=20)
    bundle.net.eval()
    x = torch.randn(2, 30, bundle.kind.spec.channels)
    batch = Seq(x, torch.tensor([30, 12]))
    with torch.no_grad():
        together = bundle.net(batch)
        alone = [bundle.net(one) for one in (Seq(x[:1], batch.lengths[:1]), Seq(x[1:, :12], batch.lengths[1:]))]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


# step by step


class Says:
    """A network that says the sum of the last two steps, and remembers what it saw."""

    def __init__(self, steps: int, targets: int) -> None:
        self.steps, self.targets, self.seen = steps, targets, []

    def __call__(self, inputs: Seq) -> torch.Tensor:
        self.seen.append(inputs.x)
        rows = [inputs.x[:, -2, : self.targets], inputs.x[:, -1, : self.targets]]
        for _ in range(self.steps):
            rows.append(rows[-1] + rows[-2])
        return torch.stack(rows[2:], 1)[..., None]


def test_going_on_from_its_own_answers_is_what_a_loop_would_do() -> None:
    x = torch.tensor([[1.0, 1.0], [1.0, 2.0]]).T[None].expand(1, 2, 2).contiguous()  # (batch, time, targets)
    inputs = Seq(x, torch.tensor([2]))
    for steps in (1, 2, 3, 6):
        net = Says(steps, 2)
        found = Steps(6, steps, 2, 0, (0, 1)).answers(net, inputs)
        assert found[0, :, 0, 0].tolist() == [2, 3, 5, 8, 13, 21] and found[0, :, 1, 0].tolist() == [
            3,
            5,
            8,
            13,
            21,
            34,
        ]
        assert len(net.seen) == 6 // steps and all(s.shape == x.shape for s in net.seen)


def test_channels_that_run_ahead_are_seen_as_late_as_in_training() -> None:
    window, horizon, steps = 12, 6, 2
    clock = torch.arange(100.0)
    own = torch.zeros(window)
    x = torch.stack([own, clock[horizon : window + horizon]], 1)[None]  # at t stands t + horizon
    net = Says(steps, 1)
    Steps(horizon, steps, 2, 1, (0,)).answers(net, Seq(x, torch.tensor([window])))
    for i, seen in enumerate(net.seen):
        late, advance = horizon - steps, i * steps
        assert not seen[0, :late, 1].any(), "what training did not show either"
        assert seen[0, late:, 1].tolist() == (torch.arange(late, window) + advance + steps).tolist()


def test_windows_of_several_lengths_go_on_each_for_itself() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0], [5.0, 8.0, 0.0]])[..., None]
    found = Steps(4, 1, 1, 0, (0,)).answers(Says(1, 1), Seq(x, torch.tensor([3, 2])))
    assert found[..., 0, 0].tolist() == [[5, 8, 13, 21], [13, 21, 34, 55]]


def test_recursive_networks_learn_and_answer_the_whole_horizon(tides: Path) -> None:
    bundle, samples = made(tides, recursive=2, known=[], highway=24)
    assert bundle.net.head.steps == 2
    answer = Predictor(bundle, precision="float32")(samples[0])
    assert answer.value.point.shape == (6, 2) and np.isfinite(answer.value.bands).all()
    assert torch.isfinite(bundle.task.loss(bundle.net, batch_of(bundle, samples[:3])))


@pytest.mark.parametrize("wrong", [{"recursive": 4}, {"lead": 2}, {"targets": ["level"]}])
def test_what_cannot_go_step_by_step(wrong: dict[str, Any], tides: Path) -> None:
    with pytest.raises(SettingsError, match=r"task.recursive is \d; expected a divisor of the horizon, 6"):
        made(tides, **{"recursive": 2, **wrong})


@pytest.mark.parametrize("quantiles", [(0.9, 0.1), (0.0, 0.5), (0.5, 0.5)])
def test_quantiles_that_are_none(quantiles: tuple[float, ...]) -> None:
    with pytest.raises(SettingsError, match="expected rising shares"):
        Forecast(Forecast.Settings(quantiles=quantiles), [0], channels=1)


# bands


def test_bands_are_moved_to_hold_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    task = Forecast(Forecast.Settings(horizon=3, window=4), [0], channels=1)
    pairs = []
    for i in range(800):
        truth = np.float32(rng.normal(0, 1 + np.arange(3)))[:, None]
        bands = np.stack([np.full((3, 1), v, np.float32) for v in (-0.1, 0.0, 0.1)], -1)
        future = Future(np.zeros((3, 1), np.float32), bands)
        pairs.append((Course(np.zeros((4, 1), np.float32), (0,), truth), Prediction(str(i), future, 1.0)))
    settled = task.settle(pairs)
    assert settled.correction is not None and task.correction is None
    for i, spread in enumerate((1, 2, 3)):
        wanted = np.array([-1.28, 0, 1.28]) * spread - np.array([-0.1, 0, 0.1])
        assert settled.correction[i, 0] == pytest.approx(wanted, abs=0.25 * spread)
    few = task.settle(pairs[:60]).correction
    assert few is not None and (few == few[:1]).all(), "few windows: one correction for all steps"
    assert task.settle(pairs[:10]).correction is None


def test_what_came_true_lately_moves_the_bands_and_nothing_that_was_not_known_does(tides: Path) -> None:
    bundle, samples = made(tides, recent=60, shares=[0.3, 0.1, 0.6], calendar=False)
    task = bundle.task
    late = [s for s in samples if s.split == "test"]
    before = task.earlier(late[-1])
    assert len(before) == 60 and max(s.x.until for s in before) == late[-1].x.stop, "the newest has just come true"
    assert all(np.array_equal(s.y, next(o.y for o in samples if o.x == s.x)) for s in before if s.x.start > 250)
    assert not task.earlier(Sample("array", np.zeros((24, 2)))), "an array has no past"
    steady, moved = (Predictor(bundle, batch_size=size) for size in (16, 3))
    task.settings = replace(task.settings, recent=0)
    alone = evaluate(steady, late).report.metrics["coverage"]
    task.settings = replace(task.settings, recent=60)
    following = evaluate(moved, late)
    assert alone < 0.5, "fresh weights know nothing of how far they stray"
    assert following.report.metrics["coverage"] == pytest.approx(0.8, abs=0.06)
    again = list(Predictor(bundle, batch_size=16).stream(late[::-1]))[::-1]
    for one, other in zip(following.predictions, again, strict=True):
        np.testing.assert_allclose(one.value.bands, other.value.bands, rtol=1e-3)
    last = moved(str(tides))  # a table: its own past moves the bands of what nobody knows yet
    np.testing.assert_allclose(last.value.bands, moved(task.opened(tides)).value.bands)
    assert not np.allclose(last.value.bands, steady._each([task.opened(tides)])[0].value.bands)


def test_bands_never_cross_and_the_correction_is_kept(tides: Path, tmp_path: Path) -> None:
    bundle, samples = made(tides)
    bundle.task.correction = np.float32(np.random.default_rng(0).normal(0, 1, (6, 2, 3)))
    bundle.save(tmp_path / "a.safetensors")
    again = crnn.bundle.load(tmp_path / "a.safetensors")
    here, there = (Predictor(b, precision="float32")(samples[0]) for b in (bundle, again))
    assert here.value == there.value
    assert (np.diff(here.value.bands, axis=-1) >= 0).all()


# what needs no network


def test_the_last_value_and_that_of_a_season_before() -> None:
    seen = np.arange(10.0)[None, :, None]
    assert last_value(seen, 2)[0, :, 0].tolist() == [9, 9]
    assert last_season(seen, 6, season=4, lead=1)[0, :, 0].tolist() == [6, 7, 8, 9, 6, 7]
    assert last_season(seen, 2, season=4, lead=3)[0, :, 0].tolist() == [8, 9]
    assert last_season(seen, 1, season=4, lead=4)[0, :, 0].tolist() == [9]


def test_the_linear_map_finds_a_linear_law_and_forgets_levels() -> None:
    t = np.arange(400)
    x = np.stack([np.sin(t / 3), 5 + 0.1 * np.cos(t / 5)], 1)
    seen = np.stack([x[i : i + 20] for i in range(300)])
    ahead = np.stack([x[i + 20 : i + 24] for i in range(300)])
    ridge = Ridge.fit(seen, ahead)
    assert abs(ridge(seen[250:]) - ahead[250:]).max() < 0.02
    assert abs(ridge(seen[250:] + 50) - ahead[250:] - 50).max() < 0.02
    assert shared_map(seen, ahead, 8, "last").shape == (8, 4)


def test_baselines_stand_beside_the_network(tides: Path) -> None:
    bundle, samples = made(tides, season=12)
    report = evaluate(Predictor(bundle, precision="float32"), [s for s in samples if s.split == "test"]).report
    assert set(report.baselines) == {"last value", "last season", "linear map"}
    assert report.baselines["last season"]["mae"] < report.baselines["last value"]["mae"]
    assert "mae[wind]" in report.metrics and report.metrics["mae"] > 0
    (chart,) = report.details["charts"]
    assert "last season" in chart[1] and chart[1].startswith("<svg")


def test_columns_named_low_high_and_scaled_leave_the_figures_of_these_names_alone() -> None:
    names = ("low", "high", "scaled")
    task = Forecast(Forecast.Settings(horizon=1, window=2, targets=names, quantiles=()), range(3), channels=3)
    pairs = [
        (Course(np.zeros((2, 3)), (0, 1, 2), np.full((1, 3), i, np.float32)), Prediction("", np.zeros((1, 3)), 1.0))
        for i in range(20)
    ]
    plain = Forecast(replace(task.settings, targets=("a", "b", "c")), range(3), channels=3).score(pairs)
    found = task.score(pairs)
    assert {k: v for k, v in found.items() if k in plain} == {k: v for k, v in plain.items() if k in found}
    assert found["mae_low"] < found["mae[low]"] and {f"mae[{name}]" for name in names} <= set(found)


# what a person sees


@pytest.mark.parametrize(
    ("id", "step", "expected"),
    [
        ("a:b.csv:2020-12-31 22:00", "1 hour", ["2020-12-31 23:00", "2021-01-01 00:00"]),
        ("a.csv:2020-02-29", "1 month", ["2020-03-31", "2020-04-30"]),
        ("a.csv:17", "", ["18", "19"]),
        ("array", "1 hour", ["+1", "+2"]),
    ],
)
def test_dates_of_what_comes(id: str, step: str, expected: list[str]) -> None:
    assert dates(id, 1, 2, step) == expected


def test_from_the_command_line_to_a_table_of_what_comes(
    tides: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, small = tmp_path / "run", ["--set", "encoder.channels=[4]", "--set", "encoder.hidden=4"]
    small += ["--epochs", "1", "--workers", "0", "--threads", "1", "--precision", "float32", "--set", "task.window=24"]
    for values in (
        ["train", "forecast", str(tides), "--horizon", "6", "--out", str(run), *small],
        ["check", "forecast", str(tides), "--horizon", "6"],
        ["test", str(run), str(tides), "--html", str(tmp_path / "r.html"), "--json", str(tmp_path / "r.json")],
        ["predict", str(run), str(tides), "--out", str(tmp_path / "next.csv")],
    ):
        with pytest.raises(SystemExit) as stopped:
            main(values)
        assert not stopped.value.code, capsys.readouterr().err
    with (tmp_path / "next.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["date"] for row in rows] == [f"2021-03-21 {hour:02}:00" for hour in range(20, 24)] + [
        "2021-03-22 00:00",
        "2021-03-22 01:00",
    ]
    assert {"level", "level 0.1", "level 0.9", "wind"} <= rows[0].keys()
    assert float(rows[0]["level 0.1"]) <= float(rows[0]["level 0.9"])
    result = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert result["split"] == "test" and {"last value", "linear map"} <= result["baselines"].keys()
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert page.count("<polygon") > 100 and "Mean error by step" in page
    answer = crnn.load(run)(str(tides))
    assert answer.value.point.shape == (6, 2) and answer.id.endswith("2021-03-21 19:00")


def test_arrays_in_memory() -> None:
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.normal(0, 1, (80, 12, 2)), axis=1).astype(np.float32)
    recipe = {
        "task": {"name": "forecast"},
        "encoder": CASCADE,
        "train": {"epochs": 1, "workers": 0, "threads": 1, "precision": "float32", "device": "cpu"},
    }
    predictor = crnn.fit(recipe, {"x": x, "y": x[:, -2:, :1]})
    answer = predictor(x[0])
    assert answer.value.point.shape == (2, 1) and predictor.task.settings.window == 12


def test_variations_and_coarser_inputs_are_refused(tides: Path, tmp_path: Path, caplog: Any) -> None:
    recipe: dict[str, Any] = {"task": {"name": "forecast", "window": 24}, "data": {"train": str(tides)}}
    with pytest.raises(SettingsError, match="the recipe varies its inputs: jitter"):
        crnn.fit({**recipe, "augment": {"jitter": 0.1}}, tmp_path / "run")
    with pytest.raises(SettingsError, match=r"input\.every is 2"):
        crnn.fit({**recipe, "input": {"name": "series", "every": 2}}, tmp_path / "run")


def test_a_vote_is_the_mean() -> None:
    task = Forecast(Forecast.Settings(horizon=1), [0], channels=1)
    futures = [Future(np.full((1, 1), v, np.float32), np.full((1, 1, 3), v, np.float32)) for v in (1, 3)]
    found = task.vote([Prediction("a", f, 1.0) for f in futures])
    assert found.value == Future(np.full((1, 1), 2, np.float32), np.full((1, 1, 3), 2, np.float32))
    assert replace(found, value=None).id == "a"


def test_a_bundle_that_foretells_a_column_that_is_not_there_is_refused() -> None:
    learned = Forecast(Forecast.Settings(), [1], channels=2).learned() | {"season_error": [1.0]}
    assert Forecast.restore(Forecast.Settings(), learned).targets == (1,)
    for targets in ([2], [-1], [0, 1000]):
        with pytest.raises(ValueError, match="of 2 are foretold"):
            Forecast.restore(Forecast.Settings(), learned | {"targets": targets})
