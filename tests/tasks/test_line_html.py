"""The picture of a line for people: escaped, well formed, and honest about differences and doubt."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.tasks._lines.html import line_html
from crnn.types import Part

VOID = {"img"}


class Page(HTMLParser):
    """Collects the tags and the text of each row; fails on a tag that is not closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "dd":
            self.rows.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "dd" in self.open:
            self.rows[-1] += data

    def titles(self) -> list[str]:
        return [attrs["title"] or "" for _, attrs in self.tags if "title" in attrs]


def parts(text: str, *scores: float) -> list[Part]:
    return [Part(letter, i, i + 1, score) for i, (letter, score) in enumerate(zip(text, scores, strict=True))]


@pytest.mark.parametrize("bad", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&amp; <b>'\"`"])
def test_text_is_escaped_wherever_it_stands(bad: str) -> None:
    for truth, read in ((bad, bad), (bad, ""), ("", bad), (bad, bad[::-1]), (None, bad)):
        html = line_html(truth, read, 0.5, "<img>", parts(read, *[0.3] * len(read)))
        page = Page(html)
        assert {tag for tag, _ in page.tags} <= {"div", "img", "dl", "dt", "dd", "mark", "span"}
        assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
        assert "<script" not in html
    assert Page(line_html(bad, bad, 0.5)).rows[0].replace("␣", " ") == bad


@given(st.text(max_size=12), st.text(max_size=12), st.floats(0, 1))
def test_is_well_formed_and_holds_both_texts(truth: str, read: str, score: float) -> None:
    page = Page(line_html(truth, read, score))
    assert len(page.rows) == 3
    if truth == read and "\r" not in truth and "\0" not in truth:
        assert page.rows[0] == page.rows[1] == (truth or "\u200b")


def test_kinds_of_errors_differ_in_line_and_title() -> None:
    html = line_html("un pas lent", "une bas ent", 0.876)
    page = Page(html)
    assert page.rows == ["un· pas lent", "une bas ·ent", "3 errors in 11 letters, 88 % sure"]
    assert page.titles() == ["“p” was read as “b”", "“l” was missed", "“e” is too many", "“b” stands for “p”"]
    assert all(line in html for line in ("solid", "dashed", "dotted"))


def test_rows_without_error_and_without_truth() -> None:
    assert Page(line_html("ab", "ab", 1.0)).rows == ["ab", "ab", "without error, 100 % sure"]
    assert Page(line_html(None, "ab", 0.5)).rows == ["ab", "50 % sure"]
    assert Page(line_html("a", "b", 0.5)).rows[-1] == "1 error in 1 letter, 50 % sure"
    assert Page(line_html("", "", 1.0)).rows[-1] == "without error, 100 % sure"


def test_unsure_letters_are_shaded_and_sure_ones_not() -> None:
    page = Page(line_html("abc", "abc", 0.9, None, parts("abc", 0.999, 0.4, 0.8)))
    assert page.titles() == ["“b”: 40 % sure", "“c”: 80 % sure"]
    alphas = [float((attrs["style"] or "").split(",")[3].split(")")[0]) for tag, attrs in page.tags if tag == "span"]
    assert alphas[0] > alphas[1] > 0


def test_letters_of_a_right_to_left_line_find_their_scores() -> None:
    page = Page(line_html("שלום", "שלום", 0.9, None, parts("םולש", 0.4, 1.0, 1.0, 1.0)))
    assert page.titles() == ["“ם”: 40 % sure"]


def test_parts_that_do_not_spell_the_text_are_ignored() -> None:
    assert Page(line_html("abc", "abc", 0.9, None, parts("xy", 0.1, 0.1))).titles() == []
    words = [Part("un ", 0, 5, 0.5), Part("as", 5, 9, 1.0)]
    assert len(Page(line_html("un as", "un as", 0.9, None, words)).titles()) == 3, "pieces of several letters"


def test_errors_that_cannot_be_seen_are_made_visible() -> None:
    assert Page(line_html("a b", "ab", 1.0)).rows[0] == "a␣b"
    assert Page(line_html("e\u0301", "e", 1.0)).rows[0] == "e◌\u0301"


def test_picture_is_within() -> None:
    html = line_html("a", "a", 1.0, "<img>")
    assert html.startswith('<div class="line"><img>')
    assert "<img" not in line_html("a", "a", 1.0)
