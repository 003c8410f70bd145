"""Answers of other programs beside a network's: judged as its own are, or refused in a sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crnn.cli.test import read_answers
from crnn.errors import DataError
from crnn.tasks import TASKS
from crnn.train.evaluate import figures_of_others
from crnn.types import Box, Boxes, Part, Sample


def made(name: str, **settings: Any) -> Any:
    task = TASKS[name]
    own = task.Settings(**settings)
    match name:
        case "transcribe":
            return task.learn(own, [Sample("a", None, "ab")])
        case "tag":
            return task(own, ("a", "b"), (0.5, 0.5), many=False)
        case "forecast":
            return task(own, (0,), channels=1)
        case "regress":
            return task(own, (0.0,) * 2, (1.0,) * 2)
        case "nowcast":
            same = lambda x: np.asarray(x, np.float32)  # noqa: E731
            return task(own, SimpleNamespace(decode=same, measured=same, finish=same, bounded=True, scale="unit"))
    return task.blank(own, 3)


def figures(task: Any, y: Any, answer: Any, x: Any = None) -> dict[str, float]:
    samples = [Sample("one.png", x, y)]
    return figures_of_others(task, samples, {"other": {"one.png": answer}})["other"]


EVENTS = (Part("a", 0.0, 2.0, 1.0), Part("b", 3.0, 4.0, 1.0))
MAP = np.array([[0, 1], [2, 1]], np.uint8)
FILM = np.full((2, 1, 4, 4), 0.25, np.float32)
GREY = np.full((2, 2, 1), 51, np.uint8)
RIGHT: list[tuple[str, dict[str, Any], Any, Any, str, float]] = [
    ("transcribe", {}, "é b", "e\u0301  b ", "cer", 0.0),
    ("transcribe", {"lower": True}, "Ab", "AB", "cer", 0.0),
    ("classify", {}, 2, "2", "accuracy", 1.0),
    ("classify", {}, 2, "never heard of", "accuracy", 0.0),
    ("tag", {}, EVENTS, [{"onset": 0, "offset": 2, "label": "a"}, ["b", 3, 4]], "segment_f1", 1.0),
    ("tag", {"rate": 2.0}, ("a", "a", "", "b"), ["a", "a", None, "b"], "time_f1", 1.0),
    ("tag", {}, EVENTS, [], "segment_f1", 0.0),
    ("regress", {}, (1.0, 2.0), [1, 2.0], "mae", 0.0),
    ("forecast", {"horizon": 2, "window": 2}, np.ones((2, 1)), [1, 1], "mae", 0.0),
    ("nowcast", {"past": 2, "future": 2}, FILM, FILM[:, 0].tolist(), "mae_mean", 0.0),
    ("caption", {}, ("word0 word1",), "word0 word1", "exact", 1.0),
    ("segment", {}, MAP, MAP.tolist(), "pixel_accuracy", 1.0),
    ("detect", {}, Boxes((9, 9), (Box("1", 1, 1, 5, 5),)), [{"label": 1, "left": 1, "top": 1, "right": 5, "bottom": 5}],
     "map50", 1.0),
    ("detect", {}, Boxes((9, 9), (Box("1", 1, 1, 5, 5),)), [["1", 1, 1, 5, 5, 0.5]], "f1", 1.0),
    ("restore", {}, GREY, np.full((2, 2), 0.2).tolist(), "mse", 0.0),
]  # fmt: skip
PICTURES = {
    "segment": np.zeros((2, 2, 3), np.uint8),
    "detect": np.zeros((9, 9, 3), np.uint8),
    "restore": GREY,
    "forecast": np.zeros((2, 1)),
    "nowcast": FILM,
}


@pytest.mark.parametrize(("name", "settings", "y", "answer", "key", "value"), RIGHT)
def test_another_programs_answer_is_judged_as_the_networks(
    name: str, settings: dict[str, Any], y: Any, answer: Any, key: str, value: float
) -> None:
    task = TASKS[name].blank(TASKS[name].Settings(), 1) if name == "restore" else made(name, **settings)
    found = figures(task, y, json.loads(json.dumps(answer)), PICTURES.get(name))
    assert found[key] == pytest.approx(value, abs=1e-12)


WRONG: list[tuple[str, Any, Any, str]] = [
    ("transcribe", "12", 12, "a text"),
    ("transcribe", "12", None, "a text"),
    ("caption", ("word0",), ["word0"], "a text"),
    ("match", ("word0",), "word0", "ranked"),
    ("classify", 1, None, "a label"),
    ("classify", 1, [1, 2], "a label"),
    ("tag", EVENTS, "a", "events with onset, offset and label"),
    ("tag", EVENTS, [{"onset": 0, "label": "a"}], "events with onset"),
    ("tag", EVENTS, [["a", 2, 1]], "events with onset"),
    ("tag", EVENTS, [["a", 0, 1], "b"], "events with onset"),
    ("tag", EVENTS, [{"onset": 0, "offset": 1, "label": None}], "a label"),
    ("regress", (1.0, 2.0), 1.0, "2 finite numbers"),
    ("regress", (1.0, 2.0), "abc", "2 finite numbers"),
    ("regress", (1.0, 2.0), [1, None], "2 finite numbers"),
    ("regress", (1.0, 2.0), [1, math.nan], "2 finite numbers"),
    ("forecast", np.ones((2, 1)), [1, 1, 1], "2 x 1 finite numbers"),
    ("nowcast", FILM, [[[1.0]]], "2 x 1 x 4 x 4 finite numbers"),
    ("segment", MAP, [[0, 1]], "2 x 2 finite numbers"),
    ("segment", MAP, [[0, 1], [2, 7]], "those of the training part"),
    ("segment", MAP, [[0, 1], [2, 0.5]], "whole numbers"),
    ("segment", MAP, "map.png", "2 x 2 finite numbers"),
    ("detect", Boxes((9, 9), (Box("1", 1, 1, 5, 5),)), [["1", 1, 1]], "Box, or"),
    ("detect", Boxes((9, 9), (Box("1", 1, 1, 5, 5),)), [["1", 1, 1, 5, math.inf]], "finite"),
    ("detect", Boxes((9, 9), (Box("1", 1, 1, 5, 5),)), 3, "boxes with label"),
    ("restore", np.zeros((2, 2, 3), np.uint8), [[0, 1]], "2 x 2 x 3 finite numbers"),
    ("restore", np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255).tolist(), "from 0 to 1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "y", "answer", "expected"), WRONG)
def test_what_is_no_answer_is_refused_with_its_place(name: str, y: Any, answer: Any, expected: str) -> None:
    with pytest.raises(DataError, match=expected) as error:
        figures(made(name), y, answer, PICTURES.get(name))
    assert str(error.value).startswith("one.png: ") and "'other'" in str(error.value)


def test_files_of_predict_are_answers_of_another_program(tmp_path: Path) -> None:
    rows = [{"id": 1, "text": "a"}, {"id": "b", "score": 0.5, "events": []}, {"id": "c", "sentence": "s", "boxes": 0}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert read_answers(f"other={tmp_path / 'a.jsonl'}") == ("other", {"1": "a", "b": [], "c": "s"})
    (tmp_path / "a.jsonl").write_text('{"id": 1, "words": []}', encoding="utf-8")
    with pytest.raises(DataError, match="id and answer"):
        read_answers(f"other={tmp_path / 'a.jsonl'}")
