"""Lay single lines of text on made pages, to learn from and to test on (recipes/segment-page.toml).

    python recipes/prepare/made-pages.py ../shared/data/lines-* --out made

Each page takes its lines, without repetition, from one group (writer, or page of typescript) of one folder; the parts
of the folders stay what they are, so the test part has lines that nothing has learned from. Lines are laid in one to
three columns with indents, paragraphs and a line spacing of their own, the page is skewed and bent, and its paper has
noise, shading, stains, ruled lines, borders, bleed-through, and things that are no text. Written are, in
``pages/PART``, pages with PAGE XML (baselines, outlines, texts), and in ``maps/PART`` smaller pages with the label maps
of ``crnn.data.page_lines``. Seed 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from crnn.data.formats import open_data
from crnn.data.formats.page import create
from crnn.data.page_lines import NAMES, TextLine, draw
from crnn.metrics.maps import pieces

PARTS = ("train", "valid", "test")
SMALL = (15.0, 46.0)  # pixels of a line's height in the pages to learn from
LARGEST = 8_000_000  # pixels of a page
EMPTY = 0.03  # share of pages without a line
STEP = 16  # pixels between the points of a baseline
Blocks = list[list[TextLine]]


@dataclass(frozen=True)
class Strip:
    """A line cut out: ink from 0 to 1 ``(height, width)``, and its baseline, which rises or falls steadily."""

    ink: np.ndarray
    level: float
    slope: float
    text: str

    @property
    def height(self) -> int:
        return len(self.ink)

    @property
    def width(self) -> int:
        return self.ink.shape[1]


def strip(x: np.ndarray, text: str) -> Strip | None:
    """The line ``x`` (grey, uint8) without its paper, cut at its first and last ink; ``None`` if it is blank."""
    grey = x.astype(np.float32)
    paper, dark = np.percentile(grey, (75, 0.5))
    near = abs(grey[grey > paper - 30] - paper)
    noise = 3 * float(np.median(near)) + 0.06 * (paper - dark) if len(near) else 0.0
    ink = np.clip((paper - grey - noise) / max(paper - dark - noise, 20), 0, 1)
    found = baseline(ink)
    if found is None:
        return None
    level, slope = found
    ink = ink * ~_scraps(ink > 0.15, level)
    columns = np.flatnonzero(ink.max(0) > 0.3)
    if len(columns) < len(ink) / 2:
        return None
    first, last = int(columns[0]), int(columns[-1]) + 1
    return Strip(ink[:, first:last], level + slope * ((first + last) / 2 - x.shape[1] / 2), slope, text)


def _scraps(mask: np.ndarray, level: float) -> np.ndarray:
    """What hangs into the line from the one above it."""
    numbers = pieces(mask)
    rows = np.broadcast_to(np.arange(len(mask))[:, None], mask.shape)
    lowest = np.zeros(numbers.max() + 1, int)
    np.maximum.at(lowest, numbers, rows)
    return (lowest < 0.25 * level)[numbers] & mask


def baseline(ink: np.ndarray) -> tuple[float, float] | None:
    """Height of the baseline in the middle of a line, and its slope: where ink stops below, in windows as wide as
    twice the height, through which a straight line is laid that outliers do not pull."""
    height, width = ink.shape
    reach = max(2, height // 7)
    above = np.pad(ink.cumsum(0), ((1, 0), (0, 0)))
    rows = np.arange(round(0.35 * height), height)
    found = []
    for left in range(0, max(1, width - height // 2), height):
        ended = above[:, left : left + 2 * height].sum(1)
        falls = 2 * ended[rows] - ended[rows - reach] - ended[np.minimum(rows + reach, height)]
        if falls.max() > 0:
            found.append((min(left + height, width) - width / 2, rows[falls.argmax()], falls.max()))
    if not found:
        return None
    x, y, weight = np.array(found, float).T
    level, slope = float(np.average(y, weights=weight)), 0.0
    for _ in range(8):
        near = weight / (1 + ((level + slope * x - y) / (0.06 * height)) ** 2)
        middle, mean = np.average(x, weights=near), np.average(y, weights=near)
        spread = (near * (x - middle) ** 2).sum() + near.sum() * (0.1 * width) ** 2  # short lines lie level
        slope = float((near * (x - middle) * (y - mean)).sum() / spread) if len(x) > 3 else 0.0
        level = float(mean - slope * middle)
    return level, slope


# laying


def arranged(
    strips: Sequence[Strip], random: np.random.Generator
) -> tuple[list[list[tuple[Strip, float, float]]], tuple[int, int]]:
    """Columns of lines, each with its left and top on a page, and the page's height and width."""
    strips = [_scaled(s, random.uniform(0.97, 1.03)) for s in strips]
    columns = int(random.choice([1, 1, 1, 2, 2, 3]))
    if columns > 1:  # short ones, where columns are to fit
        strips = sorted(strips, key=lambda s: s.width)[: max(columns, round(len(strips) * random.uniform(0.5, 0.9)))]
        strips = [strips[i] for i in random.permutation(len(strips))]
    height = float(np.median([s.height for s in strips]))
    pitch = height * float(np.exp(random.uniform(np.log(0.66), np.log(1.7))))
    rows = -(-len(strips) // columns)
    left, top = random.uniform(0.6, 5, 2) * height
    indent, paragraph = random.uniform(0.5, 3) * height, random.choice([0.0, 0.15, 0.3])
    style = random.choice(["left", "left", "left", "centre", "ragged"])
    found, bottom = [], top
    for first in range(0, len(strips), rows):
        column = strips[first : first + rows]
        wide = max(s.width for s in column)
        y, places = top + random.uniform(0, 3) * height * (random.random() < 0.5), []
        for s in column:
            free = wide - s.width
            inset = {"left": 0, "centre": free / 2, "ragged": random.uniform(0, 1) * min(free, 4 * height)}[style]
            if random.random() < paragraph:
                inset, y = min(inset + indent, free), y + pitch * random.choice([0, 0.5, 1])
            jitter = random.normal(0, (0.08, 0.03)) * height
            places.append((s, left + inset + jitter[0], y + jitter[1]))
            y += pitch * random.uniform(0.97, 1.03)
        found.append(places)
        bottom = max(bottom, y + height)
        left += wide + random.uniform(1.2, 5) * height
    return found, (round(bottom + random.uniform(0.5, 5) * height), round(left + random.uniform(-0.5, 3) * height))


def laid(strips: Sequence[Strip], random: np.random.Generator) -> tuple[np.ndarray, Blocks]:
    """Ink ``(height, width)`` of a page, from 0 to 1, and its columns of lines."""
    if not strips:
        return np.zeros(random.integers(500, 1600, 2), np.float32), []
    scale = random.uniform(0.8, 1.1)
    columns, size = arranged([_scaled(s, scale) for s in strips], random)
    ink, blocks = np.zeros(size, np.float32), []
    for column in columns:
        blocks.append(lines := [])
        for s, x, y in column:
            left, top = max(0, round(x)), max(0, round(y))
            part = ink[top : top + s.height, left : left + s.width]
            np.maximum(part, s.ink[: part.shape[0], : part.shape[1]], out=part)
            across = np.linspace(0, part.shape[1], max(2, part.shape[1] // STEP)).tolist()
            points = tuple((left + x, top + s.level + s.slope * (x - s.width / 2)) for x in across)
            lines.append(TextLine(points, s.level, s.height - s.level, s.text))
    return ink, blocks


def _scaled(s: Strip, factor: float) -> Strip:
    size = max(1, round(s.width * factor)), max(1, round(s.height * factor))
    ink = np.asarray(Image.fromarray(s.ink).resize(size, Image.Resampling.BICUBIC))
    return replace(s, ink=np.clip(ink, 0, 1), level=s.level * size[1] / s.height)


def things(ink: np.ndarray, random: np.random.Generator, height: float) -> np.ndarray:
    """``ink`` with what is no text: rules, frames, strokes, blots, specks, and pictures."""
    picture = Image.fromarray((255 * ink).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    wide, high = picture.size

    def anywhere() -> tuple[float, float]:
        return random.uniform(0, wide), random.uniform(0, high)

    for _ in range(random.poisson(1.0)):
        x, y = anywhere()
        shade, thick = int(random.integers(60, 255)), int(random.integers(1, 5))
        kind = random.integers(6)
        if kind == 0:
            pen.line([(x, y), (x + random.uniform(0.1, 1) * wide, y + random.normal(0, 3))], shade, thick)
        elif kind == 1:
            pen.line([(x, y), (x + random.normal(0, 3), y + random.uniform(0.1, 1) * high)], shade, thick)
        elif kind == 2:
            pen.rectangle([x, y, *(np.array([x, y]) + random.uniform(1, 8, 2) * height)], None, shade, thick)
        elif kind == 3:
            pen.ellipse([x, y, *(np.array([x, y]) + random.uniform(1, 4, 2) * height)], None, shade, thick)
        elif kind == 4:
            walk = np.array([[x, y]]) + np.cumsum(random.normal(0, 0.5 * height, (int(random.integers(3, 12)), 2)), 0)
            pen.line([tuple(p) for p in walk.tolist()], shade, thick, joint="curve")
        else:
            side = random.uniform(3, 10) * height
            box = round(x), round(y), round(x + side), round(y + random.uniform(0.5, 1) * side)
            texture = _field(random, (int(random.integers(4, 30)),) * 2, (box[3] - box[1], box[2] - box[0]))
            if not ink[box[1] : box[3], box[0] : box[2]].any():  # over text it would hide what is to be read
                picture.paste(Image.fromarray(np.clip(100 + 90 * texture, 0, 255).astype(np.uint8)), box[:2])
    for _ in range(random.poisson(4)):
        (x, y), size = anywhere(), random.uniform(0.5, 0.12 * height)
        pen.ellipse([x - size, y - size, x + size, y + size], int(random.integers(100, 255)))
    return np.asarray(picture, np.float32) / 255


# paper


def _field(random: np.random.Generator, cells: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Smooth noise ``size`` (height, width) of deviation 1, with a value for each of the ``cells``."""
    coarse = Image.fromarray(random.normal(0, 1, cells).astype(np.float32))
    return np.asarray(coarse.resize((max(1, size[1]), max(1, size[0])), Image.Resampling.BICUBIC))


def on_paper(ink: np.ndarray, random: np.random.Generator, pitch: float) -> np.ndarray:
    """Grey ``(height, width)`` from 0 to 255: the ink on paper of its own."""
    size = ink.shape
    paper = random.uniform(140, 252) + random.uniform(0, 14) * _field(random, (3, 3), size)
    paper = paper + random.uniform(0, 5) * _field(random, (40, 30), size)
    paper = paper + random.uniform(0, 7) * random.normal(0, 1, size)
    for _ in range(random.poisson(0.6)):  # stains
        spot = np.clip(_field(random, (6, 6), size) - random.uniform(0.8, 2), 0, 0.6)
        paper = paper - random.uniform(10, 60) * spot
    if random.random() < 0.3:
        other = Image.fromarray((255 * ink[:, ::-1]).astype(np.uint8))
        behind = np.asarray(other.filter(ImageFilter.GaussianBlur(random.uniform(1, 3)))) / 255
        paper = paper - random.uniform(10, 50) * np.roll(behind, random.integers(size[0] // 3), 0)
    if random.random() < 0.3:  # ruled
        apart = pitch * random.choice([1, 1, 0.5])
        rows = (np.arange(size[0]) + random.uniform(0, pitch)) % apart < random.uniform(1, 3)
        paper = paper - random.uniform(10, 90) * rows[:, None]
    if random.random() < 0.15:  # a margin
        paper[:, int(random.uniform(0.02, 0.2) * size[1])] -= random.uniform(20, 90)
    page = paper * (1 - random.uniform(0.45, 0.97) * ink)
    if random.random() < 0.25:  # the scanner's lid, or the table
        lid, near = random.uniform(0, 90), random.uniform(0, 0.04, 4) * (random.random(4) < 0.6)
        for axis, (first, last) in enumerate((near[:2], near[2:])):
            line = np.arange(size[axis]) / size[axis]
            outside = (line < first) | (line > 1 - last)
            page[outside if axis == 0 else (slice(None), outside)] = lid
    return page


def bent(ink: np.ndarray, blocks: Blocks, random: np.random.Generator) -> tuple[np.ndarray, Blocks]:
    """The page skewed and waved: columns of pixels move up and down, more at one end of the page than at the other."""
    height, width = ink.shape
    slope = random.normal(0, 0.012) if random.random() < 0.8 else random.uniform(-0.07, 0.07)
    waves = random.uniform(0, 0.012) * width * (random.random() < 0.5)
    phase, length, grows = random.uniform(0, 6.3), random.uniform(0.7, 3), random.uniform(-1, 1)

    def shift(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        wave = waves * np.sin(phase + 6.283 * x / (length * width)) * (1 + grows * (y / height - 0.5))
        return slope * (x - width / 2) + wave

    x, y = np.arange(width), np.arange(height)[:, None]
    source = np.clip(y - shift(x, y), 0, height - 1.001)
    low = source.astype(np.int32)
    share = (source - low).astype(np.float32)
    moved = (1 - share) * ink[low, x] + share * ink[low + 1, x]
    new: Blocks = []
    for block in blocks:
        new.append([])
        for line in block:
            px, py = np.array(line.baseline).T
            py = py + shift(px, py)
            if py.min() > 1 and py.max() < height - 1:
                new[-1].append(replace(line, baseline=tuple(zip(px.tolist(), py.tolist(), strict=True))))
    return moved, [block for block in new if block]


def made(strips: Sequence[Strip], random: np.random.Generator) -> tuple[Image.Image, Blocks, float]:
    """A page, its lines, and how high they are."""
    ink, blocks = laid(strips, random)
    heights = [line.height for block in blocks for line in block]
    height = float(np.median(heights)) if heights else 48.0
    edge = round(0.08 * ink.shape[1]) if blocks else 0  # so that nothing leaves the page when it is skewed
    ink = np.pad(ink, ((edge, edge), (0, 0)))
    blocks = [
        [replace(line, baseline=tuple((x, y + edge) for x, y in line.baseline)) for line in block] for block in blocks
    ]
    ink, blocks = bent(things(ink, random, height), blocks, random)
    page = Image.fromarray(np.clip(on_paper(ink, random, height), 0, 255).astype(np.uint8))
    if random.random() < 0.5:
        page = page.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.1)))
    return page, blocks, height


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", nargs="+", help="folders of lines with their texts, groups and parts")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, nargs=3, default=(320, 32, 40), help="pages of each part")
    given = parser.parse_args()
    groups: dict[str, list[list[tuple[Path, str]]]] = {part: [] for part in PARTS}
    for folder in given.lines:
        known: dict[tuple[str, str], list[tuple[Path, str]]] = {}
        for sample in open_data(folder):
            known.setdefault((sample.split or "train", sample.group or sample.id), []).append((sample.x, sample.y))
        for (part, _), some in sorted(known.items()):
            groups[part].append(some)
    for number, (part, count) in enumerate(zip(PARTS, given.count, strict=True)):
        random = np.random.default_rng([0, number])  # of each part its own, so that one can be made alone
        order = [int(i) for _ in range(-(-count // len(groups[part]))) for i in random.permutation(len(groups[part]))]
        for i, group in enumerate(order[:count]):
            write(given.out, part, i, groups[part][group], random)
    (given.out / "maps" / "classes.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")


def write(out: Path, part: str, number: int, group: Sequence[tuple[Path, str]], random: np.random.Generator) -> None:
    """One page with its files."""
    most = 0 if random.random() < EMPTY else int(random.integers(1, len(group) + 1))
    if most and random.random() < 0.5:
        most = len(group)
    chosen = [group[i] for i in sorted(random.permutation(len(group))[:most])]
    strips = [strip(np.asarray(Image.open(file).convert("L")), text) for file, text in chosen]
    page, blocks, height = made([s for s in strips if s is not None], random)
    if page.width * page.height > LARGEST:
        return
    for folder in (out / "pages" / part, out / "maps" / part / "images", out / "maps" / part / "labels"):
        folder.mkdir(parents=True, exist_ok=True)
    picture = out / "pages" / part / f"{number:04}.jpg"
    page.save(picture, quality=int(random.integers(45, 93)))
    create(blocks, picture, page.size, picture.with_suffix(".xml"))
    factor = float(np.exp(random.uniform(*np.log(SMALL)))) / height
    size = max(32, round(page.width * factor)), max(32, round(page.height * factor))
    with Image.open(picture) as saved:
        small = saved.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    small.save(out / "maps" / part / "images" / f"{number:04}.jpg", quality=92)
    scale = size[0] / page.width, size[1] / page.height
    numbers = draw([line.scaled(*scale) for block in blocks for line in block], size[::-1])
    Image.fromarray(numbers).save(out / "maps" / part / "labels" / f"{number:04}.png", optimize=True)


if __name__ == "__main__":
    main()
