"""Drawn films of one or two shapes that move, and the sentence of each, for recipes/caption-moves.toml.

    python recipes/prepare/made-moves.py moves

"A red circle moves left slowly and a blue square moves up right fast." The first shape named is the one that begins
further to the left. Of the 32 combinations of shape and direction eight are never shown in ``seen.jsonl`` (train,
valid, test), and nothing else in ``unseen.jsonl`` (valid, test). Written are films of 10 frames of 40 x 40 pixels as
.gif, and tables of video, caption, split.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE, FRAMES, TWICE = 40, 10, 3  # pixels, frames, how much larger it is drawn
COLOURS = {
    "red": (205, 45, 40),
    "green": (45, 150, 60),
    "blue": (45, 75, 205),
    "yellow": (235, 205, 40),
    "white": (245, 245, 245),
}
SHAPES = ("circle", "square", "triangle", "cross")
WAYS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}
WAYS |= {f"{v} {h}": (WAYS[h][0] * 0.5**0.5, WAYS[v][1] * 0.5**0.5) for v in ("up", "down") for h in ("left", "right")}
SPEEDS = {"slowly": 0.8, "fast": 2.0}  # pixels a frame
HELD_OUT = {("circle", "left"), ("circle", "down right"), ("square", "up"), ("square", "down left")}
HELD_OUT |= {("triangle", "down"), ("triangle", "up right"), ("cross", "right"), ("cross", "up left")}
COUNTS = {"train": 4000, "valid": 300, "test": 600}
UNSEEN = {"valid": 300, "test": 600}
RADIUS = 4.5
Thing = tuple[str, str, str, str]
"""Colour, shape, direction, speed."""


def thing(rng: np.random.Generator, unseen: bool) -> Thing:
    """A shape and how it moves, of the combinations that are held out or of the others."""
    pairs = [(shape, way) for shape in SHAPES for way in WAYS if ((shape, way) in HELD_OUT) == unseen]
    shape, way = pairs[int(rng.integers(len(pairs)))]
    return list(COLOURS)[int(rng.integers(len(COLOURS)))], shape, way, list(SPEEDS)[int(rng.integers(2))]


def sentence(found: list[Thing]) -> str:
    """What is said of a film."""
    said = " and ".join(f"a {colour} {shape} moves {way} {speed}" for colour, shape, way, speed in found)
    return f"{said[0].upper()}{said[1:]}."


def draw(found: list[Thing], rng: np.random.Generator) -> list[Image.Image]:
    """The frames: each shape in a half of its own where there are two, begun so that it stays in the picture."""
    ground = int(rng.integers(90, 130))
    shades = [tuple(int(np.clip(v + rng.integers(-15, 16), 0, 255)) for v in COLOURS[thing[0]]) for thing in found]
    starts = []
    for i, (_, _, way, speed) in enumerate(found):
        reach = SPEEDS[speed] * (FRAMES - 1)
        dx, dy = WAYS[way]
        # of two shapes the first begins in the left half, the second in the right one
        low, high = (0.0, SIDE) if len(found) == 1 else (i * SIDE / 2, (i + 1) * SIDE / 2)
        x = rng.uniform(max(low, RADIUS - reach * min(dx, 0)), min(high, SIDE - RADIUS - reach * max(dx, 0)) + 1e-6)
        y = rng.uniform(RADIUS - reach * min(dy, 0), SIDE - RADIUS - reach * max(dy, 0))
        starts.append((x, y))
    frames = []
    for step in range(FRAMES):
        picture = Image.new("RGB", (SIDE * TWICE, SIDE * TWICE), (ground,) * 3)
        pen = ImageDraw.Draw(picture)
        for (_, shape, way, speed), (x, y), shade in zip(found, starts, shades, strict=True):
            a, b = (start + step * SPEEDS[speed] * d for start, d in zip((x, y), WAYS[way], strict=True))
            box = [TWICE * value for value in (a - RADIUS, b - RADIUS, a + RADIUS, b + RADIUS)]
            if shape == "circle":
                pen.ellipse(box, fill=shade)
            elif shape == "square":
                pen.rectangle(box, fill=shade)
            elif shape == "cross":
                third = (box[2] - box[0]) / 3
                pen.rectangle([box[0] + third, box[1], box[2] - third, box[3]], fill=shade)
                pen.rectangle([box[0], box[1] + third, box[2], box[3] - third], fill=shade)
            else:
                pen.polygon([(box[0], box[3]), (box[2], box[3]), ((box[0] + box[2]) / 2, box[1])], fill=shade)
        frames.append(picture.resize((SIDE, SIDE), Image.Resampling.BOX))
    return frames


def fits(found: list[Thing]) -> bool:
    """Whether each of two shapes has room in its half: not one that goes fast towards its own edge."""
    ways = [(way, speed) for _, _, way, speed in found]
    return len(found) == 1 or (ways[0] != ("left", "fast") and ways[1] != ("right", "fast"))


def prepare(target: Path) -> None:
    """Draw all films and write both tables."""
    (target / "films").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for table, parts in (("seen", COUNTS), ("unseen", UNSEEN)):
        with (target / f"{table}.jsonl").open("w", encoding="utf-8") as file:
            for split, count in parts.items():
                for number in range(count):
                    found: list[Thing] = []
                    while not found or not fits(found):
                        found = [thing(rng, table == "unseen") for _ in range(int(rng.integers(1, 3)))]
                    name = f"films/{table}-{split}-{number:04}.gif"
                    first, *others = draw(found, rng)
                    first.save(target / name, save_all=True, append_images=others, duration=100, loop=0)
                    row = {"video": name, "caption": sentence(found), "split": split}
                    file.write(json.dumps(row) + "\n")
        print(f"{table}: {sum(parts.values())} films")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("target", type=Path, help="folder to write")
    prepare(parser.parse_args().target)
