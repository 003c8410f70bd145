"""Prefix beam search against all paths; language models against their own definition."""

from __future__ import annotations

import gzip
import itertools
import math
from typing import Any

import numpy as np
import pytest

from crnn.decode import arpa, fusion, ngram
from crnn.decode.align import align
from crnn.decode.ctc_beam import BeamSearch, Hypothesis
from crnn.decode.ctc_greedy import along, greedy
from crnn.decode.fusion import LetterModel
from crnn.errors import DataError, SettingsError

TEXTS = ["abba", "abab", "baab", "cab", "abc"]
LETTERS = ("a", "b", "c")


def test_exact_against_all_paths(brute: Any) -> None:
    """All strings of 7 steps and 4 outputs; a beam that holds every prefix finds the best and its probability."""
    random = np.random.default_rng(0)
    greedy_finds = 0
    for case in range(200):
        log_probs = brute.drawn(random, 7, 4, 3.0 if case % 2 else 1.0)
        texts = brute.all_texts(log_probs)
        best, *others = BeamSearch(5000, least=0.0)(log_probs, best=5)
        ranked = sorted(texts.values(), reverse=True)
        assert [h.log_prob for h in (best, *others)] == pytest.approx(ranked[:5], abs=1e-9)
        assert best.log_prob == pytest.approx(texts[best.numbers], abs=1e-9) == pytest.approx(ranked[0], abs=1e-9)
        greedy_finds += greedy(log_probs, stride=1, width=7).numbers == best.numbers
    assert greedy_finds < 180, "the best path is not the best text; else this test shows nothing"


def test_a_language_model_is_exact_too(brute: Any) -> None:
    random = np.random.default_rng(1)
    model = ngram.train(TEXTS, 3)
    for _ in range(20):
        log_probs = brute.drawn(random, 6, 4, 1.0)
        weight, bonus = 0.7, 0.4

        def ranked(text: tuple[int, ...], of_network: float, weight: float = weight, bonus: float = bonus) -> float:
            tokens = (ngram.START, *(LETTERS[n - 1] for n in text), ngram.END)
            of_model = sum(model.log_prob(tokens[i], tokens[max(0, i - 2) : i]) for i in range(1, len(tokens)))
            return of_network + weight * of_model + bonus * len(text)

        scores = {text: ranked(text, p) for text, p in brute.all_texts(log_probs).items()}
        found = BeamSearch(5000, ((LetterModel(model, LETTERS), weight),), bonus, least=0.0)(log_probs)[0]
        assert found.score == pytest.approx(max(scores.values()), abs=1e-5)
        assert found.numbers == max(scores, key=scores.__getitem__)


def test_a_prefix_that_comes_back_is_the_same_prefix(brute: Any) -> None:
    """A narrow beam never holds one text twice."""
    random = np.random.default_rng(2)
    for _ in range(50):
        found = BeamSearch(4, least=0.0)(brute.drawn(random, 12, 3, 0.5), best=4)
        assert len({h.numbers for h in found}) == len(found)


def test_no_steps_and_one_output() -> None:
    assert BeamSearch(5)(np.zeros((0, 4))) == [Hypothesis((), 0.0, 0.0)]
    assert BeamSearch(5)(np.zeros((3, 1)))[0].numbers == ()


def test_outputs_that_are_hardly_possible_change_nothing(brute: Any) -> None:
    random = np.random.default_rng(3)
    for _ in range(30):
        log_probs = brute.drawn(random, 20, 10, 6.0)
        assert BeamSearch(50)(log_probs)[0].numbers == BeamSearch(50, least=0.0)(log_probs)[0].numbers


# the language model


def test_probabilities_sum_to_one_after_any_context() -> None:
    model = ngram.train(TEXTS, 3)
    tokens = [*model.tokens, ngram.END, ngram.UNKNOWN]
    for context in [(), ("a",), ("b", "a"), ("c", "c"), (ngram.START,), ("x", "a")]:
        assert sum(math.exp(model.log_prob(t, context)) for t in tokens) == pytest.approx(1.0)


def test_kneser_ney_counts_contexts_not_occurrences() -> None:
    """Behind a new word one that is frequent behind one word only is rarer than one of many contexts."""
    texts = [["san", "francisco"]] * 8 + [f"{a} cat".split() for a in ("the", "my", "a")] + [["new"]]
    model = ngram.train(texts, 2)
    assert model.log_prob("cat", ("new",)) > model.log_prob("francisco", ("new",))
    assert model.log_prob("francisco", ("san",)) > model.log_prob("cat", ("san",))


