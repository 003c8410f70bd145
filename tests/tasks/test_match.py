"""Sentences and pictures matched: what is learned, compared, scored and shown."""

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
from crnn.config import fill
from crnn.data.collate import collate
from crnn.data.dataset import Samples
from crnn.data.described import Described, box_of
from crnn.data.inputs import restore
from crnn.deploy.predict import Predictor
from crnn.errors import DataError, SettingsError
from crnn.layers.alignment import fit_of
from crnn.recipe import Recipe
from crnn.tasks._match.answers import Matched, Said, fits_of, hits
from crnn.tasks._match.head import shares, spans_of
from crnn.tasks._match.rows import alike, told_of
from crnn.tasks.match import Match
from crnn.train.check import check
from crnn.types import Batch, Prediction, Sample, Seq

Tiny = Callable[..., Any]


def task(texts: list[Any], **settings: Any) -> Match:
    values = fill(Match.Settings, {"least": 1, "hidden": 12, "embedding": 7, "size": 9, **settings}, "task")
    return Match.learn(values, [Sample(str(i), None, y) for i, y in enumerate(texts)])


def pictures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 24, 3), dtype=np.uint8)


def bundle(own: Match, model: str = "cascade", kind: str = "picture", **encoder: Any) -> Any:
    table = {"name": kind, "height": 16, "width": 24}
    return build(own, restore(table), {"name": model, **(encoder or {"channels": [4, 6]})})


def batch_of(made: Any, samples: list[Sample]) -> Batch:
    seen = Samples(samples, made.kind, made.task)
    batch = collate([seen[0, i] for i in range(len(samples))]).batch
    assert batch is not None
    return batch


def said(own: Match, sentence: str, spans: list[Any], chosen: list[int], *phrases: Said, hot: int = 0) -> Prediction:
    """An answer whose words fit where ``hot`` says."""
    words = tuple(own.vocabulary.split(sentence))
    regions = np.zeros((len(spans), 4), np.float32)
    regions[:, hot] = 1
    vectors = np.zeros((len(words), 4), np.float32)
    vectors[:, hot] = 1
    matched = Matched(regions, np.array(spans), 0, (vectors,), (words,), (np.array(chosen),), phrases)
    return Prediction(sentence, "", 0.0, vectors=matched)


# what is learned


def test_all_sentences_of_a_sample_become_rows_again() -> None:
    own = task([("a cat", "the cat"), "a dog"])
    made = bundle(own)
    samples = [Sample("0", pictures(1)[0], ("the cat", "a cat")), Sample("1", pictures(1)[0], "a dog")]
    told = told_of(batch_of(made, samples))
    n = own.vocabulary.number
    assert told.words.tolist() == [[n["the"], n["cat"]], [n["a"], n["cat"]], [n["a"], n["dog"]]]
    assert told.of.tolist() == [0, 0, 1] and told.lengths.tolist() == [2, 2, 2]
    nothing = told_of(batch_of(made, [Sample("x", pictures(1)[0])]))
    assert nothing.words.shape[0] == 0 == len(nothing.of)


def test_the_same_words_of_another_picture_are_no_mistake() -> None:
    own = task([("a cat", "the cat"), "a dog", "a cat"])
    made = bundle(own)
    texts: list[Any] = [("a cat", "the cat"), "a dog", "a cat"]
    told = told_of(
        batch_of(made, [Sample(str(i), x, y) for i, (x, y) in enumerate(zip(pictures(3), texts, strict=True))])
    )
    # sentences: a cat, the cat, a dog, a cat
    assert alike(told, 3).tolist() == [
        [True, True, False, True],
        [False, False, True, False],
        [True, False, False, True],
    ]


def test_sentences_are_read_as_far_as_they_may_be_long() -> None:
    own = task(["a cat sits on the mat"], longest=3)
    words = own.encode(Sample("x", None, "a cat sits on the mat")).y["words"].tolist()
    assert words == [*own.vocabulary.encode("a cat sits"), 0]
    assert own.problem(Sample("x", None, "a cat sits on the mat")) is None
    assert "has no sentence" in str(own.problem(Sample("x", None, Described(()))))
    with pytest.raises(DataError, match="no sample has a sentence"):
        task([None, Described(())])


