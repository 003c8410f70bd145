"""Errors say the same on the other side of a process."""

from __future__ import annotations

import pickle

import pytest

from crnn.errors import CrnnError, DataError, MissingExtra, ShapeError


@pytest.mark.parametrize(
    "error",
    [
        DataError("holds 0 bytes", expected="a picture", do="Copy it again.", file="a.png"),
        ShapeError("two axes", expected="three", do="Add one."),
        MissingExtra("av", "video"),
    ],
)
def test_errors_travel_between_processes(error: CrnnError) -> None:
    there = pickle.loads(pickle.dumps(error))
    assert type(there) is type(error) and str(there) == str(error) and vars(there) == vars(error)
