"""Pictures of equations without their operators, for recipes/tag-operators.toml; and how many of them come out true.

    python recipes/prepare/tag-operators.py ../shared/data/symbols-handwritten operators.npz
    python recipes/prepare/tag-operators.py --score runs/operators operators.npz --json results/tag-operators.json

A picture shows three handwritten digits, a gap between each two, and behind a wider gap a result: ``3 5 2   13``. In
each gap stood plus, minus or times, and times binds first: 3 + 5 * 2 = 13. Where several pairs of operators make the
equation true, the first in the order + - * (of the first gap, then of the second) is the one to be learned, so that
the truth is a function of the picture; in scoring, any that makes it true counts.

Written are ``x`` (count, height, width) uint8, ``y`` a label for each column ("" for nothing), ``split``, and
``equation``, such as "3 5 2 13". Labels are the operators in the gaps and, so that reading is taught, too, the digits
where they stand; a result's minus sign has none. No picture of a symbol is in two parts; equations may be. Symbols of
the training part are turned, leant and stretched a little each time they are drawn, since there are few of them.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

COUNTS = {"train": 40_000, "valid": 1_000, "test": 2_000}
SHARES = {"train": (0.0, 0.7), "valid": (0.7, 0.8), "test": (0.8, 1.0)}  # of each symbol's pictures
PAIRS = list(itertools.product("+-*", repeat=2))
HEIGHT, WIDTH, SYMBOL = 24, 176, 20  # pixels; a symbol's picture is scaled to a square
GAP, APART = 14, 20  # columns between two digits, and before the result
TURN, LEAN, STRETCH = 10.0, 0.15, 0.12  # degrees; columns a row; share of the size: most of each, in the training part


def value(digits: tuple[int, int, int], pair: tuple[str, str]) -> int:
    """What ``digits`` and the operators between them come to; times binds first."""
    a, b, c = digits
    first, second = pair
    if second == "*":
        b, c, second = b * c, 0, "+"
    left = a + b if first == "+" else a - b if first == "-" else a * b
    return left + c if second == "+" else left - c


def solutions(digits: tuple[int, int, int], result: int) -> list[tuple[str, str]]:
    """The pairs of operators that make the equation true, in the order of ``PAIRS``."""
    return [pair for pair in PAIRS if value(digits, pair) == result]


def prepare(source: Path, target: Path) -> None:
    """Draw the equations of all parts from the symbols in ``source``, and say what was drawn."""
    with np.load(source / "symbols.npz") as file:
        images, labels, names = file["images"], file["labels"], [str(name) for name in file["names"]]
    by_name = {name: images[labels == k] for k, name in enumerate(names)}
    rng = np.random.default_rng(0)
    x, y, split, equations, ways = [], [], [], [], Counter()
    for part, count in COUNTS.items():
        low, high = SHARES[part]
        symbols = {name: s[int(low * len(s)) : int(high * len(s))] for name, s in by_name.items()}
        for _ in range(count):
            a, b, c = (int(digit) for digit in rng.integers(0, 10, 3))
            result = value((a, b, c), PAIRS[rng.integers(len(PAIRS))])
            known = solutions((a, b, c), result)
            picture, columns = draw((a, b, c), result, known[0], symbols, rng, varied=part == "train")
            x.append(picture)
            y.append(columns)
            split.append(part)
            equations.append(f"{a} {b} {c} {result}")
            ways[part, len(known)] += 1
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target, x=np.stack(x), y=np.stack(y), split=split, equation=equations)
    for part, count in COUNTS.items():
        several = sum(n for (p, many), n in ways.items() if p == part and many > 1)
        known = {e for e, p in zip(equations, split, strict=True) if p == part}
        print(f"{part}: {count:,} pictures, {len(known):,} equations, {several:,} pictures with several solutions")


def draw(
    digits: tuple[int, int, int],
    result: int,
    pair: tuple[str, str],
    symbols: dict[str, np.ndarray],
    rng: np.random.Generator,
    *,
    varied: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """The picture ``(height, width)`` and the label of each of its columns."""
    picture, columns = np.full((HEIGHT, WIDTH), 255, np.uint8), np.full(WIDTH, "", "<U1")
    at = int(rng.integers(1, 6))

    def write(name: str, label: str) -> None:
        nonlocal at
        symbol = scaled(symbols[name][rng.integers(len(symbols[name]))], rng if varied else None)
        top = int(rng.integers(0, HEIGHT - SYMBOL + 1))
        window = picture[top : top + SYMBOL, at : at + SYMBOL]
        np.minimum(window, symbol, out=window)
        columns[at + 2 : at + SYMBOL - 2] = label
        at += SYMBOL - int(rng.integers(0, 3))

    for digit, operator in zip(digits, (*pair, None), strict=True):
        write(str(digit), str(digit))
        if operator is not None:
            columns[at : at + GAP] = operator
            at += GAP
    at += APART - int(rng.integers(0, 6))
    for sign in str(result):
        write("minus" if sign == "-" else sign, "" if sign == "-" else sign)
    return picture, columns


def scaled(symbol: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """The picture of a symbol in the size that it is drawn in, varied if there is an ``rng``."""
    picture = Image.fromarray(symbol)
    if rng is not None:
        turn, lean = np.radians(rng.uniform(-TURN, TURN)), rng.uniform(-LEAN, LEAN)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[1, lean], [0, 1]]
        matrix = matrix / rng.uniform(1 - STRETCH, 1 + STRETCH, 2)
        middle = np.array(picture.size) / 2
        (a, b), (d, e) = matrix
        c, f = middle - matrix @ middle
        picture = picture.transform(
            picture.size, Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR, fillcolor=255
        )
    return np.asarray(picture.resize((SYMBOL, SYMBOL), Image.Resampling.BOX))


def score(bundle: Path, data: Path, json: Path | None) -> None:
    """How many equations of the test part come out true: exactly one operator in each gap, none elsewhere."""
    import torch

    import crnn
    from crnn.data.formats import Asked, open_data
    from crnn.metrics.interval import interval
    from crnn.train.report import Result, write_json

    with np.load(data) as arrays:
        equations, split = arrays["equation"], arrays["split"]
    taught = set(equations[split == "train"])
    samples = [s for s in open_data(data, asked=Asked(answer="events")) if s.split == "test"]
    predictor = crnn.load(bundle)
    true, as_taught, new, usual = [], [], [], []
    counts = {operator: Counter() for operator in "+-*"}
    for sample, answer in zip(samples, predictor.stream(samples), strict=True):
        if isinstance(answer, Exception):
            raise answer
        *digits, result = (int(number) for number in str(equations[int(sample.id)]).split())
        gaps = [part for part in predictor.task.truth(sample) if part.value in counts]
        found = [part for part in answer.parts if part.value in counts]
        placed = len(found) == 2 and all(
            a.start < b.stop and b.start < a.stop for a, b in zip(found, gaps, strict=True)
        )
        pair, known = tuple(part.value for part in found), solutions(tuple(digits), result)
        true.append(placed and pair in known)
        as_taught.append(placed and pair == known[0])
        new.append(str(equations[int(sample.id)]) not in taught)
        usual.append([each in known for each in PAIRS])
        for gap, said in itertools.zip_longest([g.value for g in gaps], pair[:2] if placed else ()):
            counts[gap]["truth"] += 1
            if said is not None:
                counts[said]["said"] += 1
                counts[said]["right"] += said == gap
    low, high = interval(1 - np.array(true), np.ones(len(true)), None, 0)
    f1 = [2 * c["right"] / max(1, c["truth"] + c["said"]) for c in counts.values()]
    metrics = {
        "accuracy": float(np.mean(true)),
        "accuracy_low": 1 - high,
        "accuracy_high": 1 - low,
        "macro_f1": float(np.mean(f1)),
        "accuracy_first_solution": float(np.mean(as_taught)),
        "accuracy_equations_not_taught": float(np.mean(np.array(true)[new])) if any(new) else 1.0,
    }
    best = int(np.argmax(np.mean(usual, axis=0)))
    result = Result(
        name="tag-operators",
        task="tag",
        model=predictor.bundle.encoder["name"],
        data="symbols-handwritten",
        split="test",
        metrics=metrics,
        baselines={f"always {' '.join(PAIRS[best])}": {"accuracy": float(np.mean(usual, axis=0)[best])}},
        command="python " + " ".join(sys.argv),
        seed=predictor.bundle.card.get("train", {}).get("seed", 0),
        threads=torch.get_num_threads(),
        precision=predictor.precision,
        parameters=sum(p.numel() for p in predictor.net.parameters()),
        train_seconds=predictor.bundle.card.get("train_seconds"),
    )
    for name, figure in metrics.items():
        print(f"{name:>30}  {100 * figure:6.2f} %")
    print(f"{len(samples):,} equations, {sum(new):,} of which are not in the training part")
    if json is not None:
        write_json(json, result)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, help="folder with symbols.npz; with --score, the bundle")
    parser.add_argument("target", type=Path, help="the .npz file to write; with --score, to test on")
    parser.add_argument("--score", action="store_true", help="test a bundle")
    parser.add_argument("--json", type=Path, help="write the figures as a results file")
    given = parser.parse_args()
    if given.score:
        score(given.source, given.target, given.json)
    else:
        prepare(given.source, given.target)
