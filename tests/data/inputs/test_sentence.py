"""Texts: cut into words by one rule, numbered by the training part alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.data.inputs.sentence import Sentence, words_of
from crnn.data.inputs.sentence_augment import SentenceAugment
from crnn.errors import DataError
from crnn.types import Sample

TEXTS = ["the cat saw the dog", "the dog saw a bird", "a cat"]


def learned(texts: list[str] = TEXTS, **settings: Any) -> Sentence:
    return Sentence.learn(Sentence.Settings(**settings), [Sample(str(i), text) for i, text in enumerate(texts)])


# words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The cat, the dog.", "the cat , the dog ."),
        ("It's Galileo's, isn't it?", "it 's galileo 's , is n't it ?"),
        ("it 's galileo 's , is n't it ?", "it 's galileo 's , is n't it ?"),
        ("I can’t and won't", "i ca n't and wo n't"),
        ("well-known -- 1,000.5 km", "well-known - - 1,000.5 km"),
        ("in 1999.", "in 1999 ."),
        ("(foo_bar)", "( foo _ bar )"),
        ("Straße ÅNGSTRÖM e\u0301te\u0301", "straße ångström été"),
        ("हिन्दी में।", "हिन्दी में ।"),
        ("東京 です", "東京 です"),
    ],
)
def test_words_and_signs(text: str, words: str) -> None:
    assert words_of(text) == words.split()


@given(st.text())
def test_cutting_again_what_was_cut_changes_nothing_and_no_letter_is_lost(text: str) -> None:
    words = words_of(text)
    assert words_of(" ".join(words)) == words
    assert sum(map(len, words)) == len("".join(words_of(text, "letter")).replace(" ", ""))


def test_letters_with_single_spaces() -> None:
    assert words_of(" Ja  so\n", "letter") == ["j", "a", " ", "s", "o"]


# numbers


def test_frequent_words_come_first_and_rare_ones_are_unknown() -> None:
    made = learned()
    assert made.words == ("the", "a", "cat", "dog", "saw")
    assert made.spec.vocabulary == 7 and made.spec.channels == 1 and made.spec.space == ()
    x = made.finish(made.decode("The bird saw a cat!"))
    assert x.dtype == np.int64 and x[:, 0].tolist() == [2, 1, 6, 3, 4, 1]
    assert learned(least=1).words[-1] == "bird" and learned(most=2).words == ("the", "a")


def test_ends_of_words_are_learned_beside_them_so_that_unknown_words_are_not_all_one() -> None:
    made = learned(["cats cat dogs", "cats cat dogs"], ends=(1, 3))
    assert made.spec.channels == 5 and made.spec.vocabulary == 2 + len(made.words)
    assert {"cat-", "c-", "-s"} <= set(made.words) and "-cat" not in made.words, "one word alone ends so"
    known, unknown, strange = made.finish(made.decode("cats catch zzz"))
    assert known[0] > 1 and unknown[0] == 1
    assert unknown[1] == known[1] > 1 and unknown[3] == known[3] > 1 and unknown[2] == 0, "both begin with cat"
    assert strange.tolist() == [1, 0, 0, 0, 0]
    varied, _ = made.vary(made.decode("cats " * 50), None, SentenceAugment(dropout=0.5), np.random.default_rng(0))
    assert {*varied[:, 0].tolist()} == {1, known[0]} and (varied[:, 1:] == known[1:]).all()
    again = Sentence.restore(made.settings, json.loads(json.dumps(made.learned())))
    assert again.spec == made.spec and np.array_equal(again.decode("catch"), made.decode("catch"))


def test_nothing_but_the_training_part_is_learned_and_it_is_restored() -> None:
    made = learned()
    again = Sentence.restore(made.settings, json.loads(json.dumps(made.learned())))
    assert again.words == made.words and again.spec == made.spec
    assert np.array_equal(again.decode("the bird"), made.decode("the bird"))
    assert Sentence.restore(Sentence.Settings(most=100), {}).spec.vocabulary == 102
    assert learned(["x y"], least=2).spec.vocabulary == 2, "all unknown, also when restored"
    assert Sentence.restore(made.settings, {"words": []}).spec.vocabulary == 2


def test_numbers_of_a_text_are_those_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\ufeffThe cat\r\nsaw\n", encoding="utf-8")
    made = learned()
    assert np.array_equal(made.decode(tmp_path / "a.txt"), made.decode("the cat saw"))
    assert made.steps(tmp_path / "a.txt") == 3
    assert made.source("a.txt") == Path("a.txt") and made.source("What is it?") == "What is it?"
    assert Sentence.reads("x") and Sentence.reads(Path("a.TXT"))
    assert not Sentence.reads(Path("a.png")) and not Sentence.reads(np.zeros(3))


def test_long_texts_are_refused_or_cut() -> None:
    with pytest.raises(DataError, match="has 9 words; expected at most 8"):
        learned(longest=8).decode("the " * 9)
    made = learned(longest=8, cut=5)
    assert made.steps("the " * 9) == 5 == len(made.decode("the " * 9))


# what cannot be read


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "holds no words"), (b" \n\t", "holds no words"), (b"caf\xe9", "is not UTF-8"), (None, "is not there")],
)
def test_what_cannot_be_read_is_named(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    if content is not None:
        path.write_bytes(content)
    for read in (learned().decode, learned().steps, learned().look, learned().shown):
        with pytest.raises(DataError, match=words) as caught:
            read(path)
        assert caught.value.file == path


def test_what_is_no_text_at_all() -> None:
    for source in (7, None, np.zeros(3)):
        with pytest.raises(DataError, match="expected a text"):
            learned().decode(source)
    with pytest.raises(DataError, match="holds no texts"):
        Sentence.learn(Sentence.Settings(), [])
    with pytest.raises(DataError, match="holds no words"):
        learned([" ", ""])
    assert learned(["", "a a"]).words == ("a",)


def test_strange_texts_are_told_and_doubles_are_found() -> None:
    made = learned()
    assert [f.kind for f in made.look("ett fyra ord till").findings] == ["strange text"]
    assert not made.look("the cat saw it").findings
    assert made.look("The cat.").digest == made.look("the  cat .").digest != made.look("a cat.").digest


def test_reports_show_the_text_and_shade_its_words() -> None:
    made = learned()
    html = made.shown("the <cat> saw ett hus", np.array([0.0, 0.1, -1.0, 0.5, 0.0, 0.0, 0.0]))
    assert "&lt;" in html and "<cat>" not in html and html.count("not a word of the training part") >= 2
    assert "rgba(48,104,212,1.00)" in html and "rgba(224,108,16,0.50)" in html
    assert "and 200 more" in made.shown("dog " * 1200) and "title" not in made.shown("the cat")


# variations


@given(st.integers(0, 2**32))
def test_dropped_words_become_unknown_and_the_others_stay(seed: int) -> None:
    made, y = learned(), np.arange(50)
    x = made.decode("the cat saw a dog " * 10)
    varied, moved = made.vary(x, y, SentenceAugment(dropout=0.5), np.random.default_rng(seed))
    assert moved is y and len(varied) == len(x)
    assert ((varied == x) | (varied == 1)).all()
    assert np.array_equal(varied, made.vary(x, None, SentenceAugment(dropout=0.5), np.random.default_rng(seed))[0])


def test_as_many_are_dropped_as_is_said() -> None:
    made = learned()
    x = made.decode("the cat saw a dog " * 400)
    rng = np.random.default_rng(0)
    assert abs((made.vary(x, None, SentenceAugment(dropout=0.3), rng)[0] == 1).mean() - 0.3) < 0.05
    for augment in (SentenceAugment(dropout=0.0), SentenceAugment(share=0.0)):
        assert np.array_equal(made.vary(x, None, augment, rng)[0], x)
