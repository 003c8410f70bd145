"""Lines found on pages: what counts as found, and the letters of whole pages."""

from __future__ import annotations

import pytest

from crnn.data.page_lines import TextLine
from crnn.errors import DataError
from crnn.metrics.baselines import PageCounts, matched, overlap


def line(left: float, right: float, level: float, text: str | None = None) -> TextLine:
    return TextLine(((left, level), (right, level)), 14.0, 6.0, text)


def test_overlap_counts_columns_within_a_quarter_of_the_height():
    truth = line(0, 100, 50)
    assert overlap(truth, line(0, 100, 50)) == 1
    assert overlap(truth, line(0, 100, 54.9)) == 1
    assert overlap(truth, line(0, 100, 55.1)) == 0
    assert overlap(truth, line(50, 150, 50)) == pytest.approx(50 / 150)
    assert overlap(truth, line(200, 300, 50)) == 0
    sloping = TextLine(((0.0, 50.0), (100.0, 60.0)), 14.0, 6.0)
    assert overlap(truth, sloping) == pytest.approx(0.5)


def test_each_answer_counts_once_and_the_best_overlap_first():
    truth = [line(0, 100, 50), line(0, 100, 80)]
    answer = [line(0, 95, 81), line(0, 60, 50), line(0, 99, 50), line(300, 400, 50)]
    assert matched(truth, answer) == [(0, 2), (1, 0)]


def test_figures_of_pages():
    counts = PageCounts()
    counts.add(
        [line(0, 100, 50, "abcde"), line(0, 100, 80, "fghij")], [line(0, 100, 50, "abcxe"), line(0, 20, 200, "yz")]
    )
    counts.add([line(0, 100, 50, "kl")], [line(0, 100, 50, "kl")])
    counts.add([], [])  # an empty page that was left empty
    figures = counts.figures()
    assert figures["line_recall"] == pytest.approx(2 / 3)
    assert figures["line_precision"] == pytest.approx(2 / 3)
    assert figures["line_f1"] == pytest.approx(2 / 3)
    assert figures["cer"] == pytest.approx((1 + 5 + 2) / 12)
    assert figures["line_recall_low"] <= figures["line_recall"] <= figures["line_recall_high"]


def test_order_counts_for_the_text_of_a_page():
    counts = PageCounts()
    lines = [line(0, 100, 50, "first"), line(0, 100, 80, "second")]
    counts.add(lines, lines[::-1])
    figures = counts.figures()
    assert figures["cer"] == 0
    assert figures["cer_page"] > 0.5


def test_without_texts_there_is_no_letter_error():
    counts = PageCounts()
    counts.add([line(0, 100, 50)], [line(0, 100, 50)])
    assert "cer" not in counts.figures()
    with pytest.raises(DataError, match="no line to score"):
        PageCounts().figures()


def test_where_no_line_was_found_its_precision_has_no_interval():
    counts = PageCounts()
    for _ in range(3):
        counts.add([line(0, 100, 50)], [])
    figures = counts.figures()
    assert figures["line_precision"] == 0 and "line_precision_low" not in figures
    assert figures["line_recall_low"] == figures["line_recall_high"] == 0
    counts.add([line(0, 100, 50)], [line(0, 100, 90)])
    figures = counts.figures()
    assert figures["line_precision"] == figures["line_precision_high"] == 0, "a draw of pages without one says nothing"
