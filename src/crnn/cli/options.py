"""Options that several verbs share: made of the settings dataclasses, so that help and recipe say the same."""

from __future__ import annotations

import dataclasses
import io
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, get_type_hints

from cyclopts import Group as Heading
from cyclopts import Parameter
from rich.console import Console

from crnn.config import Precision, as_dict, assign, documented, fill
from crnn.errors import CrnnError, SettingsError
from crnn.recipe import BEAM, DataSettings, ReadSettings, Recipe, TrainSettings, read_recipe
from crnn.registry import suggest


def options_of(cls: type, skip: tuple[str, ...] = ()) -> Any:
    """A dataclass with the fields of ``cls``, all ``None`` where the command does not give them, its help with them."""
    hints, texts = get_type_hints(cls), documented(cls)
    fields = []
    for f in dataclasses.fields(cls):
        if f.name not in skip:
            default = f"default: {f.default}" if f.default not in (None, "") else ""
            help = f"{texts[f.name]} [{default}]" if default else texts[f.name]
            many = "list" in str(hints[f.name])
            text = Parameter(help=help, show_default=False, negative="" if many else None)
            fields.append((f.name, Annotated[hints[f.name] | None, text], dataclasses.field(default=None)))
    made = dataclasses.make_dataclass(f"{cls.__name__}Options", fields, kw_only=True, frozen=True)
    made.__module__ = __name__  # cyclopts takes a class of the standard library for a plain value
    return Annotated[made | None, Parameter(name="*", group=Heading((cls.__doc__ or "").split("\n")[0].rstrip(".")))]


TrainOptions = options_of(TrainSettings)
DataOptions = options_of(DataSettings, skip=("train",))
ReadOptions = options_of(ReadSettings)

TASK_NAMES = "caption, classify, detect, forecast, match, nowcast, regress, restore, segment, tag, transcribe"
"""Written out, since the table of tasks imports much for a help text."""
RecipeName = Annotated[str | None, Parameter(help=f"A recipe (.toml) or a task: {TASK_NAMES}.")]
Data = Annotated[str | None, Parameter(help="Folder or table to learn from, in any known format.")]
Model = Annotated[str | None, Parameter(help="Encoder: see crnn models.")]
Settings = Annotated[
    list[str] | None,
    Parameter(name="--set", negative="", help="Any value of a recipe: TABLE.KEY=VALUE, such as encoder.hidden=128."),
]
Horizon = Annotated[int | None, Parameter(help="Steps to foretell: task.horizon.")]
Format = Annotated[str, Parameter(help="Format of the data, such as table, folders, page or npz; auto recognises it.")]
Group = Annotated[
    str | None, Parameter(help="What must not be in two parts: a column, or a pattern found in the files' names.")
]
Answer = Annotated[str | None, Parameter(help="Column of a table that holds the answer.")]
Outside = Annotated[bool, Parameter(help=documented(DataSettings)["outside"], negative="")]

BUNDLES = "A run folder, a .safetensors or .onnx file or zoo:NAME; several with commas between them vote."

Reader = Annotated[
    str | None,
    Parameter(
        help="Bundle that reads the lines that this one finds on pages; of several, with commas, the surest; none: "
        "they are only found. [default: what the finder names]"
    ),
]
BatchSize = Annotated[int, Parameter(help="Samples in a batch.")]
Arithmetic = Annotated[Precision, Parameter(help="Number format of the arithmetic.")]
Threads = Annotated[int, Parameter(help="Processor threads; 0 takes all.")]


def recipe_of(
    name: str | None, *, data: str | None, model: str | None, settings: list[str] | None, train: Any, others: Any
) -> Recipe:
    """The recipe of a command: a TOML file or a task's name, then every option that was given."""
    from crnn.tasks import TASKS

    if name is None or name in TASKS:
        values: dict[str, Any] = {} if name is None else {"task": {"name": name}}
    elif name.endswith(".toml"):
        values = as_dict(read_recipe(name))
    else:
        raise SettingsError(f"{name!r}", expected="a recipe (.toml) or a task", do=suggest(name, TASKS))
    values.setdefault("data", {})
    values.setdefault("train", {})
    values["data"] = {**values["data"], **given_of(others)}
    values["train"] = {**values["train"], **given_of(train)}
    if data is not None:
        values["data"]["train"] = data
    if model is not None:
        own = values.get("encoder", {})
        values["encoder"] = own if own.get("name") == model else {"name": model}
    return fill(Recipe, assign(values, settings or []))


def settings_with(settings: list[str] | None, horizon: int | None) -> list[str]:
    """The assignments of a command, with what has an option of its own before them."""
    return [*([] if horizon is None else [f"task.horizon={horizon}"]), *(settings or [])]


def given_of(options: Any) -> dict[str, Any]:
    """The fields of ``options`` that the command gives."""
    return {} if options is None else {k: v for k, v in dataclasses.asdict(options).items() if v is not None}