def test_what_is_kept_is_restored_and_grows() -> None:
    old = task(["a cat", "a dog"])
    assert Match.restore(old.settings, json.loads(json.dumps(old.learned()))).learned() == old.learned()
    before = bundle(old)
    new = old.extend([Sample("x", None, "a bird")])
    after = bundle(new)
    after.net.head.load_state_dict(new.grow_head(after.net.head, old, before.net.head.state_dict()))
    after.net.encoder.load_state_dict(before.net.encoder.state_dict())
    assert new.vocabulary.words == ("a", "cat", "dog", "bird")
    batches = [batch_of(made, [Sample("0", pictures(1)[0], "a cat")]) for made in (before, after)]
    with torch.no_grad():
        one, other = (made.task.predict(made.net.eval(), b) for made, b in zip((before, after), batches, strict=True))
    assert fits_of([one[0].vectors])[0] == pytest.approx(fits_of([other[0].vectors])[0])
    larger = bundle(task(["a cat", "a dog"], size=10))
    with pytest.raises(SettingsError, match="a space of 9"):
        new.grow_head(larger.net.head, old, before.net.head.state_dict())


def test_inputs_that_have_no_regions_to_show() -> None:
    with pytest.raises(SettingsError, match=r"input\.crop is 8"):
        build(task(["a"]), restore({"name": "picture", "height": 16, "width": 16, "crop": 8}), {"name": "cascade"})
    with pytest.raises(SettingsError, match=r"task\.regions is 'boxes'"):
        bundle(task(["a"], regions="boxes"), kind="film")


# the head


def test_cells_know_where_they_are() -> None:
    level = Seq(torch.zeros(2, 4, 3, 2), torch.tensor([4, 2]))
    spans = spans_of(level)
    assert spans.shape == (2, 8, 2, 2)
    assert spans[0, 3].tolist() == [[0.25, 0.5], [0.5, 1.0]], "time by time"
    assert spans[1, 0].tolist() == [[0.0, 0.5], [0.0, 0.5]]
    assert box_of(spans[0, 3].numpy()) == (0.25, 0.5, 0.5, 1.0)
    film = spans_of(Seq(torch.zeros(1, 2, 3, 2, 5), torch.tensor([2])))
    assert film.shape == (1, 20, 3, 2) and box_of(film[0, 1].numpy()) == pytest.approx((0.2, 0.0, 0.4, 0.5))


def test_a_box_is_the_mean_of_what_lies_under_it() -> None:
    own = task(["a cat"], regions="boxes")
    made = bundle(own)
    head = made.net.head.eval()
    x = torch.randn(1, 6, 6, 4)
    box = (1.5 / 6, 0.25, 4 / 6, 1.0)
    features = type("Features", (), {"levels": (Seq(x, torch.tensor([6])),)})
    cells, spans, counts = head._boxed(features.levels[0], Seq(torch.tensor([[box]]), torch.tensor([1])))
    expected = (0.5 * x[0, 1] + x[0, 2] + x[0, 3])[:, 1:].mean(1) / 2.5
    torch.testing.assert_close(cells[0, 0], expected)
    assert counts.tolist() == [1] and box_of(spans[0, 0].numpy()) == pytest.approx(box)
    weights = shares(torch.tensor([[[0.0, 0.5]]]), torch.tensor([2]), 4)
    assert weights.tolist() == [[[1.0, 0.0, 0.0, 0.0]]], "of a padded sample its own steps count"


