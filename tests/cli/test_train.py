"""``crnn train`` as it is typed: what it says while it learns, and when it goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crnn.cli import main
from crnn.cli.options import recipe_of

TINY = ("--set", "encoder.channels=[4]", "--set", "encoder.hidden=4", "--workers", 0, "--threads", 1, "--device", "cpu")


def crnn(*words: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


def test_files_that_turn_out_broken_are_named_and_a_run_that_is_done_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    for name in ("dark", "light"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(6):
            x = random.integers(0, 128, (12, 12), np.uint8) + (128 if name == "light" else 0)
            Image.fromarray(x.astype(np.uint8)).save(tmp_path / "data" / name / f"{i}.png")
    broken = tmp_path / "data" / "dark" / "3.png"
    broken.write_bytes(broken.read_bytes()[:-60])  # its head is whole
    run = tmp_path / "run"
    assert crnn("train", "classify", "--data", tmp_path / "data", "--out", run, "--epochs", 1, *TINY) == 0
    said = capsys.readouterr().err
    assert "1 samples could not be read" in said and f"{broken}: cannot be decoded" in said
    (tmp_path / "data" / "light").rename(tmp_path / "data" / "bright")
    assert crnn("test", run, tmp_path / "data") == 0  # labels that the network has never seen are told
    said = capsys.readouterr().err
    assert "6 of 11 samples have an answer that the network cannot give" in said
    assert "the first: bright/0.png: has the label 'bright'; expected one of the 2 labels" in said
    assert "The network learned from these data" in said
    assert crnn("test", run, tmp_path / "data", "--split", "test") == 2
    said = capsys.readouterr().err
    assert "names no splits, and 'test' is asked for; expected data with splits. Leave --split out to test all." in said
    (tmp_path / "data" / "bright").rename(tmp_path / "data" / "light")
    assert crnn("train", "--resume", run) == 0
    said = capsys.readouterr().err
    assert f"all its epochs (1) are done; to learn on: crnn train ... --start {run}" in said


@pytest.mark.parametrize(
    ("also", "named"),
    [
        (["--epochs", 3], "epochs"),
        (["classify"], "recipe"),
        (["--data", "more"], "data"),
        (["--learning-rate", 1], "learning-rate"),
        (["--set", "train.epochs=3"], "set"),
    ],
)
def test_a_run_that_goes_on_is_told_nothing_else(
    also: list[object], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crnn("train", "--resume", tmp_path, *also) == 2
    expected = f"--resume {tmp_path} is given with {named}; expected nothing else: a run goes on as it began. Leave it"
    assert expected in capsys.readouterr().err


def test_the_recipes_own_model_keeps_its_settings(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('[task]\nname = "classify"\n[encoder]\nname = "cascade"\nhidden = 7\n')
    given = {"data": None, "settings": None, "train": None, "others": None}
    encoders = [recipe_of(str(tmp_path / "r.toml"), model=model, **given).encoder for model in ("cascade", "tcn")]
    assert encoders == [{"name": "cascade", "hidden": 7}, {"name": "tcn"}]