@pytest.mark.parametrize("least", [2, 3])
def test_rare_ngrams_are_left_to_shorter_ones(least: int) -> None:
    texts = [*TEXTS * 2, "abcabcc", "ccab"]
    model, whole = ngram.train(texts, 4, least), ngram.train(texts, 4)
    stay = {g for g in whole.grams if len(g) < 3 or _count(texts, g) >= least}
    assert set(model.grams) == stay and len(stay) < len(whole)
    tokens = [*model.tokens, ngram.END, ngram.UNKNOWN]
    for context in {gram[:-1] for gram in whole.grams} | {("x",)}:
        assert sum(math.exp(model.log_prob(t, context)) for t in tokens) == pytest.approx(1.0)
    with pytest.raises(SettingsError, match="the least is 0"):
        ngram.train(texts, 2, 0)


def _count(texts: list[str], gram: tuple[str, ...]) -> int:
    """How often the n-gram occurs in the texts with their marks."""
    marked = [(ngram.START, *text, ngram.END) for text in texts]
    return sum(t[i : i + len(gram)] == gram for t in marked for i in range(len(t)))


def test_longer_models_are_less_surprised_by_their_own_texts() -> None:
    orders = [ngram.train(TEXTS, order).perplexity(TEXTS) for order in (1, 2, 3)]
    assert orders == sorted(orders, reverse=True)
    assert ngram.train(TEXTS, 2).perplexity(["zzz"]) > 10


@pytest.mark.parametrize("name", ["model.arpa", "model.arpa.gz"])
def test_arpa_and_arrays_give_the_model_back(tmp_path, name: str) -> None:  # type: ignore[no-untyped-def]
    model = ngram.train(["ab ba", "a b"], 3)
    arpa.write_arpa(model, tmp_path / name)
    again = arpa.read_arpa(tmp_path / name)
    assert again.order == 3 and again.grams.keys() == model.grams.keys() and " " in again.tokens
    assert again.perplexity(["ab"]) == pytest.approx(model.perplexity(["ab"]), rel=1e-4)
    packed = ngram.NGram.of_arrays(model.arrays())
    assert packed.grams.keys() == model.grams.keys()
    assert packed.perplexity(["ab"]) == pytest.approx(model.perplexity(["ab"]), rel=1e-2)


ARPA = """\\data\\
ngram 1=4
ngram 2=1

\\1-grams:
-1.0 <unk>
-99 <s> -0.3
-0.5 </s>
-0.4 a -0.2

\\2-grams:
-0.1 <s> a

\\end\\
"""


def test_a_language_model_that_forgets_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    letters, random = ("a", "b", " "), np.random.default_rng(5)
    texts = ["".join(random.choice(letters, 40)) for _ in range(20)]
    model, log_probs = ngram.train(texts, 4), np.log(random.dirichlet(np.ones(4), 60))
    whole = LetterModel(model, letters)
    found = BeamSearch(20, ((whole, 0.8),))(log_probs, best=5)
    monkeypatch.setattr(fusion, "KEPT", 25 * 8 * 4)
    small = LetterModel(model, letters)
    assert BeamSearch(20, ((small, 0.8),))(log_probs, best=5) == found
    assert len(small.known) <= 9 < len(whole.known) and small.table.count <= 25 < whole.table.count


@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\u3000", "\x85", "\x1c"])
def test_other_spaces_than_that_between_fields_are_letters(tmp_path, space: str) -> None:  # type: ignore[no-untyped-def]
    model = ngram.train([f"oui{space}! non{space}?", f"a{space}"], 3)
    arpa.write_arpa(model, tmp_path / "x.arpa")
    (tmp_path / "x.arpa").write_bytes((tmp_path / "x.arpa").read_bytes().replace(b"\n", b" \r\n"))
    assert arpa.read_arpa(tmp_path / "x.arpa").grams.keys() == model.grams.keys()


