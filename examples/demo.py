"""The demo: learn to read strings of handwritten symbols in about two minutes, then read real lines with the zoo.

make demo          or, where crnn is installed:          python examples/demo.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OUT = Path("runs/demo")
SIGNS = {"dot": "·", "minus": "-", "plus": "+", "slash": "/"}
PARTS = {"train": (3000, 0, 500), "valid": (150, 500, 550), "test": (300, 550, 600)}
console = Console()


def make_strings(folder: Path) -> None:
    """Strings of 3 to 9 symbols as pictures with their ``.gt.txt``; no symbol's picture is in two parts."""
    sheet = np.load(HERE / "symbols" / "symbols.npz")
    names = [SIGNS.get(str(name), str(name)) for name in sheet["names"]]
    by_sign = [sheet["images"][sheet["labels"] == k] for k in range(len(names))]
    rng = np.random.default_rng(0)
    for part, (count, first, last) in PARTS.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            signs = rng.integers(0, len(names), rng.integers(3, 10))
            line = np.full((34, 30 * len(signs) + 20), 255, np.uint8)
            x = int(rng.integers(0, 8))
            for sign in signs:
                symbol = by_sign[sign][rng.integers(first, last)]
                y = int(rng.integers(0, 7))
                window = line[y : y + 28, x : x + 28]
                np.minimum(window, symbol, out=window)
                x += int(rng.integers(20, 30))
            Image.fromarray(line[:, : x + 12]).save(folder / part / f"{i:04}.png")
            text = "".join(names[sign] for sign in signs)
            (folder / part / f"{i:04}.gt.txt").write_text(text + "\n", encoding="utf-8")


def run(*arguments: str) -> None:
    """Show a command of crnn and run it."""
    console.print(f"\n[bold]$ crnn {' '.join(arguments)}[/bold]", highlight=False)
    subprocess.run([sys.executable, "-m", "crnn", *arguments], check=True)


def read_examples() -> None:
    """Every test line of ``examples/`` with the truth, what the zoo reads, and how sure it is."""
    import crnn
    from crnn.data.formats import open_data

    for folder, bundle in (("handwriting", "zoo:handwriting-fr"), ("typewriting", "zoo:typewritten")):
        read = crnn.load(bundle)
        samples = [s for s in open_data(HERE / folder) if s.split == "test"]
        table = Table(title=f"{bundle} reads examples/{folder}", title_justify="left", show_lines=True)
        table.add_column("picture", overflow="fold", max_width=28)
        table.add_column("truth and reading", overflow="fold")
        table.add_column("sure", justify="right")
        for sample, answer in zip(samples, read.stream(samples), strict=True):
            table.add_row(sample.id, f"{sample.y}\n{answer.value}", f"{answer.score:.2f}")
        console.print(table)
        run("test", bundle, str(HERE / folder), "--html", str(OUT / f"{folder}.html"))


def main() -> None:
    strings, reader = OUT / "strings", OUT / "reader"
    console.print(f"joining handwritten symbols to {sum(count for count, *_ in PARTS.values()):,} strings ...")
    make_strings(strings)
    if reader.exists():
        console.print(f"{reader} holds a reader of an earlier demo; it is kept. Remove the folder to train again.")
    else:
        run("train", str(ROOT / "recipes" / "demo.toml"), "--data", str(strings), "--out", str(reader))
    run("test", str(reader), str(strings), "--html", str(OUT / "strings.html"))
    read_examples()
    console.print("\nPages with the pictures, worst lines first:")
    for page in sorted(OUT.glob("*.html")):
        console.print(f"  {page.resolve()}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
