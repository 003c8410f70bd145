"""``crnn export``: a trained network for other programs, and for machines without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from crnn.cli.options import Format, Outside, say_left_out
from crnn.errors import CrnnError, SettingsError


def export(
    bundle: Annotated[str, Parameter(help="A run folder, a .safetensors file or zoo:NAME.")],
    out: Annotated[Path, Parameter(help="The .onnx file to write.")],
    /,
    *,
    int8: Annotated[
        bool, Parameter(help="Keep the weights of matrices and LSTMs as whole numbers of eight bits.", negative="")
    ] = False,
    opset: Annotated[int, Parameter(help="Version of ONNX's operators, 17 to 20.")] = 17,
    data: Annotated[
        str | None,
        Parameter(help="Data with known answers, on which bundle and file are compared; best the validation part."),
    ] = None,
    split: Annotated[str | None, Parameter(help="Part of these data. [default: valid where there is one]")] = None,
    format: Format = "auto",
    outside: Outside = False,
) -> int:
    """Write a network as an ONNX file, which crnn predict and crnn test read as they do a bundle, without torch.

    The file is compared with torch at batch sizes and lengths that were not traced; it is not written where they
    differ. Alphabet, labels, scales and settings are in its metadata.

    crnn export runs/hand hand.onnx
    crnn export runs/hand hand-int8.onnx --int8 --data lines/ --split valid
    crnn predict hand.onnx page/*.png
    """
    from crnn.bundle import load
    from crnn.deploy.export import export as write

    console = Console(stderr=True)
    loaded = load(bundle)
    if split is not None and data is None:
        raise SettingsError("--split is given", expected="--data with it", do="Write: --data FOLDER")
    done = write(loaded, out, opset=opset, int8=int8)
    said = f"{out}: {done.size / 1e6:.1f} MB, differs from torch by {done.difference:.1e} at most"
    if done.rounding is not None:
        said += f" before int8, by {done.rounding:.1e} with it"
    console.print(said, markup=False, highlight=False, soft_wrap=True)
    if data is not None:
        _compare(console, bundle, out, (data, format, outside), split)
    return 0


def _compare(console: Console, bundle: str, out: Path, given: tuple[str, str, bool], split: str | None) -> None:
    """Print the figures of both on the same data, and how they differ."""
    from crnn.data.formats import open_data
    from crnn.deploy.asked import asked
    from crnn.deploy.ready import predictor
    from crnn.train.evaluate import evaluate

    data, format, outside = given
    figures: list[Any] = []
    left_out: list[CrnnError] = []
    for name in (bundle, str(out)):
        reader: Any = predictor(name, precision="float32")
        left_out = []
        samples = open_data(data, format, left_out, asked=asked(reader, outside=outside))
        part = split or ("valid" if any(s.split == "valid" for s in samples) else None)
        tested = evaluate(reader, [s for s in samples if part is None or s.split == part])
        left_out += tested.left_out
        figures.append(tested.report.metrics)
        said = f"{name}: {reader.task.say(tested.report.metrics)}, {len(tested.samples):,} samples"
        console.print(said, markup=False, highlight=False, soft_wrap=True)
    say_left_out(console, left_out, most=5)
    names = [name for name in reader.task.figures if name in figures[0] and name in figures[1]]
    change = "  ".join(f"{name} {figures[1][name] - figures[0][name]:+.4f}" for name in names)
    console.print(f"change: {change}", markup=False, highlight=False, soft_wrap=True)
