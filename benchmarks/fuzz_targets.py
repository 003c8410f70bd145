"""What is fuzzed: each kind of input with each ending that it reads, each format of data, bundles, exported networks,
recipes, language models, lists of words and indexes. A new kind or task is there by its made set in the tests."""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
import pyarrow.csv
import pyarrow.parquet
import soundfile
from PIL import Image

from crnn import bundle as bundles
from crnn.config import fill, split_name
from crnn.data.dataset import Samples
from crnn.data.formats import Asked, alto, coco, open_data, page, voc
from crnn.data.inputs import INPUTS
from crnn.data.page_lines import TextLine
from crnn.decode.arpa import read_arpa, write_arpa
from crnn.decode.lexicon import read_words
from crnn.decode.ngram import train
from crnn.deploy.asked import asked_of, task_of
from crnn.deploy.export import export
from crnn.deploy.ready import predictor
from crnn.errors import CrnnError
from crnn.models import MODELS
from crnn.recipe import Recipe, read_recipe
from crnn.registry import pick
from crnn.train.prepare import begin
from crnn.types import Box, Boxes, Clip, Part, Sample

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from conftest import ASKED, DRAWN, FIRST, MADE, shrink  # noqa: E402

PICTURES = {"png": "L", "jpg": "RGB", "webp": "RGB", "tif": "CMYK", "bmp": "RGB", "gif": "P", "pgm": "L"}
SOUNDS = ("wav", "flac", "ogg", "mp3", "aiff", "au")
FILMS = {"mp4": "mpeg4", "avi": "mpeg4", "mkv": "ffv1", "mpg": "mpeg2video", "webm": "libvpx", "mov": "libx264"}


@dataclass(frozen=True, slots=True)
class Case:
    """``files`` in a folder, of which ``bent`` is made wrong; ``run`` is given its path (or the folder's, where
    ``whole``) and gives the errors that were answered."""

    name: str
    files: Mapping[str, bytes] = field(repr=False)
    bent: str
    run: Callable[[Path], list[CrnnError]] = field(repr=False)
    whole: bool = False


