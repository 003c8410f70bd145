"""Draw examples/shapes: discs, squares and triangles on noise, with a label map and boxes for each picture.

    python recipes/prepare/made-shapes.py examples/shapes

Labels are 0 for the ground, 1 to 3 for the shapes (classes.txt). Edges of the pictures are smooth, those of the maps
are not; colours of a shape vary around its own. Boxes are Pascal VOC; what is hidden by others or cut at the border has
its whole box as far as it lies in the picture. Seed 0.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from crnn.data.boxes import fitted
from crnn.data.formats import voc
from crnn.types import Box, Boxes

COUNT, SIZE, LARGER = 24, (64, 48), 4
NAMES = ("ground", "disc", "square", "triangle")
HUES = ((200, 90, 60), (70, 160, 90), (80, 100, 200))


def drawn(random: np.random.Generator) -> tuple[Image.Image, Image.Image, Boxes]:
    """A picture, its label map and its boxes."""
    width, height = SIZE
    ground = random.normal(random.uniform(60, 190, 3), 12, (height, width, 3))
    picture = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8)).resize((width * LARGER, height * LARGER))
    labels, boxes = Image.new("L", SIZE), []
    for _ in range(int(random.integers(2, 5))):
        kind, radius = int(random.integers(3)), random.uniform(5, 11)
        x, y = random.uniform(0, width), random.uniform(0, height)
        boxes.append(Box(NAMES[kind + 1], *(round(v) for v in (x - radius, y - radius, x + radius, y + radius))))
        colour = tuple(np.clip(np.array(HUES[kind]) + random.normal(0, 25, 3), 0, 255).astype(int).tolist())
        for canvas, factor, fill in ((picture, LARGER, colour), (labels, 1, kind + 1)):
            pen = ImageDraw.Draw(canvas)
            box = [factor * v for v in (x - radius, y - radius, x + radius, y + radius)]
            if kind == 0:
                pen.ellipse(box, fill=fill)
            elif kind == 1:
                pen.rectangle(box, fill=fill)
            else:
                pen.polygon([(box[0], box[3]), (box[2], box[3]), (factor * x, box[1])], fill=fill)
    picture = picture.resize(SIZE, Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(0.4))
    noisy = np.asarray(picture) + random.normal(0, 6, (height, width, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)), labels, Boxes(SIZE, tuple(fitted(boxes, SIZE)[0]))


def main(folder: Path) -> None:
    random = np.random.default_rng(0)
    for place in ("images", "labels"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for i in range(COUNT):
        picture, labels, boxes = drawn(random)
        voc.write(f"{i:02}.webp", boxes, folder / "annotations" / f"{i:02}.xml")
        picture.save(folder / "images" / f"{i:02}.webp", quality=80)
        labels.save(folder / "labels" / f"{i:02}.png", optimize=True)
    (folder / "classes.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "examples/shapes"))
