"""Settings from values: what fits is taken as its type, all else is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from crnn.config import as_dict, assign, documented, fill, split_name
from crnn.errors import SettingsError
from crnn.recipe import DataSettings, TrainSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    depth: int = 1
    """How deep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Some:
    """Settings of every type."""

    whole: int = 1
    """A whole number,
    told in two lines."""
    real: float = 0.5
    """A number."""
    yes: bool = False
    """Or no."""
    name: str = ""
    """A text."""
    kind: Literal["a", 2] = "a"
    """One of two."""
    sizes: tuple[int, ...] = ()
    """Any number of them."""
    columns: tuple[str, ...] = ()
    """Of these, too."""
    pair: tuple[int, str] = (0, "")
    """Two of different types."""
    maybe: float | None = None
    """Or nothing."""
    table: Mapping[str, Any] = field(default_factory=dict)
    """A table."""
    inner: Inner = Inner()
    """Settings in settings."""


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("whole", 7, 7),
        ("real", 7, 7.0),
        ("real", 0.25, 0.25),
        ("yes", True, True),
        ("name", "x", "x"),
        ("kind", "a", "a"),
        ("kind", 2, 2),
        ("sizes", [1, 2, 3], (1, 2, 3)),
        ("sizes", [], ()),
        ("pair", [1, "x"], (1, "x")),
        ("maybe", 3, 3.0),
        ("maybe", None, None),
        ("table", {"a": 1}, {"a": 1}),
        ("inner", {"depth": 4}, Inner(depth=4)),
    ],
)
def test_values_that_fit(key: str, value: Any, expected: Any) -> None:
    found = getattr(fill(Some, {key: value}, "some"), key)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("whole", 1.5, "a whole number"),
        ("whole", "1", "a whole number"),
        ("whole", True, "a whole number"),
        ("real", "1", "a number"),
        ("real", False, "a number"),
        ("yes", 1, "true or false"),
        ("name", 3, "a text"),
        ("kind", "b", "one of 'a', 2"),
        ("sizes", 3, "a list, each a whole number"),
        ("sizes", "123", "a list, each"),
        ("sizes", [1, "2"], "a whole number"),
        ("columns", "a", 'a list, each a text, such as ["a", "b"]'),
        ("pair", [1], "a list of 2: a whole number, a text"),
        ("pair", [1, 2], "a text"),
        ("maybe", "x", "a number"),
        ("table", 3, "Mapping"),
        ("inner", {"deep": 3}, "a known key"),
        ("inner", {"depth": "x"}, "a whole number"),
    ],
)
def test_values_that_do_not_fit_are_named_with_what_was_expected(key: str, value: Any, expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        fill(Some, {key: value}, "some")
    assert f"some.{key}" in caught.value.given and expected in caught.value.expected


def test_an_unknown_key_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        SettingsError, match=r"\[some\] has the key 'hole'; expected a known key. Did you mean 'whole'\?"
    ):
        fill(Some, {"hole": 1}, "some")


def test_what_is_left_out_keeps_its_default_and_types_come_back() -> None:
    made = fill(Some, {"sizes": [4, 5], "inner": {"depth": 2}}, "some")
    assert made == Some(sizes=(4, 5), inner=Inner(depth=2))
    assert fill(Some, as_dict(made), "some") == made


def test_every_field_of_the_settings_is_documented() -> None:
    assert documented(Some)["whole"] == "A whole number,\ntold in two lines."
    for cls in (Some, Inner, TrainSettings, DataSettings):
        assert list(documented(cls)) == list(cls.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class More(Inner):
    """Settings that share some with others."""

    width: int = 3
    """Another number."""


def test_what_settings_share_is_documented_once() -> None:
    assert list(documented(More)) == list(More.__dataclass_fields__)
    assert documented(More) == documented(Inner) | {"width": "Another number."}


def test_name_and_the_rest() -> None:
    table = {"name": "crnn", "hidden": 3}
    assert split_name(table) == ("crnn", {"hidden": 3})
    assert table == {"name": "crnn", "hidden": 3}, "the table stays as it is"
    assert split_name({"hidden": 3}, "crnn") == ("crnn", {"hidden": 3})
    for bad in ({"hidden": 3}, {"name": 3}):
        with pytest.raises(SettingsError, match=r'expected an entry name = "..."'):
            split_name(bad)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("encoder.hidden=32", 32),
        ("encoder.hidden = 2e-3", 0.002),
        ("encoder.hidden=true", True),
        ("encoder.hidden=[1, 2]", [1, 2]),
        ("encoder.hidden='x y'", "x y"),
        ("encoder.hidden=plain", "plain"),
        ("encoder.hidden=a=b", "a=b"),
        ("encoder.hidden=", ""),
    ],
)
def test_assignments_are_read_as_toml(text: str, value: Any) -> None:
    table = {"encoder": {"name": "crnn"}, "train": TrainSettings()}
    found = assign(table, [text])
    assert found["encoder"] == {"name": "crnn", "hidden": value}
    assert table["encoder"] == {"name": "crnn"}, "the table stays as it is"


def test_assignments_make_tables_and_the_last_one_counts() -> None:
    assert assign({}, ["a.b=1", "a.c=2", "a.b=3"]) == {"a": {"b": 3, "c": 2}}


@pytest.mark.parametrize("text", ["hidden=3", "encoder.hidden", "=3", ""])
def test_assignments_that_are_none(text: str) -> None:
    with pytest.raises(SettingsError, match=r"expected TABLE.KEY=VALUE"):
        assign({}, [text])


def test_an_assignment_to_what_is_no_table() -> None:
    with pytest.raises(SettingsError, match="expected the name of a table"):
        assign({"task": 3}, ["task.name=x"])
