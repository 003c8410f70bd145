"""Where the letters of a known text lie: made outputs and joined pieces, whose borders are known."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crnn
from crnn.cli import main
from crnn.decode.align import align
from crnn.decode.ctc_greedy import along
from crnn.errors import DataError, SettingsError
from crnn.tasks import words_of
from crnn.text import display_order
from crnn.types import Part

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "typewriting"
STRIDE = 4.0


def said(random: np.random.Generator, numbers: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """Log-probabilities of a network that is sure of each letter in the middle of its place, a little of a wrong one
    now and then, and of the blank elsewhere."""
    x = random.normal(size=(int(borders[-1] // STRIDE), 12))
    x[:, 0] += 4.0
    at = ((borders[:-1] + borders[1:]) / 2 / STRIDE).astype(int)
    x[at, numbers] += 8.0
    wrong = random.choice(len(at), len(at) // 10, replace=False)
    x[at[wrong], 1 + numbers[wrong] % 11] += 9.0
    return x - np.logaddexp.reduce(x, axis=1, keepdims=True)


def test_borders_of_made_letters_are_found_within_a_few_pixels() -> None:
    """Letters 12 to 24 pixels wide, a step every 4: borders are about 1 pixel off on average, 4 at most."""
    random = np.random.default_rng(0)
    errors = []
    for _ in range(20):
        numbers = random.integers(1, 12, 30)
        borders = np.concatenate(([0.0], np.cumsum(random.uniform(12, 24, 30))))
        log_probs = said(random, numbers, borders)
        path = align(log_probs, numbers)
        assert path is not None
        placed = along(log_probs, path, stride=STRIDE, width=float(borders[-1]))
        assert placed.numbers == tuple(numbers), "where the network is wrong, the text is right"
        errors += [abs(stop - border) for (_, stop), border in zip(placed.spans, borders[1:], strict=True)]
    assert np.mean(errors) < 1.5 and np.max(errors) < 6


def test_words_are_what_stands_between_spaces() -> None:
    letters = [Part(x, i, i + 1, 0.5 + i / 10) for i, x in enumerate("ab c")]
    assert words_of(letters) == (Part("ab", 0, 2, 0.5), Part("c", 3, 4, 0.8))
    assert words_of([]) == ()


@pytest.mark.parametrize(
    "text",
    ["שלום עולם", "אבג 12 34 דהו", "(שלום) עולם, 12.5 אב", "abc שלום hello, world", "אב אב", "مرحبا بالعالم 12", ""],
)
def test_words_from_right_to_left_are_those_of_the_text(text: str) -> None:
    """Its letters lie as they are displayed, each a pixel wide."""
    shown = display_order(text)
    words = words_of([Part(x, i, i + 1, 0.5) for i, x in enumerate(shown)], "rtl")
    assert [word.value for word in words] == text.split()
    for word in words:
        assert sorted(shown[int(word.start) : int(word.stop)].strip("()")) == sorted(word.value.strip("()"))
    if text == "שלום עולם":
        assert [(word.start, word.stop) for word in words] == [(5, 9), (0, 4)]


def test_words_that_the_rule_of_display_tears_are_read_each_for_itself() -> None:
    """The mark at the end of such a line stands before the Latin words."""
    shown = display_order("שלום hello world!")
    assert shown.startswith("!hello world ")
    words = words_of([Part(x, i, i + 1, 0.5) for i, x in enumerate(shown)], "rtl")
    assert [word.value for word in words] == ["שלום", "world", "hello!"]


@pytest.fixture(scope="module")
def joined() -> tuple[list[Any], list[str], list[int]]:
    """Pairs of lines side by side, their texts, and where one ends and the other begins."""
    rows = [json.loads(line) for line in (EXAMPLES / "lines.jsonl").read_text(encoding="utf-8").splitlines()[:5]]
    pictures = []
    for row in rows:
        picture = Image.open(EXAMPLES / row["image"]).convert("L")
        pictures.append(np.asarray(picture.resize((round(picture.width * 64 / picture.height), 64))))
    pairs = list(itertools.pairwise(pictures))
    texts = [f"{a['text']} {b['text']}" for a, b in itertools.pairwise(rows)]
    return [np.concatenate(pair, axis=1) for pair in pairs], texts, [a.shape[1] for a, _ in pairs]


def test_joined_lines_part_where_they_were_joined(joined: tuple[list[Any], list[str], list[int]]) -> None:
    """The space between them lies there, give or take the width of a letter, 20 pixels."""
    pictures, texts, borders = joined
    reader = crnn.load("zoo:typewritten", precision="float32")
    found = crnn.align(reader, pictures, texts)
    assert [placed.value for placed in found] == texts
    for placed, border, picture in zip(found, borders, pictures, strict=True):
        space = next(p for p in placed.parts if p.value == " " and p.stop > border - 10)
        assert abs((space.start + space.stop) / 2 - border) < 20
        assert placed.parts[0].start >= 0 and placed.parts[-1].stop <= picture.shape[1]
    words = crnn.align(reader, pictures[0], texts[0], words=True)
    assert " ".join(part.value for part in words.parts) == texts[0] == words.value


def test_texts_that_do_not_fit_are_named(tiny: Callable[..., Any], tmp_path: Path) -> None:
    bundle = tiny("crnn")
    bundle.save(tmp_path / "reader.safetensors")
    letter = bundle.task.alphabet.letters[-1]
    picture = np.full((32, 64), 255, np.uint8)
    reader = crnn.load(tmp_path / "reader.safetensors")
    with pytest.raises(DataError, match="time steps for a text that needs"):
        crnn.align(reader, picture, letter * 500)
    with pytest.raises(DataError, match="'ё'"):
        crnn.align(reader, picture, "ё")
    assert crnn.align(reader, picture, "").parts == ()
    tiny("cascade", "classify", "picture").save(tmp_path / "pictures.safetensors")
    with pytest.raises(SettingsError, match="task is 'classify'; expected transcribe"):
        crnn.align(tmp_path / "pictures.safetensors", picture, "a")


def test_the_command_says_where_letters_and_words_lie(
    tiny: Callable[..., Any],
    made: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = tiny("crnn", "transcribe", "line")
    bundle.card["parts"] = {"group": "writer", "answer": None}  # which need not be there
    bundle.save(tmp_path / "b.safetensors")
    for name in ("00.png", "00.gt.txt", "10.png"):
        (tmp_path / name).write_bytes((made("transcribe", "line") / name).read_bytes())
    (tmp_path / "10.gt.txt").write_text("Q", encoding="utf-8")

    def run(*options: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["align", str(tmp_path / "b.safetensors"), str(tmp_path), *options])
        return (end.value.code or 0, *capsys.readouterr())  # type: ignore[return-value]

    text = (tmp_path / "00.gt.txt").read_text(encoding="utf-8").strip()
    code, out, err = run()
    rows = [line.split(",") for line in out.splitlines()]
    assert rows[0] == ["file", "value", "start", "stop", "score"]
    assert "".join(row[1] for row in rows[1:]) == text and all(row[0] == "00.png" for row in rows[1:])
    assert code == 1 and "10.png: " in err and "'Q'" in err
    _, out, _ = run("--words", "--json")
    (line,) = [json.loads(row) for row in out.splitlines()]
    assert line["text"] == text and [word["value"] for word in line["words"]] == text.split()
    assert run("--out", str(tmp_path / "a.csv"))[0] == 1 and (tmp_path / "a.csv").read_text("utf-8").count("00.png")
    assert run("--out", "a.txt")[0] == 2
