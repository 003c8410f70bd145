"""Whole pages: found, cut, read, written and compared; by a finder that knows where the lines are."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import crnn
from crnn import bundle
from crnn.cli import main
from crnn.config import fill
from crnn.data.formats import alto, open_data, page
from crnn.data.inputs._pictures import size_of
from crnn.data.page_lines import NAMES, TextLine, draw
from crnn.deploy.page import PageReader
from crnn.deploy.predict import Predictor
from crnn.errors import SettingsError
from crnn.tasks.segment import Segment
from crnn.types import LabelMap, Prediction

LETTER = Path("examples/page/letter.xml").resolve()
TINY = {"name": "rcnn_scene", "stem": [2, 3], "sizes": [4]}


def made(names: tuple[str, ...] = NAMES, **settings: Any) -> bundle.Bundle:
    """A finder with fresh weights."""
    values = fill(Segment.Settings, {"names": names, **settings}, "task")
    learned = {**Segment.blank(values, len(names)).learned(), "labels": list(names)}
    return bundle.build(Segment.restore(values, learned), {"name": "scene", "colour": "grey"}, TINY)


class Knowing(Predictor):
    """A finder that is told the lines of the page."""

    def __init__(self, lines: tuple[TextLine, ...], size: tuple[int, int]) -> None:
        super().__init__(made(), precision="float32")
        self.lines, self.page, self.sizes = lines, size, list[tuple[int, int]]()

    def __call__(self, source: Any) -> Prediction:
        height, width = source.shape
        self.sizes.append((width, height))
        scale = width / self.page[0], height / self.page[1]
        numbers = draw([line.scaled(*scale) for line in self.lines], (height, width))
        return Prediction("page", LabelMap.of(numbers), 1.0)


@pytest.fixture(scope="module")
def letter() -> tuple[Path, tuple[TextLine, ...]]:
    """A picture of a page, and its lines from their first to their last ink, but the third, which is spaced out."""
    (sample,) = page.whole(LETTER, [])
    lines = [line for i, line in enumerate(sample.y) if i != 2]
    ends = [((a + 14, y), (b - 12, z)) for (a, y), (b, z) in (line.baseline for line in lines)]
    return sample.x, tuple(replace(line, baseline=two) for line, two in zip(lines, ends, strict=True))


@pytest.fixture(scope="module")
def reader(letter) -> PageReader:
    return PageReader(Knowing(letter[1], size_of(letter[0])), ["zoo:typewritten"], precision="float32")


@pytest.fixture(scope="module")
def read(reader, letter):
    return reader(letter[0])


def test_a_page_is_found_cut_and_read(read, letter):
    assert [line.text for line in read.lines] == [line.text for line in letter[1]]
    assert read.size == (535, 452)
    assert read.reader == "zoo:typewritten"
    assert read.text.replace("\n\n", "\n").split("\n") == [line.text for line in letter[1]]
    words = read.lines[0].words
    assert [word.value for word in words] == letter[1][0].text.split()
    assert all(-15 <= a.start < a.stop <= b.start for a, b in pairwise(words))


def test_page_and_alto_are_written_and_read_again(read, letter, tmp_path):
    (tmp_path / "letter.webp").symlink_to(letter[0])
    for kind, format in (("page", page), ("alto", alto)):
        file = tmp_path / kind / "letter.xml"
        read.write(file, kind=kind)
        again = list(open_data(file))
        assert [s.y for s in again] == [line.text for line in letter[1]]
        assert format.recognise(file)
        for sample, line in zip(again, letter[1], strict=True):
            (left, top), (right, bottom) = np.min(sample.x.polygon, axis=0), np.max(sample.x.polygon, axis=0)
            assert abs(np.array([left, top, right, bottom]) - line.box).max() < 6
    (sample,) = page.whole(tmp_path / "page" / "letter.xml", [])
    assert [line.text for line in sample.y] == [line.text for line in letter[1]]
    order = ElementTree.parse(tmp_path / "page" / "letter.xml").getroot().iter(f"{{{page.CREATED}}}RegionRefIndexed")
    assert [ref.get("regionRef") for ref in order] == [f"r{i}" for i in range(1, len(read.blocks) + 1)]


def test_plain_values_are_json(read):
    plain = json.loads(json.dumps(read.plain()))
    assert plain["lines"][0]["text"] == read.lines[0].text
    assert len(plain["lines"][0]["polygon"]) == 2 * len(plain["lines"][0]["baseline"])


def test_an_empty_page_is_an_empty_answer(letter, tmp_path):
    empty = PageReader(Knowing((), (60, 40)), ["zoo:typewritten"])(np.full((40, 60), 230, np.uint8))
    assert (empty.blocks, empty.text, empty.lines) == ((), "", ())
    for kind in ("page", "alto"):
        empty.write(tmp_path / f"{kind}.xml", kind=kind)
        ElementTree.parse(tmp_path / f"{kind}.xml")


def test_small_and_large_letters_are_looked_at_again_at_a_good_size(letter):
    for height in (9, 160):
        line = TextLine(((50.0, 300.0), (900.0, 310.0)), 0.7 * height, 0.3 * height)
        finder = Knowing((line,), (1000, 700))
        (found,) = PageReader(finder, []).find(np.full((700, 1000), 230, np.uint8))
        assert found.height == pytest.approx(height, rel=0.15)
        assert 34 <= height * finder.sizes[-1][0] / 1000 <= 52 or finder.sizes[-1][0] == 2000


def test_pages_of_any_depth_and_colour(reader, letter, tmp_path):
    with Image.open(letter[0]) as picture:
        grey = np.asarray(picture.convert("L"))
    want = [line.text for line in letter[1]]
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(grey).convert("CMYK").save(tmp_path / "print.tif")
    Image.fromarray(255 - grey).save(tmp_path / "negative.png")
    for name in ("deep.png", "print.tif", "negative.png"):
        assert [line.text for line in reader(tmp_path / name).lines] == want, name


def test_the_surest_reader_reads(letter):
    finder = Knowing(letter[1], size_of(letter[0]))
    both = PageReader(finder, ["zoo:handwriting-fr", "zoo:typewritten"])
    assert both(letter[0]).reader == "zoo:typewritten"


def test_bundles_that_find_or_read_no_lines_are_refused():
    with pytest.raises(SettingsError, match="ground, above, baseline, below"):
        PageReader("zoo:typewritten")
    with pytest.raises(SettingsError, match="ground, above, baseline, below"):
        PageReader(Predictor(made(("a", "b", "c", "d"))))
    with pytest.raises(SettingsError, match="is to read the lines"):
        PageReader(Predictor(made()), [Predictor(made())])


def test_a_finder_names_its_readers_in_its_bundle(tmp_path):
    made(reader=["zoo:typewritten"]).save(tmp_path / "finder.safetensors")
    assert list(PageReader(tmp_path / "finder.safetensors").readers) == ["zoo:typewritten"]
    assert crnn.pages(tmp_path / "finder.safetensors", reader=[]).readers == {}


@pytest.fixture
def told(monkeypatch, letter):
    """The command line with a finder that knows the letter."""

    def ready(*_: Any, **__: Any) -> Predictor:
        finder = Knowing(letter[1], size_of(letter[0]))
        finder.task = finder.bundle.task = Segment.restore(
            fill(Segment.Settings, {"names": NAMES, "reader": ["zoo:typewritten"]}, "task"), finder.task.learned()
        )
        return finder

    monkeypatch.setattr("crnn.deploy.ready.predictor", ready)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return int(stop.value.code or 0)


def test_the_command_line_prints_and_writes_pages(told, letter, tmp_path, capsys):
    want = [line.text for line in letter[1]]
    assert run("predict", "finder", letter[0]) == 0
    assert [line for line in capsys.readouterr().out.split("\n") if line] == want
    assert run("predict", "finder", letter[0], "--csv") == 0
    assert [row["text"] for row in csv.DictReader(capsys.readouterr().out.splitlines())] == want
    assert run("predict", "finder", letter[0], "--json") == 0
    assert [line["text"] for line in json.loads(capsys.readouterr().out)["lines"]] == want
    assert run("predict", "finder", letter[0], "--out", tmp_path / "read", "--xml", "alto") == 0
    assert alto.recognise(tmp_path / "read" / "letter.xml")
    assert run("predict", "finder", letter[0], "--reader", "none", "--csv") == 0
    assert [row["text"] for row in csv.DictReader(capsys.readouterr().out.splitlines())] == [""] * len(want)
    assert run("predict", "finder", letter[0], "--out", tmp_path / "read.doc") == 2
    assert ".jsonl" in capsys.readouterr().err


def test_pages_are_tested_against_page_files(told, letter, tmp_path, capsys):
    assert run("test", "finder", LETTER.parent, "--json", tmp_path / "page.json", "--html", tmp_path / "p.html") == 0
    assert "(not found)" in (tmp_path / "p.html").read_text()
    result = json.loads((tmp_path / "page.json").read_text())
    assert result["metrics"]["line_recall"] == pytest.approx(5 / 6)
    assert result["metrics"]["line_precision"] == 1
    letters = [len(line.text) for line in letter[1]]
    assert result["metrics"]["cer"] == pytest.approx(14 / (14 + sum(letters)))  # the line that was not found
    assert 0 < result["baselines"]["true lines, read"]["cer"] < 1
    assert "rows of ink" in result["baselines"]
    assert "Lines found" in capsys.readouterr().out
    assert run("test", "finder", LETTER.parent, "--reader", "none", "--json", tmp_path / "found.json") == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert {name for row in (found["metrics"], *found["baselines"].values()) for name in row if "cer" in name} == set()
    assert list(found["baselines"]) == ["rows of ink"]


@pytest.mark.parametrize("option", ["--top", "--find", "--index", "--of", "--rate", "--future"])
def test_options_that_say_nothing_to_pages_are_refused(told, letter, capsys, option):
    assert run("predict", "finder", letter[0], option, "3") == 2
    assert f"{option} is given for pages; expected no such option" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--format", "table"], ["--group", "a"], ["--answer", "b"], ["--live"]])
def test_options_that_say_nothing_to_a_test_of_pages_are_refused(told, capsys, options):
    assert run("test", "finder", LETTER.parent, *options) == 2
    assert f"{options[0]} is given for pages" in capsys.readouterr().err


def test_pictures_of_pages_may_lie_outside_if_they_are_said_to(told, letter, tmp_path, capsys):
    for name in ("pages", "scans"):
        (tmp_path / name).mkdir()
    (tmp_path / "scans" / "1.webp").symlink_to(letter[0])
    text = LETTER.read_text().replace(f'imageFilename="{letter[0].name}"', 'imageFilename="../scans/1.webp"')
    (tmp_path / "pages" / "letter.xml").write_text(text)
    assert run("test", "finder", tmp_path / "pages", "--reader", "none") == 2
    said = capsys.readouterr().err
    assert "has no page that can be read" in said and "letter.xml" in said
    assert run("test", "finder", tmp_path / "pages", "--reader", "none", "--outside") == 0
