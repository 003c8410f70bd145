"""Looking names up: found, or answered with the nearest."""

from __future__ import annotations

import pytest

from crnn.errors import SettingsError
from crnn.registry import pick, suggest

TABLE = {"transcribe": 1, "classify": 2}


def test_a_known_name_gives_its_entry() -> None:
    assert pick("classify", TABLE, "task") == 2


def test_a_mistyped_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(SettingsError) as caught:
        pick("clasify", TABLE, "task")
    assert str(caught.value) == "task 'clasify' is not known; expected the name of a task. Did you mean 'classify'?"


def test_a_name_like_none_is_answered_with_all() -> None:
    assert suggest("xyz", TABLE) == "There are: classify, transcribe."
    assert suggest("xyz", (name for name in TABLE)) == "There are: classify, transcribe."
