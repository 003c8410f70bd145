"""A label for each sample: loss, views, temperature, fine-tuning, doubts, and what a person reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.errors import DataError, SettingsError
from crnn.findings import Seen
from crnn.layers.pool import TimeAttention, TimeMax
from crnn.tasks._charts import confusion_svg
from crnn.tasks._labels.known import Labels
from crnn.tasks._labels.temperature import temperature
from crnn.tasks._pooled import pooled
from crnn.tasks.classify import Classify
from crnn.types import Batch, Level, Part, Prediction, Sample, Seq

LABELS = ("ash", "beech", "cedar")


def task(counts: tuple[int, ...] = (2, 2, 2), **settings: Any) -> Classify:
    return Classify(Classify.Settings(**settings), Labels(LABELS, counts))


class Fixed(nn.Module):
    """A network that always says the same, and remembers what it was asked."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, inputs: Any) -> Tensor:
        self.asked = inputs
        return self.logits


def batch(count: int, targets: list[int] | None = None, views: int = 1) -> Batch:
    inputs = Seq(torch.rand(count * views, 5, 2), torch.full((count * views,), 5))
    truth = None if targets is None else torch.tensor(targets)
    return Batch(tuple(str(i) for i in range(count)), inputs, truth, views)


def answer(truth: Any, *scores: float) -> tuple[Any, Prediction]:
    order = sorted(zip(scores, LABELS, strict=True), reverse=True)
    parts = tuple(Part(label, 0.0, 5.0, score) for score, label in order)
    return truth, Prediction("a", parts[0].value, parts[0].score, parts)


# loss


def test_loss_is_cross_entropy_and_rare_classes_can_count_more() -> None:
    logits, truth = torch.randn(4, 3), [0, 1, 2, 1]
    plain = -logits.log_softmax(-1)[range(4), truth]
    torch.testing.assert_close(task().loss(Fixed(logits), batch(4, truth)), plain.mean())
    weights = torch.tensor([1.0, 1 / 4, 1.0])[truth]
    found = task((1, 4, 1), balance=1.0).loss(Fixed(logits), batch(4, truth))
    torch.testing.assert_close(found, (plain * weights).sum() / weights.sum())
    smooth = 0.7 * plain + 0.3 * -logits.log_softmax(-1).mean(-1)
    torch.testing.assert_close(task(smoothing=0.3).loss(Fixed(logits), batch(4, truth)), smooth.mean())


def test_mixtures_are_of_inputs_and_of_losses_in_training_alone() -> None:
    net, given = Fixed(torch.randn(4, 3)), batch(4, [0, 1, 2, 1])
    mixing = task(mixup=1.0)
    torch.testing.assert_close(mixing.loss(net.eval(), given), F.cross_entropy(net.logits, given.targets))
    assert net.asked is given.inputs
    torch.manual_seed(3)
    loss = mixing.loss(net.train(), given)
    assert not torch.equal(net.asked.x, given.inputs.x)
    torch.manual_seed(3)
    share = float(torch.distributions.Beta(1.0, 1.0).sample())
    order = torch.randperm(4)
    torch.testing.assert_close(net.asked.x, share * given.inputs.x + (1 - share) * given.inputs.x[order])
    own, other = (F.cross_entropy(net.logits, t) for t in (given.targets, given.targets[order]))
    torch.testing.assert_close(loss, share * own + (1 - share) * other)


def test_a_mixture_sees_no_padding_and_words_are_not_mixed() -> None:
    x = torch.ones(2, 6, 1)
    x[0, 2:] = 99
    net = Fixed(torch.randn(2, 3)).train()
    for seed in range(9):
        torch.manual_seed(seed)
        task(mixup=1.0).loss(net, Batch(("a", "b"), Seq(x, torch.tensor([2, 6])), torch.tensor([0, 1])))
        assert float(net.asked.x.max()) <= 1 + 1e-6 and set(net.asked.lengths.tolist()) <= {2, 6}
    words = Batch(("a",), Seq(torch.ones(1, 3, 1, dtype=torch.long), torch.tensor([3])), torch.tensor([0]))
    with pytest.raises(SettingsError, match="a row of words"):
        task(mixup=1.0).loss(net, words)


