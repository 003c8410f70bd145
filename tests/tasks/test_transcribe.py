"""Text from lines: the loss against brute force, readings and their places, files, and larger alphabets."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from itertools import groupby, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import crnn
from crnn.bundle import Bundle
from crnn.data.collate import pad
from crnn.errors import DataError, SettingsError
from crnn.models import MODELS
from crnn.recipe import DataSettings, Recipe, TrainSettings
from crnn.tasks._lines.head import CTCHead
from crnn.tasks.transcribe import Transcribe
from crnn.text import Alphabet
from crnn.train.prepare import adapt, prepare
from crnn.types import Batch, Level, Part, Prediction, Sample, Seq


def task(letters: str = "ab", **settings: Any) -> Transcribe:
    return Transcribe.restore(Transcribe.Settings(**settings), {"letters": letters})


class Fixed(nn.Module):
    """A network that always says the same."""

    def __init__(self, log_probs: Tensor, lengths: list[int], stride: int = 4) -> None:
        super().__init__()
        self.answer = Seq(log_probs, torch.tensor(lengths))
        self.encoder = type("Encoder", (), {"levels": (Level(1, (), stride),)})()

    def forward(self, inputs: Seq) -> Seq:
        return self.answer


def batch(texts: list[list[int]], widths: list[int] | None = None) -> Batch:
    widths = widths or [8] * len(texts)
    inputs = pad([np.zeros((w, 1, 2), np.float32) for w in widths])
    return Batch(tuple(str(i) for i in range(len(texts))), inputs, pad([np.array(t, np.int64) for t in texts]))


def read(truth: str, text: str) -> tuple[str, Prediction]:
    return truth, Prediction("a.png", text, 1.0)


def likelihood(log_probs: Tensor, numbers: list[int]) -> float:
    """The sum of the probabilities of all paths that collapse to ``numbers``."""
    steps, outputs = log_probs.shape
    paths = [p for p in product(range(outputs), repeat=steps) if [n for n, _ in groupby(p) if n] == numbers]
    return sum(float(log_probs[range(steps), p].sum().exp()) for p in map(list, paths))


# loss


def test_loss_is_that_of_all_paths_for_each_letter() -> None:
    texts, lengths = [[1, 2], [1, 1], [], [2]], [4, 5, 3, 1]
    log_probs = torch.randn(4, 5, 3).log_softmax(-1)
    expected = -sum(np.log(likelihood(row[:t], text)) for row, t, text in zip(log_probs, lengths, texts, strict=True))
    assert float(task().loss(Fixed(log_probs, lengths), batch(texts))) == pytest.approx(expected / 5, rel=1e-5)


def test_loss_is_torchs_by_letters_and_so_is_its_gradient() -> None:
    texts, lengths = [[1, 2, 2], [2]], [9, 6]
    logits = torch.randn(2, 9, 3, requires_grad=True)
    twin = logits.detach().clone().requires_grad_()
    loss = task().loss(Fixed(logits.log_softmax(-1), lengths), batch(texts))
    each = F.ctc_loss(
        twin.log_softmax(-1).transpose(0, 1),
        torch.tensor([1, 2, 2, 2]),
        torch.tensor(lengths),
        torch.tensor([3, 1]),
        reduction="none",
    )
    torch.testing.assert_close(loss, each.sum() / 4)
    loss.backward()
    (each.sum() / 4).backward()
    assert logits.grad is not None and twin.grad is not None
    torch.testing.assert_close(logits.grad, twin.grad)


def test_what_cannot_be_written_adds_nothing_and_spoils_nothing() -> None:
    logits = torch.randn(2, 3, 3, requires_grad=True)
    loss = task().loss(Fixed(logits.log_softmax(-1), [3, 2]), batch([[1, 2], [1, 1]]))
    assert torch.isfinite(loss)
    loss.backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()
    assert not logits.grad[1].any() and logits.grad[0].any()


def test_a_batch_without_any_letter_has_a_finite_loss() -> None:
    log_probs = torch.randn(1, 3, 3).log_softmax(-1)
    expected = -float(log_probs[0, :, 0].sum())
    assert float(task().loss(Fixed(log_probs, [3]), batch([[]]))) == pytest.approx(expected, rel=1e-5)


# head


def test_head_gives_log_probabilities_of_letters_and_blank() -> None:
    encoder = type("Encoder", (), {"levels": (Level(7, (), 4),)})()
    head = task("abc").head(encoder)
    features = type("F", (), {"last": Seq(torch.randn(2, 5, 7).bfloat16(), torch.tensor([5, 3]))})()
    y, lengths = head.bfloat16()(features)
    assert y.shape == (2, 5, 4) and y.dtype == torch.float32 and lengths.tolist() == [5, 3]
    torch.testing.assert_close(y.exp().sum(-1), torch.ones(2, 5))


def test_an_encoder_that_keeps_space_is_refused() -> None:
    encoder = type("Maps", (), {"levels": (Level(7, (4,), 1),)})()
    with pytest.raises(
        SettingsError, match=r"Maps gives maps of size \(4,\).*expected an encoder that gives one vector"
    ):
        task().head(encoder)


# problem and encode


@pytest.mark.parametrize(
    ("text", "steps", "given"),
    [
        ("ab", 2, None),
        ("abab", None, None),
        ("aa", 3, None),
        ("aa", 2, "gives 2 time steps for a text that needs 3 ('aa')"),
        ("ab", 1, "gives 1 time steps for a text that needs 2 ('ab')"),
        ("xab y", 9, "has the letters ' ' 'x' 'y'"),
        ("", 9, "has no text"),
        (" \t", 9, "has no text"),
        (None, 9, "has no text"),
        (7, 9, "has no text"),
    ],
)
def test_problem_says_why_a_sample_cannot_be_learned_from(text: Any, steps: int | None, given: str | None) -> None:
    error = task().problem(Sample("a.png", None, text), steps)
    if given is None:
        assert error is None
    else:
        assert isinstance(error, DataError) and error.given == given and error.file == "a.png"


def test_encode_leaves_out_what_is_not_known() -> None:
    assert task().encode(Sample("a", None, "axb")).y.tolist() == [1, 2]
    assert task().encode(Sample("a", None, "x")).y.tolist() == []
    assert task().encode(Sample("a", None)).y is None
    assert task(unicode="NFD", letters="e\u0301").encode(Sample("a", None, "é")).y.tolist() == [1, 2]


# learned


def test_what_was_learned_is_plain_and_comes_back() -> None:
    learned = Transcribe.learn(Transcribe.Settings(), [Sample("1", None, "bé a"), Sample("2", None)])
    values = json.loads(json.dumps(learned.learned()))
    assert values == {"letters": " abé"}
    assert Transcribe.restore(Transcribe.Settings(), values).alphabet == learned.alphabet


def test_nothing_to_learn_is_refused() -> None:
    with pytest.raises(DataError, match="no sample has a text; expected transcribed lines"):
        Transcribe.learn(Transcribe.Settings(), [Sample("1", None), Sample("2", None, "")])


# readings


def spelled(path: str, letters: str, sure: float = 0.9) -> Tensor:
    """Log-probabilities whose best path is ``path``, ``-`` the blank."""
    p = torch.full((len(path), len(letters) + 1), (1 - sure) / len(letters))
    p[range(len(path)), [0 if letter == "-" else 1 + letters.index(letter) for letter in path]] = sure
    return p.log()


def test_predictions_have_text_score_and_places_in_columns_of_the_input() -> None:
    rows = [spelled("-aa--b--", "ab"), spelled("b-b-----", "ab")]
    found = task().predict(Fixed(torch.stack(rows), [8, 4]), batch([[], []], [30, 16]))
    assert [(p.id, p.value) for p in found] == [("0", "ab"), ("1", "bb")]
    assert [part.value for part in found[0].parts] == ["a", "b"]
    for prediction, width in zip(found, (30, 16), strict=True):
        edges = [edge for part in prediction.parts for edge in (part.start, part.stop)]
        assert edges == sorted(edges) and edges[0] >= 0 and edges[-1] <= width
        assert all(part.score == pytest.approx(0.9) for part in prediction.parts) and 0 < prediction.score <= 1
    a, b = found[0].parts
    assert a.start < 4 * 2 < a.stop, "around the frames 1 and 2"
    assert b.start < 4 * 5.5 < b.stop


def test_frames_behind_the_length_are_not_read() -> None:
    rows = torch.stack([spelled("a---bbbb", "ab")])
    assert task().predict(Fixed(rows, [4]), batch([[]], [16]))[0].value == "a"


def test_from_right_to_left_text_is_in_reading_order_and_parts_in_that_of_the_picture() -> None:
    made = task("אב1", direction="rtl")
    found = made.read("x", spelled("1-ב-א", "אב1").numpy(), stride=4, width=20)
    assert found.value == "אב1"
    assert [part.value for part in found.parts] == ["1", "ב", "א"]
    assert made.encode(Sample("x", None, "אב1")).y.tolist() == [3, 2, 1]


# figures


def test_figures_rows_and_baselines() -> None:
    made = task()
    samples = [Sample("1", None, " ab\n"), Sample("2", None, "b"), Sample("3", None)]
    assert [made.truth(s) for s in samples] == ["ab", "b", None]
    assert made.score([read("ab", "ab"), read("b", "a")])["cer"] == pytest.approx(1 / 3)
    row = made.row("ab", Prediction("1", "b", 0.5))
    assert (row["id"], row["truth"], row["read"], row["errors"], row["cer"]) == ("1", "ab", "b", 1, 0.5)
    assert made.baselines(samples[:2]) == {"says nothing": {"cer": 1.0, "wer": 1.0}}
    assert made.say({"cer": 0.0123, "wer": 0.5}) == "CER 1.23 %  WER 50.00 %"
    assert made.best == ("cer", min) and set(made.figures) <= set(made.score([read("ab", "ab")]))


def test_diagnose_tells_what_has_plainly_not_been_learned() -> None:
    assert "writes nothing for any line" in str(task().diagnose([read("ab", ""), read("b", "")]))
    assert "writes 'a' for every line" in str(task().diagnose([read("ab", "a"), read("b", "a")]))
    assert task().diagnose([read("ab", "a"), read("b", "b")]) is None
    assert task().diagnose([read("ab", "ab"), read("ab", "ab")]) is None, "all lines may be the same"


def test_show_has_truth_and_reading() -> None:
    html = task().show(Prediction("1", "a<b", 0.5), "ab", "<img>")
    assert "a&lt;b" in html.replace("</mark>", "") or "&lt;" in html
    assert "<img>" in html and "<script" not in html


# files


PREDICTIONS = [
    Prediction("a.png", 'sagt "ja", bald', 0.75, (Part("s", 0.0, 3.5, 0.5),)),
    Prediction("b.png", "", 1.0),
    Prediction("c.png", "Straße 東", 0.12345),
]


def test_write_text(tmp_path: Path) -> None:
    task().write(iter(PREDICTIONS), tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == 'sagt "ja", bald\n\nStraße 東\n'


def test_write_csv(tmp_path: Path) -> None:
    task().write(iter(PREDICTIONS), tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["id", "text", "score"],
            ["a.png", 'sagt "ja", bald', "0.7500"],
            ["b.png", "", "1.0000"],
            ["c.png", "Straße 東", "0.1235"],
        ]


def test_write_json_lines(tmp_path: Path) -> None:
    task().write(iter(PREDICTIONS), tmp_path / "a.JSONL")
    text = (tmp_path / "a.JSONL").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert [(r["id"], r["text"], r["score"]) for r in rows] == [(p.id, p.value, p.score) for p in PREDICTIONS]
    assert rows[0]["letters"] == [{"value": "s", "start": 0.0, "stop": 3.5, "score": 0.5}]
    assert "東" in text, "readable by people, too"


def test_write_to_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"the file 'a.pdf'; expected a name in .txt, .jsonl or .csv. Rename it."):
        task().write(PREDICTIONS, tmp_path / "a.pdf")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_a_stop_while_writing_leaves_the_old_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("old")

    def stopping() -> Any:
        yield PREDICTIONS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        task().write(stopping(), tmp_path / name)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(name, "old")]


# larger alphabets


def test_known_letters_keep_their_rows() -> None:
    old, new = task("bd"), task("bdac")
    heads = [CTCHead(5, t.alphabet.outputs) for t in (old, new)]
    fresh = {name: value.clone() for name, value in heads[1].state_dict().items()}
    heads[1].load_state_dict(new.grow_head(heads[1], old, heads[0].state_dict()))
    for name, value in heads[1].state_dict().items():
        assert torch.equal(value[:3], heads[0].state_dict()[name]), "blank, b, d"
        assert torch.equal(value[3:], fresh[name][3:]), "a, c"


def test_rows_follow_their_letters_wherever_these_stand() -> None:
    old, new = task("bd"), task("abcd")
    heads = [CTCHead(5, t.alphabet.outputs) for t in (old, new)]
    grown = new.grow_head(heads[1], old, heads[0].state_dict())
    assert torch.equal(grown["linear.weight"][[0, 2, 4]], heads[0].linear.weight)


def test_fine_tuning_starts_from_the_same_readings(tiny: Callable[..., Bundle]) -> None:
    start = tiny("crnn")
    start.net.eval()
    inputs = pad([np.random.default_rng(i).random((60 + i, 1, 16), np.float32) for i in range(4)])
    adapted = adapt(start, [Sample("x", None, "Qaé")], Recipe(train=TrainSettings(seed=3)))
    adapted.net.eval()
    known = start.task.alphabet.letters
    assert adapted.task.alphabet.letters == (*known, "Q", "é")
    with torch.no_grad():
        before, after = start.net(inputs), adapted.net(inputs)
    assert torch.equal(before.lengths, after.lengths)
    kept = after.x[..., : len(known) + 1].log_softmax(-1)
    torch.testing.assert_close(kept, before.x, rtol=1e-5, atol=1e-5)
    assert adapted.kind.settings == start.kind.settings and adapted.encoder == start.encoder
    again = adapt(start, [Sample("x", None, "Qaé")], Recipe(train=TrainSettings(seed=3)))
    assert all(torch.equal(v, again.net.state_dict()[k]) for k, v in adapted.net.state_dict().items())


def test_fine_tuning_without_new_letters_is_the_same_network(tiny: Callable[..., Bundle]) -> None:
    start = tiny("crnn")
    adapted = adapt(start, [Sample("x", None, "".join(start.task.alphabet.letters))], Recipe())
    assert adapted.task.alphabet == start.task.alphabet
    assert all(torch.equal(v, start.net.state_dict()[k]) for k, v in adapted.net.state_dict().items())


def test_the_alphabet_of_a_task_follows_its_settings() -> None:
    made = task("abc", unicode="NFD", direction="rtl").alphabet
    assert (made.letters, made.unicode, made.direction) == (("a", "b", "c"), "NFD", "rtl")
    assert isinstance(made, Alphabet)


def test_each_kind_of_input_has_a_model_that_reads_it(made: Callable[..., Path]) -> None:
    for kind, model in (("line", "crnn"), ("sound", "deepspeech2")):
        recipe = Recipe(task={"name": "transcribe"}, data=DataSettings(train=str(made("transcribe", kind))))
        assert prepare(recipe).bundle.encoder["name"] == model
        assert type(crnn.create(learned={"letters": "ab"}, input={"name": kind}).encoder) is MODELS[model]
