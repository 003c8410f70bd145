"""nowcast: what goes in and comes out, losses, forecasters, figures beside those of the last frame, files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import crnn
from crnn.bundle import Bundle, build
from crnn.cli import main
from crnn.data.collate import collate
from crnn.data.dataset import Samples
from crnn.data.inputs import restore
from crnn.deploy.predict import Predictor
from crnn.errors import SettingsError
from crnn.tasks import TASKS
from crnn.tasks._frames.head import Told
from crnn.tasks._frames.loss import frames_loss, share_of_truth
from crnn.tasks._frames.report import MOVED, PERSISTENCE, Stretch
from crnn.types import Batch, Prediction, Sample, Seq

Nowcast = TASKS["nowcast"]
TINY = {"name": "convlstm", "hidden": [5, 4], "input_kernel": 3, "kernel": 3}


def made(*, space: tuple[int, int] = (12, 16), scale: str = "unit", cell: str = "lstm", **settings: Any) -> Bundle:
    kind = restore({"name": "frames", "scale": scale}, {"scale": scale, "shape": [1, *space]})
    torch.manual_seed(0)
    return build(Nowcast(Nowcast.Settings(**{"past": 4, "future": 3, **settings})), kind, {**TINY, "cell": cell})


def batch_of(bundle: Bundle, count: int = 2) -> Batch:
    _, channels, *space = (0, bundle.kind.spec.channels, *bundle.kind.spec.space)
    rng = np.random.default_rng(0)
    s = bundle.task.settings
    x = [rng.random((s.past + s.future, channels, *space)).astype(np.float32) for _ in range(count)]
    samples = [Sample(str(i), a[: s.past], a[s.past :]) for i, a in enumerate(x)]
    seen = Samples(samples, bundle.kind, bundle.task)
    batch = collate([seen[0, i] for i in range(count)]).batch
    assert batch is not None
    return batch


CHOICES = [
    *({"loss": loss} for loss in ("cross_entropy", "mse", "mae", "balanced", "ssim")),
    {"loss": "csi", "thresholds": (0.3, 0.6)},
    *({"forecaster": f} for f in ("fed", "moved")),
    *({"relative": r} for r in ("last", "moved")),
    {"relative": "moved", "loss": "cross_entropy", "forecaster": "fed", "sampling": 10},
    {"readout": "top"},
    *({"cell": c} for c in ("gru", "rnn", "trajectory")),
]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_choice_learns_with_all_its_weights(choice: dict[str, Any]) -> None:
    bundle = made(**choice)
    batch = batch_of(bundle)
    bundle.net.train()
    rate = torch.optim.Adam(bundle.net.parameters(), 0.02)
    losses = []
    for step in range(6):
        rate.zero_grad()
        loss = bundle.task.loss(bundle.net, batch)
        loss.backward()
        if not step:
            for name, parameter in bundle.net.named_parameters():
                dead = choice.get("readout") == "top" and parameter.grad is None
                assert dead or (parameter.grad is not None and parameter.grad.abs().max() > 0), name
        rate.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    bundle.net.eval()
    with torch.no_grad():
        (first, _) = bundle.task.predict(bundle.net, batch)
    assert first.value.shape == (3, 1, 12, 16) and first.value.dtype == np.float32
    assert first.value.min() >= 0 and first.value.max() <= 1, "on the scale of the data"


@pytest.mark.parametrize("choice", [c for c in CHOICES if "loss" in c] + [{"forecaster": "fed", "sampling": 9}])
def test_what_was_not_measured_is_not_learned(choice: dict[str, Any]) -> None:
    bundle = made(scale="rain" if choice.get("loss") == "balanced" else "unit", **choice)
    batch = batch_of(bundle)
    truth = batch.targets.x
    truth[0, :, :, :4] = torch.nan
    truth[1, 1] = torch.nan
    net = bundle.net.train()
    loss = bundle.task.loss(net, batch)
    loss.backward()
    assert loss.isfinite() and all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())
    said, name = torch.rand(truth.shape, requires_grad=True), bundle.task.settings.loss
    frames_loss(name, said, truth, odds=False, levels=[0.3, 0.6], weights=[1, 2, 3]).backward()
    assert said.grad is not None and not said.grad[truth.isnan()].any() and said.grad[~truth.isnan()].any()


def test_any_number_of_frames_can_be_asked_for() -> None:
    for forecaster in ("empty", "fed", "moved"):
        bundle = made(forecaster=forecaster)
        batch = batch_of(bundle)
        bundle.net.eval()
        with torch.no_grad():
            three, seven = (bundle.task.with_future(n).predict(bundle.net, batch)[0].value for n in (3, 7))
        assert len(seven) == 7 and np.allclose(seven[:3], three, atol=1e-6)


def test_matched_frames_have_the_values_of_the_last_in_their_own_order() -> None:
    plain, matched = made(), made(match=True)
    batch = batch_of(plain)
    with torch.no_grad():
        before, after = (b.task.predict(b.net.eval(), batch)[0].value for b in (plain, matched))
    last = np.sort(batch.inputs.x[0, -1].numpy(), axis=None)
    for one, other in zip(before, after, strict=True):
        assert np.allclose(np.sort(other, axis=None), last)
        order = np.argsort(one, axis=None, kind="stable")
        assert (np.diff(other.flat[order]) >= 0).all()


def test_a_fresh_network_says_little_more_than_what_it_is_relative_to() -> None:
    bundle = made(relative="last")
    batch = batch_of(bundle)
    with torch.no_grad():
        bundle.net.head.readout.weight.zero_()
        (one, _) = bundle.task.predict(bundle.net.eval(), batch)
    last = batch.inputs.x[0, -1].numpy()
    assert np.allclose(one.value, last[None], atol=1e-6)


def test_states_are_copied_layer_by_layer() -> None:
    """The forecaster is the encoder going on without input: with its weights and a bias of zero both say the same."""
    bundle = made()
    encoder, head = bundle.net.encoder, bundle.net.head
    x = Seq(torch.rand(1, 4, 1, 12, 16), torch.tensor([4]))
    state = encoder(x).state
    with torch.no_grad():
        for cell in (encoder.layers[0], head.cells[0]):
            cell.input.bias.zero_()
        encoder.layers[0].input.conv.weight.zero_()
        for name in ("recurrent.conv.weight", "peepholes"):
            head.cells[0].get_parameter(name).copy_(encoder.layers[0].get_parameter(name))
        head.cells[1].load_state_dict(encoder.layers[1].state_dict())
        goes_on = encoder(Seq(torch.rand(1, 2, 1, 12, 16), torch.tensor([2])), state).last.x
        hidden = torch.cat([goes_on.new_zeros(1, 2, 5, 3, 4), goes_on], 2)
        head.readout.weight[:, :5] = 0
        expected = head.patches.join(head.readout(hidden[0])[None])
        features = encoder(x)._replace(state=state)
        torch.testing.assert_close(head(features, Told(2)).x, expected)


def test_fed_sees_the_truth_less_and_less_and_counts_its_steps() -> None:
    shares = [share_of_truth(step, 100) for step in (0, 25, 50, 75, 100, 500)]
    assert shares == sorted(shares, reverse=True) and shares[0] > 0.95 and shares[-2:] == [0, 0]
    assert shares[2] == pytest.approx(0.5) and share_of_truth(0, 0) == 0
    bundle = made(forecaster="fed", sampling=100)
    batch = batch_of(bundle)
    bundle.net.train()
    for _ in range(3):
        bundle.task.loss(bundle.net, batch)
    assert bundle.net.head.trained == 3 and "head.trained" in bundle.net.state_dict()
    bundle.net.eval()
    bundle.task.loss(bundle.net, batch)
    assert bundle.net.head.trained == 3


def test_balanced_weighs_heavy_rain() -> None:
    truth = torch.tensor([0.1, 0.5, 0.9]).view(1, 1, 1, 1, 3)
    heavy, light = (truth + 0.1 * (truth == v).float() for v in truth.flatten()[[2, 0]])
    losses = [
        frames_loss("balanced", y, truth, odds=False, levels=[0.4, 0.8], weights=[1, 2, 10]).item()
        for y in (heavy, light)
    ]
    assert losses[0] == pytest.approx(10 * losses[1], rel=1e-4)


def test_csi_is_rewarded() -> None:
    truth = (torch.rand(2, 3, 1, 8, 8) > 0.5).float()
    values = [
        frames_loss("csi", y, truth, odds=False, levels=[0.5], weights=[]).item()
        for y in (truth, 0.5 * truth, 1 - truth)
    ]
    assert values == sorted(values) and values[0] < 0.02


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(SettingsError, match=r"weights has 2 entries .* one weight more"):
        made(weights=(1.0, 2.0))
    with pytest.raises(SettingsError, match=r"cross_entropy on the scale 'none'; expected a scale from 0 to 1"):
        made(scale="none", loss="cross_entropy")
    with pytest.raises(SettingsError, match=r"the frame '9'; expected a number from 1 to 3"):
        bundle = made()
        bundle.task.evidence(bundle.net, batch_of(bundle).inputs, Prediction("a", None, 1.0), "9")


# figures


def spot(step: int) -> np.ndarray:
    frame = np.zeros((24, 24), np.float32)
    frame[8 : 8 + 6, 2 + 2 * step : 8 + 2 * step] = 1
    return frame


def test_baselines_stand_beside_the_figures() -> None:
    bundle = made(space=(24, 24), thresholds=(0.5,))
    task = bundle.task
    frames = np.stack([spot(i) for i in range(7)])
    sample = Sample("a", frames[:4], frames[4:])
    rows = task.baselines([sample])
    assert rows[MOVED]["csi"] > 0.95 > rows[PERSISTENCE]["csi"] and rows[PERSISTENCE]["csi_gain_min"] == 0
    truth = task.truth(sample)
    perfect = Prediction("a", frames[4:, None], 1.0)
    figures = task.score([(truth, perfect)])
    assert figures["csi"] == figures["ssim"] == 1 and figures["mse_mean"] == 0
    assert figures["csi_gain_min"] == pytest.approx(1 - 4 / 8), "at the first frame ahead, where the last is best"
    details = task.details([(truth, perfect)])
    assert set(figures) <= set(details["figures"])
    assert len(details["charts"]) == 3 and all(PERSISTENCE in svg for _, svg in details["charts"])
    assert task.truth(replace(sample, y=None)) is None
    holed = replace(sample, y=frames[4:].copy())
    holed.y[:, 3:5, 3:5] = np.nan
    figures = task.score([(task.truth(holed), perfect)])
    assert figures["csi"] == 1 and figures["ssim"] == pytest.approx(1) and figures["mse_mean"] == 0, "as if all was"
    assert "<img" in task.show(perfect, task.truth(holed))


def test_the_structure_of_frames_is_that_above_their_lowest_value() -> None:
    task = made(space=(24, 24), scale="none").task
    frames = 20 * np.stack([spot(i) for i in range(7)])
    rows = [task.baselines([Sample("a", x[:4], x[4:])])[PERSISTENCE] for x in (frames, frames + np.float32(101_325))]
    assert rows[1]["ssim"] == pytest.approx(rows[0]["ssim"], abs=1e-3) and rows[0]["ssim"] < 0.95


@pytest.mark.parametrize(
    ("settings", "scale", "best"),
    [
        ({"loss": "cross_entropy"}, "unit", "cross_entropy_per_sequence"),
        ({}, "unit", "mse_mean"),
        ({"loss": "balanced"}, "rain", "csi"),
        ({"loss": "balanced"}, "none", "mse_mean"),
    ],
)
def test_the_loss_says_which_figure_chooses(settings: dict[str, Any], scale: str, best: str) -> None:
    task = made(scale=scale, **settings).task
    assert task.best[0] == best and task.figures[0] == best
    frames = np.random.default_rng(0).random((7, 12, 16)).astype(np.float32)
    figures = task.score([(Stretch(frames[:4], frames[4:]), Prediction("a", frames[4:, None], 1.0))])
    assert set(task.figures) <= set(figures) and task.say(figures)


# files and commands


@pytest.fixture(scope="module")
def run(made: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    data, folder = made("nowcast"), tmp_path_factory.mktemp("nowcast")
    recipe = {
        "task": {"name": "nowcast"},
        "encoder": {"name": "convlstm", "hidden": [4], "kernel": 3, "input_kernel": 3},
        "data": {"train": str(data)},
        "train": {"epochs": 1, "workers": 0, "threads": 1},
    }
    crnn.fit(recipe, folder / "run")
    return folder / "run", data


def test_what_comes_is_written(run: tuple[Path, Path], tmp_path: Path) -> None:
    bundle, data = run
    for name in ("a.npz", "a.gif", "a.png", "a.jsonl", "a.csv"):
        with pytest.raises(SystemExit) as stopped:
            main(["predict", str(bundle), str(data / "0.npy"), "--out", str(tmp_path / name), "--precision", "float32"])
        assert not stopped.value.code
    with np.load(tmp_path / "a.npz") as file:
        assert file["frames"].shape == (1, 10, 1, 16, 16) and file["ids"].tolist() == [str(data / "0.npy")]
        largest = file["frames"].max((0, 2, 3, 4))
    with Image.open(tmp_path / "a.gif") as film, Image.open(tmp_path / "a.png") as strip:
        assert film.n_frames > 1 and strip.width > 10 * 16
    assert json.loads((tmp_path / "a.jsonl").read_text())["largest"] == pytest.approx(largest.tolist())
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 11
    predictor = Predictor(bundle, precision="float32")
    with pytest.raises(SettingsError, match=r"expected a name in .npz, .gif"):
        predictor.task.write([], tmp_path / "a.txt")
    source = np.load(data / "0.npy")[-10:]
    assert np.allclose(predictor(source).value.max((1, 2, 3)), largest, atol=1e-5)


def test_more_frames_on_the_command_line(
    run: tuple[Path, Path], tiny: Callable[..., Bundle], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, data = run
    with pytest.raises(SystemExit):
        main(["predict", str(bundle), str(data / "0.npy"), "--future", "13", "--json"])
    assert len(json.loads(capsys.readouterr().out)["mean"]) == 13
    tiny("crnn").save(tmp_path / "reader.safetensors")
    with pytest.raises(SystemExit):
        main(["predict", str(tmp_path / "reader.safetensors"), str(data / "0.npy"), "--future", "2"])
    assert "--future is given for transcribe; expected a network" in " ".join(capsys.readouterr().err.split())


def test_arrays_in_memory(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (6, 5, 12, 12), np.uint8)
    recipe = {"task": {"name": "nowcast"}, "encoder": TINY, "train": {"epochs": 1, "workers": 0, "threads": 1}}
    fitted = crnn.fit(recipe, (frames[:, :3], frames[:, 3:]))
    assert fitted(frames[0, :3]).value.shape == (10, 1, 12, 12)


def test_a_page_shows_truth_and_forecast(run: tuple[Path, Path], tmp_path: Path) -> None:
    bundle, data = run
    page = tmp_path / "a.html"
    with pytest.raises(SystemExit) as stopped:
        main(
            ["test", str(bundle), str(data), "--html", str(page), "--explain", "1", "--json", str(tmp_path / "a.json")]
        )
    assert not stopped.value.code
    text = page.read_text(encoding="utf-8")
    assert "what came, and what was foretold" in text and MOVED in text and "data:image/png" in text
    assert {PERSISTENCE, MOVED} <= json.loads((tmp_path / "a.json").read_text())["baselines"].keys()


def test_check_says_what_is_odd(made: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(0).random((40, 8, 8)).astype(np.float32)
    x[3, 2, 2] = np.nan
    np.save(tmp_path / "a.npy", x)
    with pytest.raises(SystemExit):
        main(["check", "nowcast", str(tmp_path)])
    said = capsys.readouterr()
    assert "not measured" in " ".join((said.out + said.err).split())


def test_colours_and_strips() -> None:
    task = made(scale="rain", space=(2, 2)).task
    x = np.array([0, 0.5, 5, 50], np.float32).reshape(1, 1, 2, 2).repeat(3, 0)
    shown = task.show(Prediction("a", x, 1.0), Stretch(x, x))
    assert shown.count("<img") == 2 and shown.count("data:image/gif") == 1 and "3 frames" in shown
    assert task.show(Prediction("a", x, 1.0), None).count("<img") == 1, "there is nothing beside it"
    assert Image.open(io.BytesIO(crnn.tasks._frames.html.strip_png([task._coloured(x)] * 2))).mode == "RGB"