# answers


def test_views_are_averaged_as_probabilities() -> None:
    logits = torch.randn(6, 3)
    predictions = task().predict(Fixed(logits), batch(2, views=3))
    expected = logits.softmax(-1).view(2, 3, 3).mean(1)
    for p, row in zip(predictions, expected, strict=True):
        assert p.value == LABELS[int(row.argmax())] and p.score == pytest.approx(float(row.max()))
        assert {part.value: pytest.approx(part.score) for part in p.parts} == dict(
            zip(LABELS, row.tolist(), strict=True)
        )
        assert [part.score for part in p.parts] == sorted((part.score for part in p.parts), reverse=True)


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_temperature_is_found_again(true: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (4000, 5))
    honest = np.exp(logits / true) / np.exp(logits / true).sum(1, keepdims=True)
    truths = np.array([rng.choice(5, p=row) for row in honest])
    said = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert temperature(said, truths) == pytest.approx(true, rel=0.06)
    assert temperature(said, said.argmax(1)) == 1.0, "nothing is wrong, so nothing is known"


def test_the_bundle_gets_the_temperature_and_the_training_keeps_its_own() -> None:
    pairs = [answer("ash", 0.98, 0.01, 0.01)] * 7 + [answer("beech", 0.98, 0.01, 0.01)] * 3
    before = task()
    after = before.settle(pairs)
    assert before.temperature == 1.0 and after.temperature > 1.5
    again = Classify.restore(Classify.Settings(), json.loads(json.dumps(after.learned())))
    assert again.temperature == after.temperature and again.labels == after.labels
    sure = after.predict(Fixed(torch.tensor([[5.0, 0.0, 0.0]])), batch(1))[0].score
    assert sure < before.predict(Fixed(torch.tensor([[5.0, 0.0, 0.0]])), batch(1))[0].score


def test_heads_pool_as_is_asked_or_as_the_encoder_prefers() -> None:
    encoder = type("Encoder", (), {"levels": (Level(6, (3,), 1),), "pooling": "max"})()
    features = type("F", (), {"last": Seq(torch.randn(2, 4, 6, 3), torch.tensor([4, 2]))})()
    head = pooled(encoder, 5, pool="auto", dropout=0.0)
    assert isinstance(head.pool, TimeMax) and head(features).shape == (2, 5)
    expected = head.linear(torch.stack([features.last.x[0].amax((0, 2)), features.last.x[1, :2].amax((0, 2))]))
    torch.testing.assert_close(head(features), expected)
    assert isinstance(pooled(encoder, 5, pool="attention", dropout=0.0).pool, TimeAttention)
    mean = pooled(encoder, 5, pool="mean", dropout=0.0)
    torch.testing.assert_close(mean(features)[1], mean.linear(features.last.x[1, :2].mean((0, 2))))


# labels


def test_labels_are_those_of_the_training_part_in_their_order() -> None:
    found = Classify.learn(Classify.Settings(), [Sample(str(y), None, y) for y in (10, 9, 9, None)])
    assert found.labels == Labels((9, 10), (2, 1)) and found.encode(Sample("a", None, 10)).y == 1
    assert found.encode(Sample("a", None, 11)).y is None
    for ys, words in (([], "no sample has a label"), (["cat"] * 3, "all samples are of the class 'cat'")):
        with pytest.raises(DataError, match=words):
            Classify.learn(Classify.Settings(), [Sample("a", None, y) for y in ys])


def test_new_labels_come_behind_the_known_ones_which_keep_their_weights() -> None:
    old = task()
    new = old.extend([Sample(y, None, y) for y in ("aspen", "beech", "beech")])
    assert new.labels == Labels((*LABELS, "aspen"), (0, 2, 0, 1))
    encoder = type("Encoder", (), {"levels": (Level(6, (), 1),)})()
    heads = [t.head(encoder) for t in (old, new)]
    heads[1].load_state_dict(new.grow_head(heads[1], old, heads[0].state_dict()))
    assert torch.equal(heads[1].linear.weight[:3], heads[0].linear.weight)


