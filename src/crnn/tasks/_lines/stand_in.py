"""What stands for the task of a reader of texts where a network predicts, to do something else with what it says."""

from __future__ import annotations

from typing import Any

from crnn.errors import SettingsError


class StandIn:
    """Stands for ``task``; who inherits has ``predict``. Raises ``SettingsError``, which says what to ``do``, for a
    task that reads no texts."""

    compares = False
    follows = False

    def __init__(self, task: Any, do: str) -> None:
        if not hasattr(task, "with_reading"):
            raise SettingsError(f"the bundle's task is {task.name!r}", expected="transcribe", do=do)
        self.task = task
