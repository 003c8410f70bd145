"""Average precision against a case by hand and against what COCO's own program says, F1, counts, intervals."""

from __future__ import annotations

import numpy as np
import pytest

from crnn.errors import DataError
from crnn.metrics.boxes import Finds, areas, average_precision, edges, matched, overlaps
from crnn.types import Box, Boxes


def box(left: float, score: float = 1.0, *, label: str = "a", counts: bool = True, side: float = 10) -> Box:
    return Box(label, left, 0, left + side, side, score, counts)


def of(*boxes: Box) -> Boxes:
    return Boxes((200, 100), boxes)


def found(*pairs: tuple[Boxes, Boxes], labels: tuple[str, ...] = ("a",)) -> Finds:
    finds = Finds(labels)
    for truth, answer in pairs:
        finds.add(truth, answer)
    return finds


def test_overlaps_and_areas() -> None:
    one, other = edges([box(0), box(100)]), edges([box(5), box(0, side=20)])
    assert areas(other).tolist() == [100, 400]
    assert overlaps(one, other) == pytest.approx(np.array([[1 / 3, 1 / 4], [0, 0]]))
    assert overlaps(one, edges([])).shape == (2, 0)


def test_average_precision_by_hand() -> None:
    """Right, wrong, right of two things: precision 1 up to recall 1/2, 2/3 from there on."""
    hits, counts = np.array([[1.0, 0, 1]]), np.ones((1, 3))
    by_hand = (51 * 1 + 50 * 2 / 3) / 101
    assert average_precision(hits, counts, np.array([2])) == pytest.approx([by_hand])
    assert np.isnan(average_precision(hits, counts, np.array([0])))
    truth = of(box(0), box(50))
    answer = of(box(0, 0.9), box(100, 0.8), box(51, 0.7))
    finds = found((truth, answer))
    assert finds.precisions()[0, 0] == pytest.approx(by_hand)
    iou = 9 / 11  # of the last box
    assert finds.precisions()[0].tolist() == pytest.approx(
        [by_hand if level <= iou else 51 / 101 for level in np.arange(0.5, 0.96, 0.05)]
    )


def test_each_thing_is_found_once_by_the_surest() -> None:
    hits, counted = matched([box(0)], [box(1, 0.9), box(0, 0.8)], (0.5,))
    assert hits.tolist() == [[True, False]] and counted.all()


def test_things_that_do_not_count_are_neither_right_nor_wrong() -> None:
    crowd = box(0, counts=False, side=40)
    hits, counted = matched([crowd, box(100)], [box(2, 0.9), box(20, 0.8), box(100, 0.7), box(150, 0.6)], (0.5,))
    assert hits.tolist() == [[False, False, True, False]] and counted.tolist() == [[False, False, True, True]]
    figures = found((of(crowd, box(100)), of(box(2, 0.9), box(100, 0.7)))).figures()
    assert figures["map50"] == figures["f1"] == 1 and figures["count_error"] == 0


def test_counts_are_of_what_is_said_and_precision_of_all() -> None:
    truth = of(box(0), box(50), box(100, label="b"))
    answer = Boxes((200, 100), (box(0, 0.9), box(20, 0.8, label="b")), doubtful=(box(50, 0.1),))
    finds = found((truth, answer), labels=("a", "b"))
    figures = finds.figures()
    assert figures["map50"] == 0.5 and figures["f1"] == pytest.approx(2 * 1 / (2 + 3))
    assert figures["count_error"] == 1 and figures["count_share"] == pytest.approx(1 / 3)
    rows = finds.by_label()
    assert [(r["label"], r["things"], r["said"]) for r in rows] == [("a", 2, 1), ("b", 1, 1)]
    assert rows[0]["recall"] == 0.5 and rows[0]["precision"] == 1 and rows[1]["precision"] == 0


def test_f1_where_boxes_are_said_from_a_score_on() -> None:
    finds = found((of(box(0), box(50)), of(box(0, 0.9), box(50, 0.4), box(100, 0.3))))
    assert finds.f1_from([0.2, 0.35, 0.5, 0.95])[0].tolist() == pytest.approx([4 / 5, 1, 2 / 3, 0])


def test_labels_that_are_nowhere_have_no_precision() -> None:
    finds = found((of(box(0)), of(box(0))), labels=("a", "b"))
    assert np.isnan(finds.precisions()[1]).all() and finds.figures()["map50"] == 1
    with pytest.raises(DataError, match="no picture has a box that is to be found"):
        found((of(), of(box(0)))).figures()


def made(seed: int) -> list[tuple[Boxes, Boxes]]:
    random = np.random.default_rng(seed)
    pairs = []
    for _ in range(30):
        truth, answer = [], []
        for _ in range(int(random.integers(0, 6))):
            left, wanted = float(random.uniform(0, 150)), bool(random.random() > 0.1)
            truth.append(box(left, label="ab"[int(random.integers(2))], counts=wanted))
            for _ in range(int(random.integers(0, 3))):
                answer.append(box(left + float(random.normal(0, 2)), float(random.random()), label=truth[-1].label))
        pairs.append((of(*truth), of(*answer)))
    return pairs


def test_the_interval_holds_the_figure_and_is_the_same_again() -> None:
    pairs = made(0)
    figures = found(*pairs, labels=("a", "b")).figures()
    assert figures["map50_low"] < figures["map50"] < figures["map50_high"]
    again = found(*pairs, labels=("a", "b")).figures(["one"] * 30)
    assert again["map50_low"] == figures["map50_low"], "all of one group: pictures are drawn"
    grouped = found(*pairs, labels=("a", "b")).figures([str(i // 5) for i in range(30)])
    assert grouped["map50"] == figures["map50"] and grouped["map50_low"] != figures["map50_low"]


def test_drawing_each_picture_once_is_the_figure() -> None:
    """Weighted precision, of which intervals are made, is the same as counting pictures twice."""
    pairs = made(1)
    twice = found(*pairs, *pairs)
    once = found(*pairs)
    _, hits, counted, _, order = once._sorted(0)
    weights = 2.0 * counted[0, order][None]
    total = np.array([2 * sum(int(t[0]) for t in once.truths)])
    weighted = average_precision(weights * hits[0, order], weights, total)
    assert weighted == pytest.approx(twice.precisions()[0, 0], abs=0.01)