@pytest.mark.parametrize("settings", [{}, {"whole": False}, {"regions": "boxes"}, {"regions": "boxes", "whole": False}])
def test_a_batch_changes_nothing(settings: dict[str, Any]) -> None:
    boxes = (((0.0, 0.0, 0.5, 0.5), (0.5, 0.25, 1.0, 1.0)), ((0.1, 0.1, 0.4, 0.9),), ())
    texts = [("a red cat sits", "the cat"), ("a dog",), ("one bird", "a bird sits on a big red mat")]
    own = task(texts, **settings)
    made = bundle(own)
    samples = [
        Sample(str(i), x, Described(y, b)) for i, (x, y, b) in enumerate(zip(pictures(3), texts, boxes, strict=True))
    ]
    read = Predictor(made, precision="float32", batch_size=3)
    together, alone = list(read.stream(samples)), [read(sample) for sample in samples]
    for one, other in zip(together, alone, strict=True):
        for here, there in zip(one.vectors.vectors, other.vectors.vectors, strict=True):
            np.testing.assert_allclose(here, there, atol=1e-5)
        np.testing.assert_allclose(one.vectors.regions, other.vectors.regions, atol=1e-5)
        assert [c.tolist() for c in one.vectors.chosen] == [c.tolist() for c in other.vectors.chosen]
    fits, owner = fits_of([p.vectors for p in together])
    assert owner.tolist() == [0, 0, 1, 2, 2]
    batch = batch_of(made, samples)
    with torch.no_grad():
        told = told_of(batch)
        looked = made.net.eval()(batch.inputs, told)
        torch.testing.assert_close(own._fits(looked, told.lengths), torch.from_numpy(fits), atol=1e-4, rtol=1e-4)
    if settings == {"regions": "boxes", "whole": False}:
        assert not fits[2].any(), "a picture without a region fits with nothing"


def test_evidence_is_how_well_a_sentence_fits() -> None:
    own = task(["a red cat", "the dog"])
    made = bundle(own)
    sample = Sample("0", pictures(1)[0], "a red cat")
    batch = batch_of(made, [sample])
    with torch.no_grad():
        (answer,) = own.predict(made.net.eval(), batch)
        fit = own.evidence(made.net, batch.inputs, answer, "a red cat")
    assert float(fit) == pytest.approx(fits_of([answer.vectors])[0].item(), rel=1e-4)
    with pytest.raises(SettingsError, match="no word that is known"):
        own.evidence(made.net, batch.inputs, answer, "ein Hund")


@pytest.mark.parametrize("regions", ["cells", "whole"])
def test_directions_are_compared_where_the_loss_is_contrastive(regions: str) -> None:
    own = task(["a red cat", "the dog"], loss="contrastive", regions=regions)
    made = bundle(own)
    batch = batch_of(made, [Sample(str(i), x, "a red cat") for i, x in enumerate(pictures(2))])
    with torch.no_grad():
        found = own.predict(made.net.eval(), batch)
        fit = own.evidence(made.net, batch.inputs, found[0], "a red cat")
    counts = [len(p.vectors.regions) for p in found]
    assert counts == ([1, 1] if regions == "whole" else [1 + 4 * 6] * 2)
    lengths = np.linalg.norm(np.concatenate([p.vectors.regions for p in found]), axis=1)
    np.testing.assert_allclose(lengths, 10, rtol=1e-5, err_msg="the scale that training begins with")
    # a fit is the mean of the words' largest cosines, times the scale
    words, _, _ = own.words_of(made.net, "a red cat")
    np.testing.assert_allclose(np.linalg.norm(words, axis=1), 1, rtol=1e-5)
    mean = float((words @ found[0].vectors.regions.T).max(1).mean())
    assert float(fit[0]) == pytest.approx(mean, rel=1e-5)
    assert fits_of([p.vectors for p in found])[0][0] == pytest.approx([mean, mean], rel=1e-5)


def test_without_regions_a_sentence_is_of_the_whole() -> None:
    own = task(["a red cat", "the dog"], regions="whole", whole=False)
    made = bundle(own)
    assert made.net.head.region is None and own.varies, "a picture may be moved and turned"
    loss = own.loss(made.net, batch_of(made, [Sample("0", pictures(1)[0], "a cat"), Sample("1", pictures(1)[0])]))
    loss.backward()
    found = Predictor(made, precision="float32")([Sample("0", pictures(1)[0], "a red cat")])[0]
    assert found.vectors.chosen[0].tolist() == [0, 0, 0] and not found.parts
    assert len(found.vectors.spans) == 1 and found.value