def test_files_of_others_with_spaces_for_tabs_are_read(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "x.arpa").write_text(ARPA)
    model = arpa.read_arpa(tmp_path / "x.arpa")
    assert model.order == 2 and model.tokens == ["a"]
    assert model.log_prob("a", (ngram.START,)) == pytest.approx(-0.1 * math.log(10))
    assert model.log_prob(ngram.END, ("a",)) == pytest.approx(-0.7 * math.log(10))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (ARPA.replace("\\end\\", ""), "ends before"),
        (ARPA.replace("ngram 2=1", "ngram 2=7"), "promises 7 2-grams and has 1"),
        (ARPA.replace("-0.4 a", "x a"), "line 9"),
        (ARPA.replace("-0.1 <s> a", "-0.1 <s> a b c"), "line 12"),
        ("hello\n", "crnn lm train"),
        ("hello\n" * 99_999, "crnn lm train"),
        (ARPA.replace("-0.4 a", "nan a"), "line 9"),
        (ARPA.replace("-0.4 a", "0.4 a"), "line 9"),
        (ARPA.replace("<s> a", "<s> b"), "line 12"),
        (ARPA.replace("</s>", "z"), "no </s>"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path, wrong: str, said: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "bad.arpa").write_text(wrong)
    with pytest.raises(DataError, match=said) as error:
        arpa.read_arpa(tmp_path / "bad.arpa")
    assert "bad.arpa" in str(error.value)


def test_a_damaged_compressed_file_is_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    whole = gzip.compress(ARPA.encode())
    for name, data in {
        "cut": whole[:50],
        "changed": whole[:20] + bytes(9) + whole[29:],
        "plain": ARPA.encode(),
    }.items():
        (tmp_path / f"{name}.arpa.gz").write_bytes(data)
        with pytest.raises(DataError, match=f"{name}.arpa.gz: cannot be read"):
            arpa.read_arpa(tmp_path / f"{name}.arpa.gz")


def test_what_never_occurs_may_be_written_as_an_infinity(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "x.arpa").write_text(ARPA.replace("-99", "-inf"))
    assert arpa.read_arpa(tmp_path / "x.arpa").grams["<s>",][0] == ngram.NEVER


def test_rows_are_what_the_model_says() -> None:
    model = ngram.train(TEXTS, 3)
    scorer = LetterModel(model, ("c", "a", "z"))
    state = np.array([scorer.start])
    context: tuple[str, ...] = (ngram.START,)
    for number, letter in ((2, "a"), (3, "z"), (2, "a"), (1, "c")):
        rows, following = scorer.rows(state)
        for i, token in enumerate(("c", "a", ngram.UNKNOWN), 1):
            assert rows[0, i] == pytest.approx(model.log_prob(token, context[-2:]), abs=1e-5)
        assert scorer.ends(state)[0] == pytest.approx(model.log_prob(ngram.END, context[-2:]), abs=1e-5)
        state, context = following[:, number], (*context, letter if letter != "z" else ngram.UNKNOWN)


def test_weights_behind_what_nothing_follows_count() -> None:
    """Pruned files of others have such."""
    grams = {("<s>",): (-99.0, -0.2), ("</s>",): (-0.6, 0.0), ("a",): (-0.3, -0.1), ("<unk>",): (-1.0, 0.0)}
    model = ngram.NGram(2, grams)
    scorer = LetterModel(model, ("a",))
    assert scorer.ends(np.array([scorer.start]))[0] == pytest.approx(-0.8 * math.log(10))
    _, following = scorer.rows(np.array([scorer.start]))
    assert scorer.ends(following[:, 1])[0] == pytest.approx(-0.7 * math.log(10))


def test_a_model_of_other_letters_is_refused() -> None:
    with pytest.raises(DataError, match="'a'"):
        LetterModel(ngram.train(TEXTS, 2), ("я", "ж"))


# alignment


def test_alignment_is_the_best_path_that_writes_the_text(brute: Any) -> None:
    random = np.random.default_rng(4)
    for numbers in [(), (1,), (1, 1), (1, 2, 1), (2, 2, 1)]:
        log_probs = brute.drawn(random, 6, 3, 1.0)
        paths = [p for p in itertools.product(range(3), repeat=6) if brute.written(p) == numbers]
        best = max(log_probs[np.arange(6), list(p)].sum() for p in paths)
        path = align(log_probs, numbers)
        assert path is not None and brute.written(tuple(path.tolist())) == numbers
        assert log_probs[np.arange(6), path].sum() == pytest.approx(best)
        assert along(log_probs, path, stride=2.0, width=12.0).numbers == numbers


def test_a_long_text_is_aligned(brute: Any) -> None:
    numbers = tuple(1 + i % 3 for i in range(200))
    path = align(brute.drawn(np.random.default_rng(5), 500, 4, 1.0), numbers)
    assert path is not None and brute.written(tuple(path.tolist())) == numbers


def test_too_few_steps_have_no_alignment(brute: Any) -> None:
    assert align(brute.drawn(np.random.default_rng(0), 2, 3, 1.0), (1, 1)) is None
    empty = align(np.zeros((0, 3)), ())
    assert empty is not None and len(empty) == 0
