"""``crnn lm train`` and ``crnn tune``: language models of letters or words, and readers that use them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from rich.console import Console

from crnn.cli.options import BEAM, Format, Outside, Threads, reading_of, say_left_out, say_unheard
from crnn.cli.options import threads as use_threads
from crnn.errors import CrnnError, DataError, SettingsError

if TYPE_CHECKING:
    from crnn.text import Alphabet

LETTERS, WORDS = 6, 3  # the longest n-grams of each, where nobody says
HELD_OUT = 20  # of so many texts one is kept to see how surprising new texts are

lm = App(name="lm", help="Language models.", help_format="plaintext")


@lm.command
def train(
    texts: Annotated[
        list[str], Parameter(help="Files of plain text (.txt), or data with transcriptions, whose training part it is.")
    ],
    /,
    *,
    out: Annotated[Path, Parameter(help="ARPA file to write: NAME.arpa, or .arpa.gz, which is a tenth as large.")],
    words: Annotated[bool, Parameter(help="Count words in the place of letters.", negative="")] = False,
    order: Annotated[int | None, Parameter(help="Longest n-gram. [default: 6 letters, or 3 words]")] = None,
    least: Annotated[
        int, Parameter(help="Times that an n-gram of three and more must occur; rarer ones are left to shorter ones.")
    ] = 1,
    reader: Annotated[
        str | None, Parameter(help="Bundle whose way to write is taken: small letters, marks left out, or as it does.")
    ] = None,
    format: Format = "auto",
) -> None:
    """Count a language model of letters or words (modified Kneser-Ney) and write it as ARPA.

    crnn lm train texts.txt --out french.arpa.gz
    crnn lm train books.txt --reader runs/speech --words --out english.arpa.gz
    crnn lm train lines/ --order 8 --out lines.arpa.gz
    crnn lm train texts.txt --words --out words.arpa.gz
    """
    from crnn.decode.arpa import write_arpa
    from crnn.decode.ngram import train as count
    from crnn.text import Alphabet

    if not out.name.endswith((".arpa", ".arpa.gz")):
        raise SettingsError(f"the file {out.name!r}", expected="a name in .arpa or .arpa.gz", do="Rename it.")
    letters = Alphabet() if reader is None else _letters(reader)
    lines = [line for text in texts for line in map(letters.clean, _lines(text, format)) if line]
    if not lines:
        raise DataError("there is no text", expected="a line at least", do="Name a file with text.", file=texts[0])
    console = Console(stderr=True)
    longest = order if order is not None else WORDS if words else LETTERS
    tokens: list[Sequence[str]] = [line.split(" ") for line in lines] if words else list(lines)
    new = tokens[::HELD_OUT] if len(lines) >= 2 * HELD_OUT else []
    if new:
        known = count((line for i, line in enumerate(tokens) if i % HELD_OUT), longest, least)
        of = "word" if words else "letter"
        said = f"perplexity {known.perplexity(new):.2f} a {of} on {len(new):,} texts held out for this figure"
        console.print(said, highlight=False)
    model = count(tokens, longest, least)
    write_arpa(model, out)
    console.print(f"{len(model):,} n-grams of {len(lines):,} texts: {out}", highlight=False, soft_wrap=True)


def tune(
    bundle: Annotated[str, Parameter(help="A run folder, a .safetensors file or zoo:NAME.")],
    data: Annotated[str, Parameter(help="Lines with their texts that the bundle did not learn from.")],
    /,
    *,
    out: Annotated[Path, Parameter(help="Bundle to write.")],
    lm: Annotated[Path | None, Parameter(help="Language model (ARPA). [default: the bundle's]")] = None,
    lexicon: Annotated[Path | None, Parameter(help="List of words, one a line: no other is written.")] = None,
    lm_unknown: Annotated[
        float | None,
        Parameter(help="For each letter of a word unknown to a model of words; -inf: none. [default: tuned]"),
    ] = None,
    beam: Annotated[int, Parameter(help="Prefixes that the search keeps.")] = BEAM,
    split: Annotated[str, Parameter(help="Part of the data to choose by, where it has parts.")] = "valid",
    format: Format = "auto",
    outside: Outside = False,
    threads: Threads = 0,
) -> None:
    """Choose weight and bonus of a language model by the error on a validation part, fit how sure the reader may be,
    and write a bundle with both. Without a language model only scores are fitted.

    crnn tune runs/mine lines/ --lm french.arpa.gz --out runs/mine/tuned.safetensors
    crnn tune runs/mine lines/ --lm words.arpa.gz --lexicon words.txt --out runs/mine/tuned.safetensors
    """
    from crnn.data.formats import open_data
    from crnn.deploy.predict import Predictor
    from crnn.tasks import Reading
    from crnn.train.prepare import asked
    from crnn.train.tune import UNKNOWNS
    from crnn.train.tune import tune as run

    use_threads(threads)
    console = Console(stderr=True)
    predictor = Predictor(bundle)
    left_out: list[CrnnError] = []
    samples = open_data(data, format, left_out, asked=asked(predictor, outside=outside))
    part = [s for s in samples if s.split == split] or [s for s in samples if s.split is None]
    say_left_out(console, left_out, most=5)
    reading = None
    if hasattr(predictor.task, "reading"):
        given = {"beam": beam, "lm": lm, "lexicon": lexicon, "lm_unknown": lm_unknown}
        reading = reading_of(predictor.task, {name: value for name, value in given.items() if value is not None})
        reading = replace(reading, weight=Reading().weight, bonus=Reading().bonus)
        if reading.model is None and not reading.lexicon:
            reading = predictor.task.reading  # there is nothing to weigh: only scores are fitted
        say_unheard(console, predictor.task, reading)

    def say(tried: object) -> None:
        reading, figures = tried.reading, tried.figures  # type: ignore[attr-defined]
        told = f"weight {reading.weight:g}  bonus {reading.bonus:g}  "
        told += f"unknown {reading.unknown:g}  " if reading.model is not None and reading.model.of_words else ""
        console.print(told + predictor.task.say(figures), highlight=False)

    best = run(predictor, part, reading, tried=say, unknowns=UNKNOWNS if lm_unknown is None else ())
    # folded for prediction, the network is not what was trained: the bundle is read again
    from crnn.bundle import load

    told = replace(load(bundle), task=best.task)
    told.card = {**told.card, "valid": best.figures}
    told.save(out)
    console.print(f"best: {best.reading}\nbundle: {out}", highlight=False, soft_wrap=True)


def _letters(reader: str) -> Alphabet:
    """The alphabet of a bundle. Raises ``SettingsError`` for one that writes no text."""
    from crnn.bundle import load

    bundle = load(reader)
    if not hasattr(bundle.task, "alphabet"):
        given = f"the bundle {reader}, which does not write texts ({bundle.task.name})"
        raise SettingsError(given, expected="a reader: task transcribe", do="Name another, or leave --reader out.")
    letters: Alphabet = bundle.task.alphabet
    return letters


def _lines(source: str, format: str) -> Iterator[str]:
    """The lines of a text file, or the transcriptions of the training part of a data set."""
    if source.lower().endswith(".txt"):
        try:
            yield from Path(source).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            do = "Check the path, or save it as UTF-8."
            raise DataError(f"cannot be read ({error})", expected="text in UTF-8", do=do, file=source) from error
        return
    from crnn.data.formats import open_data

    for sample in open_data(source, format, []):
        if sample.split in (None, "train") and isinstance(sample.y, str):
            yield sample.y
