"""A reader with a language model: kept in the bundle, tuned on a validation part, told on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crnn.bundle import build, load
from crnn.cli import main
from crnn.decode import arpa, ngram
from crnn.decode.align import likelihood
from crnn.decode.ctc_greedy import greedy
from crnn.deploy.predict import Predictor
from crnn.errors import DataError, SettingsError
from crnn.recipe import Recipe
from crnn.tasks import Reading
from crnn.tasks.transcribe import Transcribe
from crnn.text import Alphabet
from crnn.train.prepare import adapt
from crnn.train.tune import tune
from crnn.types import Sample

LETTERS = ("a", "b", "c")
MODEL = ngram.train(["abc", "abcabc", "cabc"], 3)


def reader(reading: Reading, direction: Any = "ltr") -> Transcribe:
    settings = Transcribe.Settings(direction=direction)
    return Transcribe(settings, Alphabet(LETTERS, direction=direction)).with_reading(reading)


def unsure() -> np.ndarray:
    """A network that reads "abb" where "abc" stands, and hardly prefers it."""
    rows = [[0.1, 0.8, 0.05, 0.05], [0.9, 0.04, 0.03, 0.03], [0.1, 0.05, 0.8, 0.05], [0.9, 0.04, 0.03, 0.03]]
    return np.log([*rows, [0.1, 0.05, 0.45, 0.4]])


def test_a_language_model_decides_where_the_network_hardly_does() -> None:
    plain = reader(Reading()).read("x", unsure(), 4.0, 20.0)
    told = reader(Reading(beam=10, model=MODEL)).read("x", unsure(), 4.0, 20.0)
    assert plain.value == "abb" and told.value == "abc"
    assert [part.value for part in told.parts] == ["a", "b", "c"]
    # places and scores are those of the letters that are there, so the doubtful one is the least sure
    assert [part.score for part in told.parts] == pytest.approx([0.8, 0.8, 0.4])
    assert told.parts[0].start == 0.0 and told.parts[-1].stop == 20.0 and told.score < plain.score
    starts = [part.start for part in told.parts]
    assert starts == sorted(starts)


def test_a_beam_alone_agrees_with_the_best_path_where_the_network_is_sure() -> None:
    sure = np.log([[0.01, 0.97, 0.01, 0.01], [0.97, 0.01, 0.01, 0.01], [0.01, 0.01, 0.01, 0.97]])
    told = reader(Reading(beam=10)).read("x", sure, 4.0, 12.0)
    best = greedy(sure, stride=4.0, width=12.0)
    assert told.score == pytest.approx(best.score) and [p.start for p in told.parts] == [s for s, _ in best.spans]


def test_reading_from_right_to_left_refuses_a_model() -> None:
    with pytest.raises(SettingsError, match="right to left"):
        reader(Reading(beam=5, model=MODEL), direction="rtl")
    with pytest.raises(SettingsError, match="right to left"):
        reader(Reading(beam=5, lexicon=("ab",)), direction="rtl")


def test_a_model_of_other_letters_is_refused() -> None:
    with pytest.raises(DataError, match="none of the network's letters"):
        reader(Reading(beam=5, model=ngram.train(["яж"], 2)))


def test_words_decide_where_the_network_hardly_does() -> None:
    """A model of words is known by its tokens; a lexicon forces, a hot word tempts."""
    words = Reading(beam=10, model=ngram.train([["abc"], ["abc"], ["cab"]], 2))
    assert reader(words).read("x", unsure(), 4.0, 20.0).value == "abc"
    assert reader(Reading(beam=10, lexicon=("abc", "acb"))).read("x", unsure(), 4.0, 20.0).value == "abc"
    assert reader(Reading(beam=10, lexicon=("cab",))).read("x", unsure(), 4.0, 20.0).value == "cab"
    hot = reader(Reading(beam=10, hot=(("abc", 1.0),)))
    assert hot.read("x", unsure(), 4.0, 20.0).value == "abc"
    assert [part.value for part in hot.read("x", unsure(), 4.0, 20.0).parts] == ["a", "b", "c"]
    assert "2-gram of words" in words.__str__() and "unknown -1.5" in str(words)


def test_several_texts_with_their_shares() -> None:
    """Of all that the search kept; a beam that keeps all gives probabilities."""
    task = reader(Reading(beam=500, best=5))
    found = task.read("x", unsure(), 4.0, 20.0)
    assert found.value == found.best[0][0] == "abb" and found.best[1][0] == "abc" and len(found.best) == 5
    shares = [share for _, share in found.best]
    assert shares == sorted(shares, reverse=True)
    assert shares[1] == pytest.approx(np.exp(likelihood(unsure(), (1, 2, 3))), rel=1e-2)
    told = reader(Reading(beam=10, model=MODEL, best=2)).read("x", unsure(), 4.0, 20.0)
    assert [text for text, _ in told.best] == ["abc", "ab"] and told.best[0][1] > shares[1]
    plain = task.plain(told, top=2)
    assert [row["text"] for row in plain["best"]] == ["abc", "ab"]
    assert "best" not in task.plain(reader(Reading()).read("x", unsure(), 4.0, 20.0))
    assert reader(Reading(beam=3, best=9)).reading.learned().keys() == {"beam", "weight", "bonus"}


def test_letters_that_the_model_never_saw_are_named() -> None:
    assert Reading(model=MODEL).unheard(("a", "z", " ")) == ["z", " "]
    assert Reading(model=ngram.train([["ab"]], 1)).unheard(("a", "z", " ")) == ["z"]
    assert Reading().unheard(("a",)) == []


@pytest.fixture
def lines(tiny: Callable[..., Any], made: Callable[..., Path], tmp_path: Path) -> tuple[Path, Path, Path]:
    """A bundle that has learned nothing, lines, and a language model of their texts."""
    folder = made("transcribe", "line")
    bundle = tiny("crnn")
    bundle.save(tmp_path / "plain.safetensors")
    model = ngram.train(["".join(bundle.task.alphabet.letters)] * 2, 2)
    arpa.write_arpa(model, tmp_path / "lm.arpa")
    return tmp_path / "plain.safetensors", folder, tmp_path / "lm.arpa"


def test_fine_tuning_keeps_a_model_that_knows_the_letters(lines: tuple[Path, Path, Path]) -> None:
    start = load(lines[0])
    reading = Reading(beam=7, weight=0.5, bonus=0.25, model=arpa.read_arpa(lines[2]))
    start = replace(start, task=start.task.with_reading(reading))
    known = "".join(start.task.alphabet.letters)
    assert adapt(start, [Sample("x", None, known)], Recipe()).task.facts() == start.task.facts()
    assert adapt(start, [Sample("x", None, known + "ŵ")], Recipe()).task.facts()["decoding"] == "best path"


def test_the_model_lies_in_the_bundle(lines: tuple[Path, Path, Path], tmp_path: Path) -> None:
    bundle = load(lines[0])
    reading = Reading(beam=7, weight=0.5, bonus=0.25, model=arpa.read_arpa(lines[2]))
    replace(bundle, task=bundle.task.with_reading(reading)).save(tmp_path / "told.safetensors")
    again = load(tmp_path / "told.safetensors").task.reading
    assert (again.beam, again.weight, again.bonus) == (7, 0.5, 0.25)
    assert again.model.grams.keys() == reading.model.grams.keys()  # type: ignore[union-attr]
    assert "2-gram" in load(tmp_path / "told.safetensors").task.facts()["decoding"]
    assert load(lines[0]).task.reading == Reading()


def test_words_lie_in_the_bundle(lines: tuple[Path, Path, Path], tmp_path: Path) -> None:
    bundle = load(lines[0])
    letter, other = bundle.task.alphabet.letters[-2:]
    model = ngram.train([[letter * 2, other], [letter, letter * 2]], 2)
    lexicon = (letter * 2, letter, other)
    for unknown in (-3.0, -np.inf):
        reading = Reading(beam=7, model=model, unknown=unknown, lexicon=lexicon, hot=((letter, 2.0), (other, -1.0)))
        replace(bundle, task=bundle.task.with_reading(reading)).save(tmp_path / "told.safetensors")
        again = load(tmp_path / "told.safetensors").task.reading
        assert replace(again, model=None) == replace(reading, model=None)
        assert again.model.of_words and again.model.grams.keys() == model.grams.keys()
    said = load(tmp_path / "told.safetensors").task.facts()["decoding"]
    assert "2-gram of words" in said and "lexicon of 3 words" in said and "2 hot words" in said


def test_tuning_a_model_of_words_tries_what_unknown_words_cost(
    lines: tuple[Path, Path, Path], samples: Callable[..., Any]
) -> None:
    predictor, part = Predictor(lines[0]), samples("transcribe", "line")
    model = ngram.train([sample.y.split(" ") for sample in part if sample.y], 2)
    tried: list[Any] = []
    best = tune(predictor, part, Reading(beam=4, model=model), tried=tried.append)
    assert best.figures["cer"] == min(t.figures["cer"] for t in tried)
    assert {t.reading.unknown for t in tried} > {-0.5, -4.0}
    tried.clear()
    lexicon = tuple(dict.fromkeys(model.tokens))
    assert tune(predictor, part, Reading(beam=4, lexicon=lexicon), tried=tried.append).reading.lexicon == lexicon
    assert len(tried) == 1, "without a language model there is nothing to weigh"


def test_tuning_takes_the_least_error_of_all_that_it_tried(
    lines: tuple[Path, Path, Path], samples: Callable[..., Any]
) -> None:
    tried: list[Any] = []
    best = tune(
        Predictor(lines[0]),
        samples("transcribe", "line"),
        Reading(beam=5, model=arpa.read_arpa(lines[2])),
        tried=tried.append,
    )
    assert best.figures["cer"] == min(t.figures["cer"] for t in tried)
    assert len({(t.reading.weight, t.reading.bonus) for t in tried}) == len(tried) >= 9


def test_commands(lines: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, folder, _ = map(str, lines)
    (tmp_path / "texts.txt").write_text("abc\n" * 50 + "cab\n", encoding="utf-8")
    arpa, told = str(tmp_path / "made.arpa.gz"), str(tmp_path / "told.safetensors")

    def run(*arguments: str) -> int:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        return int(end.value.code or 0)

    assert run("lm", "train", folder, "--order", "3", "--out", arpa) == 0
    assert run("lm", "train", str(tmp_path / "texts.txt"), "--order", "3", "--out", str(tmp_path / "t.arpa")) == 0
    assert "perplexity" in capsys.readouterr().err
    assert run("tune", bundle, folder, "--lm", arpa, "--beam", "4", "--split", "train", "--out", told) == 0
    assert "best: beam 4, 3-gram of letters" in capsys.readouterr().err
    assert run("test", told, folder) == 0
    assert run("test", told, folder, "--beam", "0") == 0
    capsys.readouterr()
    assert run("lm", "train", str(tmp_path / "nothing.txt"), "--out", arpa) == 2
    assert run("lm", "train", folder, "--out", "model.txt") == 2
    said = capsys.readouterr().err
    assert all(words in said for words in ("nothing.txt", "name in .arpa"))


def test_a_model_writes_as_its_reader_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Transcribe.Settings(lower=True, alike={",": "", "-": " "})
    task = Transcribe.learn(settings, [Sample("a", None, "Ab, ba-c")])
    build(task, {"name": "line"}, {"name": "crnn", "hidden": 4}).save(tmp_path / "small.safetensors")
    (tmp_path / "texts.txt").write_text("Abba, AB-c\n", encoding="utf-8")
    out = tmp_path / "made.arpa"
    given = ["lm", "train", str(tmp_path / "texts.txt"), "--order", "2", "--out", str(out)]
    with pytest.raises(SystemExit) as end:
        main([*given, "--reader", str(tmp_path / "small.safetensors")])
    assert not end.value.code, capsys.readouterr().err
    written = {line.split("\t")[1] for line in out.read_text(encoding="utf-8").splitlines() if "\t" in line}
    assert not any(letter in gram for gram in written for letter in "AB,-") and any("a b" in gram for gram in written)


def test_without_a_language_model_only_scores_are_fitted(
    lines: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, folder, _ = map(str, lines)
    told = str(tmp_path / "told.safetensors")
    with pytest.raises(SystemExit) as end:
        main(["tune", bundle, folder, "--split", "train", "--out", told])
    assert end.value.code in (0, None) and "best: best path" in capsys.readouterr().err
    before, after = load(bundle).task, load(told).task
    assert after.reading == before.reading and after.sureness != before.sureness


def test_commands_with_words(
    lines: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, folder, _ = map(str, lines)
    made, told, words = str(tmp_path / "w.arpa"), str(tmp_path / "told.safetensors"), tmp_path / "words.txt"
    alphabet = load(bundle).task.alphabet
    letter = next(x for x in alphabet.letters if x.isalnum())
    words.write_text(f"{letter}\n{letter * 2}\n", encoding="utf-8")

    def run(*arguments: str) -> int:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        return int(end.value.code or 0)

    assert run("lm", "train", folder, "--words", "--out", made) == 0
    assert arpa.read_arpa(made).of_words and arpa.read_arpa(made).order == 3
    tuned = ("--lm", made, "--lexicon", str(words), "--lm-unknown", "-3", "--beam", "4", "--split", "train")
    assert run("tune", bundle, folder, *tuned, "--out", told) == 0
    assert "lexicon of 2 words" in capsys.readouterr().err
    reading = load(told).task.reading
    assert reading.lexicon == (letter, letter * 2) and reading.unknown == -3.0
    assert run("predict", told, folder, "--hot", letter, "--hot", f"{letter * 2}:2.5", "--csv") == 0
    texts = [line.split(",")[1] for line in capsys.readouterr().out.splitlines()]
    assert texts and all(set(text.split()) <= {letter, letter * 2} for text in texts)
    assert run("predict", told, folder, "--top", "3", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(1 <= len(row["best"]) <= 3 and row["best"][0]["text"] == row["text"] for row in rows)
    assert run("predict", bundle, folder, "--top", "2", "--json") == 0
    assert all(len(json.loads(line)["best"]) == 2 for line in capsys.readouterr().out.splitlines())
    words.write_text("ё\n", encoding="utf-8")
    assert run("predict", bundle, folder, "--lexicon", str(words)) == 2
    assert run("predict", bundle, folder, "--hot", "ё") == 2
    assert run("predict", bundle, folder, "--hot", letter, "--beam", "0") == 2
    said = capsys.readouterr().err
    assert "words.txt: words have the letters 'ё'" in said and "--hot is given with --beam 0" in said


def test_options_of_readers_are_refused_by_other_tasks(
    tiny: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny("cascade", "classify", "picture").save(tmp_path / "pictures.safetensors")
    with pytest.raises(SystemExit):
        main(["predict", str(tmp_path / "pictures.safetensors"), "x.png", "--beam", "3"])
    assert "--beam is given; expected no such option for classify" in capsys.readouterr().err
