"""Lines written in handwriting fonts, to learn from beside real ones (recipes/transcribe-handwriting.toml).

    python recipes/prepare/handwriting-fonts.py ../shared/data/lines-handwritten-fr prose.txt fonts made --count 3000

``prose.txt`` is French text, a sentence a line; ``fonts`` is a folder with TrueType, OpenType or WOFF2 files (WOFF2
needs the packages fonttools and brotli). Two fifths of the lines join words of two transcriptions of the real lines'
training part, the others are prose, with no letter that the former lack. A line takes one font and one pen; its words
wander off the base line and space as hands do, and half of the lines stand on ruled paper. Written are ``made/images``
and ``made/lines.jsonl``.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZE = 72  # pixels of an em, before the line is scaled to HEIGHT
HEIGHT = 64
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZéèàçêâîôûùïë0123456789.,'-()"
LINES = (12, 62)  # letters


def faces(folder: Path) -> list[ImageFont.FreeTypeFont]:
    """The regular fonts of ``folder`` that have every letter of LETTERS."""
    fonts = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".ttf", ".otf", ".woff2")):
        if path.suffix == ".woff2":
            if not (path.stem.endswith("-latin-400-normal") or path.stem.endswith("-latin-wght-normal")):
                continue  # one face of a family: plain weight, Latin letters
            from fontTools.ttLib import TTFont  # type: ignore[import-not-found]

            font = TTFont(path)
            font.flavor, file = None, io.BytesIO()
            font.save(file)
            known = set(font.getBestCmap())
            face = ImageFont.truetype(io.BytesIO(file.getvalue()), SIZE)
        else:
            known, face = set(map(ord, LETTERS)), ImageFont.truetype(str(path), SIZE)
        if set(map(ord, LETTERS)) <= known:
            fonts.append(face)
    return fonts


def passages(lines: list[str], prose: list[str], rng: np.random.Generator) -> Iterator[str]:
    """Texts as long as a line: running prose, or words of one line behind words of another."""
    while True:
        if rng.random() < 0.4:
            first, second = (lines[rng.integers(len(lines))].split() for _ in range(2))
            words = first[rng.integers(len(first)) :] + second
        else:
            words = prose[rng.integers(len(prose))].split()
            words = words[rng.integers(max(1, len(words) - 3)) :]
        wanted, text = int(rng.integers(*LINES)), ""
        for word in words:
            if text and len(text) + len(word) >= wanted:
                break
            text = f"{text} {word}" if text else word
        if rng.random() < 0.04:
            text = text.upper()
        yield text


def darkness(picture: Image.Image) -> float:
    """How much ink there is."""
    return 255 - float(np.asarray(picture).mean())


def written(text: str, face: ImageFont.FreeTypeFont, rng: np.random.Generator) -> Image.Image:
    """One line of handwriting: words one after the other on a wandering base line, then a pen and a paper."""
    gap = face.getlength(" ") * rng.uniform(0.7, 1.8) + rng.uniform(0, 12)
    loose, wander = rng.uniform(-0.8, 4.0) * (rng.random() < 0.4), rng.uniform(0, 3.5)
    words, x = [], 20.0
    for word in text.split():
        words.append((x, word))
        x += face.getlength(word) + loose * len(word) + gap * rng.uniform(0.7, 1.4)
    picture = Image.new("L", (int(x) + 40, 3 * SIZE), 255)
    draw, ink, base = ImageDraw.Draw(picture), int(rng.integers(10, 150)), 1.8 * SIZE
    for left, word in words:
        base += rng.normal(0, wander)
        base += 0.3 * (1.8 * SIZE - base)
        if loose:
            for letter in word:
                draw.text((left, base + rng.normal(0, 0.8)), letter, fill=ink, font=face, anchor="ls")
                left += face.getlength(letter) + loose
        else:
            draw.text((left, base), word, fill=ink, font=face, anchor="ls")
    box = Image.eval(picture, lambda v: 255 - v).getbbox() or (0, 0, *picture.size)
    if rng.random() < 0.5:
        rule, shade = 1.8 * SIZE + rng.uniform(0, 10), int(rng.integers(90, 210))
        step = int(rng.choice([0, 0, 6, 10]))
        for start in range(0, picture.width, step or picture.width):
            end = start + (step // 2 if step else picture.width)
            draw.line((start, rule, end, rule + rng.normal(0, 0.3)), fill=shade, width=int(rng.integers(1, 4)))
    left, top, right, bottom = box
    picture = picture.crop((left - int(rng.integers(0, 8)), top - int(rng.integers(0, 6)), right + 6, bottom + 4))
    pen = rng.random()
    if pen < 0.6:  # thicker than the font's, or thinner, where its strokes stand that
        other = picture.filter(ImageFilter.MinFilter(3) if pen < 0.1 else ImageFilter.MaxFilter(3))
        if darkness(other) > 0.6 * darkness(picture):
            picture = other
    picture = picture.resize((max(8, round(picture.width * HEIGHT / picture.height)), HEIGHT), Image.Resampling.LANCZOS)
    x = np.asarray(picture, np.float32) + rng.standard_normal((HEIGHT, picture.width)) * rng.uniform(0, 6)
    return Image.fromarray(np.clip(x, 0, 255).astype(np.uint8))


def prepare(real: Path, prose: list[str], fonts: list[ImageFont.FreeTypeFont], target: Path, count: int) -> None:
    """Write ``count`` lines."""
    known = [json.loads(line) for line in (real / "lines.jsonl").read_text(encoding="utf-8").splitlines()]
    own = [row["text"] for row in known if row["split"] == "train"]
    (target / "images").mkdir(parents=True)
    rows = []
    rng = np.random.default_rng(0)
    letters = set("".join(own))
    made = (text for text in passages(own, prose, rng) if len(text) >= LINES[0] and set(text) <= letters)
    for number in range(count):
        text, face = next(made), int(rng.integers(len(fonts)))
        name = f"images/made-{number:05}.webp"
        written(text, fonts[face], rng).save(target / name, quality=85)
        rows.append({"image": name, "text": text, "group": f"font-{face}", "language": "fr", "split": "train"})
    with (target / "lines.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    print(f"{count} lines in {len(fonts)} hands")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path, help="the folder of real lines, with lines.jsonl")
    parser.add_argument("prose", type=Path, help="French text, a sentence a line")
    parser.add_argument("fonts", type=Path, help="a folder with handwriting fonts")
    parser.add_argument("target", type=Path, help="the new folder")
    parser.add_argument("--count", type=int, default=8000, help="made lines")
    given = parser.parse_args()
    sentences = [s for s in given.prose.read_text(encoding="utf-8").splitlines() if s.strip()]
    prepare(given.real, sentences, faces(given.fonts), given.target, given.count)
