"""Look a name up in a table that can be read; a name that is not there is answered with the nearest ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, TypeVar

from crnn.errors import SettingsError

T = TypeVar("T")


def suggest(name: str, names: Iterable[str]) -> str:
    """A sentence that leads from a mistyped name to the right one.

    >>> suggest("transcibe", ["transcribe", "classify"])
    "Did you mean 'transcribe'?"
    """
    names = list(names)
    near = get_close_matches(name, names, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(names))}."


def pick(name: str, table: Mapping[str, T], kind: str) -> T:
    """The entry ``name`` of ``table``; raises ``SettingsError`` with a suggestion. ``kind`` says what is looked for."""
    if name not in table:
        raise SettingsError(f"{kind} {name!r} is not known", expected=f"the name of a {kind}", do=suggest(name, table))
    return table[name]


class Late(dict[str, Any]):
    """A table whose entries may be texts ``module:name``, which are imported when they are first asked for.

    >>> Late({"pi": "math:pi"})["pi"]
    3.141592653589793
    """

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if isinstance(value, str):
            module, name = value.split(":")
            value = self[key] = getattr(import_module(module), name)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def values(self) -> Any:
        return {key: self[key] for key in self}.values()

    def items(self) -> Any:
        return {key: self[key] for key in self}.items()
