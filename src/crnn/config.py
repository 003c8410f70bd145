"""Settings: plain values into frozen dataclasses, checked whole, every unknown key and every wrong value answered."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from crnn.errors import SettingsError
from crnn.registry import suggest

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Range:
    """Which numbers make sense for a setting; ``low`` and ``high`` do."""

    low: float
    high: float = float("inf")

    def __str__(self) -> str:
        return f"at least {self.low}" if self.high == float("inf") else f"from {self.low} to {self.high}"


Count = Annotated[int, Range(1)]
Whole = Annotated[int, Range(0)]
Strength = Annotated[float, Range(0.0)]
Share = Annotated[float, Range(0.0, 1.0)]
CHANGE = "Change it in the recipe or the command."
Precision = Literal["auto", "float32", "bfloat16"]


def fill(cls: type[S], values: Mapping[str, Any], where: str = "") -> S:
    """Make the settings dataclass ``cls`` of ``values``; ``where`` names the table in messages, if it is one.

    Raises ``SettingsError`` for an unknown key (with the nearest known one) and for a value of the wrong type.
    """
    hints = get_type_hints(cls, include_extras=True)
    fields = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            given = f"{f'[{where}]' if where else 'the recipe'} has the key {key!r}"
            raise SettingsError(given, expected="a known key", do=suggest(key, fields))
    before = f"{where}." if where else ""
    return cls(**{key: _convert(hints[key], value, before + key) for key, value in values.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    """``value`` as the type ``hint``: TOML knows no tuples, and a whole number may stand for a real one."""
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return fill(hint, value, where)  # type: ignore[arg-type]
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        number, limits = _convert(args[0], value, where), args[1]
        if not limits.low <= number <= limits.high:
            raise SettingsError(f"{where} is {value}", expected=f"{_say(args[0])} {limits}", do=CHANGE)
        return number
    wrong = SettingsError(f"{where} is {value!r}", expected=_say(hint), do=CHANGE)
    if hint is Any:
        return value
    if origin is Literal:
        if value not in args:
            raise wrong
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        for option in (a for a in args if a is not type(None)):
            try:
                return _convert(option, value, where)
            except SettingsError:
                continue
        raise wrong
    if origin is tuple:
        if not isinstance(value, (list, tuple)) or (args[-1] is not ... and len(value) != len(args)):
            raise wrong
        kinds = [args[0]] * len(value) if args[-1] is ... else args
        return tuple(_convert(k, v, where) for k, v in zip(kinds, value, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise wrong
        return dict(value)
    vast = isinstance(value, int) and abs(value) >= 2**63
    if hint is float and isinstance(value, int) and not (isinstance(value, bool) or vast):
        return float(value)
    if not isinstance(value, hint) or (hint in (int, float) and (isinstance(value, bool) or vast)):
        raise wrong
    return value


def _say(hint: Any) -> str:
    args = get_args(hint)
    if get_origin(hint) is tuple:
        each = f"each {_say(args[0])}" + ', such as ["a", "b"]' * (args[0] is str)
        return f"a list, {each}" if args[-1] is ... else f"a list of {len(args)}: {', '.join(map(_say, args))}"
    if get_origin(hint) is Annotated:
        return f"{_say(get_args(hint)[0])} {get_args(hint)[1]}"
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(repr(a) for a in get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_say(a) for a in get_args(hint) if a is not type(None))
    return {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}.get(hint, str(hint))


def as_dict(settings: Any) -> dict[str, Any]:
    """The values of a settings dataclass, as they stand in TOML or JSON."""
    return dataclasses.asdict(settings)


def split_name(table: Mapping[str, Any], default: str | None = None) -> tuple[str, dict[str, Any]]:
    """``{"name": n, **rest}`` as ``(n, rest)``."""
    rest = dict(table)
    name = rest.pop("name", default)
    if not isinstance(name, str):
        raise SettingsError(f"a table says {dict(table)!r}", expected='an entry name = "..."', do="Add the name.")
    return name, rest


def assign(table: Mapping[str, Any], assignments: list[str]) -> dict[str, Any]:
    """Apply ``encoder.width=32`` and the like to the nested tables of a recipe; values are read as TOML."""
    result = {key: dict(value) if isinstance(value, Mapping) else value for key, value in table.items()}
    for text in assignments:
        path, equals, raw = text.partition("=")
        keys = path.strip().split(".")
        if not equals or len(keys) < 2:
            raise SettingsError(f"--set {text!r}", expected="TABLE.KEY=VALUE", do="Write: --set encoder.width=32")
        try:
            value = tomllib.loads(f"value = {raw.strip()}")["value"]
        except (tomllib.TOMLDecodeError, RecursionError):
            value = raw.strip()
        part = result
        for key in keys[:-1]:
            inner = part.get(key, {})
            if not isinstance(inner, Mapping):
                raise SettingsError(f"--set {text!r}", expected="the name of a table", do=suggest(keys[0], result))
            part[key] = part = dict(inner)
        part[keys[-1]] = value
    return result


def documented(cls: type) -> dict[str, str]:
    """The docstring under each field of a settings dataclass, those of its bases first: help, pages and messages are
    made of it."""
    texts: dict[str, str] = {}
    for owner in filter(dataclasses.is_dataclass, reversed(cls.__mro__)):
        texts |= _documented(owner)
    return texts


def _documented(cls: type) -> dict[str, str]:
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(body, ast.ClassDef)
    pairs = zip(body.body, body.body[1:], strict=False)
    texts = {}
    for pair in pairs:
        match pair:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                texts[name] = inspect.cleandoc(text)
    return texts
