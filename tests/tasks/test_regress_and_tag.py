"""Numbers and events: scales, losses, steps that are compared with the truth, and what becomes an event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from crnn.data.collate import collate
from crnn.data.inputs.series import Series
from crnn.errors import DataError, SettingsError
from crnn.metrics.events import segment_counts
from crnn.tasks._events.runs import activity, events_of, overlaps, runs, smooth
from crnn.tasks._events.thresholds import _segments
from crnn.tasks.regress import Regress
from crnn.tasks.tag import Tag
from crnn.types import Batch, Level, Part, Prediction, Sample, Seq, Track, in_source


class Fixed(nn.Module):
    """A network that always says the same."""

    def __init__(self, output: Any, stride: int = 1) -> None:
        super().__init__()
        self.output = output
        self.encoder = type("Encoder", (), {"levels": (Level(1, (), stride),)})()

    def forward(self, inputs: Any) -> Any:
        return self.output


# regress


def numbers(*ys: Any, **settings: Any) -> Regress:
    return Regress.learn(Regress.Settings(**settings), [Sample(str(i), None, y) for i, y in enumerate(ys)])


def test_numbers_are_learned_in_deviations_and_said_in_their_unit() -> None:
    task = numbers(10.0, 20.0, 30.0, None)
    encoded = [task.encode(Sample("a", np.zeros((3, 1), np.float32), y)) for y in (10.0, 20.0, 30.0)]
    batch = collate(encoded).batch
    assert batch is not None and batch.targets.shape == (3, 1) and batch.targets.dtype == torch.float32
    assert float(batch.targets.mean()) == pytest.approx(0, abs=1e-6)
    said = task.predict(Fixed(batch.targets), batch)
    assert [p.value for p in said] == [pytest.approx(10), pytest.approx(20), pytest.approx(30)]


def test_several_numbers_each_have_their_scale() -> None:
    task = numbers((1.0, 100.0), (3.0, 300.0))
    assert task.encode(Sample("a", None, (1.0, 300.0))).y == (pytest.approx(-1), pytest.approx(1))
    (p,) = task.predict(Fixed(torch.tensor([[-1.0, 1.0], [-1.0, 0.0]])), Batch(("a",), None, None, views=2))
    assert p.value == (pytest.approx(1), pytest.approx(250)), "the mean of two views"
    assert task.plain(p) == {"id": "a", "value_1": pytest.approx(1), "value_2": pytest.approx(250)}


@pytest.mark.parametrize(
    ("name", "function"), [("square", F.mse_loss), ("absolute", F.l1_loss), ("smooth", F.smooth_l1_loss)]
)
def test_losses(name: str, function: Any) -> None:
    y, truth = torch.randn(4, 2), torch.randn(4, 2)
    found = numbers((0.0, 1.0), (1.0, 3.0), loss=name).loss(Fixed(y), Batch(("a",) * 4, None, truth))
    torch.testing.assert_close(found, function(y, truth))


def test_numbers_that_are_none() -> None:
    task = numbers(1.0, 2.0)
    for y, words in (
        (None, "has no number"),
        (float("nan"), "has the answer nan"),
        ((1.0, 2.0), "has 2 numbers; expected 1"),
    ):
        assert words in str(task.problem(Sample("a", None, y), 5))
    assert task.problem(Sample("a", None, 0.0), 5) is None and task.truth(Sample("a", None, 0.0)) == 0.0
    with pytest.raises(DataError, match="no sample has a number"):
        numbers(None, "old")
    with pytest.raises(DataError, match="samples have 1, 2 numbers"):
        numbers(1.0, (1.0, 2.0))


def test_the_usual_error_is_kept_and_said() -> None:
    pairs = [(1.0, Prediction("a", 2.0, 1.0)), (5.0, Prediction("b", 2.0, 1.0))]
    task = numbers(1.0, 2.0).settle(pairs)
    again = Regress.restore(Regress.Settings(), json.loads(json.dumps(task.learned())))
    assert again.line(Prediction("a", 2.5, 1.0)) == "a\t2.5 ± 2"
    assert task.baselines([Sample("a", None, 1.0)])["always the mean"]["mae"] == 0.5
    assert "says 2 for every sample" in str(task.diagnose(pairs))
    assert "truth: 5, off by 3" in task.show(pairs[1][1], 5.0) and "off" not in task.show(pairs[1][1], None)


def test_the_report_of_numbers_has_a_cloud_for_each() -> None:
    task = numbers((1.0, 100.0), (3.0, 300.0))
    pairs = [((1.0, 100.0), Prediction("a", (1.5, 90.0), 1.0)), ((3.0, 300.0), Prediction("b", (3.0, 300.0), 1.0))]
    details = task.details(pairs)
    assert [title for title, _ in details["charts"]] == [f"Truth and answer of number {i}" for i in (1, 2)]
    assert "<title>truth 1, answer 1.5</title>" in details["charts"][0][1]
    assert set(task.score(pairs)) - {"mae_low", "mae_high"} <= set(details["figures"])
    same = numbers(2.0, 2.0).details([(2.0, Prediction("a", 2.0, 1.0))])["charts"][0][1]
    assert "nan" not in same, "of one number only"


# tag


def event(label: Any, start: float, stop: float, score: float = 1.0) -> Part:
    return Part(label, float(start), float(stop), score)


def tags(*ys: Any, **settings: Any) -> Tag:
    return Tag.learn(Tag.Settings(**settings), [Sample(str(i), None, y) for i, y in enumerate(ys)])


def test_runs_of_labels_are_events_and_events_are_labels_of_steps() -> None:
    events = events_of(["a", "a", None, "b", "b", "a"], 2.0)
    assert events == (event("a", 0, 1), event("b", 1.5, 2.5), event("a", 2.5, 3))
    table = activity(events, 6, 2.0, {"a": 0, "b": 1})
    assert table.tolist() == activity(["a", "a", "", "b", "b", "a"], 6, 1.0, {"a": 0, "b": 1}).tolist()
    assert table[:, 0].tolist() == [True, True, False, False, False, True]
    assert activity(["a", "b"], 6, 1.0, {"a": 0, "b": 1})[:, 1].tolist() == [False] * 3 + [True] * 3
    assert activity((event("c", 0, 9),), 3, 1.0, {"a": 0}).tolist() == [[False]] * 3, "nobody knows c"
    assert activity((event("a", 1.0, 1.01),), 3, 1.0, {"a": 0}).any(), "short as it is"
    assert overlaps((event("a", 0, 2), event("b", 1, 3))) and not overlaps((event("a", 0, 1), event("b", 1, 3)))


def test_one_label_or_many_is_found_out() -> None:
    apart, together = (event("a", 0, 1), event("b", 1, 2)), (event("a", 0, 2), event("b", 1, 3))
    assert not tags(apart).many and tags(apart, together).many
    assert tags(apart, labels="many").many and not tags(together, labels="one").many
    with pytest.raises(DataError, match="no sample has an event"):
        tags((), None)


@pytest.mark.parametrize("many", [False, True])
def test_loss_compares_the_middle_of_each_step_and_leaves_padding_out(many: bool) -> None:
    task = tags(["a", "b"], labels="many" if many else "one")
    ys = [np.array([[i % 3 == 1, i % 3 == 2] for i in range(n)]) for n in (8, 6)]
    encoded = [task.encode(Sample("s", np.zeros((len(y), 1), np.float32), y)) for y in ys]
    batch = collate(encoded).batch
    assert batch is not None
    output = torch.randn(2, 3, 2 + (not many))
    found = task.loss(Fixed(Seq(output, torch.tensor([3, 2])), stride=3), batch)
    steps = [(0, 0, 1), (0, 1, 4), (0, 2, 7), (1, 0, 1), (1, 1, 4)]  # row, output step, input step at its middle
    y = torch.stack([output[r, t] for r, t, _ in steps])
    truth = [ys[r][i] for r, _, i in steps]
    if many:
        expected = F.binary_cross_entropy_with_logits(y, torch.tensor(np.array(truth), dtype=torch.float32))
    else:
        expected = F.cross_entropy(y, torch.tensor([1 + int(t[1]) if t.any() else 0 for t in truth]))
    torch.testing.assert_close(found, expected)
    poisoned = Seq(output.clone(), torch.tensor([3, 2]))
    poisoned.x[1, 2] = 1e4
    torch.testing.assert_close(task.loss(Fixed(poisoned, stride=3), batch), found)


def test_events_are_runs_of_steps() -> None:
    one = tags(["a", "b"])
    shares = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8]])
    p = one.read("x", shares, stride=4, length=14)
    assert p.value == ("a", "b") and p.parts == (
        event("a", 4, 12, pytest.approx(0.7)),
        event("b", 12, 14, pytest.approx(0.8)),
    )
    many = tags(["a", "b"], labels="many", threshold=0.6)
    p = many.read("x", shares[:, 1:], stride=4, length=16)
    assert [(e.value, e.start, e.stop) for e in p.parts] == [("a", 4, 12), ("b", 12, 16)]
    assert many.read("x", np.zeros((0, 2)), stride=4, length=0).parts == ()


def test_the_median_takes_what_is_too_short() -> None:
    shares = np.array([0.1, 0.9, 0.1, 0.1, 0.9, 0.8, 0.9, 0.1, 0.9, 0.9])[:, None]
    task = tags(["a"], labels="many", median=3)
    assert [(e.start, e.stop) for e in task.read("x", shares, stride=1, length=10).parts] == [(4, 10)]
    assert np.array_equal(smooth(shares, 1), shares) and runs(np.array([True, False, True, True])) == [(0, 1), (2, 4)]


def test_places_are_said_in_units_of_the_source() -> None:
    task = tags((event("a", 0, 1),))
    raw = task.read("x", np.array([[0.9, 0.1], [0.1, 0.9]]), stride=5, length=10)
    assert in_source(raw, 10.0).parts == (event("a", 0.5, 1.0, pytest.approx(0.9)),)
    pairs = [((event("a", 0.5, 1.0),), in_source(raw, 10.0))]
    assert task.score(pairs)["event_f1"] == 1 and task.score([((event("a", 5, 10),), raw)])["segment_f1"] == 1


def test_numbers_are_written_whatever_their_unit_is(tmp_path: Path) -> None:
    task = Regress(Regress.Settings(), [0.0] * 3, [1.0] * 3)
    task.write([Prediction("a", (1.2345e-5, 123456.75, -2.0), 1.0)], tmp_path / "n.csv")
    assert (tmp_path / "n.csv").read_text() == "id,value_1,value_2,value_3\na,1.2345e-05,123456.8,-2\n"


def test_what_is_written_and_said_of_events(tmp_path: Path) -> None:
    task = tags((event("a", 0, 1), event("b", 1, 2)))
    p = Prediction("x.wav", ("a", "b"), 0.9, (event("a", 0, 1, 0.75), event("b", 1.5, 2, 0.5)))
    assert task.line(p) == "x.wav\t0.00-1.00 a 0.75\t1.50-2.00 b 0.50"
    task.write([p, Prediction("y.wav", (), 0.9)], tmp_path / "e.csv")
    rows = (tmp_path / "e.csv").read_text().splitlines()
    assert rows[0] == "id,onset,offset,label,score" and len(rows) == 3 and rows[2] == "x.wav,1.5000,2.0000,b,0.5000"
    task.write([Prediction("y.wav", (), 0.9)], tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text() == "id,onset,offset,label,score\n"
    task.write([p], tmp_path / "e.jsonl")
    assert len(json.loads((tmp_path / "e.jsonl").read_text())["events"]) == 2
    html = task.show(p, (event("<b>", 0, 2),))
    assert (
        html.count("border:2px solid") == 1 and html.count("% sure") == 2 and "&lt;b&gt;" in html and "<b>" not in html
    )
    with pytest.raises(SettingsError):
        task.write([p], tmp_path / "e.txt")
    assert "nothing was found, and nothing is there" in task.show(Prediction("y.wav", (), 0.9), ())


def test_events_are_drawn_where_they_are_in_the_sample() -> None:
    """The picture above them is the whole sample, so they stand in its length and not in that of the last event."""
    task = tags((event("a", 0, 1), event("b", 1, 2)))
    shares = np.array([[0.1, 0.0], [0.9, 0.0], [0.1, 0.0], [0.1, 0.0]])
    html = task.show(Prediction("x", ("a",), 0.9, (event("a", 2, 4),), Track(shares, 2.0)), (event("a", 1, 3),))
    assert "left:25.00%;width:25.00%" in html and "left:12.50%;width:25.00%" in html
    assert 'points="125,100 125,90 375,10 625,90 875,90 875,100"' in html
    both = task.show(Prediction("x", ("a", "b"), 0.9, (event("a", 0, 4), event("b", 1, 3))), None)
    assert both.count("<p ") == 2, "labels at one time stand below each other"


def test_problems_and_baselines_of_events() -> None:
    task = tags((event("a", 0, 3), event("b", 3, 4)))
    assert "has no labels" in str(task.problem(Sample("s", None, None)))
    assert "has the labels c" in str(task.problem(Sample("s", None, (event("c", 0, 1),))))
    assert task.problem(Sample("s", None, ())) is None, "silence is an answer"
    task = task.with_input(Series())
    for steps, right in ((4, 3 / 4), (9, 2 * 3 / (9 + 4))):  # a sample goes on where its last event has ended
        rows = task.baselines([Sample("s", np.zeros(steps), (event("a", 0, 3), event("b", 3, 4)))])
        assert rows["nothing"]["segment_f1"] == 0
        assert rows["most frequent label"]["segment_f1"] == pytest.approx(right)
    rows = task.baselines([Sample("s", np.zeros(9), ["a", "a", None])])
    assert rows["most frequent label"]["segment_f1"] == pytest.approx(2 * 2 / (3 + 2)), "labels of steps say where"
    assert "finds no event" in str(task.diagnose([((event("a", 0, 1),), Prediction("s", (), 1.0))]))
    grown = task.extend([Sample("s", None, (event("c", 0, 1),))])
    assert grown.labels == ("a", "b", "c") and grown.many == task.many
    encoder = type("Encoder", (), {"levels": (Level(4, (), 1),)})()
    heads = [t.head(encoder) for t in (task, grown)]
    heads[1].load_state_dict(grown.grow_head(heads[1], task, heads[0].state_dict()))
    assert torch.equal(heads[1].linear.weight[:3], heads[0].linear.weight)


# thresholds


def curves(low: float, count: int = 40) -> list[tuple[Any, Prediction]]:
    """Samples of ten steps of half a second: ``a`` is there where its probability is ``low`` and more, ``b`` from one
    half on; ``c`` is there once, and nothing is seen of it."""
    random, pairs = np.random.default_rng(0), []
    for i in range(count):
        on = random.random((10, 2)) < 0.3
        shares = np.where(on, [low, 0.8], [low / 2, 0.2]) + random.uniform(0, low / 3, (10, 2))
        shares = np.concatenate([shares, np.full((10, 1), 0.1)], axis=1)
        truth = [event(label, t / 2, (t + 1) / 2) for k, label in enumerate("ab") for t in np.flatnonzero(on[:, k])]
        truth += [event("c", 0, 1)] if i == 0 else []
        pairs.append((tuple(truth), Prediction("x", (), 1.0, (), Track(shares, 0.5))))
    return pairs


def test_each_label_has_the_threshold_that_suits_the_validation_part() -> None:
    task = tags((event("a", 0, 2), event("b", 1, 3), event("c", 0, 1)), segment=0.5)
    assert task.thresholds == (0.5, 0.5, 0.5)
    settled = task.settle(curves(0.24))
    assert settled.thresholds == (pytest.approx(0.2, abs=0.04), 0.5, 0.5), "and of a rare label nothing is believed"
    again = Tag.restore(Tag.Settings(), json.loads(json.dumps(settled.learned())))
    assert again.thresholds == settled.thresholds and "0.20, 0.50, 0.50" in again.facts()["thresholds"]
    shares = np.array([[0.24, 0.24, 0.0], [0.1, 0.6, 0.0]])
    assert again.read("x", shares, stride=1, length=2).value == ("a", "b")
    assert task.read("x", shares, stride=1, length=2).value == ("b",)
    track = again.read("x", shares, stride=4, length=8).track
    assert track is not None and track.every == 4 and np.array_equal(track.shares, shares)


def test_a_threshold_that_is_set_or_an_older_bundle_stays_as_it_is() -> None:
    overlapping = (event("a", 0, 2), event("b", 1, 3), event("c", 0, 1))
    fixed = tags(overlapping, threshold=0.3).settle(curves(0.24))
    assert fixed.thresholds == (0.3, 0.3, 0.3)
    older = {"labels": ["a", "b"], "shares": [0.5, 0.5], "many": True}
    assert Tag.restore(Tag.Settings(threshold=0.5), older).thresholds == (0.5, 0.5)
    apart = tags((event("a", 0, 1),), (event("b", 1, 2),))
    assert apart.settle([]) is apart and "thresholds" not in apart.learned()
    assert tags(overlapping).settle([]).thresholds == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("every", "segment"), [(1.0, 1.0), (0.25, 1.0), (3.0, 1.0), (0.3, 0.7), (1.0, 100.0)])
def test_segments_are_those_that_the_figure_counts(every: float, segment: float) -> None:
    """Events from a threshold on, counted as the figure counts them, are the segments that reach it somewhere."""
    random = np.random.default_rng(3)
    for _ in range(20):
        shares = random.random((int(random.integers(1, 25)), 2))
        end = len(shares) * every
        starts = random.uniform(0, 0.8 * end, 3).tolist()
        truth = [event("ab"[i % 2], start, start + 0.2 * end) for i, start in enumerate(starts)]
        true, highest = _segments(truth, Track(shares, every), ("a", "b"), segment, 1)
        found = [event("ab"[i], a * every, b * every) for i in range(2) for a, b in runs(shares[:, i] >= 0.6)]
        on = highest >= 0.6
        counts = (int((on & true).sum()), int((on & ~true).sum()), int((~on & true).sum()))
        assert counts == segment_counts(truth, found, segment)


def test_places_of_probabilities_move_into_the_source() -> None:
    moved = in_source(Prediction("x", ("a",), 1.0, (event("a", 2, 4),), Track(np.zeros((3, 1)), 4.0)), 8.0)
    assert moved.parts[0].start == 0.25 and moved.track is not None and moved.track.every == 0.5
    assert in_source(Prediction("x", "a", 1.0), 8.0).track is None
