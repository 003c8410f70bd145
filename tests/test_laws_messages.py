"""The law of messages: whatever a user gets wrong, the answer names it, what was expected, and what to do."""

from __future__ import annotations

import json
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.numpy import save_file
from safetensors.torch import load_file
from safetensors.torch import save_file as save_tensors

import crnn
from crnn import bundle as bundles
from crnn.bundle import Bundle
from crnn.cli import main
from crnn.config import fill
from crnn.data.formats import open_data
from crnn.deploy.predict import Predictor
from crnn.errors import BundleError, CrnnError, DataError, SettingsError, TrainingError
from crnn.recipe import Recipe, read_recipe
from crnn.train.fit import fit
from crnn.types import Sample

Made = Callable[[str], Path]


@pytest.fixture
def good(tiny: Callable[..., Bundle], tmp_path: Path) -> Path:
    """A bundle that is in order."""
    tiny("crnn").save(tmp_path / "good.safetensors")
    return tmp_path / "good.safetensors"


def said(caught: pytest.ExceptionInfo[Any], *words: str, do: str, file: object = None) -> None:
    """The message names the file, has all of ``words`` in order, then advice with ``do`` in it; and is one sentence or
    two of text, nothing that only a programmer could read."""
    error = caught.value
    assert isinstance(error, CrnnError)
    text, place = str(error), 0
    if file is not None:
        assert text.startswith(f"{file}: "), text
    for word in words:
        place = text.find(word, place)
        assert place >= 0, f"{word!r} is not said, or not there: {text}"
    assert do.lower() in error.do.lower() and error.do in text, text
    assert error.given and error.expected and f"{error.given}; expected {error.expected}. {error.do}" in text
    assert error.do[-1:] in (".", "?") or ": crnn " in error.do, f"neither a sentence nor a command: {error.do}"
    assert "Traceback" not in text and "\n" not in text and "Error(" not in text and "PosixPath" not in text


# pictures


def truncated(path: Path) -> None:
    Image.effect_noise((400, 64), 80).save(path)
    path.write_bytes(path.read_bytes()[:3000])


def no_picture(path: Path) -> None:
    path.write_text("This is a text.\n")


