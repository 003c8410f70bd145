"""Figures of ``fuzz.py`` and ``kills.py``, which stand in one file of results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from crnn.train.report import Result, write_json


def note(path: Path, figures: Mapping[str, float], command: str, seed: int) -> None:
    """Write ``figures`` and the command that they come from into ``path``, beside what another program wrote there."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"metrics": {}, "command": ""}
    program = command.split()[1]
    commands = [other for other in known["command"].split("; ") if other and other.split()[1] != program]
    result = Result(
        name=path.stem,
        task="all",
        model="all",
        data="made",
        split="all",
        metrics={**known["metrics"], **figures},
        command="; ".join(sorted([*commands, command])),
        seed=seed,
        threads=1,
        precision="float32",
        parameters=0,
    )
    write_json(path, result)
