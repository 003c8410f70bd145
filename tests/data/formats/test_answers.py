"""Tables of labels and numbers, events, and arrays in one file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crnn.data.formats import Asked, open_data
from crnn.data.formats.npz import samples_of
from crnn.errors import CrnnError, DataError
from crnn.types import Part

LABEL, NUMBERS, EVENTS = (Asked(answer=a) for a in ("label", "numbers", "events"))  # type: ignore[arg-type]


def table(folder: Path, text: str, name: str = "table.csv") -> Path:
    for file in ("a.wav", "b.wav"):
        (folder / file).touch()
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(
    ("text", "answers", "groups"),
    [
        ("file,label\na.wav,dog\nb.wav,cat\n", ["dog", "cat"], [None, None]),
        ("filename,fold,category\na.wav,1,dog\nb.wav,2,cat\n", ["dog", "cat"], ["1", "2"]),
        ("path;class;speaker\na.wav;3;x\nb.wav;;y\n", ["3", None], ["x", "y"]),
    ],
)
def test_labels(text: str, answers: list[Any], groups: list[Any], tmp_path: Path) -> None:
    samples = open_data(table(tmp_path, text), asked=LABEL)
    assert [s.y for s in samples] == answers and [s.group for s in samples] == groups
    assert [s.id for s in samples] == ["a.wav", "b.wav"]


def test_numbers_one_or_several(tmp_path: Path) -> None:
    path = table(tmp_path, "file,age,x,y\na.wav,30,1,2\nb.wav,,3,4\n")
    assert [s.y for s in open_data(path, asked=Asked(answer="numbers", columns=("age",)))] == [30.0, None]
    assert [s.y for s in open_data(path, asked=Asked(answer="numbers", columns=("x", "y")))] == [(1, 2), (3, 4)]
    left_out: list[CrnnError] = []
    path = table(tmp_path, "file,target\na.wav,inf\nb.wav,old\n")
    with pytest.raises(DataError, match="2 left out"):
        open_data(path, "auto", left_out, asked=NUMBERS)
    assert ["line 2 says 'inf'" in str(left_out[0]), "line 3 says 'old'" in str(left_out[1])] == [True, True]


def test_a_column_that_is_named_is_the_answer_or_the_group(tmp_path: Path) -> None:
    path = table(tmp_path, "file,label,mood,take\na.wav,dog,glad,7\nb.wav,cat,sad,8\n")
    samples = open_data(path, asked=Asked(answer="label", columns=("mood",), group="take"))
    assert [(s.y, s.group) for s in samples] == [("glad", "7"), ("sad", "8")]
    with pytest.raises(
        DataError, match=r"has the columns 'file', 'label', 'mood', 'take'; expected one named 'colour'"
    ):
        open_data(path, asked=Asked(answer="label", columns=("colour",)))


def test_sentences_stand_in_the_table_and_inputs_have_columns(tmp_path: Path) -> None:
    (sample,) = open_data(table(tmp_path, "text,label\nWho?,HUM\n"), asked=LABEL)
    assert (sample.x, sample.y, sample.id) == ("Who?", "HUM", "table.csv:2")
    asked = Asked(answer="label", inputs=("sound", "said"), suffixes=frozenset({".wav"}))
    (sample,) = open_data(table(tmp_path, "sound,said,label\na.wav,Hello there.,greeting\n"), asked=asked)
    assert sample.x == {"sound": tmp_path / "a.wav", "said": "Hello there."}


def test_events_of_a_file_come_together(tmp_path: Path) -> None:
    rows = "filename,onset,offset,event_label,split\na.wav,1.5,2,dog,train\na.wav,0,0.5,cat,train\nb.wav,,,,test\n"
    one, two = open_data(table(tmp_path, rows), asked=EVENTS)
    assert one.y == (Part("cat", 0.0, 0.5, 1.0), Part("dog", 1.5, 2.0, 1.0)) and one.split == "train"
    assert two.y == () and two.split == "test", "silence is an answer"
    left_out: list[CrnnError] = []
    path = table(tmp_path, "file,start,stop,label\na.wav,2,1,dog\nb.wav,0,1,cat\n")
    assert [s.id for s in open_data(path, "auto", left_out, asked=EVENTS)] == ["b.wav"], "a.wav is not silent"
    assert "line 2 has an event from 2 to 1" in str(left_out[0])


def test_events_of_a_column_that_is_asked_for(tmp_path: Path) -> None:
    path = table(tmp_path, "file,species,onset,offset,label\na.wav,owl,0,1,x\nb.wav,,,,x\n")
    for where in (path, tmp_path):
        for column, labels in (("species", ["owl"]), ("Label", ["x"])):
            asked = Asked(answer="events", columns=(column,))
            left_out: list[CrnnError] = []
            samples = open_data(where, left_out=left_out, asked=asked)
            assert [part.value for part in samples[0].y] == labels
            assert len(left_out) == (column == "Label"), "a label without a start"
    path = table(tmp_path, "file,species,onset,offset\na.wav,owl,0,1\n")
    assert open_data(path, asked=Asked(answer="events", columns=("species",)))[0].y == (Part("owl", 0, 1, 1.0),)
    with pytest.raises(DataError, match=r"table.csv: has the columns .* expected one named 'kind'"):
        open_data(path, asked=Asked(answer="events", columns=("kind",)))
    with pytest.raises(DataError, match=r"is asked for the columns 'species', 'file'; expected one column of labels"):
        open_data(path, asked=Asked(answer="events", columns=("species", "file")))


@pytest.mark.parametrize(("word", "values"), [("split", ("train", "test")), ("group", ("u", "v"))])
def test_events_of_a_file_in_two_parts_are_left_out(word: str, values: tuple[str, str], tmp_path: Path) -> None:
    first, second = values
    rows = f"a.wav,dog,0,1,{first}\na.wav,cat,2,3,{second}\nb.wav,dog,0,1,\nb.wav,,,,{second}\n"
    path = table(tmp_path, f"file,label,onset,offset,{word}\n{rows}")
    left_out: list[CrnnError] = []
    (sample,) = open_data(path, left_out=left_out, asked=replace(EVENTS, group=word if word == "group" else None))
    assert sample.id == "b.wav" and getattr(sample, word) == second, "a later row may say it"
    given = f"{path}: line 3 puts its source into the {word} '{second}', a row before it into '{first}'"
    assert len(left_out) == 1 and str(left_out[0]).startswith(given)
    if word == "group":  # which nobody asked for, and may be of each event
        assert [s.group for s in open_data(path, asked=EVENTS)] == ["u", "v"]


def test_a_pattern_for_the_group_does_not_ask_for_a_column(tmp_path: Path) -> None:
    path = table(tmp_path, "file,label,onset,offset,speaker\na.wav,dog,0,1,u\na.wav,cat,2,3,v\nb.wav,dog,0,1,u\n")
    samples = open_data(path, asked=replace(EVENTS, group=r"(\w)\.wav"))
    assert [(s.id, s.group) for s in samples] == [("a.wav", "a"), ("b.wav", "b")]


def test_events_need_their_columns(tmp_path: Path) -> None:
    path = table(tmp_path, "file,label\na.wav,dog\n")
    with pytest.raises(DataError, match="columns for file, onset, offset and label"):
        open_data(path, "events", asked=EVENTS)


def test_entries_of_lengths_that_they_cannot_have_are_left_out(tmp_path: Path) -> None:
    arrays = {"x": np.zeros((4, 20, 2)), "y": [0, 1, 2, 3], "lengths": [-3, 25, 0, 20]}
    np.savez(tmp_path / "a.npz", **arrays)
    left_out: list[CrnnError] = []
    samples = open_data(tmp_path / "a.npz", left_out=left_out, asked=LABEL)
    assert [(s.id, len(s.x), s.y) for s in samples] == [("3", 20, 3)]
    given = [f"entry {i} has the length {length}; expected 1 to 20" for i, length in enumerate((-3, 25, 0))]
    assert all(words in str(error) for words, error in zip(given, left_out, strict=True))
    with pytest.raises(DataError, match="entry 0 has the length -3"):
        list(samples_of(arrays))


def test_arrays_in_one_file(tmp_path: Path) -> None:
    x = np.arange(24.0).reshape(3, 4, 2)
    np.savez(tmp_path / "a.npz", x=x, y=[2, 0, 1], lengths=[4, 1, 2], groups=["u", "v", "u"], split=["train"] * 3)
    samples = open_data(tmp_path / "a.npz", asked=LABEL)
    assert [s.y for s in samples] == [2, 0, 1] and [len(s.x) for s in samples] == [4, 1, 2]
    assert [(s.id, s.group, s.split) for s in samples][1] == ("1", "v", "train")
    np.savez(tmp_path / "b.npz", x=x, y=np.array([["p", "q", "", "p"]] * 3), lengths=[4, 1, 2])
    assert [s.y for s in open_data(tmp_path / "b.npz", asked=EVENTS)] == [["p", "q", "", "p"], ["p"], ["p", "q"]]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"z": [1]}, "holds the arrays z"),
        ({"x": [1, 2], "y": [1]}, "has 2 entries of x and 1 of y"),
        ({"x": [1], "split": ["later"]}, "entry 0 has the split 'later'"),
        ({"x": np.array([None])}, "holds the array x, which is one of Python objects"),
    ],
)
def test_arrays_that_make_no_sense(arrays: dict[str, Any], words: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=f"a.npz: {words}"):
        open_data(tmp_path / "a.npz", asked=LABEL)
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 rubbish")
    with pytest.raises(DataError, match=r"a\.npz: "):
        open_data(tmp_path / "a.npz", asked=LABEL)