def test_words_of_a_search() -> None:
    own = task(["a red cat", "the dog"])
    made = bundle(own)
    vectors, words, strange = own.words_of(made.net.eval(), "A red Lion")
    assert vectors.shape == (3, 9) and words == ["a", "red", "lion"] and strange == ["lion"]
    with pytest.raises(SettingsError, match="none of the words"):
        own.words_of(made.net, "Löwe")
    regions = torch.randn(1, 5, 9)
    assert float(fit_of(regions, torch.from_numpy(vectors)[None])) == pytest.approx(
        float((vectors @ regions[0].numpy().T).max(1).sum()), rel=1e-5
    )


def test_phrases_are_said_of_regions_that_they_fit_best() -> None:
    own = task(["a red cat sits", "the dog runs home now"], most_phrases=2)
    made = bundle(own)
    found = Predictor(made, precision="float32")([Sample(str(i), x) for i, x in enumerate(pictures(3))])
    for p in found:
        matched = p.vectors
        assert len(matched.said) <= 2 and len(p.parts) == len(matched.said)
        for phrase, part in zip(matched.said, p.parts, strict=True):
            vectors, _, _ = own.words_of(made.net, phrase.text)
            fits = (vectors @ matched.regions[1:].T).mean(0)
            assert fits[phrase.region - 1] == pytest.approx(fits.max(), abs=1e-4) and phrase.region > 0
            assert 0 <= part.start < part.stop <= 24 and part.value == phrase.text
        assert Predictor(made, precision="float32")(pictures(3)[0]).value == found[0].value
    silent = bundle(task(["a cat"], phrases=0.0))
    assert silent.net.head.decoder is None
    assert Predictor(silent, precision="float32")(pictures(1)[0]).value == ""


# figures and what people see

LEFT, RIGHT = [[0.0, 0.5], [0.0, 1.0]], [[0.5, 1.0], [0.0, 1.0]]
WHOLE = [[0.0, 1.0], [0.0, 1.0]]


def test_hits_by_hand() -> None:
    box = (0.1, 0.1, 0.5, 0.5)
    assert hits(box, box) and hits((0.2, 0.2, 0.3, 0.3), box) and hits((0.45, 0.45, 0.55, 0.55), box)
    assert not hits((0.0, 0.0, 1.0, 1.0), box) and not hits((0.0, 0.0, 0.61, 0.61), (0.3, 0.3, 0.35, 0.35))
    assert not hits((0.6, 0.6, 0.7, 0.7), box)


def test_words_that_speak_of_boxes_are_found_in_their_order() -> None:
    own = task(["a cat, a red cat"])
    placed = list(own._placed("A cat, a red cat.", [("cat", 0), ("red cat", 1), ("dog", 0)]))
    assert placed == [(1, 0), (4, 1), (5, 1)]


def test_figures_of_words_and_phrases() -> None:
    own = task(["a cat and a dog"])
    truth = Described(("a cat and a dog",), ((0.0, 0.0, 0.4, 1.0), (0.6, 0.0, 1.0, 1.0)), ((("cat", 0), ("dog", 1)),))
    spans = [WHOLE, LEFT, RIGHT]
    good = said(own, "a cat and a dog", spans, [1, 1, 1, 2, 2], Said("a dog", 2, 0.9), hot=0)
    poor = said(own, "a cat and a dog", spans, [0, 0, 0, 0, 2], Said("a dog", 1, 0.9), hot=1)
    figures = own.score([(truth, good), (truth, poor)])
    assert figures["region_hit"] == 3 / 4 and figures["phrase_hit"] == 1 / 4
    assert figures["r1"] == 1 and figures["recall"] == 1
    assert own.row(truth, poor)["badness"] > own.row(truth, good)["badness"]
    plain = Described(("a cat and a dog",))
    assert "region_hit" not in own.score([(plain, good)])
    chance = own.baselines([Sample("0", None, truth), Sample("1", None, plain)])["chance"]
    assert chance["region_hit"] == pytest.approx(0.4) and chance["r1"] == 0.5
    assert "R@1 100.0 %" in own.say(figures) and "region hit 75.0 %" in own.say(figures)
    table = own.details([(truth, good), (truth, poor)])["tables"][0][1]
    assert [row["rank"] for row in table] == [1, 1]
    with pytest.raises(DataError, match="is a text"):
        own.score([(truth, Prediction("0", "a cat", 1.0))])


