"""Settings: plain values in frozen dataclasses, read from TOML, checked whole, every unknown key answered.

A recipe has a table for each noun; ``name`` picks an entry of a registry, the other keys are that entry's settings:

    [task]      name = "transcribe"   unicode = "NFC"
    [input]     name = "line"         height = 64
    [inputs.NAME] name = "series"                  instead of [input], where a network sees several things
    [encoder]   name = "crnn"
    [augment]   slant = 0.3
    [train]     epochs = 60
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """What to learn from."""

    train: str | None = None
    """Folder or table; one that names splits (train, valid, test) serves all three."""
    valid: str | None = None
    """Folder or table to choose the best bundle by; otherwise a part of train is held out."""
    extra: str | None = None
    """Folder or table of more samples to learn from, such as made ones: none is ever held out or tested on."""
    format: str = "auto"
    """Name of the format; auto recognises it."""
    valid_share: Share = 0.1
    """Share of train (whole groups) held out when nothing else is given; 0 learns from all, keeps the last epoch."""
    group: str | None = None
    """What must not be in two parts: a table's column, or a pattern found in the files' names: 'speaker(\\d+)'."""
    answer: str | None = None
    """Column of a table that holds the answer, or several with commas between; otherwise that of a usual name."""
    outside: bool = False
    """Whether what tables, JSON and XML name may lie outside of their folder: absolute paths, '..' and links."""
    folds: Whole = 0
    """Folds into which the data are dealt, whole groups each; 0 for none."""
    fold: Count = 1
    """The fold that is the test part and is not learned from."""
    licence: str = ""
    """Licence of the data, kept in the bundle."""
    source: str = ""
    """Where the data come from, kept in the bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How to train."""

    epochs: Count = 40
    """Most passes over the training part."""
    batch_size: Count = 16
    """Samples in a batch."""
    learning_rate: Strength = 2e-3
    """Peak of the learning rate, reached after the warm-up."""
    warmup: Whole = 300
    """Steps over which the learning rate rises from zero, at most a fifth of all."""
    weight_decay: Strength = 1e-3
    """Decoupled weight decay (AdamW) of all matrices and filters."""
    averaging: Share = 0.0
    """Decay of the running mean of the weights that is kept in their place, 0.999 over about a thousand; 0 for none."""
    clip: Strength = 5.0
    """Longest gradient (Euclidean norm); longer ones are shortened to it."""
    patience: Count = 15
    """Epochs without a better validation figure before training stops."""
    validate_every: Count = 1
    """Epochs between two looks at the validation part."""
    seed: Whole = 0
    """Start of all randomness; the same seed, data and machine give the same weights."""
    precision: Precision = "auto"
    """Number format of the arithmetic; auto measures whether bfloat16 pays on this processor."""
    workers: Whole = 1
    """Processes that read and augment beside the training."""
    threads: Whole = 0
    """Processor threads of the arithmetic; 0 takes all."""
    augment: bool = True
    """Vary the training samples."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where the arithmetic is done; auto takes a GPU if there is one."""
    devices: Count = 1
    """Processes of a machine that train together, one for each GPU; a batch is batch_size times all of them."""
    nodes: Count = 1
    """Machines that train together."""
    save_minutes: Strength = 10.0
    """Minutes after which the state is written in the middle of an epoch, to resume from; 0 only at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSettings:
    """How texts are found."""

    beam: Whole | None = None
    """Prefixes (of what is said: sentences) that beam search keeps; 0 takes the best path. By default as the bundle
    says, and 30 with --lm, --lexicon, --hot."""
    temperature: Strength | None = None
    """Above 0, sentences that are said are drawn at random, the bolder the higher."""
    lm: str | None = None
    """Language model of letters or words (ARPA, also .gz) beside the network, in the place of the bundle's."""
    lm_weight: Strength | None = None
    """Weight of the language model; crnn tune finds a good one."""
    lm_bonus: float | None = None
    """What is added for each letter, or word, against the language model's taste for short texts."""
    lm_unknown: float | None = None
    """What is added for each letter of a word that a model of words does not know; -inf: known words only."""
    lexicon: str | None = None
    """List of words, one a line: no other is written."""
    hot: list[str] | None = None
    """A word to be preferred, WORD or WORD:WEIGHT; may be given several times."""


BEAM = 30
"""Prefixes, where something has a say beside the network and nobody says how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that determines a run, as values."""

    task: Mapping[str, Any] = field(default_factory=dict)
    input: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    encoder: Mapping[str, Any] = field(default_factory=dict)
    augment: Mapping[str, Any] = field(default_factory=dict)
    data: DataSettings = DataSettings()
    train: TrainSettings = TrainSettings()


def fill(cls: type[S], values: Mapping[str, Any], where: str) -> S:
    """Make the settings dataclass ``cls`` of ``values``; ``where`` names the table in messages.

    Raises ``SettingsError`` for an unknown key (with the nearest known one) and for a value of the wrong type.
    """
    hints = get_type_hints(cls, include_extras=True)
    fields = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise SettingsError(f"[{where}] has the key {key!r}", expected="a known key", do=suggest(key, fields))
    return cls(**{key: _convert(hints[key], value, f"{where}.{key}") for key, value in values.items()})


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


def load(path: str | Path) -> Recipe:
    """Read a recipe. Raises ``SettingsError`` with the file's name."""
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        given = f"cannot be read ({error.strerror})"
        raise SettingsError(given, expected="a recipe (TOML)", do="Check the path.", file=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"is not TOML ({error})", expected="a recipe", do="Mend that line.", file=path) from error
    return fill(Recipe, values, path.name)


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
