"""Words beside a network that writes letters: word models, lexicons and hot words against trying every text."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from crnn.decode import ngram
from crnn.decode.align import likelihood
from crnn.decode.ctc_beam import BeamSearch
from crnn.decode.fusion import LetterModel
from crnn.decode.lexicon import HotWords, Lexicon, hot_word, read_words
from crnn.decode.trie import Trie
from crnn.decode.words import UNKNOWN_LETTER, WordCount, WordModel
from crnn.errors import DataError, SettingsError

LETTERS = ("a", "b", " ")
TEXTS = ["ab a", "a ab", "ab ab", "ba a", "a", "abb a ba"]
WORDS = ngram.train([text.split() for text in TEXTS], 2)
CASES = 30
Text = tuple[int, ...]


def text_of(numbers: Text, letters: tuple[str, ...] = LETTERS) -> str:
    return "".join(letters[n - 1] for n in numbers)


def of_model(text: str, unknown: float, model: ngram.NGram = WORDS) -> float:
    """What a word model says of a text, word by word."""
    total, context = 0.0, (ngram.START,)
    for word in text.split(" ") if text else []:
        known = (word,) in model.grams
        if not known and math.isinf(unknown):
            return -np.inf
        total += model.log_prob(word, context) + (0.0 if known else unknown * len(word))
        context = (*context, word if known else ngram.UNKNOWN)
    return total + model.log_prob(ngram.END, context)


def of_lexicon(text: str, words: tuple[str, ...]) -> float:
    return 0.0 if not text or set(text.split(" ")) <= set(words) else -np.inf


def compare(cases: Any, scorers: Any, extra: Callable[[str], float], *, bonus: float = 0.0) -> None:
    """A beam that holds every prefix finds the five best of all texts with their scores, in each case."""
    differs = 0
    for log_probs, texts in cases:
        scores = {text: p + extra(text_of(text)) + bonus * len(text) for text, p in texts.items()}
        best, *others = sorted(scores, key=scores.__getitem__, reverse=True)[:5]
        found = BeamSearch(5000, scorers, bonus, least=0.0)(log_probs, best=5)
        expected = [scores[text] for text in (best, *others) if scores[text] > -np.inf]
        assert [h.score for h in found] == pytest.approx(expected, abs=1e-4)
        assert found[0].numbers == best and found[0].log_prob == pytest.approx(texts[best], abs=1e-9)
        differs += best != max(texts, key=texts.__getitem__)
    assert differs > 3, "the scorers hardly ever decide; else this shows nothing"


@pytest.mark.parametrize("unknown", [-1.0, -3.0, -np.inf])
def test_word_model(cases: Any, unknown: float) -> None:
    scorer = WordModel(WORDS, LETTERS, unknown=unknown)
    compare(cases, ((scorer, 0.7),), lambda text: 0.7 * of_model(text, unknown), bonus=0.3)


def test_word_model_with_a_bonus_for_each_word(cases: Any) -> None:
    scorers = ((WordModel(WORDS, LETTERS, unknown=-1.0), 0.5), (WordCount(LETTERS), 1.5))
    compare(cases, scorers, lambda text: 0.5 * of_model(text, -1.0) + 1.5 * len(text.split()))


def test_word_model_of_others_without_an_unknown_word(cases: Any) -> None:
    """Then a word that it does not know is as rare as its rarest."""
    grams = {("<s>",): (-99.0, -0.2), ("</s>",): (-0.6, 0.0), ("ab",): (-0.3, -0.1), ("bb",): (-1.2, 0.0)}
    grams |= {("<s>", "ab"): (-0.1, 0.0), ("<unk>",): (ngram.NEVER, 0.0)}
    told = ngram.NGram(2, grams)
    known = ngram.NGram(2, grams | {("<unk>",): (-1.2, 0.0)})
    compare(cases, ((WordModel(told, LETTERS), 0.5),), lambda text: 0.5 * of_model(text, UNKNOWN_LETTER, known))


def test_lexicon(cases: Any) -> None:
    words = ("ab", "a", "bab")
    compare(cases, ((Lexicon(words, LETTERS), 1.0),), lambda text: of_lexicon(text, words))


def test_lexicon_beside_both_kinds_of_language_model(cases: Any) -> None:
    words = ("ab", "bba", "a", "b")
    letters = ngram.train(TEXTS, 3)
    scorers = ((Lexicon(words, LETTERS), 1.0), (WordModel(WORDS, LETTERS), 0.4), (LetterModel(letters, LETTERS), 0.3))

    def extra(text: str) -> float:
        if np.isinf(of_lexicon(text, words)):
            return -np.inf
        tokens = (ngram.START, *text, ngram.END)
        spelled = sum(letters.log_prob(tokens[i], tokens[max(0, i - 2) : i]) for i in range(1, len(tokens)))
        return 0.4 * of_model(text, UNKNOWN_LETTER) + 0.3 * spelled

    compare(cases, scorers, extra)


def test_hot_words(cases: Any) -> None:
    hot = {"ab": 2.0, "abba": 3.0, "b": -1.0}
    compare(cases, ((HotWords(hot, LETTERS), 1.0),), lambda text: sum(hot.get(word, 0.0) for word in text.split(" ")))


def total(scorer: HotWords, text: str, letters: str) -> float:
    """What the whole ``text`` is given."""
    state, found = np.array([scorer.start]), 0.0
    for letter in text:
        scores, following = scorer.rows(state)
        number = letters.index(letter) + 1
        found, state = found + scores[0, number], following[:, number]
    return float(found + scorer.ends(state)[0])


def test_hot_words_beside_marks(brute: Any) -> None:
    """Marks around a word do not hide it, letters do."""
    scorer = HotWords({"ab": 4.0, "x-a": 2.0}, ("a", "b", " ", "-", "x"))
    letters = "ab -x"
    for text, gain in {
        **{"ab": 4.0, "-ab-": 4.0, "ab-b": 4.0, "aba": 0.0, "bab": 0.0, "ab ab": 8.0, "b-ab": 0.0, "": 0.0},
        **{"x-a": 2.0, "x-": 0.0, "x-ab": 0.0, "-x-a--": 2.0},
    }.items():
        assert total(scorer, text, letters) == pytest.approx(gain, abs=1e-6), text


def test_a_longer_hot_word_leaves_the_shorter_one_its_gain() -> None:
    """Jean and Jean-Paul, and what is neither."""
    scorer = HotWords({"a": 4.0, "a-b": 2.0, "a-b-x": 3.0}, tuple("ab -x"))
    for text, gain in {
        **{"a": 4.0, "a-": 4.0, "a-x": 4.0, "a-a-b": 4.0, "aa": 0.0, "a-bb": 4.0, "-a-x a-x": 8.0},
        **{"a-b": 2.0, "a-b-": 2.0, "a-b-a": 2.0, "a-b-xx": 2.0, "a-b-x": 3.0, "a-b-x-x": 3.0, "a-b a": 6.0},
    }.items():
        assert total(scorer, text, "ab -x") == pytest.approx(gain, abs=1e-6), text


def test_a_hot_word_is_hoped_for_from_its_first_letter_on() -> None:
    scorer = HotWords({"abab": 4.0}, LETTERS)
    scores, following = scorer.rows(np.array([scorer.start]))
    assert scores[0, 1] == pytest.approx(1.0) and scores[0, 2] == 0.0
    scores, _ = scorer.rows(following[:, 1])
    assert scores[0, 2] == pytest.approx(1.0) and scores[0, 1] == pytest.approx(-1.0), "taken back"


def test_without_a_space_among_the_letters_a_text_is_one_word(brute: Any) -> None:
    letters = ("a", "b", "c")
    random = np.random.default_rng(3)
    words = ("ab", "cab", "bcb")
    for _ in range(10):
        log_probs = brute.drawn(random, 6, 4, 1.0)
        found = BeamSearch(5000, ((Lexicon(words, letters), 1.0),), least=0.0)(log_probs)[0]
        best = max((likelihood(log_probs, [letters.index(x) + 1 for x in word]), word) for word in ("", *words))
        assert text_of(found.numbers, letters) == best[1] and found.score == pytest.approx(best[0])


def test_what_cannot_be_finished_is_cut_to_what_can() -> None:
    """A narrow beam may hold beginnings of words alone."""
    sure = np.log([[0.001, 0.997, 0.001, 0.001], [0.001, 0.001, 0.997, 0.001], [0.997, 0.001, 0.001, 0.001]])
    found = BeamSearch(1, ((Lexicon(["abb", "a"], LETTERS), 1.0),), least=0.0)(sure, best=3)
    assert [h.numbers for h in found] == [(1,)]
    assert found[0].log_prob == found[0].score == pytest.approx(likelihood(sure, (1,)))
    assert BeamSearch(1, ((Lexicon(["abb"], LETTERS), 1.0),), least=0.0)(sure)[0].numbers == ()


def test_a_narrow_beam_writes_words_of_the_lexicon_only(brute: Any) -> None:
    random = np.random.default_rng(5)
    words = ("abab", "bbb", "aab", "baab")
    for _ in range(50):
        for found in BeamSearch(3, ((Lexicon(words, LETTERS), 1.0),))(brute.drawn(random, 12, 4, 2.0), best=3):
            assert of_lexicon(text_of(found.numbers), words) == 0.0


def test_a_weight_of_nothing_leaves_a_scorer_out(brute: Any) -> None:
    log_probs = brute.drawn(np.random.default_rng(6), 7, 4, 1.0)
    plain = BeamSearch(50)(log_probs, best=9)
    assert BeamSearch(50, ((Lexicon(["ab"], LETTERS), 0.0),))(log_probs, best=9) == plain


def test_likelihood_is_the_sum_of_all_paths(brute: Any) -> None:
    log_probs = brute.drawn(np.random.default_rng(7), 6, 3, 1.0)
    for text, expected in brute.all_texts(log_probs).items():
        assert likelihood(log_probs, text) == pytest.approx(expected)
    assert likelihood(log_probs[:2], (1, 1)) == -np.inf and likelihood(log_probs[:0], ()) == 0.0


def test_a_tree_of_words_in_any_order() -> None:
    words = [(2, 1), (1,), (1, 2, 1), (2,), (1, 2, 3)]
    trie = Trie(words)
    for place, word in enumerate(words):
        node = 0
        for letter in word:
            letters, nodes = trie.children(node)
            node = int(nodes[letters.tolist().index(letter)])
        assert trie.word[node] == place and trie.depth[node] == len(word)
    assert [a.tolist() for a in trie.children(0)] == [a.tolist() for a in trie.children(1)]
    best = trie.highest(np.where(trie.word >= 0, trie.word, -1).astype(float))
    assert best[0] == best[1] == 4.0


# words that do not fit


def test_letters_that_the_network_does_not_write_are_named() -> None:
    with pytest.raises(DataError, match="'é' 'ü', such as 'aé'"):
        Lexicon(["ab", "aé", "bü"], LETTERS)
    with pytest.raises(DataError, match="'c'"):
        HotWords({"abc": 1.0}, LETTERS)
    with pytest.raises(DataError, match="'я'"):
        WordModel(ngram.train([["яя", "я"]], 1), LETTERS)
    assert WordModel(ngram.train([["яя", "ab"]], 1), LETTERS).words == ["ab"], "some words fit"
    with pytest.raises(SettingsError, match="no word"):
        Lexicon([], LETTERS)


def test_lists_of_words(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "words.txt").write_text("\ufeffab\n\n ba \r\nab\n", encoding="utf-8")
    assert read_words(tmp_path / "words.txt") == ["ab", "ba"]
    with gzip.open(tmp_path / "words.gz", "wb") as file:
        file.write("é\n".encode())
    assert read_words(tmp_path / "words.gz") == ["é"]
    for text, said in ((b"a b\n", "line 1 is 'a b'"), (b"\n", "no word"), (b"\xff", "cannot be read")):
        (tmp_path / "bad.txt").write_bytes(text)
        with pytest.raises(DataError, match=said):
            read_words(tmp_path / "bad.txt")
    (tmp_path / "bad.gz").write_bytes(gzip.compress(b"ab\n" * 99)[:12] + bytes(9))
    with pytest.raises(DataError, match=r"bad\.gz: cannot be read"):
        read_words(tmp_path / "bad.gz")
    with pytest.raises(DataError, match=r"none\.txt"):
        read_words(tmp_path / "none.txt")


def test_hot_words_as_people_write_them() -> None:
    assert hot_word("Celsius") == ("Celsius", 10.0) and hot_word("8:15:-2.5") == ("8:15", -2.5)
    for wrong in ("", ":5", "two words", "x:many", "x:nan"):
        with pytest.raises(SettingsError, match="hot word"):
            hot_word(wrong)
