"""Made pages: lines laid on paper, with baselines, texts and label maps that agree."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from crnn.data.formats import open_data, page
from crnn.data.formats._asked import Asked
from crnn.data.page_lines import NAMES, lines_in
from crnn.metrics.baselines import matched

SCRIPT = Path("recipes/prepare/made-pages.py").resolve()
LINES = Path("examples/typewriting").resolve()


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("made_pages", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["made_pages"] = module  # where its dataclasses look for their types
    spec.loader.exec_module(module)
    return module


def letters(height: int = 48, width: int = 600) -> np.ndarray:
    """Ink that stands on row 36 and rises by a pixel in a hundred, with some ascenders."""
    ink = np.zeros((height, width), np.float32)
    for left in range(20, width - 20, 16):
        bottom = 36 - left // 100
        ink[bottom - (24 if left % 5 == 0 else 14) : bottom, left : left + 9] = 1
    return ink


def test_the_baseline_of_a_line_is_where_its_ink_stops(script):
    level, slope = script.baseline(letters())
    assert level == pytest.approx(33.5, abs=1)
    assert slope == pytest.approx(-0.01, abs=0.004)
    assert script.baseline(np.zeros((48, 600), np.float32)) is None


def test_paper_and_scraps_of_the_line_above_are_left_behind(script):
    ink = letters()
    ink[0:4, 100:130] = 1
    strip = script.strip((230 - 180 * ink).astype(np.uint8), "text")
    assert strip.ink.max() == 1 and np.median(strip.ink) == 0
    assert strip.ink[:5].max() == 0
    assert strip.width == 553
    assert script.strip(np.full((48, 600), 230, np.uint8), "") is None


def test_pages_and_label_maps_agree(script, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["made-pages.py", str(LINES), "--out", str(tmp_path), "--count", "2", "1", "1"])
    script.main()
    left_out: list = []
    pages = list(page.whole(tmp_path / "pages", left_out))
    known = {s.y for s in open_data(LINES)}
    assert not left_out and {s.split for s in pages} == {"train", "valid", "test"}
    assert all(line.text in known for s in pages for line in s.y)
    maps = open_data(tmp_path / "maps", asked=Asked(answer="map"))
    assert len(list(maps)) == len(pages)
    for sample in pages:
        name = Path(sample.id)
        with Image.open(tmp_path / "maps" / name.parent / "labels" / f"{name.stem}.png") as drawn:
            numbers = np.asarray(drawn)
        with Image.open(sample.x) as picture:
            scale = picture.width / numbers.shape[1], picture.height / numbers.shape[0]
        found = [line.scaled(*scale) for line in lines_in(numbers)]
        assert set(np.unique(numbers)) <= set(range(len(NAMES)))
        assert len(matched(sample.y, found)) >= len(sample.y) - 1


def test_the_same_seed_makes_the_same_pages(script):
    strips = [script.strip((230 - 180 * letters(width=w)).astype(np.uint8), "text") for w in (300, 500, 420)]
    (one, first, _), (other, second, _) = (script.made(strips, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(np.asarray(one), np.asarray(other)) and first == second
    empty, lines, _ = script.made([], np.random.default_rng(3))
    assert lines == [] and min(empty.size) >= 500
