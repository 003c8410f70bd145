"""Search in a folder: what is looked at anew, and what the command and Python say."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crnn
from crnn.bundle import Bundle
from crnn.cli import main
from crnn.decode.snippets import assign
from crnn.deploy.index import NAME, refreshed, search
from crnn.deploy.predict import Predictor
from crnn.errors import CrnnError, DataError, SettingsError

Tiny = Callable[..., Bundle]


@pytest.fixture
def folder(made: Callable[..., Path], tmp_path: Path) -> Path:
    """Some pictures, one of them in a folder of its own."""
    target = tmp_path / "photos"
    target.mkdir()
    for file in sorted((made("match", "picture") / "sources").iterdir())[:7]:
        shutil.copy(file, target)
    (target / "deep").mkdir()
    (target / "00.png").rename(target / "deep" / "00.png")
    return target


@pytest.fixture
def matcher(tiny: Tiny) -> Predictor:
    return Predictor(tiny("cascade", "match", "picture"), precision="float32", batch_size=3)


def ran(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[Any, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return stop.value.code, *capsys.readouterr()


def test_scores_are_those_of_all_regions_and_words(matcher: Predictor, folder: Path) -> None:
    found, index, strange = search(matcher, folder, "First ant, then fox.", top=3)
    assert len(index) == 7 == index.new and not strange and len(found) == 3
    words, texts, _ = matcher.task.words_of(matcher.net, "First ant, then fox.")
    fits = {}
    for path in folder.rglob("*.png"):
        regions = matcher(path).vectors.regions
        fits[path] = float((words @ regions.T).max(1).mean())
    best = sorted(fits, key=lambda path: -fits[path])[:3]
    # the index holds vectors in half precision, so two that fit almost alike may change places
    assert [f.score for f in found] == pytest.approx([fits[path] for path in best], abs=1e-2)
    assert [f.score for f in found] == pytest.approx([fits[f.path] for f in found], abs=1e-2)
    own = matcher(found[0].path).vectors
    chosen = assign((words @ own.regions.T)[None], matcher.task.settings.stay)[0]
    assert " ".join(words for words, _ in found[0].places) == " ".join(texts)
    assert len(found[0].places) == 1 + int((np.diff(chosen) != 0).sum())
    assert all(0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1 for _, box in found[0].places)


def test_only_what_changed_is_looked_at_again(matcher: Predictor, folder: Path) -> None:
    assert (refreshed(matcher, folder).new, (folder / NAME).is_file()) == (7, True)
    written = (folder / NAME).stat().st_mtime_ns
    again = refreshed(matcher, folder)
    assert again.new == 0 and (folder / NAME).stat().st_mtime_ns == written
    shutil.copy(folder / "01.png", folder / "new.png")
    os.utime(folder / "02.png", (1, 1))
    (folder / "03.png").unlink()
    third = refreshed(matcher, folder)
    assert third.new == 2 and len(third) == 7 and "03.png" not in third.names and "deep/00.png" in third.names
    whole = refreshed(matcher, folder, folder.parent / "other.safetensors")
    assert whole.new == 7 and whole.names == third.names
    np.testing.assert_allclose(whole.regions, third.regions, atol=2e-3)


def test_an_index_of_another_network_or_a_damaged_one_is_made_anew(
    matcher: Predictor, tiny: Tiny, folder: Path
) -> None:
    first = refreshed(matcher, folder)
    bundle = tiny("cascade", "match", "picture")
    next(bundle.net.parameters()).data.add_(1)
    assert refreshed(Predictor(bundle, precision="float32"), folder).new == 7
    for content in (b"", b"no index", (folder / NAME).read_bytes()[:-20]):
        (folder / NAME).write_bytes(content)
        assert refreshed(matcher, folder).new == 7
    assert refreshed(matcher, folder).new == 0
    np.testing.assert_array_equal(refreshed(matcher, folder).regions, first.regions)


def test_files_that_cannot_be_read_are_told(matcher: Predictor, folder: Path) -> None:
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "notes.txt").write_text("no picture")
    found, index, _ = search(matcher, folder, "ant")
    assert len(found) == 7 and sorted(e.file.name for e in index.left_out) == ["broken.png", "gone.png"]  # type: ignore[union-attr]
    left_out: list[CrnnError] = []
    assert len(crnn.search(matcher, folder, "ant", top=2, left_out=left_out)) == 2 and len(left_out) == 2
    with pytest.raises(DataError, match=r"gone\.png"):
        crnn.search(matcher, folder, "ant")


def test_what_cannot_be_searched(matcher: Predictor, tiny: Tiny, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder"):
        search(matcher, tmp_path / "gone", "ant")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no file to look at"):
        search(matcher, tmp_path / "empty", "ant")
    (tmp_path / "empty" / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"none has a region.*a\.png"):
        search(matcher, tmp_path / "empty", "ant")
    with pytest.raises(SettingsError, match="none of the words"):
        search(matcher, folder, "ein Hund")
    with pytest.raises(SettingsError, match="task 'caption'"):
        search(Predictor(tiny("cascade", "caption", "picture"), precision="float32"), folder, "ant")
    with pytest.raises(DataError, match="cannot be written"):
        (tmp_path / "file").write_text("")
        search(matcher, folder, "ant", index=tmp_path / "file" / "index")


def test_pictures_of_all_kinds(matcher: Predictor, tmp_path: Path) -> None:
    Image.new("CMYK", (40, 20), (10, 200, 30, 0)).save(tmp_path / "cmyk.jpg")
    Image.fromarray(np.arange(800, dtype=np.uint16).reshape(20, 40) * 80).save(tmp_path / "deep.png")
    Image.new("L", (1, 1)).save(tmp_path / "dot.png")
    Image.new("RGBA", (3000, 5)).save(tmp_path / "long.png")
    found, index, _ = search(matcher, tmp_path, "ant elk")
    assert len(found) == 4 and not index.left_out and all(np.isfinite(f.score) for f in found)


def test_the_command(tiny: Tiny, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = str(tmp_path / "b.safetensors")
    tiny("cascade", "match", "picture").save(bundle)
    code, out, err = ran(["predict", bundle, str(folder), "--find", "first ant, wolf", "--top", "2"], capsys)
    assert code == 0 and "7 files, of which 7" in err and "passed over as such: wolf" in err
    rows = [line.split("\t") for line in out.splitlines()]
    assert len(rows) == 2 and Path(rows[0][0]).is_file() and float(rows[0][1]) >= float(rows[1][1])
    code, out, err = ran(["predict", bundle, str(folder), "--find", "first ant", "--json"], capsys)
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(lines) == 7 and "of which 0" in err
    assert " ".join(part["words"] for part in lines[0]["matched"]) == "first ant"
    code, out, err = ran(["predict", bundle, str(folder), "--find", "First ant.", "--json", "--top", "1"], capsys)
    (line,) = out.splitlines()
    assert " ".join(part["words"] for part in json.loads(line)["matched"]) == "first ant ."
    page = tmp_path / "found.html"
    (folder / "broken.png").write_bytes(b"")
    code, out, err = ran(["predict", bundle, str(folder), "--find", "<i> ant", "--csv", "--explain", str(page)], capsys)
    assert code == 1 and "broken.png" in err and len(out.splitlines()[0].split(",")) == 2
    shown = page.read_text(encoding="utf-8")
    assert shown.count("<svg role") == 7 and "<i> ant" not in shown and "spoke for" not in shown


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["a", "b", "--find", "one"], "--find is given with 2 sources"),
        (["-", "--find", "one"], "expected one folder"),
        (["a", "--find", "one", "--live"], "--live is given with --find"),
        (["a", "--find", "one", "--beam", "3"], "--beam and its like is given with --find"),
        (["a", "--find", " "], "none of the words of ' ' is known"),
        (["a", "--find", "one", "--top", "0"], "--top is 0; expected at least 1"),
        (["a", "--index", "x"], "--index is given; expected --find with it"),
    ],
)
def test_options_that_make_no_sense(
    options: list[str], words: str, tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(tmp_path / "b.safetensors")
    tiny("cascade", "match", "picture").save(bundle)
    code, _, err = ran(["predict", bundle, *options], capsys)
    assert code == 2 and words in err
