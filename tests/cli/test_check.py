"""``crnn check`` as a user sees it: what is printed, what is written, and the exit code."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from crnn.bundle import build
from crnn.cli import main
from crnn.cli.check import report
from crnn.recipe import DataSettings, Recipe
from crnn.tasks import TASKS
from crnn.types import Sample

ENCODER = {"name": "crnn", "channels": [4, 4, 4, 4], "blocks": [0, 0, 0, 0], "hidden": 8, "stride": 8}


def add(folder: Path, name: str, text: str) -> None:
    """A made line, 24 columns a letter."""
    x = np.full((32, 24 * len(text) + 24), 225, dtype=np.uint8)
    x[:, 16::24] = 40
    x[np.random.default_rng([*os.fsencode(name)]).integers(0, 32, 8), 12:-12] = 40
    (folder / name).parent.mkdir(exist_ok=True)
    Image.fromarray(x).save(folder / name)
    (folder / name).with_suffix(".gt.txt").write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(12):
        add(tmp_path, f"{'valid' if i < 3 else 'train'}/{i:02}.png", "abcdef"[: 4 + i % 3] + "ef" * (i % 4))
    return tmp_path


def run(folder: Path, width: int = 200, **options: object) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=width)
    recipe = Recipe(data=DataSettings(train=str(folder)), input={"height": 32}, encoder=ENCODER)
    code = report(recipe, console, **options)  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return code, console.file.getvalue()


def test_a_clean_set(folder: Path) -> None:
    code, said = run(folder)
    assert code == 0
    assert said.endswith(
        "Training would work: 9 samples to learn from, 3 to choose the best network by; nothing looks wrong.\n"
    )
    assert "warning" not in said and "error" not in said
    rows = {line.split("  ")[0]: line.split()[-2:] for line in said.splitlines()}
    assert rows["samples"] == rows["usable"] == ["9", "3"]
    assert {"groups", "columns, least", "columns, median", "columns, most", "letters", "steps a letter"} < rows.keys()
    assert "letters of the alphabet: 6" in said


def test_findings_are_grouped_and_cut(folder: Path) -> None:
    for i in range(3, 7):
        (folder / f"train/{i:02}.png").write_bytes(b"")
    code, said = run(folder, most=2)
    assert code == 0
    assert "unreadable (4): Expected: a PNG, JPEG, WebP, TIFF or BMP file. Copy it again" in said
    assert said.count("holds 0 bytes") == 2 and "and 2 more (--all shows them)" in said
    assert "Training would work: 5 samples to learn from" in said
    assert "4 errors. First (unreadable): Copy it again" in said
    assert run(folder, most=0)[1].count("holds 0 bytes") == 4


def test_training_would_fail(folder: Path) -> None:
    for i in range(3):
        (folder / f"valid/{i:02}.png").write_bytes(b"")
    code, said = run(folder)
    assert code == 1
    assert "Training would fail: the validation part holds no sample that can be used. First (unreadable): Copy" in said


def test_no_data(tmp_path: Path) -> None:
    code, said = run(tmp_path / "none")
    assert code == 1 and f"Training would fail: {tmp_path / 'none'} is not there" in said


def test_all_findings_as_json_lines(folder: Path, tmp_path: Path) -> None:
    (folder / "train/05.png").write_bytes(b"")
    (folder / "train/06.gt.txt").write_text("abcdé ", encoding="utf-8")
    out = tmp_path / "deep" / "out.jsonl"
    _, said = run(folder, out=out, most=1)
    assert str(out) in said
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert rows[0] == {
        **{"severity": "error", "kind": "unreadable", "file": "train/05.png", "sentence": "holds 0 bytes"},
        **{"do": "Copy it again or take it out of the data.", "split": "train"},
        **{"expected": "a PNG, JPEG, WebP, TIFF or BMP file"},
    }
    assert {row["kind"] for row in rows} >= {"unreadable", "surplus spaces", "letters seen once"}
    assert "É" in next(row["sentence"] for row in rows if row["kind"] == "letters seen once").upper()


def test_texts_cannot_steer_the_terminal(folder: Path) -> None:
    add(folder, "train/[red]x.png", "a\x1b[31m&amp;[bold]b")
    _, said = run(folder)
    assert "\x1b" not in said and "[bold]" in said and "train/[red]x.png" in said and "U+001B" in said


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode elsewhere")
def test_names_that_are_not_utf8(folder: Path, tmp_path: Path) -> None:
    source = folder / "train/05.png"
    name = os.fsdecode(b"caf\xe9.png")
    source.rename(source.with_name(name))  # without its text: left out while reading, by its path
    (folder / "train/06.png").rename(source.with_name("é" + name))
    (folder / "train/06.gt.txt").rename(source.with_name("é" + name).with_suffix(".gt.txt"))
    source.with_name("é" + name).write_bytes(b"")
    _, said = run(folder, out=tmp_path / "out.jsonl")
    said.encode("utf-8")
    assert "train/caf\\udce9.png has no text" in said and "train/écaf\\udce9.png holds 0 bytes" in said
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["sentence"] for row in rows} >= {"has no text", "holds 0 bytes"}


def test_a_narrow_terminal(folder: Path) -> None:
    (folder / "train/05.png").write_bytes(b"")
    _, said = run(folder, width=60)
    assert "    train/05.png holds 0 bytes\n" in said  # findings stay on a line, so that they can be searched


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["check", *arguments])
    return int(left.value.code or 0)


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["--set", "encoder.hidden=8", "--set", "input.height=32"]
    assert command("transcribe", "--data", str(folder), *settings) == 0
    assert "Training would work" in capsys.readouterr().out
    for path in folder.glob("train/*.png"):
        path.write_bytes(b"")
    out = tmp_path / "out.jsonl"
    assert command("transcribe", "--data", str(folder), "--all", "--out", str(out), *settings) == 1
    assert len(out.read_text().splitlines()) == 9
    assert command("transcribe") == 2
    assert "no data" in capsys.readouterr().err


def test_the_command_before_fine_tuning(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = TASKS["transcribe"].learn(TASKS["transcribe"].Settings(), [Sample("a", None, "xyz")])
    build(task, {"name": "line", "height": 32}, ENCODER).save(tmp_path / "start.safetensors")
    assert command("transcribe", "--data", str(folder), "--start", str(tmp_path / "start.safetensors")) == 0
    assert "letters of the alphabet: 9" in capsys.readouterr().out
