"""Figures of read text: against brute force, on known cases, and whether the intervals hold what they promise."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.errors import DataError
from crnn.metrics.text import FIGURES, Errors, compare, confusions, difference, interval, score

texts = st.text(alphabet="aabl é 0\U0001d538", max_size=9)
pair_lists = st.lists(st.tuples(texts, texts), min_size=1, max_size=6)


def distance(a: tuple | str, b: tuple | str) -> int:
    """Edit distance by its definition."""

    @cache
    def to(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(to(i - 1, j) + 1, to(i, j - 1) + 1, to(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    return to(len(a), len(b))


@given(texts, texts)
def test_counts_are_those_of_brute_force(truth: str, read: str) -> None:
    errors = compare(truth, read)
    assert errors.total == distance(truth, read)
    assert errors.insertions - errors.deletions == len(read) - len(truth)
    assert errors.word_errors == distance(tuple(truth.split()), tuple(read.split()))
    assert (errors.letters, errors.words) == (len(truth), len(truth.split()))


@given(texts, texts)
def test_difference_puts_both_texts_together_again(truth: str, read: str) -> None:
    pieces = difference(truth, read)
    assert "".join(t for _, t, _ in pieces) == truth
    assert "".join(r for _, _, r in pieces) == read
    for kind, t, r in pieces:
        assert {"equal": t == r != "", "missing": t and not r, "extra": r and not t}.get(kind, True)
        assert kind != "wrong" or len(t) == len(r) > 0
    cost = sum(max(len(t), len(r)) for kind, t, r in pieces if kind != "equal")
    assert cost == distance(truth, read)


@given(pair_lists)
def test_score_is_sums_over_sums(pairs: list[tuple[str, str]]) -> None:
    figures = score(pairs)
    letters = max(1, sum(len(t) for t, _ in pairs))
    words = max(1, sum(len(t.split()) for t, _ in pairs))
    assert figures["cer"] == pytest.approx(sum(distance(t, r) for t, r in pairs) / letters)
    assert figures["wer"] == pytest.approx(sum(distance(tuple(t.split()), tuple(r.split())) for t, r in pairs) / words)
    assert figures["exact"] == sum(t == r for t, r in pairs) / len(pairs)
    parts = figures["insertions"] + figures["deletions"] + figures["substitutions"]
    assert parts == pytest.approx(figures["cer"])
    assert figures["cer_nocase"] <= figures["cer"] + 1e-12
    assert all(np.isfinite(v) and v >= 0 and type(v) is float for v in figures.values())


@given(pair_lists)
def test_confusions_count_every_error_once(pairs: list[tuple[str, str]]) -> None:
    found = confusions(pairs, most=1000)
    assert sum(n for _, _, n in found) == sum(distance(t, r) for t, r in pairs)
    assert all(t != r and len(t) <= 1 and len(r) <= 1 for t, r, _ in found)
    assert [n for _, _, n in found] == sorted((n for _, _, n in found), reverse=True)
    assert confusions(pairs, most=2) == found[:2]


def test_known_case() -> None:
    assert compare("kitten sits", "sitting sit") == Errors(
        insertions=1, deletions=1, substitutions=2, letters=11, words=2, word_errors=2
    )
    assert compare("", "") == Errors(0, 0, 0, 0, 0, 0)
    assert compare("e\u0301", "é").total == 2, "code points as they are: normalising is the caller's"
    assert difference("abc", "xbcd") == [("wrong", "a", "x"), ("equal", "bc", "bc"), ("extra", "", "d")]
    assert difference("", "") == []


def test_confusions_pair_replaced_runs_letter_by_letter() -> None:
    assert confusions([("abcd", "xycd"), ("a", "x"), ("no", "n"), ("n", "no")]) == [
        ("a", "x", 2),
        ("", "o", 1),
        ("b", "y", 1),
        ("o", "", 1),
    ]
    assert confusions([]) == []


@pytest.mark.parametrize(
    ("truth", "read", "errors"),
    [
        ("un pas", "unpas", 1),
        ("un pas", "un p as", 1),
        ("un pas", "un_pas", 1),
        ("unpas", "un s", 1),
        ("un pas", "un\u00a0pas", 0),
        ("un pas", "un bas", 0),
        ("a b c", "abc", 2),
    ],
)
def test_spaces_lost_and_invented(truth: str, read: str, errors: int) -> None:
    spaces = max(1, sum(map(str.isspace, truth)))
    assert score([(truth, read)])["space_errors"] == pytest.approx(errors / spaces)


@pytest.mark.parametrize(
    ("truth", "read", "errors"),
    [
        ("aller", "aler", 1),
        ("aler", "aller", 1),
        ("1000", "100", 1),
        ("1000", "1", 0),  # missed as a whole: no double letter
        ("100", "10", 1),
        ("100", "1000", 1),
        ("aller", "alier", 0),  # mistaken, not halved
        ("aller", "aer", 0),
        ("aller", "ailer", 0),
        ("aller", "aller", 0),
        ("a  b", "a b", 0),  # spaces have their own figure
        ("allonner", "aloner", 2),
    ],
)
def test_double_letters_halved_and_single_ones_doubled(truth: str, read: str, errors: int) -> None:
    doubles = {"aller": 1, "aler": 0, "1000": 1, "100": 1, "a  b": 0, "allonner": 2}[truth]
    assert score([(truth, read)])["double_errors"] == pytest.approx(errors / max(1, doubles))


def test_case_is_folded() -> None:
    figures = score([("Été STRASSE", "été straße"), ("a", "b")])
    assert figures["cer_nocase"] == pytest.approx(1 / 12)
    assert figures["cer"] > 0.5


def test_empty_truths_are_lines_too() -> None:
    assert score([("", ""), ("", "")]) == dict.fromkeys(score([("", ""), ("", "")]), 0.0) | {"exact": 1.0}
    assert score([("", "ab")])["cer"] == 2.0, "letters read in an empty line are errors, and finite"
    figures = score([("ab", "ab"), ("", "x")])
    assert figures["cer"] == 0.5 and figures["exact"] == 0.5
    assert figures["cer_high"] >= figures["cer"] >= figures["cer_low"]


def test_no_line_is_a_named_error() -> None:
    with pytest.raises(DataError, match="no line to score"):
        score([])


def test_a_single_line_has_no_interval() -> None:
    assert not {"cer_low", "cer_high", "wer_low", "wer_high"} & set(score([("ab", "b")]))


def test_every_figure_is_explained() -> None:
    figures = score([("ab", "b"), ("b", "b")])
    assert set(FIGURES) == {name for name in figures if not name.endswith(("_low", "_high"))}


def test_interval_is_reproducible_and_seeded() -> None:
    random = np.random.default_rng(0)
    errors, totals = random.integers(0, 9, 40), np.full(40, 50)
    groups = [i // 4 for i in range(40)]
    assert interval(errors, totals, groups, 3) == interval(errors, totals, groups, 3)
    assert interval(errors, totals, groups, 3) != interval(errors, totals, groups, 4)
    pairs = [("abcd", "abcd"[: int(n) % 5]) for n in errors]
    assert score(pairs, groups) == score(pairs, groups)


def test_groups_without_a_name_are_lines_of_their_own() -> None:
    errors, totals = np.arange(6), np.full(6, 10)
    assert interval(errors, totals, [None] * 6) == interval(errors, totals)
    assert interval(errors, totals, list("aabbcc")) != interval(errors, totals)
    assert interval(errors, totals, ["a"] * 6) == interval(errors, totals), "one writer: lines are drawn"


def test_blocks_of_resamples_do_not_change_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    errors, totals = np.arange(50) % 7, np.full(50, 30)
    whole = interval(errors, totals)
    monkeypatch.setattr("crnn.metrics.interval.DRAWN_AT_ONCE", 50 * 7)
    assert interval(errors, totals) == whole


@pytest.mark.parametrize(("count", "least"), [(6, 0.80), (25, 0.86), (100, 0.90)])
def test_interval_covers_the_true_rate(count: int, least: float) -> None:
    """Writers of unequal skill: 95 % is promised, what is asked here leaves room for chance and few writers."""
    random = np.random.default_rng(count)
    hits, trials, truth = 0, 150, 0.06
    for _ in range(trials):
        lines = random.integers(3, 12, count)
        writer = np.repeat(np.arange(count), lines)
        skill = random.gamma(4, truth / 4, count)
        totals = random.integers(20, 60, len(writer))
        errors = random.binomial(totals, np.minimum(1, skill[writer]))
        low, high = interval(errors, totals, writer.tolist())
        hits += low <= truth <= high
    assert least <= hits / trials <= 0.995


def test_lines_of_one_writer_are_not_independent() -> None:
    """Drawing lines where writers differ promises too much: the interval by writers is wider."""
    random = np.random.default_rng(1)
    writer = np.repeat(np.arange(12), 10)
    totals = np.full(120, 40)
    errors = random.binomial(totals, random.gamma(2, 0.03, 12)[writer])
    low, high = interval(errors, totals, writer.tolist())
    low_lines, high_lines = interval(errors, totals)
    assert high - low > 1.5 * (high_lines - low_lines)


@settings(max_examples=20)
@given(st.integers(2, 12))
def test_lines_without_errors_have_an_interval_of_zero(lines: int) -> None:
    figures = score([("abc", "abc")] * lines)
    assert figures["cer_low"] == figures["cer_high"] == 0.0


def test_needs_no_torch() -> None:
    code = "import sys, crnn.metrics.text, crnn.decode.ctc_greedy; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
