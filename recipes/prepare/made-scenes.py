"""Drawn scenes of two to four coloured shapes and the sentence of each, for recipes/caption-scenes.toml and
match-scenes.toml.

    python recipes/prepare/made-scenes.py scenes

Shapes stand in the cells of a grid of 3 x 3 and are named row by row, each with where the next one is: "A red circle
is left of a blue square, which is above a green star." Some combinations are never shown in ``seen.jsonl`` (train,
valid, test): eight of the 48 of colour and shape, of which there is at least one in each scene of ``unseen.jsonl``; and
a tenth of all pairs of the other 40 things in one scene, of which there is at least one in each scene of
``pairs.jsonl`` (both valid, test). Written are pictures of 64 x 64 and tables of image, caption, boxes, phrases, split:
the box of each shape in pixels, and which words speak of it.
"""

from __future__ import annotations

import argparse
import json
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE, CELLS, TWICE = 64, 3, 4  # pixels, cells of a side, how much larger it is drawn
COLOURS = {
    "red": (205, 45, 40),
    "green": (45, 150, 60),
    "blue": (45, 75, 205),
    "yellow": (235, 205, 40),
    "purple": (135, 50, 160),
    "orange": (240, 130, 30),
    "white": (245, 245, 245),
    "black": (20, 20, 20),
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
HELD_OUT = {
    *(("red", "square"), ("green", "star"), ("blue", "circle"), ("yellow", "triangle")),
    *(("purple", "cross"), ("orange", "ring"), ("white", "star"), ("black", "square")),
}
COUNTS = {"train": 6000, "valid": 300, "test": 1000}
OTHERS = {"valid": 300, "test": 1000}
Thing = tuple[str, str, int, int]
"""Colour, shape, row, column."""


def things(rng: np.random.Generator, table: str) -> list[Thing]:
    """Two to four shapes in cells of their own, row by row, as the ``table`` has them."""
    pairs = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    own = [pair for pair in pairs if table == "unseen" or pair not in HELD_OUT]
    while True:
        count = int(rng.integers(2, 5))
        chosen = [own[i] for i in rng.integers(0, len(own), count)]
        if table == "unseen" and not HELD_OUT & set(chosen):
            chosen[int(rng.integers(count))] = sorted(HELD_OUT)[int(rng.integers(len(HELD_OUT)))]
        strange = any((pairs.index(a) + pairs.index(b)) % 10 == 0 for a, b in combinations(chosen, 2) if a != b)
        if table == "unseen" or strange == (table == "pairs"):
            break
    cells = sorted(rng.choice(CELLS * CELLS, count, replace=False).tolist())
    return [(*pair, cell // CELLS, cell % CELLS) for pair, cell in zip(chosen, cells, strict=True)]


def relation(one: Thing, other: Thing) -> str:
    """Where ``one`` is, seen from the ``other`` that is named after it."""
    down, right = other[2] - one[2], other[3] - one[3]
    if not down:
        return "left of"
    return "above" if not right else "above and left of" if right > 0 else "above and right of"


def named(thing: Thing) -> str:
    """A thing with its article."""
    return f"{'an' if thing[0][0] in 'aeiou' else 'a'} {thing[0]} {thing[1]}"


def sentence(found: list[Thing]) -> str:
    """What is said of a scene."""
    said = named(found[0]).capitalize()
    for i, (one, other) in enumerate(pairwise(found)):
        said += f"{', which' if i else ''} is {relation(one, other)} {named(other)}"
    return f"{said}."


def draw(found: list[Thing], rng: np.random.Generator) -> tuple[Image.Image, list[list[float]]]:
    """The scene, shapes of several sizes and a little off their cells' middles, on a grey of its own; and the square
    around each, as left, top, right, bottom."""
    ground = int(rng.integers(90, 130))
    picture = Image.new("RGB", (SIDE * TWICE, SIDE * TWICE), (ground,) * 3)
    pen = ImageDraw.Draw(picture)
    cell, boxes = SIDE / CELLS, []
    for colour, shape, row, column in found:
        size = rng.uniform(6.0, 9.0)
        x, y = (cell * (place + 0.5) + rng.uniform(-1.5, 1.5) for place in (column, row))
        shade = tuple(int(np.clip(value + rng.integers(-15, 16), 0, 255)) for value in COLOURS[colour])
        around = (x - size, y - size, x + size, y + size)
        boxes.append([round(min(max(value, 0.0), SIDE), 1) for value in around])
        box = [TWICE * value for value in around]
        if shape == "circle":
            pen.ellipse(box, fill=shade)
        elif shape == "ring":
            pen.ellipse(box, outline=shade, width=round(0.4 * size * TWICE))
        elif shape == "cross":
            for a, b in ((size, 0.35 * size), (0.35 * size, size)):
                pen.rectangle([TWICE * value for value in (x - a, y - b, x + a, y + b)], fill=shade)
        elif shape == "square":
            pen.rectangle(box, fill=shade)
        else:
            points = 3 if shape == "triangle" else 10
            turns = -np.pi / 2 + 2 * np.pi * np.arange(points) / points
            reach = np.where(np.arange(points) % 2, 0.45, 1.0) if shape == "star" else np.ones(points)
            corners = np.stack([x + size * 1.1 * reach * np.cos(turns), y + size * 1.1 * reach * np.sin(turns)], 1)
            pen.polygon([(TWICE * a, TWICE * b) for a, b in corners.tolist()], fill=shade)
    small = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)
    noisy = small + rng.normal(0, 3, small.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)), boxes


def prepare(target: Path, scale: float) -> None:
    """Draw all scenes and write both tables; ``scale`` is how many of each part, against ``COUNTS``."""
    (target / "images").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for table, parts in (("seen", COUNTS), ("unseen", OTHERS), ("pairs", OTHERS)):
        with (target / f"{table}.jsonl").open("w", encoding="utf-8") as file:
            for split, count in parts.items():
                for number in range(round(scale * count)):
                    found = things(rng, table)
                    name = f"images/{table}-{split}-{number:04}.png"
                    picture, boxes = draw(found, rng)
                    picture.save(target / name)
                    phrases = [[f"{colour} {shape}", i] for i, (colour, shape, *_) in enumerate(found)]
                    row = {"image": name, "caption": sentence(found), "boxes": boxes, "phrases": phrases}
                    row["split"] = split
                    file.write(json.dumps(row) + "\n")
        print(f"{table}: {sum(round(scale * count) for count in parts.values())} scenes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("target", type=Path, help="folder to write")
    parser.add_argument("--scale", type=float, default=1.0, help="how many scenes, against 6000 to learn from")
    given = parser.parse_args()
    prepare(given.target, given.scale)