def read_as_told(predictor: Any, options: Any, *, best: int = 1) -> None:
    """Let ``predictor`` find texts as the ``ReadOptions`` say, and tell the ``best``, if it reads or says texts."""
    given, task = given_of(options), predictor.task
    reads, says = hasattr(task, "with_reading"), hasattr(task, "with_search")
    if not given and (best == 1 or not (reads or says)):
        return
    fill(ReadSettings, {name: value for name, value in given.items() if name != "hot"}, "command")  # are they in range?
    own = {"beam", "temperature"} if says else {f.name for f in dataclasses.fields(ReadSettings)} - {"temperature"}
    if strange := [name for name in given if (not reads and not says) or name not in own]:
        name = strange[0].replace("_", "-")
        raise SettingsError(f"--{name} is given", expected=f"no such option for {task.name}", do="Leave it out.")
    for voter in predictor.voters:
        if says:
            voter.bundle.task = voter.task = voter.task.with_search(**given, best=best)
            continue
        reading = reading_of(voter.task, given)
        if best > 1:  # which only a search finds
            reading = dataclasses.replace(reading, best=best, beam=reading.beam or max(BEAM, best))
        voter.bundle.task = voter.task = voter.task.with_reading(reading)
        if "lm" in given:
            say_unheard(Console(stderr=True), voter.task, reading)


def look_ahead(predictor: Any, future: int) -> None:
    """Let ``predictor`` foretell so many frames. Raises ``SettingsError`` where it foretells none."""
    if not hasattr(predictor.task, "with_future"):
        given = f"--future is given for {predictor.task.name}"
        raise SettingsError(given, expected="a network that foretells frames", do="Leave it out.")
    if future < 0:
        raise SettingsError(f"--future is {future}", expected="at least 1", do="Say how many frames.")
    for voter in predictor.voters:
        voter.bundle.task = voter.task = voter.task.with_future(future)


def reading_of(task: Any, given: Mapping[str, Any]) -> Any:
    """The reading of ``task``, with what is ``given`` of the fields of ``ReadSettings`` in its place."""
    from crnn.decode.arpa import read_arpa
    from crnn.decode.lexicon import hot_word, read_words
    from crnn.decode.trie import spelled

    names = {"beam": "beam", "lm_weight": "weight", "lm_bonus": "bonus", "lm_unknown": "unknown"}
    values = {names[key]: value for key, value in given.items() if key in names}
    weighed = [f"--{key.replace('_', '-')}" for key in ("lm_weight", "lm_bonus", "lm_unknown") if key in given]
    if weighed and not given.get("lm") and task.reading.model is None:
        expected = "a language model, and the bundle has none"
        raise SettingsError(f"{weighed[0]} is given", expected=expected, do="Leave it out, or add: --lm FILE")
    told = [f"--{key}" for key in ("lm", "lexicon", "hot") if given.get(key)]
    if given.get("beam") == 0 and (first := [*told, *weighed][:1]):
        raise SettingsError(f"{first[0]} is given with --beam 0", expected="a beam", do=f"Write: --beam {BEAM}")
    if told:
        values.setdefault("beam", task.reading.beam or BEAM)
    if given.get("lm"):
        values["model"] = read_arpa(given["lm"])
    if given.get("lexicon"):
        words = tuple(dict.fromkeys(task.alphabet.clean(word) for word in read_words(given["lexicon"])))
        spelled(words, task.alphabet.letters, given["lexicon"])  # names letters that are not known, and the file
        values["lexicon"] = words
    if given.get("hot"):
        hot = dict(hot_word(text) for text in given["hot"])
        values["hot"] = tuple((task.alphabet.clean(word), weight) for word, weight in hot.items())
    return dataclasses.replace(task.reading, **values)


def say_unheard(console: Console, task: Any, reading: Any) -> None:
    """Letters of the network that its language model knows nothing of, and therefore keeps from being written."""
    letters = reading.unheard(task.alphabet.letters)
    if letters:
        shown = " ".join(map(repr, letters[:20])) + (" ..." if len(letters) > 20 else "")
        said = f"the language model does not know {len(letters)} of the network's letters: {shown}"
        console.print(said, style="yellow", markup=False, highlight=False, soft_wrap=True)


def say_left_out(console: Console, errors: Sequence[CrnnError], most: int) -> None:
    """The first ``most`` of what could not be used, what is alike once, and how many more there are."""
    times = Counter(map(str, errors))
    for said, count in list(times.items())[:most]:
        # not wrapped: a file's name is to be found and copied whole
        again = f" ({count} times)" if count > 1 else ""
        console.print(f"left out: {said}{again}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if len(times) > most:
        console.print(f"left out: {sum(list(times.values())[most:])} more", style="yellow")


def threads(count: int) -> None:
    """Use ``count`` processor threads; 0 leaves torch's own choice. Raises ``SettingsError``."""
    if count < 0:
        raise SettingsError(f"--threads is {count}", expected="at least 0, which takes all", do="Leave it out.")
    if count:
        import torch

        torch.set_num_threads(count)


def names_piped() -> Iterator[str]:
    """The lines of standard input; bytes that are not UTF-8 as Python has them in names of files."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    return (line.rstrip("\n") for line in sys.stdin)