def huge(path: Path) -> None:
    """A picture that says it has 30,000 x 30,000 pixels, of which there are none: nobody should get as far as that."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)))
    with path.open("ab") as file:
        file.write(struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))


def too_long(path: Path) -> None:
    Image.new("L", (9000, 16), 255).save(path)


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def not_there(path: Path) -> None:
    assert not path.exists()


PICTURES = {
    "truncated.jpg": (truncated, ("cannot be decoded", "truncated", "expected a whole picture"), "copy it again"),
    "empty.png": (nothing, ("holds 0 bytes", "expected a PNG"), "copy it again"),
    "text.png": (no_picture, ("is not a picture", "expected a PNG"), "copy it again"),
    "huge.png": (huge, ("is too large", "expected at most 80 million pixels"), "scale it down"),
    "long.png": (too_long, ("9000 x 16", "expected a picture of one line, at most 6000"), "input.longest"),
    "gone.png": (not_there, ("is not there", "expected a picture"), "check the path"),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("door", ["call", "stream", "command"])
def test_pictures_that_cannot_be_read(
    name: str, door: str, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write, words, do = PICTURES[name]
    path = tmp_path / name
    write(path)
    if door == "command":
        with pytest.raises(SystemExit) as stopped:
            main(["predict", str(good), str(path)])
        assert stopped.value.code in (1, 2)
        shown = " ".join(capsys.readouterr().err.split())
        assert name in shown and "Traceback" not in shown
        return
    predictor = Predictor(good, precision="float32")
    with pytest.raises(DataError) as caught:
        if door == "call":
            predictor(str(path))
        for answer in predictor.stream([Sample(str(path), path)]):
            assert isinstance(answer, CrnnError), "a stream hands the error on, the others are answered"
            raise answer
    said(caught, *words, do=do, file=path)


def test_a_line_one_pixel_wide_is_answered(good: Path, tmp_path: Path) -> None:
    for width, height in ((1, 16), (1, 500), (3, 16), (16, 1)):
        Image.new("L", (width, height), 255).save(tmp_path / "thin.png")
        answer = crnn.load(good, precision="float32")(tmp_path / "thin.png")
        assert 0 <= answer.score <= 1
        assert all(0 <= part.start <= part.stop <= width + 1e-6 for part in answer.parts)


@pytest.mark.parametrize("source", [np.zeros((4, 5)), np.zeros((2, 0), np.uint8), 7, None])
def test_what_is_no_source_at_all(source: Any, good: Path) -> None:
    with pytest.raises(DataError) as caught:
        Predictor(good, precision="float32")(source)
    said(caught, "expected a path, or uint8", do="convert it")


# data


def test_a_table_names_a_picture_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text("image,text\nmissing.png,one\n")
    with pytest.raises(DataError) as caught:
        open_data(tmp_path / "lines.csv")
    said(caught, "line 2", "'missing.png'", "not there", "expected a file in", do="copy", file=tmp_path / "lines.csv")


def test_data_that_are_not_there_and_no_data_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        open_data(tmp_path / "nowhere")
    said(caught, "is not there", "expected a file or folder", do="check the path", file=tmp_path / "nowhere")
    with pytest.raises(DataError) as caught:
        open_data(tmp_path)
    said(caught, "holds no files", "pairs: pictures", do="check the path", file=tmp_path)
    with pytest.raises(SettingsError) as missing:
        crnn.fit({}, tmp_path / "run")
    said(missing, "no data", "expected a folder or table", do="--data")


def test_a_letter_that_the_bundle_lacks(good: Path, tmp_path: Path) -> None:
    task = crnn.load(good, precision="float32").task
    error = task.problem(Sample("a.png", tmp_path / "a.png", "bexq"))
    with pytest.raises(DataError) as caught:
        raise error
    said(caught, "the letters 'q' 'x'", "expected the", "letters", do="add lines with them", file="a.png")
    with pytest.raises(DataError) as caught:
        task.alphabet.encode("bexq")
    said(caught, "'bexq'", "'q' 'x'", "expected only the", do="larger alphabet")


def test_a_text_too_long_for_its_picture_and_no_text(good: Path) -> None:
    task = crnn.load(good, precision="float32").task
    for sample, steps, words, do in (
        (Sample("a.png", None, "aa"), 2, ("gives 2 time steps", "needs 3", "'aa'", "expected at least"), "stride"),
        (Sample("a.png", None, " "), 9, ("has no text", "expected a transcription"), "drop the line"),
        (Sample("a.png", None, None), 9, ("has no text", "expected a transcription"), "drop the line"),
    ):
        with pytest.raises(DataError) as caught:
            raise task.problem(sample, steps)
        said(caught, *words, do=do, file="a.png")


def test_training_where_nothing_can_be_used(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(b"")
        (tmp_path / f"{i}.gt.txt").write_text("one")
    with pytest.raises(DataError) as caught:
        crnn.fit({"data": {"train": str(tmp_path)}}, tmp_path / "run")
    said(caught, "no sample that can be used", "png: holds 0 bytes", do="crnn check", file=tmp_path)


# bundles


def edited(good: Path, change: Callable[[dict[str, torch.Tensor], dict[str, Any]], object]) -> None:
    with bundles.safe_open(good, framework="pt") as file:
        values = json.loads(file.metadata()["crnn"])
    state = load_file(good)
    del values[bundles.CHECKSUM]  # else nothing but that is said
    change(state, values)
    save_tensors(state, good, metadata={"crnn": json.dumps(values)})


def first(state: dict[str, torch.Tensor]) -> str:
    return next(name for name in state if name.endswith("weight"))


BUNDLES: dict[str, tuple[Callable[[Path], Any], tuple[str, ...], str]] = {
    "damaged": (
        lambda p: p.write_bytes(p.read_bytes()[:-100]),
        ("cannot be read", "expected a bundle"),
        "written by crnn train",
    ),
    "one bit": (
        lambda p: p.write_bytes((b := p.read_bytes())[:-9] + bytes([b[-9] ^ 1]) + b[-8:]),
        ("weights are not those that were written", "expected the same to the bit"),
        "from its source again",
    ),
    "empty": (lambda p: p.write_bytes(b""), ("cannot be read", "expected a bundle"), "written by crnn train"),
    "text": (lambda p: p.write_text("hello"), ("cannot be read", "expected a bundle"), "written by crnn train"),
    "pickle": (
        lambda p: p.write_bytes(pickle.dumps({"w": 1})),
        ("cannot be read", "expected a bundle"),
        "written by crnn train",
    ),
    "checkpoint": (
        lambda p: torch.save({"w": torch.zeros(3)}, p),
        ("cannot be read", "expected a bundle"),
        "written by crnn train",
    ),
    "foreign": (
        lambda p: save_file({"w": np.zeros(3, np.float32)}, p),
        ("holds weights but no settings", "expected a bundle of crnn"),
        "another program",
    ),
    "missing weight": (
        lambda p: edited(p, lambda s, v: s.pop(first(s))),
        ("its weights", ".weight do not fit", "expected the weights that its settings ask for"),
        "take it from its source again",
    ),
    "surplus weight": (
        lambda p: edited(p, lambda s, v: s.update(surplus=torch.zeros(1))),
        ("its weights surplus do not fit", "expected"),
        "take it from its source again",
    ),
    "wrong shape": (
        lambda p: edited(p, lambda s, v: s.update({first(s): torch.zeros(2, 2)})),
        ("its weights", ".weight do not fit", "expected"),
        "take it from its source again",
    ),
    "not finite": (
        lambda p: edited(p, lambda s, v: s[first(s)].view(-1)[:1].fill_(float("nan"))),
        ("its weights", "not finite", "expected numbers"),
        "train again",
    ),
    "wrong version": (
        lambda p: edited(p, lambda s, v: v.update(format=999)),
        ("has the format 999", "expected format 1 or 2"),
        "update",
    ),
    "unknown model": (
        lambda p: edited(p, lambda s, v: v["encoder"].update(name="crn")),
        ("model 'crn' is not known", "Did you mean 'crnn'?"),
        "",
    ),
    "unknown setting": (
        lambda p: edited(p, lambda s, v: v["encoder"].update(hiden=3)),
        ("'hiden'", "Did you mean 'hidden'?"),
        "",
    ),
    "settings of another kind": (lambda p: edited(p, lambda s, v: v.update(task=[1])), ("settings",), ""),
    "nothing learned": (lambda p: edited(p, lambda s, v: v.pop("learned")), ("settings", "learned"), ""),
    "settings are a list": (
        lambda p: save_file({"w": np.zeros(3, np.float32)}, p, metadata={"crnn": "[1]"}),
        ("settings",),
        "",
    ),
    "settings are no JSON": (
        lambda p: save_file({"w": np.zeros(3, np.float32)}, p, metadata={"crnn": "{"}),
        ("settings",),
        "",
    ),
}


@pytest.mark.parametrize("name", BUNDLES)
def test_bundles_that_are_damaged_or_foreign(name: str, good: Path) -> None:
    spoil, words, do = BUNDLES[name]
    crnn.load(good, precision="float32")
    spoil(good)
    with pytest.raises(BundleError) as caught:
        crnn.load(good)
    said(caught, *words, do=do, file=good)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "sprung",)

    for write in (pickle.dump, torch.save):
        with (tmp_path / "trap.safetensors").open("wb") as file:
            write(Trap(), file)
        with pytest.raises(BundleError):
            crnn.load(tmp_path / "trap.safetensors")
    assert not (tmp_path / "sprung").exists()


def test_bundles_that_are_not_there(tmp_path: Path) -> None:
    for name, file in (("gone.safetensors", "gone.safetensors"), ("", "bundle.safetensors")):
        with pytest.raises(BundleError) as caught:
            crnn.load(tmp_path / name)
        said(caught, "is not there", "expected a run folder", do="check the path", file=tmp_path / file)
    with pytest.raises(BundleError) as caught:
        crnn.load("zoo:nosuchreader")
    said(caught, "'zoo:nosuchreader'", "expected a bundle of the zoo", do="")


# settings


@pytest.mark.parametrize(
    ("recipe", "words", "do"),
    [
        ({"task": {"name": "transcibe"}}, ("task 'transcibe' is not known", "name of a task"), "mean 'transcribe'?"),
        ({"encoder": {"name": "crnn_vg"}}, ("model 'crnn_vg' is not known", "name of a model"), "mean 'crnn_vgg'?"),
        ({"input": {"name": "lien"}}, ("kind of input 'lien' is not known",), "mean 'line'?"),
        ({"data": {"format": "pair"}}, ("format 'pair' is not known", "name of a format"), "mean 'pairs'?"),
        ({"encoder": {"hiden": 3}}, ("[encoder] has the key 'hiden'", "expected a known key"), "mean 'hidden'?"),
        ({"augment": {"slent": 3.0}}, ("[augment] has the key 'slent'", "expected a known key"), "mean 'slant'?"),
        ({"train": {"epoch": 3}}, ("has the key 'epoch'", "expected a known key"), "mean 'epochs'?"),
        ({"trein": {"epochs": 3}}, ("has the key 'trein'", "expected a known key"), "mean 'train'?"),
        ({"train": {"epochs": "3"}}, ("train.epochs is '3'", "expected a whole number"), "change it"),
        ({"train": {"epochs": True}}, ("train.epochs is True", "expected a whole number"), "change it"),
        ({"encoder": {"channels": 32}}, ("encoder.channels is 32", "expected"), "change it"),
        ({"encoder": {"stride": 5}}, ("encoder.stride is 5", "expected one of 4, 6, 8"), "change it"),
        ({"train": {"precision": "half"}}, ("'half'", "expected one of 'auto', 'float32', 'bfloat16'"), "change it"),
        ({"input": {"height": 50}}, ("line height is 50", "expected a multiple of 16"), "input.height to 48"),
    ],
)
def test_settings_that_make_no_sense(recipe: dict[str, Any], words: Any, do: str, made: Made, tmp_path: Path) -> None:
    values = {name: dict(table) for name, table in recipe.items()}
    values.setdefault("data", {})["train"] = str(made("transcribe"))
    with pytest.raises(SettingsError) as caught:
        fit(fill(Recipe, values), tmp_path / "run", console=Console(quiet=True))
    said(caught, *words, do=do)


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("train", "epochs", 0),
        ("train", "batch_size", 0),
        ("train", "learning_rate", -1.0),
        ("train", "workers", -1),
        ("train", "threads", -1),
        ("train", "seed", -1),
        ("train", "validate_every", 0),
        ("data", "valid_share", 2.0),
        ("encoder", "hidden", 0),
        ("encoder", "layers", 0),
        ("encoder", "channels", [8, 12]),
        ("encoder", "dropout", 1.5),
        ("input", "height", 0),
        ("augment", "noise", -3.0),
    ],
)
def test_numbers_out_of_range(table: str, key: str, value: Any, made: Made, tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "input": {"height": 16},
        "encoder": {"channels": [4, 4, 4, 4], "hidden": 4},
        "data": {"train": str(made("transcribe"))},
        "train": {"epochs": 1, "workers": 0, "threads": 1, "precision": "float32"},
    }
    values[table] = {**values.get(table, {}), key: value}
    with pytest.raises(SettingsError) as caught:
        fit(fill(Recipe, values), tmp_path / "run", console=Console(quiet=True))
    said(caught, f"{key} is {value}", "expected", do="")


def test_a_loss_that_is_not_finite_names_the_files(made: Made, tmp_path: Path) -> None:
    values = {
        "input": {"height": 16},
        "encoder": {"channels": [4, 4, 4, 4], "hidden": 4},
        "data": {"train": str(made("transcribe"))},
        "train": {"epochs": 9, "workers": 0, "threads": 1, "precision": "float32", "learning_rate": 1e30, "warmup": 1},
    }
    with pytest.raises(TrainingError) as caught:
        fit(fill(Recipe, values), tmp_path / "run", console=Console(quiet=True))
    said(caught, "the loss is", "epoch", ".png", "expected a finite number", do="halve train.learning_rate")


def of_classes(folder: Path, **classes: int) -> Path:
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.effect_noise((8, 8), 20 + i).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.parametrize(
    ("classes", "recipe", "words", "do"),
    [
        ({"cat": 4}, {}, ("all samples are of the class 'cat'", "expected two classes"), "right folder is given"),
        ({}, {}, ("holds no files", "folders: a folder for each class"), "check the path"),
        (
            {"cat": 3, "dog": 3},
            {"encoder": {"name": "crnn"}, "input": {"name": "picture"}},
            ("model 'crnn'",),
            "crnn models",
        ),
        (
            {"cat": 3, "dog": 3},
            {"input": {"name": "pictur"}},
            ("kind of input 'pictur' is not known",),
            "mean 'picture'?",
        ),
        ({"cat": 3, "dog": 3}, {"input": {"views": "ten"}}, ("input.crop is 0",), "set input.crop"),
        ({"cat": 3, "dog": 3}, {"task": {"pool": "sum"}}, ("task.pool is 'sum'", "'attention'"), "change it"),
        ({"cat": 3, "dog": 3}, {"data": {"group": "speaker"}}, ("'speaker' is no column", "finds nothing"), "--group"),
        ({"cat": 3, "dog": 3}, {"data": {"folds": 9}}, ("fold 1 of 9 is asked of 6 groups",), "data.folds"),
        ({"cat": 3, "dog": 3}, {"task": {"name": "tag"}}, ("no sample has an event",), "onset"),
    ],
)
def test_classes_that_cannot_be_learned(
    classes: dict[str, int], recipe: dict[str, Any], words: Any, do: str, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    values = {name: dict(table) for name, table in recipe.items()}
    values["task"] = {"name": "classify"} | values.get("task", {})
    values["data"] = values.get("data", {}) | {"train": str(of_classes(tmp_path / "data", **classes))}
    with pytest.raises(CrnnError) as caught:
        fit(fill(Recipe, values), tmp_path / "run", console=Console(quiet=True))
    said(caught, *words, do=do)


def test_an_empty_class_and_a_class_with_one_sample_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = of_classes(tmp_path / "data", cat=6, dog=6, rare=1, none=0)
    with pytest.raises(SystemExit) as stopped:
        main(["check", "classify", str(data)])
    shown = " ".join(capsys.readouterr().out.split())
    assert stopped.value.code == 0 and "none holds nothing that can be read" in shown
    assert "is the only one of the class 'rare' in the training part" in shown


def test_recipes_that_are_broken(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    for content, words, do in (
        ("[task\n", ("is not TOML", "line 1", "expected a recipe"), "mend that line"),
        (b"\xff\xfe[", ("is not TOML", "expected a recipe"), "mend"),
        ("[train]\nepochs = 'x'\n", ("recipe.toml: train.epochs is 'x'", "expected a whole number"), "change it"),
        ("tasks = 3\n", ("recipe.toml: the recipe has the key 'tasks'",), "mean 'task'?"),
        ("task = 3\n", ("recipe.toml: task is 3", "expected"), "change it"),
    ):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(SettingsError) as caught:
            crnn.fit(path, tmp_path / "run")
        said(caught, "recipe.toml", do=do)
        said(caught, *words, do=do)
    with pytest.raises(SettingsError) as caught:
        read_recipe(tmp_path / "gone.toml")
    said(caught, "cannot be read", "expected a recipe (TOML)", do="check the path", file=tmp_path / "gone.toml")


def test_runs_that_hold_a_run_or_none(made: Made, tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"")
    with pytest.raises(SettingsError) as caught:
        crnn.fit({"data": {"train": str(made("transcribe"))}}, tmp_path)
    said(caught, str(tmp_path), "holds a run", "expected a new folder", do=f"crnn train --resume {tmp_path}")
    (tmp_path / "last.ckpt").unlink()
    with pytest.raises(SettingsError) as caught:
        crnn.fit({}, tmp_path, resume=True)
    said(caught, "cannot be resumed: it holds no run", "expected a run folder", do="train anew", file=tmp_path)


def test_a_run_that_was_stopped_in_its_first_epoch(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text('{"recipe": {}, "start": null}')
    with pytest.raises(SettingsError) as caught:
        crnn.fit({}, tmp_path, resume=True)
    said(caught, "no epoch was finished", "expected a run folder", do="train anew", file=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "gone.safetensors", "a.png"], ("gone.safetensors: is not there; expected a run folder",)),
        (["train", "transcibe"], ("'transcibe'; expected a recipe (.toml) or a task", "Did you mean 'transcribe'?")),
        (["train", "gone.toml"], ("gone.toml: cannot be read", "expected a recipe")),
        (["train", "--set", "epochs"], ("--set 'epochs'; expected TABLE.KEY=VALUE",)),
    ],
)
def test_the_command_answers_in_one_sentence(
    arguments: list[str], words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    shown = capsys.readouterr().err
    assert stopped.value.code == 2 and shown.startswith("crnn: ") and shown.count("\n") == 1
    assert all(word in shown for word in words), shown
