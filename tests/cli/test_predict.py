"""``crnn predict``: texts among its sources, and the page that says why."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crnn.cli import main
from crnn.cli.options import reading_of
from crnn.errors import SettingsError
from crnn.tasks import Reading

Made = Callable[..., Any]


def predict(*arguments: str | Path) -> int | None:
    with pytest.raises(SystemExit) as end:
        main(["predict", *map(str, arguments)])
    return end.value.code


@pytest.fixture
def sentences(tiny: Made, tmp_path: Path) -> Path:
    """A bundle that tells sentences apart."""
    tiny("cascade", "classify", "sentence").save(tmp_path / "sentences.safetensors")
    return tmp_path / "sentences.safetensors"


def test_texts_are_given_as_they_are(sentences: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "a word " * 200  # longer than any file's name
    assert predict(sentences, "who wrote this ?", long) in (0, None)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("who wrote this ?\t") and second.startswith(long + "\t")


@pytest.mark.parametrize("arguments", [["-", "--csv"], ["--csv", "-"], ["--csv", "--", "-"]])
def test_names_and_texts_come_from_standard_input(
    arguments: list[str], sentences: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("who wrote this ?\na second text\n"))
    assert predict(sentences, *arguments) in (0, None)
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == [
        "who wrote this ?",
        "a second text",
    ]


def test_an_option_that_is_none_is_no_source(sentences: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict(sentences, "-", "--cvs") not in (0, None)
    assert "--cvs" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_no_text(tiny: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny("cascade", "classify", "sound").save(tmp_path / "sounds.safetensors")
    assert predict(tmp_path / "sounds.safetensors", tmp_path / "bark.wav") == 1
    assert "bark.wav" in capsys.readouterr().err


def test_sounds_are_transcribed_from_files_and_folders(
    tiny: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], made: Callable[..., Path]
) -> None:
    tiny("deepspeech2", "transcribe", "sound").save(tmp_path / "writes.safetensors")
    (tmp_path / "sounds").mkdir()
    for name in ("00", "01"):
        shutil.copy(made("transcribe", "sound") / f"{name}.wav", tmp_path / "sounds")
    (tmp_path / "sounds" / "cover.png").write_bytes(b"not asked for")
    assert predict(tmp_path / "writes.safetensors", tmp_path / "sounds" / "00.wav", "--csv") in (0, None)
    assert predict(tmp_path / "writes.safetensors", tmp_path / "sounds", "--csv") in (0, None)
    names = [Path(line.split(",")[0]).name for line in capsys.readouterr().out.splitlines()]
    assert names == ["00.wav", "00.wav", "01.wav"]


def test_a_folder_of_frames_is_named_as_it_was_given(
    tiny: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny("convlstm", "nowcast", "frames")
    bundle.save(tmp_path / "frames.safetensors")
    film = tmp_path / "film"
    film.mkdir()
    for i in range(bundle.task.settings.past):
        Image.fromarray(np.full((16, 16), 20 * i, np.uint8)).save(film / f"{i}.png")
    assert predict(tmp_path / "frames.safetensors", film) in (0, None)
    assert predict(tmp_path / "frames.safetensors", tmp_path) in (0, None)
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == [str(film)] * 2


def test_groups_of_training_are_not_looked_for_in_what_is_to_be_answered(
    tiny: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], made: Callable[..., Path]
) -> None:
    bundle = tiny("cascade", "classify", "sound")
    bundle.card["parts"] = {"group": "speaker", "answer": "label"}
    bundle.save(tmp_path / "sounds.safetensors")
    sound = next(made("transcribe", "sound").glob("*.wav"))
    assert predict(tmp_path / "sounds.safetensors", sound) in (0, None)
    assert sound.name in capsys.readouterr().out


def test_a_page_shows_what_spoke_for_each_answer(
    sentences: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "why.html"
    assert predict(sentences, "who wrote <b>this</b> ?", "an answer", "--explain", page) in (0, None)
    html, printed = page.read_text(encoding="utf-8"), capsys.readouterr().out
    assert len(printed.splitlines()) == 2
    assert "orange" in html and "&lt;b&gt;this&lt;/b&gt;" in html and "<b>this</b>" not in html


def test_what_else_might_have_been_answered_is_asked_for_by_name(
    sentences: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(sentences, "a text", "--explain", tmp_path / "why.html", "--of", "nobody") not in (0, None)
    assert "nobody" in capsys.readouterr().err
    assert predict(sentences, "a text", "--of", "nobody") not in (0, None)
    assert "--explain" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--beam", "--threads", "--batch-size"])
def test_numbers_below_what_makes_sense_are_said_in_one_sentence(
    option: str, tiny: Made, tmp_path: Path, made: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    tiny("crnn").save(tmp_path / "reader.safetensors")
    assert predict(tmp_path / "reader.safetensors", made("transcribe"), option, "-3") == 2
    said = capsys.readouterr().err
    assert (
        option.strip("-").replace("-", " ") in said.replace("-", " ") and "at least" in said and "Traceback" not in said
    )


def test_options_that_would_do_nothing_are_refused(
    tiny: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny("crnn").save(tmp_path / "reader.safetensors")
    with pytest.raises(SettingsError, match="--lm-weight is given with --beam 0"):
        told = SimpleNamespace(reading=Reading(beam=4, model=Any))
        reading_of(told, {"lm_weight": 2.0, "beam": 0})
    assert predict(tmp_path / "reader.safetensors", "a.png", "--lm-bonus", "5") == 2
    assert "--lm-bonus is given; expected a language model, and the bundle has none" in capsys.readouterr().err
    assert predict(tmp_path / "reader.safetensors", "a.png", "--json", "--out", tmp_path / "texts.csv") == 2
    assert "the name says in which form" in capsys.readouterr().err and not (tmp_path / "texts.csv").exists()
    tiny("unet", "segment", "scene").save(tmp_path / "streets.safetensors")
    assert predict(tmp_path / "streets.safetensors", "a.png", "--out", tmp_path / "out", "--explain", "w.html") == 2
    assert "--explain is given with --out" in capsys.readouterr().err


def test_a_folder_that_is_a_file_is_said_before_anything_is_read(
    tiny: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert predict(tmp_path / "reader.safetensors", "a.png", "--json", "--out", tmp_path / "texts.csv") == 2
    assert "the name says in which form" in capsys.readouterr().err and not (tmp_path / "texts.csv").exists()
    tiny("unet", "segment", "scene").save(tmp_path / "streets.safetensors")
    assert predict(tmp_path / "streets.safetensors", "gone.png", "--out", tmp_path / "file") == 2
    tiny("crnn").save(tmp_path / "reader.safetensors")
    assert predict(tmp_path / "reader.safetensors", "gone.png", "--out", tmp_path / "file" / "below") == 2
    for verb in ("train", "compare"):
        with pytest.raises(SystemExit) as end:
            main([verb, "classify", "--data", str(tmp_path / "gone"), "--out", str(tmp_path / "file" / "below")])
        assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.count("cannot be written") == 4 and "gone" not in said


def test_a_folder_for_work_that_fails_does_not_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "classify", "--data", str(tmp_path / "gone"), "--out", str(tmp_path / "run")])
    assert "gone" in capsys.readouterr().err and not (tmp_path / "run").exists()
