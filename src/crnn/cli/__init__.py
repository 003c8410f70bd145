"""``crnn <verb>``: arguments become settings and one call. What a user can mend is answered in one sentence."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App

from crnn import __version__
from crnn.cli import align, bulk, check, compare, export, hub, lm, pack, predict, serve, show, test, train
from crnn.errors import CrnnError

ZOO = ", ".join(sorted(path.stem for path in (Path(__file__).parent.parent / "zoo").glob("*.safetensors")))
BEGIN = f"""Train, test, use and ship convolutional recurrent networks.

crnn predict zoo:typewritten line.png
crnn check classify sounds/
crnn train classify --data sounds/ --out runs/mine
crnn test runs/mine sounds-test/ --html report.html
crnn predict runs/mine new.wav

Trained networks that come with it, as zoo:NAME: {ZOO}."""

app = App(
    name="crnn",
    help=BEGIN,
    version=__version__,
    help_format="plaintext",
)
app.command(train.train)
app.command(check.check)
app.command(test.test)
app.command(compare.compare)
app.command(predict.predict)
app.command(align.align)
app.command(pack.pack)
app.command(bulk.bulk)
app.command(export.export)
app.command(serve.serve)
app.command(hub.push)
app.command(hub.pull)
app.command(lm.lm)
app.command(lm.tune)
app.command(show.models)
app.command(show.show)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 well, 1 when a check fails or an answer is missing, 2 for a mistake, 130 stopped."""
    try:
        _say_any_name()
        code = app(_input_last(sys.argv[1:] if arguments is None else list(arguments)))
    except CrnnError as error:
        sys.stderr.write(f"crnn: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("crnn: stopped\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


def _input_last(arguments: list[str]) -> list[str]:
    """``-``, which stands for standard input, behind all options: among them the parser takes it for one. Not for
    ``bulk``, which has something behind it and takes it where it stands.

    >>> _input_last(["predict", "runs/mine", "-", "--csv"])
    ['predict', 'runs/mine', '--csv', '--', '-']
    """
    if arguments.count("-") != 1 or "--" in arguments or arguments[0] == "bulk":
        return arguments
    return [argument for argument in arguments if argument != "-"] + ["--", "-"]


def _say_any_name() -> None:
    """Let what cannot be written, such as a file's name that is not UTF-8, be printed as ``\\udcff``."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
