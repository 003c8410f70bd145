"""Sentences said of samples: what is learned, encoded, searched, scored and shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import crnn
from crnn.bundle import build
from crnn.cli import main
from crnn.config import fill
from crnn.data.collate import collate
from crnn.data.dataset import Samples
from crnn.data.inputs import restore
from crnn.deploy.predict import Predictor
from crnn.errors import DataError, SettingsError
from crnn.recipe import Recipe
from crnn.tasks._caption.head import IGNORED, told_of
from crnn.tasks.caption import Caption
from crnn.train.check import check
from crnn.train.evaluate import evaluate
from crnn.train.prepare import prepare
from crnn.types import Batch, Part, Prediction, Sample, Seq

DECODERS = ("attention", "mrnn", "lrcn_1u", "lrcn_2u", "lrcn_2f")
Tiny = Callable[..., Any]


def task(texts: list[Any], **settings: Any) -> Caption:
    values = fill(Caption.Settings, {"least": 1, "hidden": 12, "embedding": 7, **settings}, "task")
    return Caption.learn(values, [Sample(str(i), None, y) for i, y in enumerate(texts)])


def pictures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)


def bundle(own: Caption, model: str = "cascade", kind: str = "picture", **encoder: Any) -> Any:
    table = {"name": kind, "height": 16, "width": 24} if kind in ("picture", "film") else {"name": kind}
    return build(own, restore(table), {"name": model, **encoder})


# what is learned


def test_all_sentences_of_a_sample_become_one_row_of_numbers() -> None:
    own = task([("a cat", "the cat"), "a dog"])
    number = own.vocabulary.number
    y = own.encode(Sample("x", None, ("the cat", "a cat"))).y
    assert y.dtype == np.int64
    assert y.tolist() == [number["the"], number["cat"], 0, number["a"], number["cat"], 0]
    assert own.encode(Sample("x", None, None)).y is None


def test_rows_become_sentences_again() -> None:
    x = torch.tensor([[5, 6, 0, 7, 0], [8, 0, 9, 9, 9]])
    told = told_of(Seq(x, torch.tensor([5, 2])))
    assert told.words.tolist() == [[0, 5, 6], [0, 7, 0], [0, 8, 0]]
    assert told.goals.tolist() == [[5, 6, 0], [7, 0, IGNORED], [8, 0, IGNORED]]
    assert told.of.tolist() == [0, 0, 1]


def test_sentences_that_are_too_long_are_passed_over() -> None:
    own = task(["a cat", "a cat"], longest=3)
    assert own.encode(Sample("x", None, ("a a a a", "a cat"))).y.tolist() == [*own.vocabulary.encode("a cat"), 0]
    problem = own.problem(Sample("x", None, ("a a a a",)))
    assert isinstance(problem, DataError) and "task.longest" in str(problem)
    assert "has no sentence" in str(own.problem(Sample("x", None, (" ",))))
    assert own.problem(Sample("x", None, ("a a a a", "a cat"))) is None
    with pytest.raises(DataError, match="no sample has a sentence"):
        task([None, ()])


def test_what_is_kept_is_restored() -> None:
    own = task([("a cat", "the cat"), "a cat"])
    values = {**json.loads(json.dumps(own.learned())), **own.arrays()}
    again = Caption.restore(own.settings, values)
    assert again.learned() == own.learned()
    assert again.known.usual == "a cat" and again.known.has("the cat") and not again.known.has("the dog")


def test_new_words_for_fine_tuning_leave_the_others_as_they_are() -> None:
    old = task(["a cat", "a dog"], decoder="mrnn")
    before = bundle(old)
    new = old.extend([Sample("x", None, "a bird")])
    after = bundle(new)
    grown = new.grow_head(after.net.head, old, before.net.head.state_dict())
    after.net.head.load_state_dict(grown)
    after.net.encoder.load_state_dict(before.net.encoder.state_dict())
    assert new.vocabulary.words == ("a", "cat", "dog", "bird")
    inputs = Seq(torch.rand(2, 24, 3, 16), torch.tensor([24, 24]))
    one, other = (made.net.eval()(inputs) for made in (before, after))
    torch.testing.assert_close(one, other[:, : one.shape[1]])
    few = task(["a cat", "a cat"], least=2).extend([Sample("x", None, "two birds")])
    assert few.vocabulary.words == ("a", "cat") and few.known.usual == "two birds"
    attentive = bundle(task(["a cat", "a dog"])).net.head
    with pytest.raises(SettingsError, match="decoder 'mrnn'"):
        old.grow_head(attentive, old, before.net.head.state_dict())


# the head


@pytest.mark.parametrize("decoder", DECODERS)
def test_several_sentences_share_one_look(decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = task([("a red cat", "the cat"), ("a dog",)], decoder=decoder, dropout=0.0)
    made = bundle(own)
    samples = [Sample("0", pictures(1)[0], ("a red cat", "the cat")), Sample("1", pictures(2)[1], ("a dog",))]
    batch = collate([Samples(samples, made.kind, own)[0, i] for i in range(2)]).batch
    assert batch is not None
    looks: list[int] = []
    made.net.encoder.register_forward_hook(lambda *_: looks.append(1))
    made.net.eval()
    whole = own.loss(made.net, batch).detach()
    assert looks == [1]
    logs = []
    for i, text in ((0, "a red cat"), (0, "the cat"), (1, "a dog")):
        one = Seq(batch.inputs.x[i : i + 1], batch.inputs.lengths[i : i + 1])
        logs.append(float(own.evidence(made.net, one, Prediction("", text, 1.0)).detach()))
    assert float(whole) == pytest.approx(-sum(logs) / (4 + 3 + 3), rel=1e-5)


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_sentence_is_as_likely_as_its_words(decoder: str) -> None:
    own = task(["a red cat sits", "the dog runs home now"], decoder=decoder).with_search(beam=4, best=3)
    made = bundle(own)
    inputs = Seq(torch.rand(3, 24, 3, 16), torch.tensor([24, 24, 24]))
    with torch.no_grad():
        found = own.predict(made.net.eval(), Batch(("a", "b", "c"), inputs))
    for i, p in enumerate(found):
        assert 0 < p.score <= 1 and len(p.best) == 3 and p.best[0][0] == p.value
        assert "<unknown>" not in p.value
        assert len(p.parts) == len(own.vocabulary.split(p.value))
        one = Seq(inputs.x[i : i + 1], inputs.lengths[i : i + 1])
        with torch.no_grad():
            log = float(own.evidence(made.net, one, p))
        product = float(np.prod([part.score for part in p.parts]))
        assert np.exp(log) <= product * 1.001


def test_attention_is_over_places_where_there_are_some() -> None:
    own = task(["a cat", "a dog"])
    shapes = {}
    for model, kind in (
        ("cascade", "picture"),
        ("rcnn_96", "picture"),
        ("conv_attention", "picture"),
        ("cascade", "film"),
    ):
        made = bundle(own, model, kind, **({"size": 8} if model == "rcnn_96" else {"channels": [4, 6]}))
        x = torch.rand(1, 24, 3, 16) if kind == "picture" else torch.rand(1, 5, 3, 16, 24)
        with torch.no_grad():
            next(m.output for m in made.net.head.modules() if hasattr(m, "output")).bias[0] = -9.0  # 0 ends a sentence
            (p,) = own.predict(made.net.eval(), Batch(("a",), Seq(x, torch.tensor([x.shape[1]]))))
        shapes[model, kind] = p.maps.shape[1:]
        assert p.maps.reshape(len(p.parts), -1).sum(1) == pytest.approx(np.ones(len(p.parts)), abs=1e-4)
        assert all(0 <= part.start < part.stop <= x.shape[1] for part in p.parts)
    assert shapes["cascade", "picture"] == (6, 4) == shapes["rcnn_96", "picture"]
    assert shapes["cascade", "film"] == (5, 4, 6) and len(shapes["conv_attention", "picture"]) == 1


def test_what_is_drawn_depends_on_the_sample_alone() -> None:
    own = task(["a red cat sits", "the dog runs home now"]).with_search(temperature=2.0, best=3)
    made = bundle(own)
    read = Predictor(made, precision="float32", batch_size=4)
    samples = [Sample(str(i), x) for i, x in enumerate(pictures(4))]
    together = list(read.stream(samples))
    alone = [read(sample) for sample in samples]
    assert [[text for text, _ in p.best] for p in together] == [[text for text, _ in p.best] for p in alone]
    assert len({p.value for p in together}) > 1


@pytest.mark.parametrize("settings", [{"sampling": 0.5, "sampling_steps": 2}, {"forget": 0.9}, {"smoothing": 0.3}])
def test_settings_of_training_change_the_loss_in_training_alone(settings: dict[str, Any]) -> None:
    texts = ["a red cat sits", "the dog runs home now"]
    plain, own = (task(texts, dropout=0.0, **more) for more in ({}, settings))
    made = bundle(own, dropout=0.0, norm="none")
    seen = Samples([Sample(str(i), x, texts[i]) for i, x in enumerate(pictures(2))], made.kind, own)
    batch = collate([seen[0, i] for i in range(2)]).batch
    assert batch is not None
    made.net.eval()
    expected = float(plain.loss(made.net, batch).detach())
    assert float(own.loss(made.net, batch).detach()) == pytest.approx(expected)
    losses = [float(own.loss(made.net.train(), batch).detach()) for _ in range(4)]
    assert len({round(loss, 5) for loss in (*losses, expected)}) > 1
    if "sampling" in settings:
        assert int(made.net.head.trained) == 4


# figures and what people see


def test_rows_of_the_table_that_need_no_network(made: Callable[..., Path], samples: Tiny, tiny: Tiny) -> None:
    own = tiny("cascade", "caption", "picture")
    report = evaluate(Predictor(own, precision="float32"), samples("caption", "picture")).report
    assert list(report.baselines) == ["most frequent sentence", "sentence of the nearest training picture"]
    usual, near = report.baselines.values()
    assert usual["exact"] == pytest.approx(1 / 27) and usual["new"] == 0 and usual["different"] == pytest.approx(1 / 27)
    assert near["rouge"] > usual["rouge"], "pictures that look alike have sentences that are alike"
    assert near["exact"] == 0, "the same picture does not count"
    film = evaluate(Predictor(tiny("cascade", "caption", "film"), precision="float32"), samples("caption", "film"))
    assert list(film.report.baselines) == ["most frequent sentence"]


def test_signs_count_for_exact_sentences_alone() -> None:
    own = task(["a cat.", "a dog."])
    figures = own.score(
        [(("A cat.", "The cat."), Prediction("x", "a cat", 1.0)), (("A dog.",), Prediction("y", "a dog.", 1.0))]
    )
    assert figures["exact"] == 0.5 and figures["bleu1"] == 1 and figures["rouge"] == 1
    assert figures["new"] == 0.5 and figures["different"] == 1


def test_a_sentence_for_people() -> None:
    own = task(["a <b>cat</b>"])
    maps = np.random.default_rng(0).random((2, 6, 4))
    parts = (Part("a", 0, 4, 0.9), Part("<b>", 4, 8, 0.5))
    p = Prediction("x", "a <b>", 0.7, parts, maps=maps)
    kind = restore({"name": "picture", "height": 16, "width": 24})
    shown = own.show(p, ("a <i>dog</i>",), kind.shown(pictures(1)[0]))
    assert "<b>" not in shown.replace("&lt;b&gt;", "") and "&lt;i&gt;" in shown
    assert shown.count("<svg") == 2 and shown.count("<use") == 1 and shown.count("90 %") == 1
    assert "<svg" not in own.show(p, None, "") and "truth" not in own.show(p, None, "")
    text = Prediction("x", "a <b>", 0.7, parts, maps=maps[..., 0])
    assert own.show(text, None, "<p>a text</p>").count("<img") == 1
    assert own.line(p) == "x\ta <b>\t0.70"
    assert [w["word"] for w in own.plain(p)["words"]] == ["a", "<b>"]


def test_one_sentence_for_all_is_said() -> None:
    own = task(["a cat", "a dog"])
    same = [((text,), Prediction("x", "a cat", 1.0)) for text in ("a cat", "a dog")]
    assert "of every sample" in str(own.diagnose(same)) and own.diagnose(same[:1]) is None


def test_what_check_finds(tmp_path: Path) -> None:
    from PIL import Image

    rows = []
    for i, x in enumerate(pictures(20)):
        Image.fromarray(x).save(tmp_path / f"{i}.png")
        texts = ["a cat"] if i < 15 else [f"a word{i} word{i}x", "a cat " * 3, " "]
        rows.append({"image": f"{i}.png", "captions": texts if i else [], "split": "test" if i > 17 else "train"})
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    values = {"task": {"name": "caption", "least": 2, "longest": 5}, "data": {"train": str(tmp_path)}}
    recipe = fill(Recipe, values)
    found = check(recipe)
    kinds = {f.kind for f in found.findings}
    assert {"one sentence for most", "long sentence", "words that are not learned", "left out while reading"} <= kinds
    left_out = [f.sentence for f in found.findings if f.kind == "left out while reading"]
    assert left_out.count("has 1 empty sentences among 3") == 5 and left_out.count("has no sentence") == 1
    assert found.summary["splits"]["test"]["sentences"] == 4
    assert [e.given for e in prepare(recipe).left_out].count("has no sentence") == 1


@pytest.mark.parametrize(
    "options", [["--top", "3"], ["--beam", "3"], ["--temperature", "1.5"], ["--json", "--top", "2"]]
)
def test_the_command_says_several_sentences(
    options: list[str], tiny: Tiny, made: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny("cascade", "caption", "picture").save(tmp_path / "b.safetensors")
    source = str(next((made("caption", "picture") / "sources").iterdir()))
    with pytest.raises(SystemExit) as stop:
        main(["predict", str(tmp_path / "b.safetensors"), source, *options])
    out = capsys.readouterr().out.strip()
    assert stop.value.code == 0
    if "--json" in options:
        assert len(json.loads(out)["sentences"]) == 2
    else:
        assert len(out.split("\t")) == (7 if "--top" in options else 3)


def test_options_that_mean_nothing_here(tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny("cascade", "caption", "picture").save(tmp_path / "b.safetensors")
    with pytest.raises(SystemExit):
        main(["predict", str(tmp_path / "b.safetensors"), "x.png", "--lm", "a.arpa"])
    assert "--lm is given; expected no such option for caption" in capsys.readouterr().err


def test_sentences_in_a_notebook() -> None:
    x = pictures(24)
    x[::2, :8] //= 8
    y = [("dark above", "it is dark above") if i % 2 == 0 else ("light all over",) for i in range(24)]
    recipe = {
        "task": {"name": "caption", "least": 1, "hidden": 16, "decoder": "lrcn_2f"},
        "input": {"name": "picture"},
        "encoder": {"channels": [8, 8], "blocks": 1, "hidden": 8},
        "train": {"epochs": 25, "batch_size": 6, "learning_rate": 0.01, "warmup": 3, "workers": 0, "augment": False},
    }
    say = crnn.fit(recipe, (x, y))
    assert [say(picture).value in truths for picture, truths in zip(x[:4], y[:4], strict=True)] == [True] * 4
    why = say.explain(x[0], of="dark above")
    assert np.isfinite(why.steps).all()
    with pytest.raises(SettingsError, match="words that are not known"):
        say.explain(x[0], of="a green horse")


@pytest.mark.parametrize("name", ["rouge", "cider", "bleu4", "exact"])
def test_the_figure_that_chooses_is_the_settings(name: Any) -> None:
    task = Caption.learn(Caption.Settings(choose=name, least=1), [Sample("a", "", "a dog"), Sample("b", "", "a cat")])
    figures = task.score([("a dog", Prediction("a", "a dog", 1.0)), ("a cat", Prediction("b", "a dog", 1.0))])
    assert task.best == (name, max) and name in figures
