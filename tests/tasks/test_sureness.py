"""How sure a reader is: fitted to be as often right as it says, kept in the bundle, shown in figures and charts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crnn.bundle import load
from crnn.metrics.sureness import answered, calibration_error, reliability
from crnn.tasks._lines.sureness import PLAIN, Odds, Sureness, letters
from crnn.tasks.transcribe import Transcribe
from crnn.text import Alphabet
from crnn.types import Part, Prediction


def said(id: str, read: str, scores: list[float], score: float = 0.9) -> Prediction:
    return Prediction(id, read, score, tuple(Part(x, 0.0, 1.0, s) for x, s in zip(read, scores, strict=True)))


def test_scores_that_say_too_much_are_brought_down_to_what_is_right() -> None:
    random = np.random.default_rng(0)
    odds = random.normal(3, 2, 20_000)
    right = (random.random(20_000) < 1 / (1 + np.exp(-(0.5 * odds - 0.3)))).astype(float)
    scores = 1 / (1 + np.exp(-odds))
    found = Odds.fit(scores, right)
    assert found.slope == pytest.approx(0.5, abs=0.03) and found.shift == pytest.approx(-0.3, abs=0.08)
    assert calibration_error(found(scores), right) < 0.01 < 0.1 < calibration_error(scores, right)
    again = Odds.fit(found(scores), right)
    assert again.slope == pytest.approx(1, abs=0.01) and again.shift == pytest.approx(0, abs=0.01)
    np.testing.assert_allclose(again.after(found)(scores), again(found(scores)), atol=1e-9)


def test_few_answers_change_little_and_the_order_stays() -> None:
    assert Odds.fit(np.zeros(0), np.zeros(0)) == Odds()
    one = Odds.fit(np.array([0.9]), np.array([0.0]))
    assert 0 < one.slope <= 1 and -1.5 < one.shift < 0
    backwards = Odds.fit(np.array([0.01] * 500 + [0.99] * 500), np.array([1.0] * 500 + [0.0] * 500))
    assert backwards.slope > 0


def test_a_letter_is_right_where_the_truth_has_it() -> None:
    pairs = [("un pas", said("a", "une bas", [0.9, 0.9, 0.2, 0.9, 0.3, 0.9, 0.9])), ("x", Prediction("b", "yz", 0.5))]
    sure, right = letters(pairs)
    assert sure.tolist() == [0.9, 0.9, 0.2, 0.9, 0.3, 0.9, 0.9] and right.tolist() == [1, 1, 0, 1, 0, 1, 1]
    turned = Prediction("c", "ab", 0.5, (Part("b", 0, 1, 0.1), Part("a", 1, 2, 0.8)))
    assert letters([("ax", turned)])[0].tolist() == [0.8, 0.1] and letters([("ax", turned)])[1].tolist() == [1, 0]


def test_what_is_least_sure_is_left_out_first() -> None:
    share, rate = answered(np.array([0.2, 0.9, 0.5]), np.array([5, 0, 1]), np.array([10, 10, 10]))
    np.testing.assert_allclose(share, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(rate, [0, 0.05, 0.2])
    tied = answered(np.array([0.5, 0.5]), np.array([0, 4]), np.array([4, 4]))[1]
    assert tied.tolist() == [1.0, 0.5]  # nobody chooses the better of two that are equally sure
    assert reliability(np.array([1.0, 0.95]), np.array([1, 0])) == [(pytest.approx(0.975), 0.5, 2)]


def test_a_reader_is_settled_by_the_validation_part() -> None:
    task = Transcribe(Transcribe.Settings(), Alphabet(tuple("abc")))
    pairs = [(("ab", "ac")[i % 2], said(str(i), "ab", [0.99, 0.99], 0.98)) for i in range(400)]
    settled = task.settle(pairs)
    assert float(settled.sureness.letters(np.array(0.99))) == pytest.approx(0.75, abs=0.02)
    assert float(settled.sureness.lines(np.array(0.98))) == pytest.approx(0.75, abs=0.02)
    back = Transcribe.restore(task.settings, settled.learned())
    assert back.sureness == settled.sureness and "sureness" not in task.learned()
    assert Sureness.restore({}) == PLAIN

    logs = np.log([[0.005, 0.99, 0.0025, 0.0025], [0.005, 0.0025, 0.99, 0.0025]])
    plain, told = task.read("x", logs, 4.0, 8.0), settled.read("x", logs, 4.0, 8.0)
    assert plain.value == told.value and [p.start for p in plain.parts] == [p.start for p in told.parts]
    assert [p.score for p in told.parts] == pytest.approx([0.75, 0.75], abs=0.02) and plain.parts[0].score > 0.98


def test_figures_and_charts_of_sureness() -> None:
    task = Transcribe(Transcribe.Settings(), Alphabet(tuple("abc")))
    pairs = [("ab", said(str(i), "ab", [0.9, 0.9], 0.9)) for i in range(9)]
    pairs.append(("ab", said("9", "cc", [0.3, 0.3], 0.3)))
    figures = task.score(pairs)
    assert figures["cer"] == pytest.approx(0.1) and figures["cer_surest_90"] == 0.0
    assert figures["calibration_error"] == pytest.approx(0.9 * 0.1 + 0.1 * 0.3)
    assert {name for name in figures if not name.endswith(("_low", "_high"))} == set(task.details(pairs)["figures"])
    titles = [title for title, svg in task.details(pairs)["charts"] if svg.startswith("<svg")]
    assert titles == ["Reliability of letters", "Errors of what is sure"]
    assert "calibration_error" not in task.score([("ab", Prediction("1", "", 1.0))])


def test_a_bundle_keeps_how_sure_it_may_be(tiny: Callable[..., Any], tmp_path: Path) -> None:
    bundle = tiny("crnn")
    letter = bundle.task.alphabet.letters[0]
    settled = bundle.task.settle([(letter, said("1", letter, [0.6], 0.6))] * 50)
    bundle.task = settled
    bundle.save(tmp_path / "a.safetensors")
    assert load(tmp_path / "a.safetensors").task.sureness == settled.sureness != PLAIN
