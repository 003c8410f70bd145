"""The benchmark of decoders: its trying of everything is right, ours pass it, and the table says what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crnn.decode import ngram

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def decoders(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    import decoders
    import decoders_peers

    monkeypatch.setattr(decoders_peers, "named", lambda package: "")
    monkeypatch.setattr(decoders, "CASES", 6)
    return decoders


def test_ours_find_the_likeliest_text_in_every_small_case(decoders: Any) -> None:
    assert decoders.exact_cases(1.0) == {"crnn": 6, "crnn, all outputs": 6}


def test_a_decoder_that_takes_the_best_path_is_caught(decoders: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(beam: int, letters: Any) -> Any:
        return {"best path": decoders.ours(1, letters)}

    monkeypatch.setattr(decoders, "contestants", greedy)
    assert decoders.exact_cases(1.0)["best path"] < 6


def test_models_read_noisy_sentences_better(decoders: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    texts = decoders.sentences(random, 300)
    models = {"letters": ngram.train(texts, 3), "words": ngram.train([text.split() for text in texts], 2)}
    log_probs = decoders.said(random, texts[0], 1.5)
    found = decoders.contestants(10, decoders.LETTERS) | decoders.with_models(10, models, tmp_path)
    wrong = {name: decoders.score([(texts[0], decode(log_probs))])["cer"] for name, decode in found.items()}
    assert wrong["crnn, lexicon, 3-gram of words"] <= wrong["crnn, 5-gram of letters"] < wrong["crnn"]
    assert set(decoders.take_turns(found, log_probs, 1)) == set(found)
