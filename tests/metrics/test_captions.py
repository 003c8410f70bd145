"""Figures of sentences: computed by hand, and as torchmetrics does it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crnn.metrics import captions
from crnn.metrics.captions import Answer, bleu, bleu_counts, cider, rouge, score
from crnn.metrics.interval import interval, intervals

w = str.split
TRUTHS = [[w("the cat is on the mat"), w("there is a cat on the mat")], [w("a dog runs home")]]


def answers(*said: str, truths: list[list[list[str]]] = TRUTHS) -> list[Answer]:
    return [Answer(text.split(), own, text.split() in own) for text, own in zip(said, truths, strict=True)]


def test_bleu_counts_no_word_more_often_than_a_truth_has_it() -> None:
    # Papineni et al. (2002), example 2: seven times "the", of which two count
    counts = bleu_counts(w("the the the the the the the"), TRUTHS[0])
    assert counts[:4] == [7, 7, 7, 2]


def test_bleu_takes_the_truth_of_nearest_length_and_of_two_the_shorter() -> None:
    truths = [["w"] * 4, ["w"] * 8, ["w"] * 9]
    assert [bleu_counts(["w"] * n, truths)[1] for n in (3, 6, 7, 12)] == [4, 4, 8, 9]


def test_bleu_by_hand() -> None:
    # 4 of 5 words and 2 of 4 pairs stand there; 5 words against 6
    said = bleu_counts(w("the cat sat on mat"), [TRUTHS[0][0]])
    assert said == [5, 6, 5, 4, 4, 1, 3, 0, 2, 0]
    assert bleu(np.array(said), 2) == pytest.approx(math.exp(1 - 6 / 5) * math.sqrt(4 / 5 * 1 / 4))
    assert bleu(np.array(said), 4) == 0


def test_bleu_is_that_of_torchmetrics() -> None:
    metric = pytest.importorskip("torchmetrics.functional.text")
    random = np.random.default_rng(0)
    words = w("a the man dog cat on in red blue runs")
    truths = [[" ".join(random.choice(words, 8)) for _ in range(3)] for _ in range(20)]
    said = [" ".join([*own[0].split()[:6], *random.choice(words, 2)]) for own in truths]
    found = score([Answer(a.split(), [t.split() for t in own], False) for a, own in zip(said, truths, strict=True)])
    for n in range(1, 5):
        assert found[f"bleu{n}"] == pytest.approx(float(metric.bleu_score(said, truths, n_gram=n)), rel=1e-5)


def test_rouge_takes_the_best_precision_and_the_best_recall() -> None:
    # with the second truth 4 of 4 words and 4 of 5, with the first 2 of 4 and 2 of 2
    truths = [w("a d"), w("a b x c d")]
    assert rouge(w("a b c d"), truths) == pytest.approx(1.0)
    assert rouge(w("a b c d"), truths[1:]) == pytest.approx(2.44 * 1 * 0.8 / (0.8 + 1.44))
    assert rouge([], truths) == 0 == rouge(["z"], truths)


def test_cider_by_hand() -> None:
    # of two samples; all n-grams of the first stand in its truths alone (weight log 2), so that what is said word for
    # word has cosine 1 for n of 1 and 2, and none for 3 and 4, which it is too short for
    found = cider([w("red cat"), w("dog")], [[w("red cat")], [w("blue dog")]])
    assert found[0] == pytest.approx(10 * 2 / 4)
    # one of two words, each of one weight, and lengths that differ by one: cosine 1 / sqrt(2)
    assert found[1] == pytest.approx(10 / 4 / math.sqrt(2) * math.exp(-1 / 72))


def test_cider_is_what_the_coco_evaluation_gives() -> None:
    # pycocoevalcap 1.2 on the same sentences
    truths = [
        [w("a man rides a brown horse"), w("the man is on a horse")],
        [w("two dogs play in the snow")],
        [w("a red bus on the street"), w("a bus drives down the street"), w("one red bus")],
    ]
    said = ["a man on a brown horse", "two cats play in the snow", "a a a red bus"]
    assert cider([text.split() for text in said], truths) == pytest.approx([3.2142554, 5.5833333, 2.0676751], abs=1e-6)


def test_perfect_answers() -> None:
    found = score(answers("the cat is on the mat", "a dog runs home"))
    assert [found[name] for name in ("exact", "bleu1", "bleu4", "rouge", "different", "new")] == [1, 1, 1, 1, 1, 0]
    assert found["cider"] > 5
    assert (found["exact_low"], found["exact_high"]) == (1, 1)
    assert found.keys() >= captions.FIGURES.keys()


def test_one_sample_has_no_interval() -> None:
    assert set(score(answers("the cat is on the mat", "a dog runs home")[:1])) == set(captions.FIGURES)


def test_the_interval_of_bleu_draws_whole_groups() -> None:
    own = [*answers("the cat is on the mat", "a dog runs home")] * 10
    own += answers("the the", "dog dog") * 10
    groups = ["good"] * 20 + ["bad"] * 20
    one, other = score(own), score(own, groups)
    assert one["bleu4_low"] < one["bleu4"] < one["bleu4_high"]
    assert other["bleu4_low"] == 0 and other["bleu4_high"] == pytest.approx(1)


def test_intervals_of_a_share_are_those_of_interval() -> None:
    random = np.random.default_rng(1)
    errors, totals = random.integers(0, 3, 50), random.integers(3, 9, 50)
    found = intervals(np.stack([errors, totals], 1), lambda sums: sums[:, 0] / sums[:, 1])
    assert found == interval(errors, totals)


def test_nothing_to_score() -> None:
    assert math.isnan(score([])["bleu4"])
