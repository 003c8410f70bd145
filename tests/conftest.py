"""What tests share: a fixed start of all randomness, each model at a tiny size, and a made set for each task.

Who adds a model adds nothing here: ``shrink`` makes any ``Settings`` small, and a model for which that makes no sense
offers its own small settings as ``tiny``, a mapping. Who adds a task adds its made set to ``MADE``, since nobody else
knows what its answers look like.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw

from crnn.bundle import Bundle, build
from crnn.data.formats import open_data
from crnn.errors import SettingsError
from crnn.models import MODELS
from crnn.tasks import TASKS

HEIGHTS = (16, 32, 48, 64, 96, 128)
WORDS = [a + b + c for a in ("a", "be", "dd") for b in ("c", "ee", " f") for c in ("a", "db", "b")]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def shrink(model: Any) -> dict[str, Any]:
    """Settings of ``model`` with few channels: every width (a whole number from 16 on, alone or in a tuple of such)
    becomes small, and widths that differ still differ, so that a mistaken axis is noticed."""
    if hasattr(model, "tiny"):
        return dict(model.tiny)
    small: dict[str, Any] = {}
    for field in dataclasses.fields(model.Settings):
        value = field.default
        if isinstance(value, tuple) and value and all(type(v) is int and v >= 16 for v in value):
            ranks = sorted(set(value))
            small[field.name] = tuple(4 + 2 * ranks.index(v) for v in value)
        elif type(value) is int and value >= 16:
            small[field.name] = 8
    return small


def draw_line(text: str) -> Image.Image:
    """``text`` in plain signs, 16 pixels high: each letter its own bars, so that a tiny network can tell them."""
    picture = Image.new("L", (8 + 10 * len(text), 16), 230)
    pen = ImageDraw.Draw(picture)
    for i, letter in enumerate(text):
        bits = 0 if letter == " " else 0b1001011 * (ord(letter) - 95) % 127 or 1
        for row in range(7):
            if bits >> row & 1:
                pen.rectangle((4 + 10 * i, 1 + 2 * row, 10 + 10 * i, 2 + 2 * row), fill=30)
    return picture


def made_lines(folder: Path) -> None:
    for i, word in enumerate(WORDS):
        draw_line(word).save(folder / f"{i:02}.png")
        (folder / f"{i:02}.gt.txt").write_text(word + "\n", encoding="utf-8")


MADE: Mapping[str, tuple[str, Callable[[Path], None]]] = {"transcribe": ("line", made_lines)}
"""Task to its kind of input and what writes a small data set that can be learned to perfection."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a task's made set."""
    folders: dict[str, Path] = {}

    def folder(task: str) -> Path:
        if task not in folders:
            folders[task] = tmp_path_factory.mktemp(task)
            MADE[task][1](folders[task])
        return folders[task]

    return folder


@pytest.fixture
def tiny(made: Callable[[str], Path]) -> Callable[..., Bundle]:
    """``tiny(model, task)``: a small network with fresh weights, at the least input that the model takes."""

    def make(model: str, task: str = "transcribe", **encoder: Any) -> Bundle:
        learned = TASKS[task].learn(TASKS[task].Settings(), open_data(made(task)))
        refused: SettingsError | None = None
        for height in HEIGHTS:
            try:
                values = {"name": model, **shrink(MODELS[model]), **encoder}
                return build(learned, {"name": MADE[task][0], "height": height}, values)
            except SettingsError as error:
                refused = error
        raise AssertionError(f"{model} takes none of the heights {HEIGHTS}") from refused

    return make