def cases() -> list[Case]:
    """All that is fuzzed, always in the same order."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = [list(part(folder)) for part in (_sources, _made, _pages, _bundles, _others)]
    return [case for part in made for case in part]


def _sources(folder: Path) -> Iterator[Case]:
    """Each kind of input with a source of each ending."""
    for name, kind in INPUTS.items():
        first = DRAWN[name](folder / name, [0, 1, 2, 1])
        learned = kind.learn(fill(kind.Settings, {}, "input"), [Sample("a", first)])
        files = {first, *_variants(first, kind.suffixes)}
        for file in sorted(files):
            yield Case(f"{name}{file.suffix}", {file.name: file.read_bytes()}, file.name, _decodes(learned))


def _variants(first: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    """The same source in other formats."""
    if first.suffix == ".png":
        with Image.open(first) as picture:
            for ending, mode in PICTURES.items():
                picture.convert(mode).save(first.with_suffix("." + ending))
                yield first.with_suffix("." + ending)
            deep = first.with_name("deep.png")
            Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 200).save(deep)
            yield deep
    elif first.suffix == ".wav":
        x, rate = soundfile.read(first)
        for ending in SOUNDS[1:]:
            soundfile.write(first.with_suffix("." + ending), x, rate)
            yield first.with_suffix("." + ending)
    elif first.suffix == ".mkv":
        for ending, codec in FILMS.items():
            with av.open(str(first.with_suffix("." + ending)), "w") as container:
                stream = container.add_stream(codec, rate=25)
                stream.width, stream.height, stream.pix_fmt = 32, 32, "bgr0" if codec == "ffv1" else "yuv420p"
                for i in range(8):
                    frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 30 * i, np.uint8), format="rgb24")
                    container.mux(stream.encode(frame))
                container.mux(stream.encode())
            yield first.with_suffix("." + ending)
        frames = [Image.new("L", (32, 32), 30 * i) for i in range(4)]
        frames[0].save(first.with_suffix(".gif"), save_all=True, append_images=frames[1:])
        yield first.with_suffix(".gif")
    elif first.suffix == ".npy":
        x = np.load(first)
        np.savez_compressed(first.with_suffix(".npz"), frames=x, times=np.arange(len(x)) * 300)
        with h5py.File(first.with_suffix(".h5"), "w") as file:
            file.create_dataset("frames", data=x, compression="gzip")
        import netCDF4

        with netCDF4.Dataset(first.with_suffix(".nc"), "w") as file:
            for axis, size in zip("tyx", x.shape, strict=True):
                file.createDimension(axis, size)
            file.createVariable("frames", "u1", tuple("tyx"), zlib=True)[:] = x
            file.createVariable("time", "f8", ("t",)).units = "minutes since 2020-01-01"
            file["time"][:] = np.arange(len(x)) * 5
        yield from (first.with_suffix(ending) for ending in (".npz", ".h5", ".nc"))
    elif first.suffix == ".csv":
        for ending, sign in ((".tsv", "\t"), (".txt", " ")):
            first.with_suffix(ending).write_text(first.read_text().replace(",", sign))
            yield first.with_suffix(ending)
        np.save(first.with_suffix(".npy"), np.loadtxt(first, delimiter=",", skiprows=1))
        yield first.with_suffix(".npy")


def _decodes(kind: Any) -> Callable[[Path], list[CrnnError]]:
    def run(path: Path) -> list[CrnnError]:
        kind.steps(path)
        kind.finish(kind.plain(kind.decode(path), None)[0])
        kind.look(path)
        return []

    return run


def _made(folder: Path) -> Iterator[Case]:
    """The data set of each task, what describes it made wrong, as tables of each ending."""
    for task, write in MADE.items():
        place = folder / f"set-{task}"
        place.mkdir()
        name = "line" if task == "transcribe" else FIRST[task]
        write(place, name)
        tables = sorted(place.glob("*.csv"))
        read = _reads(task, name, place)
        for table in tables if task != "forecast" else []:
            table.write_text("".join(table.read_text().splitlines(keepends=True)[:5]))
        files = {p.relative_to(place).as_posix(): p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}
        if not tables:
            for file in [f for f in files if f.endswith(".txt")][:2] or list(files)[-1:]:
                yield Case(f"{task}: {Path(file).suffix}", files, file, read, whole=True)
            continue
        table = tables[0]
        yield Case(f"{task}: .csv", files, table.name, read, whole=True)
        if task == "forecast":
            continue
        rest = {k: v for k, v in files.items() if k != table.name}
        rows = pyarrow.csv.read_csv(table)
        packed = folder / f"{task}.parquet"
        pyarrow.parquet.write_table(rows, packed)
        lines = "\n".join(json.dumps(row) for row in rows.to_pylist()).encode()
        yield Case(f"{task}: .jsonl", {**rest, "lines.jsonl": lines}, "lines.jsonl", read, whole=True)
        yield Case(f"{task}: .parquet", {**rest, "a.parquet": packed.read_bytes()}, "a.parquet", read, whole=True)
        tabs = table.read_text().replace(",", "\t").encode()
        yield Case(f"{task}: .tsv", {**rest, "lines.tsv": tabs}, "lines.tsv", read, whole=True)


def _reads(task: str, kind: str, folder: Path) -> Callable[[Path], list[CrnnError]]:
    """Reading as training does: a folder's samples, of which some are decoded and encoded."""
    recipe = asking(task, kind)
    asked = asked_of(recipe)
    samples = open_data(folder, asked=asked)
    task_class, values = task_of(recipe)
    learned = task_class.learn(fill(task_class.Settings, values, "task"), samples)
    seen = INPUTS[kind].learn(fill(INPUTS[kind].Settings, {}, "input"), samples)
    return _read(asked, seen, learned.with_input(seen))


def asking(task: str, kind: str) -> Recipe:
    few = {"least": 1} if task in ("caption", "match") else {}
    return Recipe(task={"name": task, **ASKED.get(task, {}), **few}, input={"name": kind})


def _read(asked: Asked, kind: Any, task: Any) -> Callable[[Path], list[CrnnError]]:
    def run(path: Path) -> list[CrnnError]:
        left_out: list[CrnnError] = []
        found = Samples(open_data(path, "auto", left_out, asked=asked)[:2], kind, task)
        answers = [found[0, i] for i in range(len(found))]
        return [*left_out, *(a for a in answers if isinstance(a, CrnnError))]

    return run