def test_doubts() -> None:
    def seen(y: Any, split: str = "train") -> Seen:
        sample = Sample(f"{split}/{y}", None, y)
        return Seen(sample, split, 9, 9, task().problem(sample, 9))

    rows = (
        [seen("ash")] * 50
        + [seen("beech")] * 2
        + [seen("cedar"), seen("oak", "test"), seen(None), seen("ash", "valid")]
    )
    found = task().doubts(rows)
    kinds = {f.kind: f for f in found.findings}
    assert kinds["class with one sample"].file == "train/cedar"
    assert kinds["labels that the training part lacks"].severity == "warning"
    assert (
        kinds["no label"].severity == "error"
        and "50 samples of 'ash' and 1 of 'cedar'" in kinds["uneven classes"].sentence
    )
    assert "none of 2 classes (beech, cedar)" in kinds["classes that are not there"].sentence
    assert found.figures["train"] == {"classes": 3} and found.whole == {"classes": 3}


# what a person sees


def test_what_is_written_and_said(tmp_path: Path) -> None:
    _, p = answer("ash", 0.2, 0.7, 0.1)
    assert task().line(p) == "a\tbeech\t0.70" and task().line(p, top=2) == "a\tbeech\t0.70\tash\t0.20"
    assert [x["label"] for x in task().plain(p, top=2)["labels"]] == ["beech", "ash"]
    task().write([p], tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "id,label,score\na,beech,0.7000\n"
    task().write([p], tmp_path / "a.jsonl")
    assert len(json.loads((tmp_path / "a.jsonl").read_text())["labels"]) == 3
    with pytest.raises(SettingsError, match=r"expected a name in \.jsonl or \.csv"):
        task().write([p], tmp_path / "a.txt")


def test_the_report_has_charts_and_classes_and_escapes_what_strangers_wrote() -> None:
    pairs = [answer("ash", 0.9, 0.1, 0.0), answer("beech", 0.6, 0.3, 0.1), answer("<b>", 0.5, 0.3, 0.2)]
    details = task().details(pairs)
    assert [title for title, _ in details["charts"]] == ["Confusion matrix", "Reliability"]
    confusion = details["charts"][0][1]
    assert "&lt;b&gt;" in confusion and "<b>" not in confusion and "beech taken for ash: 1 (100.0 %)" in confusion
    rows = {row["label"]: row for row in details["tables"][0][1]}
    assert rows["ash"]["precision"] == pytest.approx(1 / 3) and rows["beech"]["recall"] == 0
    assert details["confused"] == "taken for"
    html = task().show(pairs[2][1], "<b>", "<img>")
    assert "&lt;b&gt;" in html and "<b>" not in html and "<img>" in html
    assert task().row(*pairs[1])["badness"] == pytest.approx(0.7)


def test_who_has_learned_nothing_is_told() -> None:
    same = [answer("ash", 0.9, 0.1, 0.0), answer("beech", 0.9, 0.1, 0.0)]
    assert "says 'ash' for every sample" in str(task().diagnose(same))
    assert task().diagnose(same[:1]) is None
    assert task((1, 5, 1)).baselines([Sample("a", None, "beech"), Sample("b", None, "ash")]) == {
        "most frequent class": {"accuracy": 0.5, "balanced_accuracy": 0.5, "macro_f1": pytest.approx(1 / 3)}
    }


def test_the_truth_is_shown_however_unlikely() -> None:
    names = tuple(f"class {i}" for i in range(9))
    many = Classify(Classify.Settings(), Labels(names, (1,) * 9))
    parts = tuple(Part(name, 0.0, 1.0, 0.5 / (i + 1)) for i, name in enumerate(names))
    html = many.show(Prediction("a", "class 0", 0.5, parts), "class 8")
    assert "class 4" in html and "class 5" not in html and "class 8 ✓" in html and "5.6 %" in html
    assert "class 8" not in many.show(Prediction("a", "class 0", 0.5, parts), None)
    svg = confusion_svg(["door_wood_knock_that_creaks_1", "door_wood_knock_that_creaks_2"], np.eye(2, dtype=int))
    assert "creaks_1" in svg and "creaks_2" in svg, "names that differ in their end stay apart"
