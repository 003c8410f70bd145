"""The recipe: everything that determines a run, as plain values, read from TOML.

It has a table for each noun; ``name`` picks an entry of a registry, the other keys are that entry's settings:

    [task]      name = "transcribe"   unicode = "NFC"
    [input]     name = "line"         height = 64
    [inputs.NAME] name = "series"                  instead of [input], where a network sees several things
    [encoder]   name = "crnn"
    [augment]   slant = 0.3
    [train]     epochs = 60
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from crnn.config import Count, Precision, Share, Strength, Whole, fill
from crnn.errors import SettingsError, named


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


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe. Raises ``SettingsError`` with the file's name."""
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        given = f"cannot be read ({error.strerror})"
        raise SettingsError(given, expected="a recipe (TOML)", do="Check the path.", file=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"is not TOML ({error})", expected="a recipe", do="Mend that line.", file=path) from error
    try:
        return fill(Recipe, values)
    except SettingsError as error:
        raise named(error, str(path)) from None
