"""Make the pictures of docs/start/: ``python docs/make_pictures.py``, or with names only some of them.

Each page is run as it stands (docs/run_page.py), and the pictures are pieces of the reports of what it trained. Where a
page names a recipe that takes long, the bundle is taken from ``--runs``. A piece of a report is HTML; here it stands in
an SVG file, which is light or dark as the page around it.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lxml.html
from as_svg import as_svg
from run_page import run, steps

import crnn
from crnn import cli
from crnn.data.formats import open_data
from crnn.data.formats.page import whole
from crnn.deploy.asked import asked
from crnn.deploy.explain import explain, shown
from crnn.recipe import DataSettings
from crnn.train.evaluate import evaluate
from crnn.train.pages import page_html
from crnn.train.prepare import held_back

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "pictures"
MOST = 300  # samples that are tested


def write(name: str, pieces: Sequence[str], *, width: int, height: int, scale: float = 1.0) -> None:
    """Pieces of HTML below each other as ``docs/pictures/NAME.svg``."""
    (TARGET / f"{name}.svg").write_text(as_svg(name, pieces, width=width, height=height, scale=scale), encoding="utf-8")


def answers(bundle: str | Path, data: str | Path, places: Sequence[int], *, most: int = MOST) -> tuple[Any, list[str]]:
    """The test of ``bundle`` on ``data``, and for the samples in ``places`` of their order what a report shows."""
    predictor: Any = crnn.load(bundle)
    task = predictor.task
    samples, _ = held_back(predictor, DataSettings(train=str(data)), [])
    tested = evaluate(predictor, samples[:most])
    fragments = [
        task.show(p, task.truth(s), shown(predictor, s))
        for s, p in [(tested.samples[i], tested.predictions[i]) for i in places]
    ]
    return tested, fragments


def row(pieces: Sequence[str]) -> str:
    return f'<div class="row">{"".join(f"<div>{piece}</div>" for piece in pieces)}</div>'


def chart(tested: Any, number: int = 0) -> str:
    title, svg = tested.report.details["charts"][number]
    return f"<h3>{escape(title)}</h3>{svg}"


def transcribe() -> None:
    _, pieces = answers("zoo:handwriting-fr", "examples/handwriting", [2, 6, 12])
    write("transcribe", pieces, width=760, height=360)


def page() -> None:
    reader = crnn.pages()
    (sample,) = whole(Path("examples/page"), [])
    found = reader("examples/page/letter.webp")
    text = "".join(f"<div>{escape(line.text or '')}</div>" for line in found.lines)
    drawn = page_html(reader.grey(sample), sample, found).partition("<table>")[0]
    write("page", [row([drawn, text])], width=860, height=470)


def classify() -> None:
    predictor: Any = crnn.load("zoo:sounds")
    samples = open_data("examples/sounds", asked=asked(predictor))
    pieces = []
    for label in ("dog_bark",):
        sample = next(s for s in samples if s.y == label)
        why = explain(predictor, sample)
        pieces.append(predictor.task.show(why.prediction, sample.y, shown(predictor, sample, why)))
    write("classify", pieces, width=720, height=355)
    tested, _ = answers("runs/symbols", "symbols.npz", [])
    write("symbols", [chart(tested)], width=560, height=609)


def regress() -> None:
    tested, _ = answers("runs/swings", "swings.npz", [])
    write("regress", [chart(tested)], width=480, height=420)


def compare() -> None:
    """The first plot of the page that the command of ``regress.md`` writes."""
    page = (ROOT / "docs" / "start" / "regress.md").read_text(encoding="utf-8")
    for kind, step in steps(page):
        if kind == "python":
            exec(compile(step, "regress.md", "exec"), {})
    (command,) = re.findall(r"^crnn (compare .*)$", page, re.M)
    with suppress(SystemExit):
        cli.main(shlex.split(command))
    compared("compared.html")


def compared(page: str | Path) -> None:
    plot = lxml.html.parse(str(page)).find(".//svg")
    write("compare", [lxml.etree.tostring(plot, encoding="unicode")], width=720, height=400)


def tag() -> None:
    _, pieces = answers("runs/bursts", "bursts", [0, 1])
    write("tag", pieces, width=700, height=520)


def segment() -> None:
    _, pieces = answers("runs/labelled", "examples/shapes", [3, 9])
    write("segment", pieces, width=700, height=250, scale=2.4)


def detect() -> None:
    _, pieces = answers("runs/boxes", "examples/shapes", [0, 3, 5])
    write("detect", [row(pieces)], width=700, height=200, scale=2.4)


def restore() -> None:
    _, pieces = answers("runs/restored", "examples/shapes/images", [3])
    write("restore", pieces, width=760, height=250, scale=2.0)


def nowcast() -> None:
    _, pieces = answers("runs/squares", "squares.npz", [0])
    write("nowcast", pieces, width=800, height=300)


def forecast() -> None:
    _, pieces = answers("runs/pool", "examples/visitors/visitors.csv", [30])
    write("forecast", pieces, width=720, height=320)


def caption() -> None:
    _, pieces = answers("runs/moves", "runs/moves-data/unseen.jsonl", [0], most=8)
    write("caption", pieces, width=720, height=290)


def match() -> None:
    _, pieces = answers("runs/match-scenes", "runs/scenes-data/seen.jsonl", [1], most=8)
    write("match", [row(pieces)], width=720, height=320)


PICTURES: dict[str, tuple[Callable[[], None], str]] = {
    "transcribe": (transcribe, ""),
    "page": (page, ""),
    "classify": (classify, "symbols"),
    "regress": (regress, "swings"),
    "compare": (compare, ""),
    "tag": (tag, "bursts"),
    "segment": (segment, "labelled"),
    "detect": (detect, "boxes"),
    "restore": (restore, "restored"),
    "nowcast": (nowcast, "squares"),
    "forecast": (forecast, "pool"),
    "caption": (caption, ""),
    "match": (match, ""),
}
"""Page to what draws its pictures, and the run that its commands make, if they make one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="pictures to make, by their page")
    parser.add_argument("--runs", type=Path, help="folder of runs that were trained already")
    given = parser.parse_args()
    TARGET.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in ("examples", "recipes"):
            Path(name).symlink_to(ROOT / name)
        if given.runs:
            Path("runs").mkdir()
            for run_folder in given.runs.resolve().iterdir():
                Path("runs", run_folder.name).symlink_to(run_folder)
        for name in given.names or PICTURES:
            draw, made = PICTURES[name]
            if made and not Path("runs", made).exists():
                run(ROOT / "docs" / "start" / f"{name}.md")
            draw()


if __name__ == "__main__":
    main()