def _pages(folder: Path) -> Iterator[Case]:
    """XML and JSON that describe pictures, labelled lines of text, arrays and legends."""
    picture = folder / "page.png"
    Image.new("L", (120, 60), 255).save(picture)
    lines = [TextLine(((10, 20), (60, 22)), 12, 4, "one two", 0.9, (Part("one", 0, 20, 0.9), Part("two", 25, 50, 0.8)))]
    boxes = Boxes((120, 60), (Box("a", 10, 10, 30, 40, 0.9), Box("b", 40, 5, 90, 50, 0.8)))
    page.create([lines], picture, (120, 60), folder / "page.xml")
    alto.create([lines], picture, (120, 60), folder / "alto.xml")
    voc.write("page.png", boxes, folder / "voc.xml")
    coco.write([("page.png", boxes)], ["a", "b"], folder / "coco.json")
    drawn = '"segmentation": [[10, 10, 40, 10, 40, 40]], "iscrowd"'
    (folder / "coco.json").write_text((folder / "coco.json").read_text().replace('"iscrowd"', drawn))
    shown = {"page.png": picture.read_bytes()}
    rows = (
        ("page.xml", "transcribe", "line"),
        ("alto.xml", "transcribe", "line"),
        ("voc.xml", "detect", "scene"),
        ("coco.json", "detect", "scene"),
        ("coco.json", "segment", "scene"),
    )
    for file, task, kind in rows:
        place = folder / f"{task}-{file}"
        place.mkdir()
        for name, data in {**shown, file: (folder / file).read_bytes()}.items():
            (place / name).write_bytes(data)
        files = {**shown, file: (folder / file).read_bytes()}
        yield Case(f"{task}: {file}", files, file, _reads(task, kind, place), whole=True)
    texts = "\n".join(f"{label}\t{text}" for label, text in (("A:b", "what is it"), ("C:d", "who was he")) * 3)
    (folder / "said").mkdir()
    (folder / "said" / "train.txt").write_text(texts)
    read = _reads("classify", "sentence", folder / "said")
    yield Case("classify: lines", {"train.txt": texts.encode()}, "train.txt", read, whole=True)
    place = folder / "arrays"
    place.mkdir()
    x = np.random.default_rng(0).integers(0, 255, (6, 8, 8, 1)).astype(np.uint8)
    np.savez_compressed(place / "all.npz", x=x, y=np.array(list("aabbab")), lengths=np.full(6, 8))
    data = (place / "all.npz").read_bytes()
    yield Case("classify: .npz", {"all.npz": data}, "all.npz", _reads("classify", "picture", place / "all.npz"))


def _bundles(folder: Path) -> Iterator[Case]:
    """Bundles of several tasks, loaded and asked, an exported network and an index."""
    for task in ("transcribe", "classify", "tag", "forecast", "detect", "segment", "nowcast", "caption"):
        place = folder / f"set-{task}"
        name = "line" if task == "transcribe" else FIRST[task]
        recipe = asking(task, name)
        samples = open_data(place, asked=asked_of(recipe))
        model = bundles.default_model(task_of(recipe)[0], {"": name})
        recipe = replace(recipe, encoder={"name": model, **shrink(MODELS[model])})
        made = begin(recipe, samples)
        file = folder / f"{task}.safetensors"
        made.save(file)
        first = samples[0].x
        source = first.film if isinstance(first, Clip) else first
        beside = {source.name: source.read_bytes()} if isinstance(source, Path) else {}
        yield Case(f"bundle: {task}", {**beside, file.name: file.read_bytes()}, file.name, _loads(samples[0]))
        if task == "transcribe":
            export(made, folder / "net.onnx")
            data = (folder / "net.onnx").read_bytes()
            yield Case("onnx", {**beside, "net.onnx": data}, "net.onnx", _loads(samples[0]))


def _loads(sample: Sample) -> Callable[[Path], list[CrnnError]]:
    """A trained network read and asked about a sample."""

    def run(path: Path) -> list[CrnnError]:
        x: Any = sample.x
        if isinstance(x, Clip) and isinstance(x.film, Path):
            x = replace(x, film=path.parent / x.film.name)
        elif isinstance(x, Path):
            x = path.parent / x.name
        (answer,) = predictor(path, precision="float32", threads=1)._answer([replace(sample, x=x)])
        return [answer] if isinstance(answer, CrnnError) else []

    return run


def _others(folder: Path) -> Iterator[Case]:
    """Language models, lists of words, recipes."""
    write_arpa(train(["one two", "two three", "three one"] * 3, 3), folder / "lm.arpa")
    arpa = (folder / "lm.arpa").read_bytes()
    yield Case("lm.arpa", {"lm.arpa": arpa}, "lm.arpa", _calls(read_arpa))
    yield Case("lm.arpa.gz", {"lm.arpa.gz": gzip.compress(arpa, mtime=0)}, "lm.arpa.gz", _calls(read_arpa))
    words = b"one\ntwo\nthree\n"
    yield Case("words.txt", {"words.txt": words}, "words.txt", _calls(read_words))
    for file in sorted((ROOT / "recipes").glob("*.toml"))[::4]:
        yield Case(f"recipe: {file.stem}", {file.name: file.read_bytes()}, file.name, _calls(_recipe))


def _calls(read: Callable[[Path], Any]) -> Callable[[Path], list[CrnnError]]:
    def run(path: Path) -> list[CrnnError]:
        read(path)
        return []

    return run


def _recipe(path: Path) -> None:
    """A recipe read as far as it can be without data."""
    recipe = read_recipe(path)
    asked_of(recipe)
    for table in (recipe.input, *recipe.inputs.values()):
        if "name" in table:
            name, values = split_name(table)
            kind = pick(name, INPUTS, "kind of input")
            kind.restore(fill(kind.Settings, values, "input"), {})
            fill(kind.Augment, recipe.augment if not recipe.inputs else {}, "augment")
    if recipe.encoder:
        name, values = split_name(recipe.encoder)
        fill(pick(name, MODELS, "model").Settings, values, "encoder")
