"""What tests share: a fixed start of all randomness, each model at a tiny size, and made sets for each task and kind.

Who adds a model adds nothing here: ``shrink`` makes any ``Settings`` small, and a model for which that makes no sense
offers its own small settings as ``tiny``, a mapping. Who adds a kind of input adds to ``DRAWN`` what draws a source of
it. Who adds a task adds to ``MADE`` what writes a small data set of drawn sources, since nobody else knows what its
answers look like.
"""

from __future__ import annotations

import copy
import csv
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import torch
from PIL import Image, ImageDraw

from crnn.bundle import Bundle, build, combinations
from crnn.cli import main
from crnn.config import fill
from crnn.data import inputs
from crnn.data.formats import open_data
from crnn.data.inputs import INPUTS
from crnn.errors import SettingsError
from crnn.models import MODELS
from crnn.recipe import Recipe
from crnn.tasks import TASKS
from crnn.train.prepare import asked_of
from crnn.types import Sample, Seq

SIZES = (16, 32, 48, 64, 96, 128)
WORDS = [a + b + c for a in ("a", "be", "dd") for b in ("c", "ee", " f") for c in ("a", "db", "b")]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def said_by(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What the command of these ``arguments`` prints, which ends with that exit ``code``."""

    def said(arguments: Sequence[str], code: int = 0) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(list(arguments))
        assert (stopped.value.code or 0) == code
        return capsys.readouterr().out

    return said


@pytest.fixture(autouse=True)
def own_models() -> Iterator[None]:
    """Models that a test adds are not there for the next."""
    known = dict(MODELS)
    yield
    MODELS.clear()
    MODELS.update(known)


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


# sources: what is drawn shows the numbers 0, 1 and 2 one after the other, each for as long


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


def drawn_line(path: Path, numbers: Sequence[int]) -> Path:
    draw_line("".join("abd"[n] for n in numbers)).save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def drawn_picture(path: Path, numbers: Sequence[int]) -> Path:
    colours = np.array([(200, 60, 40), (60, 190, 70), (50, 60, 210)], np.uint8)
    x = colours[np.repeat(numbers, 32 // len(numbers))][None].repeat(16, 0)
    x[::4] = 255 - x[::4]
    Image.fromarray(x).resize((32, 16)).save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def drawn_series(path: Path, numbers: Sequence[int]) -> Path:
    noise = np.random.default_rng(len(path.name)).normal(0, 0.05, (8 * len(numbers), 2))
    time = np.arange(8 * len(numbers))
    level = np.repeat(numbers, 8)
    x = np.stack([level - 1.0, np.where(level == 1, time % 2, 0.5)], axis=1) + noise
    np.savetxt(path.with_suffix(".csv"), x, delimiter=",", header="one,two", comments="", fmt="%.4f")
    return path.with_suffix(".csv")


def drawn_sentence(path: Path, numbers: Sequence[int]) -> Path:
    words = [("calm", "sea"), ("small", "wave"), ("high", "tide")]
    path.with_suffix(".txt").write_text(" ".join(word for n in numbers for word in words[n]), encoding="utf-8")
    return path.with_suffix(".txt")


def drawn_sound(path: Path, numbers: Sequence[int]) -> Path:
    time = np.arange(1280) / 8000
    swell = 0.3 * np.sin(np.pi * time / 0.16) ** 0.5  # so that one ends where the next begins
    tones = [swell * np.sin(2 * np.pi * hertz * time) for hertz in (200, 700, 2400)]
    noise = np.random.default_rng(len(path.name)).normal(0, 0.003, 1280 * len(numbers))
    soundfile.write(path.with_suffix(".wav"), np.concatenate([tones[n] for n in numbers]) + noise, 8000)
    return path.with_suffix(".wav")


def drawn_film(path: Path, numbers: Sequence[int]) -> Path:
    with av.open(str(path.with_suffix(".mkv")), "w") as container:
        stream = container.add_stream("ffv1", rate=8)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "bgr0"
        for step, number in enumerate(np.repeat(numbers, 4)):
            x = np.full((24, 32, 3), 60, np.uint8)
            x[2 + 8 * number : 6 + 8 * number, 6 + step % 4 : 22 + step % 4, number] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(x, format="rgb24")))
        container.mux(stream.encode())
    return path.with_suffix(".mkv")


def drawn_frames(path: Path, numbers: Sequence[int]) -> Path:
    x = np.zeros((6 * len(numbers), 16, 16), np.uint8)
    for step, number in enumerate(np.repeat(numbers, 6)):
        x[step, 5 * number : 5 * number + 4] = np.roll([250] * 4 + [10] * 12, 4 * step)
    np.save(path.with_suffix(".npy"), x)
    return path.with_suffix(".npy")


DRAWN: Mapping[str, Callable[[Path, Sequence[int]], Path]] = {
    "line": drawn_line,
    "picture": drawn_picture,
    "series": drawn_series,
    "sentence": drawn_sentence,
    "sound": drawn_sound,
    "film": drawn_film,
    "frames": drawn_frames,
    "scene": drawn_picture,
}
"""Kind of input to what draws a source of it: ``(path without ending, numbers) -> path``."""
LENGTH: Mapping[str, float] = {"line": 10, "picture": 8, "series": 8, "sentence": 2, "sound": 0.16, "film": 0.5}
"""How long one of four numbers is, in units of the source (pixels, seconds, steps)."""


# data sets, each small enough to be learned to perfection in seconds


def made_texts(folder: Path, kind: str) -> None:
    if kind != "line":
        rows = [
            (DRAWN[kind](folder / f"{i:02}", numbers).name, "".join("abd"[n] for n in numbers))
            for i, numbers in enumerate(product(range(3), repeat=3))
        ]
        write_table(folder / "texts.csv", [("file", "text"), *rows])
        return
    for i, word in enumerate(WORDS):
        draw_line(word).save(folder / f"{i:02}.png")
        (folder / f"{i:02}.gt.txt").write_text(word + "\n", encoding="utf-8")


def made_captions(folder: Path, kind: str) -> None:
    words, rows = ("one", "two", "three"), []
    (folder / "sources").mkdir()
    for i, numbers in enumerate(product(range(3), repeat=3)):
        file = DRAWN[kind](folder / "sources" / f"{i:02}", numbers)
        said = [words[n] for n in numbers]
        rows.append((f"sources/{file.name}", f"First {said[0]}, then {said[1]} and {said[2]}."))
    write_table(folder / "captions.csv", [("file", "caption"), *rows])


def made_matches(folder: Path, kind: str) -> None:
    """A word for each colour in each place, so that each word has its region."""
    words, rows = (("ant", "bee", "cat"), ("dog", "elk", "fox"), ("gnu", "hen", "ibex")), []
    (folder / "sources").mkdir()
    for i, numbers in enumerate(product(range(3), repeat=3)):
        file = DRAWN[kind](folder / "sources" / f"{i:02}", numbers)
        one, two, three = (own[n] for own, n in zip(words, numbers, strict=True))
        rows.append((f"sources/{file.name}", f"First {one}, then {two} and {three}."))
    write_table(folder / "captions.csv", [("file", "caption"), *rows])


def made_classes(folder: Path, kind: str) -> None:
    for i in range(18):
        place = folder / ("ash", "beech", "cedar")[i % 3] / f"{i:02}"
        place.parent.mkdir(exist_ok=True)
        numbers = [i % 3] * 4
        numbers[i // 3 % 4] = (i % 3 + 1) % 3  # the odd one out says nothing
        DRAWN[kind](place, numbers)


def made_numbers(folder: Path, kind: str) -> None:
    rows = []
    for i in range(18):
        numbers = [i % 3, i // 3 % 3, i % 3, i // 3 % 3]
        rows.append((DRAWN[kind](folder / f"{i:02}", numbers).name, sum(numbers) / 8))
    write_table(folder / "numbers.csv", [("file", "target"), *rows])


def made_events(folder: Path, kind: str) -> None:
    rows: list[tuple[Any, ...]] = []
    for i in range(12):
        numbers = [i % 3, i // 3 % 3, (i + 1) % 3, 0]
        file = DRAWN[kind](folder / f"{i:02}", numbers).name
        rows += [(file, "", "", "")]
        for place, number in enumerate(numbers):
            if number:
                start = place * LENGTH[kind]
                rows.append((file, start, start + LENGTH[kind], ("none", "bell", "horn")[number]))
    write_table(folder / "events.csv", [("file", "onset", "offset", "label"), *rows])


def made_frames(folder: Path, kind: str) -> None:
    for i in range(6):
        DRAWN[kind](folder / str(i), [i % 3] * 4)


def made_maps(folder: Path, kind: str) -> None:
    for place in ("images", "labels"):
        (folder / place).mkdir()
    for i in range(12):
        numbers = [i % 3, i // 3 % 3, (i + 1) % 3, 0]
        file = DRAWN[kind](folder / "images" / f"{i:02}", numbers)
        numbered = np.repeat(np.array(numbers, np.uint8), 8)[None].repeat(16, 0)
        Image.fromarray(numbered).save(folder / "labels" / file.with_suffix(".png").name)


def made_boxes(folder: Path, kind: str) -> None:
    rows: list[tuple[Any, ...]] = []
    for i in range(12):
        numbers = [i % 3, i // 3 % 3, (i + 1) % 3, 0]
        file = DRAWN[kind](folder / f"{i:02}", numbers).name
        rows += [(file, ("", "bell", "horn")[n], 8 * k, 0, 8 * k + 8, 16) for k, n in enumerate(numbers)]
    write_table(folder / "boxes.csv", [("file", "label", "left", "top", "right", "bottom"), *rows])


def made_pictures(folder: Path, kind: str) -> None:
    for i in range(12):
        DRAWN[kind](folder / f"{i:02}", [i % 3, i // 3 % 3, (i + 1) % 3, 0])


def made_future(folder: Path, kind: str) -> None:
    """Wind foretells power, in a way that no linear map knows."""
    wind = np.random.default_rng(5).integers(3, size=400)
    power = np.concatenate([[0, 0], (wind[1:-1] + wind[:-2]) % 3])
    write_table(folder / "power.csv", [("wind", "power"), *zip(wind.tolist(), power.tolist(), strict=True)])


MADE: Mapping[str, Callable[[Path, str], None]] = {
    "transcribe": made_texts,
    "caption": made_captions,
    "match": made_matches,
    "classify": made_classes,
    "regress": made_numbers,
    "tag": made_events,
    "nowcast": made_frames,
    "segment": made_maps,
    "detect": made_boxes,
    "restore": made_pictures,
    "forecast": made_future,
}
"""Task to what writes a data set of sources of a kind: ``(folder, kind)``."""
ASKED: Mapping[str, Mapping[str, Any]] = {
    "forecast": {"targets": ["power"], "window": 32, "horizon": 1, "relative": "none", "highway": 3},
    "restore": {"spoiling": "noise"},
    "caption": {"embedding": 64, "hidden": 128, "dropout": 0.0, "longest": 12},
    "match": {"dropout": 0.0, "margin": 5.0, "size": 64, "embedding": 32, "hidden": 64},
}
"""Task to settings that say what is asked of its made set, where they must, and that make its head small."""
COMBINATIONS = list(combinations())
"""Every model, kind and task that make sense together."""
FIRST = {task: next(k for _, k, t in COMBINATIONS if t == task) for task in TASKS}
"""Task to its first kind."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The folder of a task's made set, of its first kind of input or of another."""
    folders: dict[tuple[str, str], Path] = {}

    def folder(task: str, kind: str | None = None) -> Path:
        kind = kind or ("line" if task == "transcribe" else FIRST[task])
        if (task, kind) not in folders:
            folders[task, kind] = tmp_path_factory.mktemp(f"{task}-{kind}")
            MADE[task](folders[task, kind], kind)
        return folders[task, kind]

    return folder


@cache
def read_made(task: str, kind: str, folder: Path) -> tuple[Sample, ...]:
    """The samples of a made set, as training would read them; read once."""
    recipe = fill(Recipe, {"task": {"name": task, **ASKED.get(task, {})}, "input": {"name": kind}})
    return tuple(open_data(folder, asked=asked_of(recipe)))


@cache
def learned_of(task: str, kind: str, folder: Path, size: int) -> tuple[Any, Any]:
    """What a task and a kind of input, at that ``size``, learn of a made set. To be copied."""
    seen = list(read_made(task, kind, folder))
    sizes = {f.name for f in dataclasses.fields(INPUTS[kind].Settings)} & {"height", "width"}
    learned = TASKS[task].learn(fill(TASKS[task].Settings, ASKED.get(task, {}), "task"), seen)
    return learned, inputs.learn({"name": kind, **dict.fromkeys(sizes, size)}, seen)


@pytest.fixture(scope="session")
def what_is_asked() -> Mapping[str, Mapping[str, Any]]:
    """Task to settings that say what is asked of its made set, where they must."""
    return ASKED


@pytest.fixture(scope="session")
def samples(made: Callable[..., Path]) -> Callable[..., list[Sample]]:
    """``samples(task, kind)``: those of a made set."""
    return lambda task, kind: list(read_made(task, kind, made(task, kind)))


@pytest.fixture(scope="session")
def waken() -> Callable[[Bundle, np.ndarray], Bundle]:
    """``waken(bundle, wave)``: the bundle, whose fresh network says something of a sound: its norms have heard it, and
    no output is always the largest."""

    def heard(bundle: Bundle, wave: np.ndarray) -> Bundle:
        x = torch.from_numpy(bundle.kind.finish(bundle.kind.decode(wave)))[None]
        seq, linear = Seq(x, torch.tensor([x.shape[1]])), bundle.net.head.linear
        bundle.net.train()
        with torch.no_grad():
            for _ in range(40):
                bundle.net(seq)
            bundle.net.eval()
            linear.weight.mul_(8)
            linear.bias.copy_(-(bundle.net.encoder(seq).last.x @ linear.weight.T).mean((0, 1)))
        return bundle

    return heard


@pytest.fixture(scope="session")
def made_kinds() -> set[str]:
    """The kinds of input that can be drawn."""
    return set(DRAWN)


@pytest.fixture
def tiny(made: Callable[..., Path]) -> Callable[..., Bundle]:
    """``tiny(model, task, kind)``: a small network with fresh weights, at the least input that the model takes."""

    def make(model: str, task: str = "transcribe", kind: str = "line", **encoder: Any) -> Bundle:
        values = {"name": model, **shrink(MODELS[model]), **encoder}
        refused: SettingsError | None = None
        for size in SIZES:
            try:
                learned, seen = copy.deepcopy(learned_of(task, kind, made(task, kind), size))
                return build(learned, seen, values)
            except SettingsError as error:
                refused = error
        raise AssertionError(f"{model} takes none of the sizes {SIZES}") from refused

    return make


def write_table(path: Path, rows: Sequence[Sequence[Any]]) -> None:
    """A CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
