"""Run a page of the documentation: its Python, and its commands (lines ``$ crnn ...`` and ``$ python ...``), in order.

python docs/run_page.py docs/start/segment.md
"""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

from crnn.cli import main

BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.M | re.S)


def steps(text: str) -> Iterator[tuple[str, str]]:
    """``("python", code)`` and ``("command", line)``, as they stand on the page."""
    for language, block in BLOCK.findall(text):
        if language == "python":
            yield "python", block
        elif not language:
            yield from (
                ("command", line[2:]) for line in block.split("\n") if line.startswith(("$ crnn ", "$ python "))
            )


def run(page: Path, *, change: Callable[[str], str] = str, ran: Callable[[str], None] = lambda command: None) -> None:
    """All steps of ``page`` in the working folder; ``change`` may change a command, ``ran`` is told which has run."""
    names: dict[str, object] = {}
    for kind, step in steps(page.read_text(encoding="utf-8")):
        if kind == "python":
            exec(compile(step, page.name, "exec", dont_inherit=True), names)
            continue
        words = shlex.split(change(step), comments=True)
        if words[0] == "python":
            with patch.object(sys, "argv", words[1:]):
                runpy.run_path(words[1], run_name="__main__")
        else:
            try:
                main(words[1:])
            except SystemExit as stop:
                assert stop.code == 0, f"{step} ended with {stop.code}"
        ran(step)


if __name__ == "__main__":
    run(Path(sys.argv[1]), ran=lambda command: print(f"ran: {command}"))
