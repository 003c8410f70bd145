"""``crnn models`` and ``crnn show``: what a person reads, and what is answered to a mistake."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from cyclopts import App
from rich.console import Console

from crnn.bundle import build
from crnn.cli.show import models, show
from crnn.errors import BundleError, SettingsError
from crnn.models import MODELS
from crnn.tasks.transcribe import Transcribe

SMALL = ["encoder.hidden=8", "encoder.channels=[2, 3, 4, 5, 6, 7, 8]"]


def printed(call: Callable[..., None], *values: Any, width: int = 140, **options: Any) -> str:
    screen = Console(file=StringIO(), width=width)
    call(*values, **options, console=screen)
    return screen.file.getvalue()  # type: ignore[attr-defined]


def test_models_says_of_each_who_made_it_what_it_reads_and_its_size() -> None:
    text = printed(models, width=240)
    rows = {line.split()[0]: line for line in text.splitlines() if line.split() and line.split()[0] in MODELS}
    assert set(rows) == set(MODELS)
    for row in rows.values():
        assert row.rstrip().endswith(".") and row.count("(") == row.count(")"), row
    assert rows["crnn_htr"].split()[1:4] == ["line", "128", "9,591,728"]
    assert rows["crnn_vgg"].split()[1:4] == ["line", "32", "8,353,360"]
    assert "Shi, Bai & Yao 2015" in text and "Puigcerver 2017" in text


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("width", [80, 140])
def test_show_any_model_without_further_words(name: str, width: int) -> None:
    text = printed(show, name, steps=10, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert text.startswith(f"{name}\n") and "mult-adds" in text
    own = "encoder.pyramid" if name == "pyramid" else "encoder.last"
    last = own if getattr(MODELS[name], "answers", False) else "head.linear"
    assert (last in text) == (width > 100)


def test_show_the_published_network() -> None:
    text = printed(show, "crnn_vgg", height=32, outputs=37, steps=100)
    (total,) = (line for line in text.splitlines() if line.startswith("whole network"))
    assert "8,331,301" in total
    assert "26×37" in text and "1000×" not in text


def test_a_forecast_of_columns_reads_them() -> None:
    text = printed(show, "tcn", task="forecast", outputs=5, steps=20, settings=["encoder.channels=[4]"])
    assert "20×5" in text and "5×24" in text
    text = printed(show, "tcn", task="forecast", outputs=2, steps=20, settings=["input.channels=3"])
    assert "20×3" in text, "columns that are only read"


def test_what_is_not_run_is_said_to_be_so() -> None:
    options = {"task": "match", "steps": 8, "settings": ["encoder.channels=[4]", "encoder.hidden=4"]}
    text = printed(show, "cascade", **options)
    assert "not run here" in text and "sentence of a pair" in text


def test_settings_are_applied(tmp_path: Path) -> None:
    file = tmp_path / "drawings" / "net.svg"
    text = printed(show, "crnn_vgg", steps=30, settings=[*SMALL, "input.height=48"], svg=file)
    assert "channels 2-3-4-5-6-7-8, hidden 8" in text and "30×1×48" in text and "LSTM 8 →" in text
    assert str(file) in text.replace("\n", "")
    assert ElementTree.fromstring(file.read_text(encoding="utf-8")).tag.endswith("svg")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a small bundle."""
    task = Transcribe.restore(Transcribe.Settings(), {"letters": "abcd"})
    bundle = build(task, {"height": 32}, {"name": "crnn_vgg", "hidden": 8, "channels": [2, 3, 4, 5, 6, 7, 8]})
    bundle.card = {
        **{"licence": "CC0 [bold]", "source": "https://example.org/lines", "train_seconds": 12.5, "epoch": 3},
        **{"valid": {"cer": 0.0123, "wer": 0.2}, "samples": {"train": 1200, "valid": 90}},
    }
    bundle.save(tmp_path / "mine" / "bundle.safetensors")
    return tmp_path / "mine"


def test_show_a_bundle_with_what_is_known_of_it(run: Path) -> None:
    for name in (run, run / "bundle.safetensors"):
        text = printed(show, str(name), steps=50)
        for words in (
            *("crnn_vgg: the first CRNN", "hidden 8", "transcribe", "4 letters, NFC, ltr", "CER 1.23 %  WER 20.00 %"),
            *("CC0 [bold]", "https://example.org/lines", "train 1,200, valid 90", "50×1×32"),
        ):
            assert words in text


def test_a_bundle_without_figures_is_shown_too(run: Path) -> None:
    task = Transcribe.restore(Transcribe.Settings(), {"letters": "abcd"})
    build(task, {"height": 16}, {"name": "crnn", "hidden": 4}).save(run / "bare.safetensors")
    text = printed(show, str(run / "bare.safetensors"), steps=20)
    assert "not given" in text and "validation" not in text


@pytest.mark.parametrize(
    ("name", "options", "error", "words"),
    [
        ("crnn_vg", {}, SettingsError, "neither a model nor a file.*Did you mean 'crnn_vgg'"),
        ("zoo:no_such", {}, BundleError, "not in the zoo"),
        ("runs/nowhere", {}, BundleError, "runs/nowhere: is not there"),
        ("crnn_vgg", {"height": 20}, SettingsError, "line height is 20.*Set input.height to 32"),
        ("crnn_vgg", {"outputs": 1}, SettingsError, "outputs is 1"),
        ("crnn_vgg", {"outputs": 1_000_000}, SettingsError, "outputs is 1000000"),
        ("crnn_vgg", {"steps": 0}, SettingsError, "steps is 0"),
        ("crnn_vgg", {"kind": "sound"}, SettingsError, "the kind 'sound'; expected what it reads: line.*--kind sound"),
        ("crnn_vgg", {"kind": "soud"}, SettingsError, "kind of input 'soud' is not known.*Did you mean 'sound'"),
        ("crnn_vgg", {"settings": ["encoder.hiden=3"]}, SettingsError, "'hiden'.*Did you mean 'hidden'"),
        ("crnn_vgg", {"settings": ["train.epochs=3"]}, SettingsError, "--set train.*encoder, input"),
        ("crnn_vgg", {"settings": ["encoder.name='crnn'"]}, SettingsError, "crnn show crnn"),
    ],
)
def test_mistakes_are_answered(name: str, options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        printed(show, name, **options)


def test_a_bundle_has_its_sizes(run: Path) -> None:
    for options in ({"height": 64}, {"settings": SMALL}, {"outputs": 5}):
        with pytest.raises(SettingsError, match="sizes are fixed"):
            printed(show, str(run), **options)


def test_both_are_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = App(result_action="return_value")
    app.command(models)
    app.command(show)
    app(["models"])
    assert "8,353,360" in capsys.readouterr().out
    options = ["--outputs", "5", "--steps", "20", "--set", "encoder.hidden=4", "--svg", str(tmp_path / "a.svg")]
    app(["show", "crnn_vgg", *options])
    assert "LSTM 4 →" in capsys.readouterr().out
    assert (tmp_path / "a.svg").is_file()


def test_a_scene_is_one_picture() -> None:
    """A thousand of its frames would take minutes."""
    text = printed(show, "rcnn_pinheiro")
    assert "1×" in text and "1000×" not in text
    assert "64×3×64" in printed(show, "nin")