def test_what_was_learned_by_chance_is_said() -> None:
    own = task(["a cat"])
    same = [(Described(("a cat",)), said(own, "a cat", [WHOLE], [0, 0])) for _ in range(40)]
    assert "as by chance" in str(own.diagnose(same))
    assert own.diagnose(same[:3]) is None


def test_a_match_for_people() -> None:
    own = task(["a <b>cat</b> and a dog"])
    kind = restore({"name": "picture", "height": 16, "width": 24})
    p = said(own, "a <b> dog", [WHOLE, LEFT, RIGHT], [1, 1, 1, 1, 2], Said("<i>", 2, 0.9))
    truth = Described(("a <b> dog",), ((0.0, 0.0, 0.5, 1.0),))
    shown = own.show(p, truth, kind.shown(pictures(1)[0]))
    assert "<i>" not in shown and "&lt;i&gt;" in shown and "<b>" not in shown
    assert shown.count("<svg") == 2 and shown.count("<use") == 1 and shown.count("stroke-dasharray") == 2
    assert "<svg" not in own.show(p, truth, "") and "dog" in own.show(p, None, "")
    plain = own.plain(p)
    assert plain["phrases"] == [{"phrase": "<i>", "box": [0.5, 0.0, 1.0, 1.0], "score": 0.9}]
    assert [s["words"] for s in plain["matched"][0]["snippets"]][-1] == ["dog"]
    assert [row["phrase"] for row in own.rows(p)] == ["", "<i>"] and json.dumps(plain)
    assert own.word(truth) == "a <b> dog"


def test_what_check_finds(tmp_path: Path) -> None:
    from PIL import Image

    rows = []
    for i, x in enumerate(pictures(12)):
        Image.fromarray(x).save(tmp_path / f"{i}.png")
        texts = ["a cat"] if i < 9 else [f"a word{i}", "a cat " * 3]
        rows.append({"image": f"{i}.png", "captions": texts if i else [], "boxes": [[0, 0, 8, 8]]})
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    values = {"task": {"name": "match", "least": 2, "longest": 5}, "data": {"train": str(tmp_path)}}
    kinds = {f.kind for f in check(fill(Recipe, values)).findings}
    assert {"one sentence for most", "long sentence", "left out while reading"} <= kinds


def test_boxes_in_a_notebook() -> None:
    """Which of two boxes a colour is of is learned from which picture a sentence belongs to."""
    random = np.random.default_rng(0)
    colours = {"red": (220, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 220), "white": (250, 250, 250)}
    names, x, y = list(colours), [], []
    for i in range(48):
        one, other = (names[int(j)] for j in random.choice(4, 2, replace=False))
        picture = np.full((16, 16, 3), 90, np.uint8)
        picture[4:12, 1:7], picture[4:12, 9:15] = colours[one], colours[other]
        x.append(picture)
        boxes = ((1 / 16, 0.25, 7 / 16, 0.75), (9 / 16, 0.25, 15 / 16, 0.75))
        pair = [(one, 0), (other, 1)] if i % 2 else [(other, 1), (one, 0)]
        y.append(Described((f"{pair[0][0]} and {pair[1][0]}",), boxes, (tuple(pair),)))
    recipe = {
        "task": {"name": "match", "least": 1, "regions": "boxes", "whole": False, "dropout": 0.0, "margin": 4.0},
        "input": {"name": "picture"},
        "encoder": {"channels": [8, 8], "blocks": 1, "hidden": 8, "dropout": 0.0},
        "data": {"valid_share": 0.0},
        "train": {"epochs": 20, "batch_size": 8, "learning_rate": 0.01, "warmup": 3, "workers": 0},
    }
    match = crnn.fit(recipe, (np.stack(x), y))
    answers = match([Sample(str(i), a, b) for i, (a, b) in enumerate(zip(x, y, strict=True))])
    figures = match.task.score(list(zip(y, answers, strict=True)))
    assert figures["region_hit"] > 0.95 and figures["phrase_hit"] > 0.8
    assert np.isfinite(match.explain(x[0], of="red").steps).all()
    assert match(x[0]).vectors.regions.shape == (1, 128), "of a picture without boxes there is the whole"
