"""``crnn --help``, what several commands say alike, and what is left out."""

from __future__ import annotations

import pytest
from rich.console import Console

from crnn.cli import main
from crnn.cli.options import TASK_NAMES, say_left_out
from crnn.errors import DataError, MissingExtra
from crnn.tasks import TASKS


def test_help_names_all_tasks_and_the_networks_that_come_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert TASK_NAMES.split(", ") == sorted(TASKS)
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert "crnn train classify --data sounds/" in said and "handwriting-fr" in said


def test_what_is_wrong_with_all_files_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    empty = [DataError("is empty", expected="a sound", do="Copy it again.", file=f"{i}.wav") for i in range(4)]
    errors = [*[MissingExtra("soundfile", "audio")] * 40, *empty]
    say_left_out(Console(), errors, 3)
    said = capsys.readouterr().out
    assert said.count("soundfile") == 1 and "(40 times)" in said
    assert "0.wav: is empty" in said and "left out: 2 more" in said


def test_a_port_that_no_machine_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "zoo:typewritten", "--port", "99999"])
    assert "--port 99999; expected 0 to 65535" in capsys.readouterr().err
