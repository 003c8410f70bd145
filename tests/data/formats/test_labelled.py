"""Lines of text with their label in front."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.data.formats import Asked, open_data
from crnn.data.formats.labelled import recognise
from crnn.errors import CrnnError, DataError

LABEL, NUMBERS = Asked(answer="label"), Asked(answer="numbers")
TREC = """\
DESC:manner How did serfdom develop in and then leave Russia ?
ENTY:cremat What films featured the character Popeye Doyle ?
DESC:manner How can I find a list of celebrities ' real names ?
ENTY:cremat What fowl grabs the spotlight ?
"""
Write = Callable[[str, str | bytes], Path]


def pairs_of(path: Path, asked: Asked = LABEL) -> list[tuple[str, str, str | float]]:
    return [(s.id, s.x, s.y) for s in open_data(path, asked=asked)]


def test_the_first_word_is_the_label(file: Write) -> None:
    path = file("a.txt", TREC)
    assert recognise(path)
    first = pairs_of(path)[0]
    assert first == ("a.txt:1", "How did serfdom develop in and then leave Russia ?", "DESC:manner")
    assert len(pairs_of(path)) == 4


def test_numbers_as_labels_and_lines_of_one_class_after_the_other(file: Write) -> None:
    path = file("a.txt", "".join(f"{i // 30} it 's the {i}th text . \r\n" for i in range(60)))
    assert pairs_of(path)[31] == ("a.txt:32", "it 's the 31th text .", "1")
    assert pairs_of(path, NUMBERS)[31] == ("a.txt:32", "it 's the 31th text .", 1.0)


def test_a_tab_in_every_line_ends_the_label(file: Write) -> None:
    path = file("a.txt", "very good\tI liked it\nvery bad\tno\tnever\nvery good\tyes\nvery bad\twhy\n")
    assert [y for *_, y in pairs_of(path)] == ["very good", "very bad"] * 2
    assert pairs_of(path)[1][1] == "no\tnever"
    some = file("b.txt", "1 a\ttab inside\n1 and here none\n2 so\n2 blanks\n")
    assert [y for *_, y in pairs_of(some)] == ["1", "1", "2", "2"]


def test_labels_of_fasttext_lose_their_mark(file: Write) -> None:
    path = file("a.txt", "__label__good I liked it\n__label__bad not I\n" * 2)
    assert pairs_of(path)[0][1:] == ("I liked it", "good")


def test_any_words_are_labels_where_there_are_few_of_them(file: Write) -> None:
    assert recognise(file("a.txt", "sport they won again\npolitics they lost again\n" * 15))


def test_names_of_files_tell_the_parts(file: Write, tmp_path: Path) -> None:
    for name in ("trec.train.txt", "trec.dev.txt", "trec.test.txt"):
        file(name, TREC)
    file("README.txt", "These are questions.\nEach has a label.\n")
    found = open_data(tmp_path, asked=LABEL)
    parts = sorted({(s.id.split(":")[0], str(s.split)) for s in found})
    assert parts == [("trec.dev.txt", "valid"), ("trec.test.txt", "test"), ("trec.train.txt", "train")]
    assert len(found) == 12
    assert {s.split for s in open_data(tmp_path / "trec.train.txt", asked=LABEL)} == {None}, "a file alone has no parts"


@pytest.mark.parametrize("names", [("a.train.txt", "b.train.txt"), ("mr.txt", "subj.txt"), ("mr.txt", "mr.train.txt")])
def test_several_sets_are_not_mixed(names: tuple[str, ...], file: Write, tmp_path: Path) -> None:
    for name in names:
        file(name, TREC)
    with pytest.raises(DataError, match=f"holds the texts {', '.join(sorted(names))}; expected one file"):
        open_data(tmp_path, asked=LABEL)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "one line alone",
        "The cat sat.\nA dog came.\nThe cat ran.\nAnd that was all.\n",
        "0.5 0.1 0.2\n0.5 0.3 0.1\n0.5 0.1 0.1\n0.5 0.9 0.1\n",
        "1 \n2 \n1 \n2 \n",
        "1. first\n2. second\n3. third\n4. fourth\n",
        b"1 a\0b\n1 c\0d\n1 e\0f\n",
    ],
)
def test_other_texts_are_not_taken_for_labelled_lines(content: str | bytes, file: Write) -> None:
    assert not recognise(file("a.txt", content))


def test_a_folder_per_class_of_texts_stays_one(file: Write, tmp_path: Path) -> None:
    for i in range(3):
        file(f"good/{i}.txt", f"I liked it {i} times")
        file(f"bad/{i}.txt", "not I")
    found = open_data(tmp_path, asked=Asked(answer="label", suffixes=frozenset({".txt"})))
    assert sorted({(s.x.parent.name, s.y) for s in found}) == [("bad", "bad"), ("good", "good")]


def test_lines_that_cannot_be_used_are_named_and_the_others_go_on(file: Write) -> None:
    path = file("a.txt", b"1 good\n1\n\n2 caf\xe9\n2 fine\n")
    left_out: list[CrnnError] = []
    found = open_data(path, "labelled", left_out, asked=LABEL)
    assert [s.id for s in found] == ["a.txt:1", "a.txt:5"]
    said = sorted(str(error).removeprefix(f"{path}: ") for error in left_out)
    assert said[0].startswith("line 2 holds a label alone; expected a label and a text")
    assert said[1].startswith("line 4 is not UTF-8") and len(said) == 2
    left_out.clear()
    assert not [s for s in open_data(file("b.txt", "1 a\nx b\n"), "labelled", left_out, asked=NUMBERS) if s.y != 1]
    assert "line 2 says 'x'" in str(left_out[0])


def test_what_is_no_text_is_refused(file: Write) -> None:
    with pytest.raises(DataError, match="is no text"):
        open_data(file("a.txt", b"\0\1\2"), "labelled", asked=LABEL)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("012"), st.text("abc ", min_size=1).filter(str.strip)), min_size=1))
def test_what_is_written_is_read(rows: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.txt"
        path.write_text("".join(f"{label} {text}\n" for label, text in rows), encoding="utf-8")
        assert [(s.y, s.x) for s in open_data(path, "labelled", asked=LABEL)] == [(y, x.strip()) for y, x in rows]
